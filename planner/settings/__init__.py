"""What may be asked for, and the checks that each setting declares."""
