"""The locks of a project: that of the checkout, and those on the branches of its repository."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from executor.errors import ExecutorError
from executor.observe.git import Git, GitUnknown
from executor.observe.objects import Objects
from executor.state import read_lock
from planner.errors import Place, PlannerError, Problem
from planner.lock.lock import LOCK_NAME, Lock
from planner.lock.text import loads

__all__ = ["locks_of", "on_branches"]


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


def on_branches(root: Path, name: str) -> Mapping[str, bytes]:
    """A file of the project on every branch, local or remote-tracking: each content once, by one such branch.

    None has it where the project is in no checkout. ExecutorError if git cannot tell.
    """
    real = os.path.realpath(root)
    try:
        return _on_branches(Git(real), name)
    except GitUnknown as error:
        above = (Path(real), *Path(real).parents)
        if not any(os.path.lexists(each / ".git") for each in above):
            return {}
        raise ExecutorError.of("branches of the checkout", error.found, error.fix) from None


def _on_branches(git: Git, name: str) -> dict[str, bytes]:
    listed = git.read("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/", "refs/remotes/")
    commits = [(line.partition(" ")[2], line.partition(" ")[0]) for line in listed.splitlines()]
    if not commits:
        return {}
    prefix = git.read("rev-parse", "--show-prefix").removesuffix("\n")
    if "\n" in prefix:
        raise GitUnknown("the path of the project has a line end", "rename its directory")
    by_commit = {commit: branch for branch, commit in reversed(commits)}
    contents = Objects(git).contents([f"{commit}:{prefix}{name}" for commit in by_commit])
    found: dict[str, bytes] = {}
    for branch, content in zip(by_commit.values(), contents, strict=True):
        if content is not None and content not in found.values():
            found[branch] = content
    return found
