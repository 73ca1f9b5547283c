"""Carries out what was decided: builds, pushes and records images."""
