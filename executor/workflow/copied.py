"""Whether a file that a command writes becomes part of what images copy, which would move their hashes."""

from __future__ import annotations

import os
from pathlib import Path

from executor.state import STATE_DIRECTORY
from planner.facts.facts import Facts
from planner.facts.needs import FileTree

__all__ = ["is_copied"]


def is_copied(facts: Facts, root: Path, path: Path) -> bool:
    """Whether a file of this path is part of what images copy: the next plan is another then."""
    place, project = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    if not place.is_relative_to(project):
        return False
    inside = place.relative_to(project)
    if STATE_DIRECTORY in inside.parts:
        return False
    return any(_takes(need, inside) for need in facts.needs if isinstance(need, FileTree))


def _takes(need: FileTree, path: Path) -> bool:
    if not path.is_relative_to(need.root or "."):
        return False
    name = path.relative_to(need.root or ".").as_posix()
    left_out = name in need.left_out or need.rules.ignores(name)
    return not left_out and not (need.only is not None and need.only.ignores(name))
