"""Runs the steps of a pipeline, in containers of their images or in the active environment."""
