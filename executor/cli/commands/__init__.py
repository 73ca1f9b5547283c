"""The commands, one module each: arguments in, workflow, words out."""
