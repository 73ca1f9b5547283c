"""How code reaches the container: the tree of the project's files that is copied into an image.

Owns which ignore file is in effect, what is left out whatever it says, and the rules where there is none.
"""

from __future__ import annotations

import posixpath
from typing import Final

from planner.errors import PlannerError, Problem
from planner.facts.facts import Facts
from planner.facts.needs import FileText, FileTree
from planner.files.defaults import OWN_FILES, default_rules
from planner.files.ignore import IgnoreRules
from planner.settings.effective import Settings

__all__ = ["IGNORE_FILE", "ignore_path", "tree_need"]

IGNORE_FILE: Final = ".dockerignore"


def ignore_path(settings: Settings) -> str:
    """The ignore file in effect, spelled as the paths of a tree are: it is left out of the tree."""
    return posixpath.normpath(settings.dockerignore or IGNORE_FILE)


def tree_need(settings: Settings, facts: Facts) -> FileTree:
    """The tree of the project's files under the ignore file in effect, or under the default rules.

    PlannerError if an ignore file that the settings name does not exist.
    """
    path = ignore_path(settings)
    text = facts.ask(FileText(path))
    if text is None and settings.dockerignore is not None:
        raise PlannerError([
            Problem.at(("build_config", "dockerignore"), f"{path} does not exist", "create it")
        ])  # fmt: skip
    rules = default_rules() if text is None else IgnoreRules.parse(text, file=path)
    return FileTree(rules, left_out=tuple(sorted({*OWN_FILES, IGNORE_FILE, path})))
