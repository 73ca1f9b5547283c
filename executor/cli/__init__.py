"""The command line: argv → workflow → words."""
