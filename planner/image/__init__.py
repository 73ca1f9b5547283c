"""Images as values: instructions, what an image is planned as, and the plan of a pipeline."""
