"""The executor of stowplan: everything that touches the world, and the command line.

Programs use the names that `stowplan` has. Imports run from here to `planner`, never back.
"""
