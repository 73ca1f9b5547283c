"""Which Python packages are asked for: the grammar of requirements, and files of them."""
