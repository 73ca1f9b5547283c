"""The text that others read: Dockerfiles, and the command lines of installers."""
