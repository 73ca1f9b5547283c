"""Files that people write → pipelines and stacks, with the line of everything that is wrong."""
