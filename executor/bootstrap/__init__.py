"""What runs in containers, and in the user's Python: nothing of ours has to be installed there.

Standard library only, for every Python from 3.8 on, and with relative imports only: in the one
file that `executor/bootstrap_file.py` makes of these modules, the package has another name, so that a project
may have a package `executor` of its own.
"""
