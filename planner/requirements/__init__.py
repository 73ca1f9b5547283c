"""Which Python packages are asked for: values of requirements, and the lists and files they are read from."""
