"""A commit as a world: what planning asks is answered from the objects of git, and nothing is checked out.

What only a machine can say is answered by this one: the Python that plans, its platform, its variables. What
a checkout of the commit may have otherwise is said in notes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import define, field

from executor.observe.cache import Cache
from executor.observe.checkout import commit_state
from executor.observe.commit import Commit
from executor.observe.commit_trees import read_commit_tree
from executor.observe.files import text_of
from executor.observe.programs import output_of
from executor.observe.unpacked import unpack_commit
from executor.observe.world import ComparedTree
from executor.state import scratch_directory
from planner.compare.change import counted
from planner.errors import PlannerError, Problem
from planner.facts.answers import HiddenValue, Printed
from planner.facts.code_state import CodeState
from planner.facts.needs import FileTree, ProgramOutput
from planner.files.tree import Tree

__all__ = ["GitRevision", "unpacked"]

_ANY_DIRECTORY: Final = ("{directory}", "{copy}")


@define
class GitRevision:
    """The project as a commit has it. GitUnknown from any method if git cannot tell."""

    commit: Commit
    machine: ComparedTree
    notes: dict[str, None] = field(factory=dict)
    """What is to be said of what was looked at."""

    def text(self, path: str) -> str | None:
        """The text of a file of the commit."""
        data = self.commit.content(path)
        return None if data is None else text_of(data, path)

    def is_file(self, path: str) -> bool:
        """Whether the commit has a file."""
        return self.commit.is_file(path)

    def output(self, need: ProgramOutput) -> Printed:
        """What a program prints that reads files of a directory: those of the commit."""
        if not any(word in each for words in need.commands for each in words for word in _ANY_DIRECTORY):
            found = "the packages of an environment are in no commit, and its lock does not have them"
            raise PlannerError([
                Problem.at("replicate_local_python_environment", found, "commit a lock that has them")
            ])  # fmt: skip
        with unpacked(self.commit) as root:
            return output_of(need, root, self.machine.environ, offline=not self.machine.asks)

    def tree(self, need: FileTree) -> Tree:
        """The files of the commit, hashed only where git has others."""
        with Cache(self.machine.root) as cache:
            found = read_commit_tree(self.commit, need, cache)
        if found.converted:
            words = f"{counted(found.converted)}".replace(" changed", "", 1)
            self.notes[f"files with a filter, such as git-lfs, are compared as git has them: {words}"] = None
        for path in found.missing:
            id_ = self.commit.submodules[path][:12]
            self.notes[
                f"the submodule {path} is left out: its commit {id_} is not in this clone "
                "(`git submodule update --init` fetches it)"
            ] = None
        return found.tree

    def variable(self, name: str) -> HiddenValue | None:
        """That of this process; one that is not set is empty."""
        return self.machine.variable(name)

    def python_version(self) -> str:
        """That of the running interpreter."""
        return self.machine.python_version()

    def host_platform(self) -> str:
        """That of an engine on this machine."""
        return self.machine.host_platform()

    def code_state(self) -> CodeState:
        """That of a clean checkout of the commit."""
        return commit_state(self.commit, self.machine.environ)


@contextlib.contextmanager
def unpacked(commit: Commit) -> Iterator[Path]:
    """A directory with the files of a commit, which is gone afterwards. GitUnknown if git cannot tell."""
    with scratch_directory(commit.root, large=True) as scratch:
        place = scratch / "project"
        unpack_commit(commit, place)
        yield place
