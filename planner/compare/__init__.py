"""Plans compared: what changed, what is done about it, and why."""
