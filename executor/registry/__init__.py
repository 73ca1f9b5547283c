"""One client for registries: looking images up, and giving them tags."""
