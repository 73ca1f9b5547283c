"""JSON Schemas of what people write and of what `-o json` prints, made from the code."""
