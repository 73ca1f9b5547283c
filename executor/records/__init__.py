"""What was built of a project."""
