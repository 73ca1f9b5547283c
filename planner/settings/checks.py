"""Values that check themselves: each field declares what it takes, and all problems come at once.

Owns the small checks that settings are declared with, the `Checked` base, decoding from a mapping,
and laying one value over another field by field. Refuses to coerce: `"false"` is not False, and a
misspelt name is an error.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, Self

import attrs
from attrs import field, frozen

from planner.errors import PlannerError, Problem, did_you_mean
from planner.identity import APART
from planner.values import FrozenMapping, ImageRef, freeze

__all__ = [
    "Check", "Checked", "boolean", "decoded", "image_ref", "kind_of", "list_of", "mapping_of", "matching",
    "member_of", "one_of", "optional", "project_path", "setting", "text", "valid",
]  # fmt: skip

Check = Callable[[Any], Iterator[Problem]]
_CHECK: Final = "stowplan.check"


def setting(
    default: Any, check: Check, side: Mapping[str, Any], *, convert: Callable[[Any], Any] = freeze
) -> Any:
    """A field of a Checked value: its default, what it takes, and the side of identity it is on."""
    return field(default=default, converter=convert, metadata={**side, _CHECK: check})


@frozen(kw_only=True)
class Checked:
    """A frozen value whose construction reports every problem of every field, as one PlannerError.

    `explicit` names the fields that were given, so that an explicit empty value counts when the
    value is laid over another one. A `partial` value is one that only makes sense over others: what
    its fields say together is checked once it lies over them.
    """

    partial: bool = field(default=False, repr=False, eq=False, metadata=APART)
    explicit: frozenset[str] = field(default=frozenset(), init=False, repr=False, metadata=APART)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        """Make the constructor that attrs wrote remember which fields were given."""
        written = cls.__init__

        @functools.wraps(written)
        def construct(self: Checked, **given: Any) -> None:
            written(self, **given)
            object.__setattr__(self, "explicit", frozenset(given) - {"partial"})

        cls.__init__ = construct  # type: ignore[method-assign]  # attrs' own signature

    def __attrs_post_init__(self) -> None:
        problems = [
            problem.inside(attribute.name)
            for attribute in attrs.fields(type(self))
            if _CHECK in attribute.metadata
            for problem in attribute.metadata[_CHECK](getattr(self, attribute.name))
        ]
        if not problems and not self.partial:
            problems.extend(self.check_together())
        if problems:
            raise PlannerError(problems)

    def check_together(self) -> Iterator[Problem]:
        """Problems of fields that are fine alone but not together."""
        yield from ()

    @classmethod
    def settable(cls) -> tuple[str, ...]:
        """The names that a user may give."""
        return tuple(a.name for a in attrs.fields(cls) if _CHECK in a.metadata)

    @classmethod
    def decode(cls, data: object, *, partial: bool = False) -> Self:
        """The value that a mapping describes. PlannerError with all problems, unknown names among them."""
        if not isinstance(data, Mapping):
            raise PlannerError(
                [Problem.at((), f"expected a table, found {kind_of(data)}", "write name = value")]
            )
        data, problems = cls.translate(data)
        known = cls.settable()
        problems += [
            Problem.at((name,), "unknown name", did_you_mean(name, known))
            for name in data
            if name not in known
        ]
        try:
            value = cls(**{name: data[name] for name in data if name in known}, partial=partial)
        except PlannerError as error:
            raise PlannerError([*problems, *error.problems]) from None
        if problems:
            raise PlannerError(problems)
        return value

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """`data` under the names of the fields, and what is wrong with the names in it."""
        return data, []

    def normal(self) -> Self:
        """The same value with only what differs from the defaults given, so that equal meanings are equal."""
        fields = [attribute for attribute in attrs.fields(type(self)) if _CHECK in attribute.metadata]
        return type(self)(
            **{a.name: getattr(self, a.name) for a in fields if getattr(self, a.name) != a.default}
        )

    def over(self, lower: Self) -> Self:
        """The value laid over `lower`, field by field: lists replace, mappings and tables merge.

        An explicit empty value counts: it replaces what is below it.
        """
        given: dict[str, Any] = {name: getattr(lower, name) for name in lower.explicit}
        for name in self.explicit:
            mine, theirs = getattr(self, name), given.get(name)
            if isinstance(mine, Checked) and isinstance(theirs, Checked):
                mine = mine.over(theirs)
            elif isinstance(mine, FrozenMapping) and isinstance(theirs, FrozenMapping) and mine:
                mine = FrozenMapping({**theirs, **mine})
            given[name] = mine
        return type(self)(**given)


def kind_of(value: object) -> str:
    """What a value is, in words, without showing it: it may be a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a number"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a table"
        case _:
            return type(value).__name__


