"""What was observed: answers to needs, as values.

Refuses to hold handles, clocks, or anything that could still change; hides the values of variables
from `repr` and from every message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, TypeVar, cast

from attrs import field, frozen

from planner.errors import PlannerError, Problem
from planner.facts.needs import FileText, FileTree, HostPlatform, ImageDigest, Need, PythonVersion, Variable
from planner.files.tree import Tree
from planner.values import Digest

__all__ = ["Fact", "Facts", "Pin", "Secret"]

T = TypeVar("T")


@frozen
class Secret:
    """The value of an environment variable. Only `reveal` shows it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The value itself, for the engine and for the fingerprint, and for nothing else."""
        return self._value


@frozen
class Pin:
    """What is known of an image: its digest and who told it, or why it is not known.

    `source` is `registry`, `engine` or `lock`. `reason` says why the registry did not tell, and
    `transient` whether asking again later may help.
    """

    digest: Digest | None = None
    source: str = ""
    reason: str = ""
    transient: bool = False


Fact = str | None | Tree | Secret | Pin


def _copy(answers: Mapping[Need, Fact]) -> Mapping[Need, Fact]:
    return dict(answers)


@frozen
class Facts:
    """Answers by need. Immutable: `also` makes a larger one.

    >>> Facts().also({PythonVersion(): "3.11"}).python_version
    '3.11'
    """

    _answers: Mapping[Need, Fact] = field(factory=dict, converter=_copy, hash=False)

    def __contains__(self, need: object) -> bool:
        return need in self._answers

    def __len__(self) -> int:
        return len(self._answers)

    def also(self, answers: Mapping[Need, Fact]) -> Self:
        """These facts and some more."""
        return type(self)({**self._answers, **answers})

    def answer(self, need: Need) -> Fact:
        """The answer to a need. PlannerError when it was not observed."""
        if need not in self._answers:
            fix = "answer needs() until none is left, as observe() does"
            raise PlannerError([Problem.at("facts", f"not observed: {need}", fix)])
        return self._answers[need]

    @property
    def python_version(self) -> str:
        """Major and minor version of the Python that plans."""
        return cast(str, self.answer(PythonVersion()))

    @property
    def host_platform(self) -> str:
        """Platform that images are built for when none is asked for."""
        return cast(str, self.answer(HostPlatform()))

    def text(self, path: str) -> str | None:
        """Text of a file; None if there is no such file."""
        return cast("str | None", self.answer(FileText(path)))

    def tree(self, need: FileTree) -> Tree:
        """The files of the project under some rules."""
        return cast(Tree, self.answer(need))

    def variable(self, name: str) -> Secret | None:
        """Value of a variable; None if it is not set."""
        return cast("Secret | None", self.answer(Variable(name)))

    def pin(self, need: ImageDigest) -> Pin:
        """What is known of an image."""
        return cast(Pin, self.answer(need))
