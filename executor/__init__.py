"""The executor of stowplan: everything that touches the world."""
