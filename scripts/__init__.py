"""The operator's doors: parse, call the application, print, exit."""
