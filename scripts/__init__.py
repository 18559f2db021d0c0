"""Command-line scripts, one file per command: parse, call the application, print, exit."""
