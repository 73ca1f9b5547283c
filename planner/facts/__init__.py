"""Needs (questions about the world) and their answers."""
