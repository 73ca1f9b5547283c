"""Errors of the planner: each says where, what was found, and what to do.

Owns `Place`, `Problem` and the one base class `StowplanError`, which carries every problem of an
input at once. Refuses to print, to log, or to hold the value of a secret.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Self

from attrs import evolve, field

from planner.immutable import frozen
from planner.logins import without_logins

__all__ = [
    "KnownNames",
    "Place",
    "PlannerError",
    "Problem",
    "StowplanError",
    "did_you_mean",
    "first_few",
    "line_of",
]

_COMPARED: Final = 100
_LONGEST: Final = 200
_SHOWN: Final = 60


@frozen
class Place:
    """Where a problem stands: the path of a setting, a file with a line (from 1), or both."""

    path: tuple[str | int, ...] = ()
    file: str | None = None
    line: int | None = None

    @property
    def dotted(self) -> str:
        """The path as people write it: `pipeline.training.steps[0]`."""
        text = ""
        for part in self.path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                # A login that is known by where it begins is known here only.
                text += f".{without_logins(part)}" if text else part
        return without_logins(text)

    def __str__(self) -> str:
        file = f"{self.file}:{self.line}" if self.file and self.line else self.file or ""
        return ": ".join(part for part in (without_logins(file), self.dotted) if part)


@frozen
class Problem:
    """One thing that is wrong: where it stands, what was found there, and what to do about it.

    No problem holds a login, whoever made it.
    """

    where: Place
    found: str = field(converter=without_logins)
    fix: str = field(converter=without_logins)
    code: str = "invalid-input"
    """Stable: what programs tell problems apart by."""

    @classmethod
    def at(cls, path: Sequence[str | int] | str, found: str, fix: str) -> Self:
        """A problem of the setting at `path`."""
        parts = (path,) if isinstance(path, str) else tuple(path)
        return cls(Place(path=parts), found, fix)

    @classmethod
    def in_file(
        cls, file: str, line: int | None, found: str, fix: str, *, code: str = "invalid-file"
    ) -> Self:
        """A problem of a line of a file; the line counts from 1."""
        return cls(Place(file=file, line=line), found, fix, code)

    def inside(self, *path: str | int) -> Problem:
        """The same problem seen from outside: its path prefixed with `path`."""
        return evolve(self, where=evolve(self.where, path=(*path, *self.where.path)))

    def masked(self, mask: Callable[[str], str]) -> Self:
        """The same problem, in whose words `mask` hides what may not be shown."""
        return evolve(self, found=mask(self.found), fix=mask(self.fix))

    def __str__(self) -> str:
        where = str(self.where)
        return f"{where}: {self.found}: {self.fix}" if where else f"{self.found}: {self.fix}"


class StowplanError(Exception):
    """The base of all errors of stowplan. `problems` holds all that is wrong, not just the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PlannerError(StowplanError, ValueError):
    """The input cannot be planned."""


def line_of(lines: Mapping[tuple[str | int, ...], int], path: Sequence[str | int]) -> int | None:
    """The line of the deepest part of `path` that is there; None if nothing of it is."""
    ends = range(len(path), 0, -1)
    return next((lines[tuple(path[:end])] for end in ends if tuple(path[:end]) in lines), None)


def did_you_mean(name: object, known: Iterable[str], otherwise: str | None = None) -> str:
    """Advice for an unknown name: the nearest known one. When none is near, `otherwise`, else all of them."""
    return KnownNames(known).advice(name, otherwise)


class KnownNames:
    """Names in order: what advice for many unknown names is made from."""

    def __init__(self, known: Iterable[str]) -> None:
        self._names = sorted(known)

    def advice(self, name: object, otherwise: str | None = None) -> str:
        """The nearest name. When none is near, `otherwise`, else those there are.

        Of many names only those that begin like it are compared: each comparison takes its time.
        """
        import difflib  # noqa: PLC0415  # only what is misspelt needs it

        if not self._names:
            return "there are none" if otherwise is None else otherwise
        wanted = str(name)
        at = bisect(self._names, wanted)
        compared = self._names[max(0, at - _COMPARED) : at + _COMPARED]
        # What is as long as that is no slip of the fingers.
        near = difflib.get_close_matches(wanted, compared, n=1) if len(wanted) <= _LONGEST else ()
        if near:
            return f"did you mean {near[0]!r}?"
        if otherwise is not None:
            return otherwise
        return f"known names: {first_few(self._names, _SHOWN)}"


def first_few(texts: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of some texts, and how many more there are.

    >>> first_few(["a", "b", "c"], 2), first_few(["a", "b"], 2)
    ('a, b and 1 more', 'a, b')
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{between.join(texts[:most])}{more}"
