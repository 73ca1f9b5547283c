"""Where code and outputs of runs are kept: the artifact store, and the archive of the code."""
