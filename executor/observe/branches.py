"""The locks of a project: that of the checkout, and those on the branches of its repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from executor.errors import ExecutorError
from executor.observe.git import on_branches
from executor.state import read_lock
from planner.errors import Place, PlannerError, Problem
from planner.lock.lock import LOCK_NAME, Lock
from planner.lock.text import loads

__all__ = ["locks_of"]


def locks_of(root: Path) -> Mapping[str, Lock]:
    """The locks, by where they are: `stowplan.lock`, and branches, of which each has another.

    ExecutorError if one of them cannot be read: what it names is not known then.
    """
    found: dict[str, Lock] = {}
    problems: list[Problem] = []
    try:
        if (own := read_lock(root)) is not None:
            found[LOCK_NAME] = own
    except PlannerError as error:
        problems += error.problems
    for branch, data in on_branches(root, LOCK_NAME).items():
        try:
            found[branch] = loads(data.decode(errors="replace"))
        except PlannerError as error:
            reason = error.problems[0].found
            problems.append(
                Problem(
                    Place(file=f"{LOCK_NAME} of {branch}"),
                    f"cannot be read, so that what it names is not known: {reason}",
                    "run `stowplan lock` on that branch, or delete the branch",
                    "unreadable-lock",
                )
            )
    if problems:
        raise ExecutorError(problems)
    return found