def _problem(found: str, fix: str) -> Problem:
    return Problem.at((), found, fix)


def boolean(value: object) -> Iterator[Problem]:
    """True or False."""
    if not isinstance(value, bool):
        yield _problem(
            f"expected true or false, found {kind_of(value)}", "write true or false, without quotes"
        )


def text(value: object) -> Iterator[Problem]:
    """A string on one line: no line end and no NUL, which a Dockerfile could not hold."""
    if not isinstance(value, str):
        yield _problem(f"expected a string, found {kind_of(value)}", "put it in quotes")
    elif re.search(r"[\r\n\0]", value):
        yield _problem("holds a line end or NUL", "write it on one line")
    elif _unencodable(value):
        yield _problem("is not valid Unicode text", "write it as UTF-8")


def _unencodable(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def matching(pattern: str, what: str, example: str) -> Check:
    """A string that matches the whole pattern."""
    compiled = re.compile(pattern)

    def check(value: object) -> Iterator[Problem]:
        problems = tuple(text(value))
        if problems:
            yield from problems
        elif not compiled.fullmatch(str(value)):
            yield _problem(f"not {what}: {value!r}", f"write something like {example!r}")

    return check


def one_of(names: type[Enum]) -> Check:
    """A member of an enum; `convert=member_of(…)` makes it one of its value."""
    known = [str(member.value) for member in names]

    def check(value: object) -> Iterator[Problem]:
        if not isinstance(value, names):
            found = repr(value) if isinstance(value, str) else kind_of(value)
            yield _problem(f"not one of {', '.join(known)}: {found}", did_you_mean(str(value), known))

    return check


def member_of(names: type[Enum]) -> Callable[[Any], Any]:
    """A converter from the values of an enum to its members; anything else stays as it is."""
    return lambda value: next((member for member in names if member.value == value), value)


def optional(check: Check) -> Check:
    """Nothing, or what `check` takes."""
    return lambda value: iter(()) if value is None else check(value)


def list_of(check: Check) -> Check:
    """A list whose every item `check` takes."""

    def check_items(value: object) -> Iterator[Problem]:
        if not isinstance(value, tuple):
            yield _problem(f"expected a list, found {kind_of(value)}", 'write it as a list: ["…"]')
            return
        for index, item in enumerate(value):
            yield from (problem.inside(index) for problem in check(item))

    return check_items


def mapping_of(check_key: Check, check: Check) -> Check:
    """A table whose every name `check_key` takes and whose every value `check` takes."""

    def check_items(value: object) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield _problem(f"expected a table, found {kind_of(value)}", 'write it as { NAME = "value" }')
            return
        for key, item in value.items():
            yield from (problem.inside(str(key)) for problem in (*check_key(key), *check(item)))

    return check_items


def image_ref(value: object) -> Iterator[Problem]:
    """The name of an image."""
    if not isinstance(value, str):
        yield from text(value)
        return
    try:
        ImageRef.parse(value)
    except ValueError as error:
        yield _problem(str(error), "write it as registry/repository:tag, like 'python:3.11-slim'")


def project_path(value: object) -> Iterator[Problem]:
    """The path of something in the project: it may not climb out of the project's root."""
    yield from text(value)
    if isinstance(value, str):
        if not value:
            yield _problem("an empty path", "name a file of the project")
        elif ".." in value.split("/"):
            yield _problem(
                f"{value!r} leaves the project", "move the file into the project and name it from the root"
            )


@frozen
class Invalid:
    """What stands in a field until its check reports why its table could not be decoded."""

    problems: tuple[Problem, ...]


def decoded(kind: type[Checked]) -> Callable[[Any], Any]:
    """A converter from tables to values of another Checked class."""

    def convert(value: Any) -> Any:
        if value is None or isinstance(value, kind):
            return value
        try:
            return kind.decode(value, partial=True)
        except PlannerError as error:
            return Invalid(error.problems)

    return convert


def valid(value: object) -> Iterator[Problem]:
    """A value that `decoded` could make."""
    if isinstance(value, Invalid):
        yield from value.problems
