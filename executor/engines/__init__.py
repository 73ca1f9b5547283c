"""Container engines behind one protocol."""
