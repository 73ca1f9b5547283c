"""The files of a project as values: trees of them, and the rules of an ignore file."""
