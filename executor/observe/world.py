"""Where facts come from: a world, and the one place where each kind of need is put to it.

Owns the `World` protocol and the working tree of a checkout behind it. A git revision is another world.
Refuses to look at anything that no need asks for, and to hand out anything but values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field

from executor.observe import python
from executor.observe.files import is_file, read_text
from planner.errors import PlannerError, Problem
from planner.facts.answers import HiddenValue, Printed
from planner.facts.code_state import CodeState
from planner.facts.needs import (
    Bootstrap,
    CheckoutState,
    FileText,
    FileTree,
    HostPlatform,
    Need,
    ProgramOutput,
    ProjectFiles,
    PythonVersion,
    RequirementsFile,
    Variable,
)
from planner.files.tree import Tree
from planner.immutable import frozen
from planner.requirements.files import included_files

__all__ = ["ComparedTree", "WorkingTree", "World", "answer", "requirement_texts"]


class World(Protocol):
    """What there is to look at. PlannerError says what cannot be read."""

    def text(self, path: str) -> str | None:
        """The text of a file, by its path from the root; None if it does not exist."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file, by its path from the root."""

    def output(self, need: ProgramOutput) -> Printed:
        """What a program of the machine prints, run in a directory of the project."""

    def tree(self, need: FileTree) -> Tree:
        """The files under some rules."""

    def variable(self, name: str) -> HiddenValue | None:
        """The value of an environment variable; None if it is not set."""

    def python_version(self) -> str:
        """Major and minor version of the Python that plans."""

    def host_platform(self) -> str:
        """The platform that images are built for when none is asked for."""

    def code_state(self) -> CodeState:
        """What git says of the checkout that holds the project."""


def answer(need: Need[Any], world: World) -> Any:
    """The answer of a world to a need. TypeError for a need that no world answers: images are elsewhere."""
    match need:
        case FileText(path):
            return world.text(path)
        case ProjectFiles(paths):
            return frozenset(path for path in paths if world.is_file(path))
        case ProgramOutput():
            return world.output(need)
        case RequirementsFile(path):
            return requirement_texts(path, world.text)
        case FileTree():
            return world.tree(need)
        case Variable(name):
            return world.variable(name)
        case PythonVersion():
            return world.python_version()
        case HostPlatform():
            return world.host_platform()
        case CheckoutState():
            return world.code_state()
        case Bootstrap():
            from executor.bootstrap_file import bootstrap_digest  # noqa: PLC0415  # few images have it

            return bootstrap_digest()
        case _:
            raise TypeError(f"no world answers {need}")


def requirement_texts(path: str, text_of: Callable[[str], str | None]) -> Mapping[str, str | None]:
    """The texts of a requirements file and of all that it includes, by path; None for one that is missing."""
    texts: dict[str, str | None] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in texts:
            texts[file] = text = text_of(file)
            waiting += included_files(text or "", file=file)
    return texts


@frozen
class WorkingTree:
    """The files of a checkout as they are now, this process's environment, and this machine."""

    root: Path
    environ: Mapping[str, str] = field(factory=lambda: os.environ)
    asks: bool = True
    """Whether programs may ask anything of a network."""

    def text(self, path: str) -> str | None:
        """The text of a file of the checkout."""
        return read_text(self.root, path)

    def is_file(self, path: str) -> bool:
        """Whether there is a file in the checkout."""
        return is_file(self.root, path)

    def output(self, need: ProgramOutput) -> Printed:
        """What a program of this machine prints, with this process's environment."""
        from executor.observe.programs import output_of  # noqa: PLC0415  # a locked plan starts no process

        return output_of(need, self.root, self.environ, offline=not self.asks)

    def tree(self, need: FileTree) -> Tree:
        """The files of the checkout, hashed only where they changed."""
        from executor.observe.cache import Cache  # noqa: PLC0415  # SQLite, and only a tree needs it
        from executor.observe.trees import read_tree  # noqa: PLC0415  # as above

        with Cache(self.root) as cache:
            return read_tree(self.root, need, cache)

    def variable(self, name: str) -> HiddenValue | None:
        """The value of a variable. PlannerError if it is not UTF-8."""
        value = self.environ.get(name)
        if value is None:
            return None
        try:
            value.encode()
        except UnicodeEncodeError:
            found = f"the value of {name} is not UTF-8"
            raise PlannerError(
                [Problem.at("environment", found, "encode it, in base64 for instance")]
            ) from None
        return HiddenValue(value)

    def python_version(self) -> str:
        """That of the running interpreter."""
        return python.python_version()

    def host_platform(self) -> str:
        """That of an engine on this machine."""
        return python.host_platform()

    def code_state(self) -> CodeState:
        """That of the checkout that the root is in."""
        from executor.observe.checkout import code_state  # noqa: PLC0415  # few projects register a repository

        return code_state(self.root, self.environ)


@frozen
class ComparedTree(WorkingTree):
    """A checkout that is compared with something else: a variable that is not set is empty, and no error."""

    def variable(self, name: str) -> HiddenValue | None:
        """The value of a variable. PlannerError if it is not UTF-8."""
        return WorkingTree.variable(self, name) or HiddenValue("")
