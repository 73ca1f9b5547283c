"""What was built of a project: records in a database that heals itself."""
