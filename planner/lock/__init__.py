"""The lock: its values, its schema and its versions."""
