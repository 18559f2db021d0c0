"""Options, output, progress and tables of the commands."""
