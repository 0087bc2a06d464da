"""The command line: console scripts, and nothing that thinks."""
