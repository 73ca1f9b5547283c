"""Resolutions: what requirements come to, as uv says."""
