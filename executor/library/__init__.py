"""What programs do with a project: the commands, as methods that print nothing and return values."""
