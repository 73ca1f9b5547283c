"""The straight lines: observe, plan, compare, write. For the command line and for programs."""
