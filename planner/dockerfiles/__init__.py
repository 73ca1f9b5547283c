"""Dockerfiles of users as values: what they say, what they reach, and their text with pins in place."""
