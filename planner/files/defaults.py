"""Stub until the branch `files` is merged."""

from planner.files.ignore import IgnoreRules
from planner.files.tree import Tree

__all__ = ["DEFAULT_RULES", "OWN_FILES", "suspicious"]

DEFAULT_RULES = IgnoreRules((".git", ".venv"))
OWN_FILES = (".stowplan", "stowplan.lock", "stowplan.toml")


def suspicious(tree: Tree) -> tuple[str, ...]:
    """Nothing yet."""
    del tree
    return ()
