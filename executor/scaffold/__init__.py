"""A folder as it is, and the project file that describes it."""
