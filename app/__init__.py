"""The world around the mathematics: disk, clock, network, HTTP. Importing it imports no web framework."""
