"""What stowplan needs of a machine: looked at, one thing after the other, with what mends it."""
