"""Values that check themselves, and layers of settings that can be laid over each other.

Owns `Checked`, whose construction reports every problem of every field at once; `Layer`, a Checked value
that knows which of its fields were given; and how both are read from a mapping. Refuses to coerce, to
ignore a misspelt name, and to let an invalid value live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar, Final, Self, TypeVar

import attrs
from attrs import field

from planner.errors import PlannerError, Problem, did_you_mean
from planner.identity import Counts
from planner.immutable import frozen, of_class
from planner.settings.checks import Check, Schema, kind_of, saying
from planner.values import FrozenMapping, freeze

__all__ = [
    "UNSET",
    "Checked",
    "Layer",
    "Unset",
    "declared",
    "decoded",
    "each_decoded",
    "keyed",
    "of_kind",
    "setting",
]

_CHECK: Final = "stowplan.check"
_DEFAULT: Final = "stowplan.default"
C = TypeVar("C", bound="Checked")


class Unset(Enum):
    """What stands in a field of a layer that was not given."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


def declared(check: Check, side: Mapping[str, Counts]) -> dict[str, Any]:
    """The metadata of a field of a Checked value: what it takes, and whether it counts."""
    return {**side, _CHECK: check}


def setting(
    default: Any, check: Check, side: Mapping[str, Counts], *, convert: Callable[[Any], Any] = freeze
) -> Any:
    """A field of a layer: what it is where no layer gives it, what it takes, and whether it counts."""
    return field(
        default=UNSET,
        converter=lambda value: value if value is UNSET else convert(value),
        metadata={**declared(check, side), _DEFAULT: default},
    )


@frozen(kw_only=True)
class Checked:
    """A frozen value whose construction reports every problem of every field, as one PlannerError."""

    EXAMPLE: ClassVar[str] = "name = value"
    """A table of this kind, as a user writes one."""

    def __attrs_post_init__(self) -> None:
        problems = [
            problem.inside(name)
            for name, declaration in _declarations(type(self)).items()
            if (value := getattr(self, name)) is not UNSET
            for problem in declaration[_CHECK](value)
        ]
        if not problems:
            problems.extend(self.check_together())
        if problems:
            raise PlannerError(problems)

    def check_together(self) -> Iterator[Problem]:
        """Problems of fields that are fine alone but not together."""
        yield from ()

    @classmethod
    def settable(cls) -> tuple[str, ...]:
        """The names that a user may give."""
        return tuple(_declarations(cls))

    @classmethod
    def decode(cls, data: object) -> Self:
        """The value that a mapping describes. PlannerError with all problems, unknown names among them."""
        if not isinstance(data, Mapping):
            raise PlannerError(
                [Problem.at((), f"expected a table, found {kind_of(data)}", f"write {cls.EXAMPLE}")]
            )
        data, problems = cls.translate(data)
        known = cls.settable()
        problems += [
            Problem.at((str(name),), "unknown name", cls.advice(name)) for name in data if name not in known
        ]
        try:
            value = cls(**{name: data[name] for name in data if name in known})
        except PlannerError as error:
            raise PlannerError([*problems, *error.problems]) from None
        if problems:
            raise PlannerError(problems)
        return value

    @classmethod
    def schema(cls) -> Schema:
        """The JSON Schema of what `decode` takes, as far as one can say it, without texts."""
        fields = {name: declaration[_CHECK] for name, declaration in _declarations(cls).items()}
        needed = [name for name, check in fields.items() if any(check(_ungiven(cls, name)))]
        return {
            "type": "object",
            "properties": {name: check.schema for name, check in fields.items()},
            "required": needed,
            "additionalProperties": False,
        }

    @classmethod
    def advice(cls, name: object) -> str:
        """What to do about a name that a user may not give."""
        return did_you_mean(name, cls.settable())

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """`data` under the names of the fields, and what is wrong with the names in it."""
        return data, []


def _ungiven(cls: type[Checked], name: str) -> Any:
    """What a field is that is not given; of a setting its default."""
    declaration = _declarations(cls)[name]
    if _DEFAULT in declaration:
        return declaration[_DEFAULT]
    default: Any = attrs.fields_dict(cls)[name].default
    return default.factory() if hasattr(default, "factory") else default


def keyed(schema: Schema) -> Schema:
    """The schema of a table that has its name from where it stands, and need not say it."""
    return {**schema, "required": [name for name in schema["required"] if name != "name"]}


@of_class
def _declarations(cls: type[Any]) -> Mapping[str, Mapping[Any, Any]]:
    """What is declared of each field of a class that a user may give, by its name."""
    return {field.name: field.metadata for field in attrs.fields(cls) if _CHECK in field.metadata}


@frozen(kw_only=True)
class Layer(Checked):
    """Settings as somebody wrote them, in one place: what was not given is UNSET.

    An explicit empty value counts: laid over another layer, it replaces what is below.
    """

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the settings that this layer gives."""
        return tuple(name for name in self.settable() if getattr(self, name) is not UNSET)

    @classmethod
    def default(cls, name: str) -> Any:
        """What a setting is where no layer gives it."""
        return _declarations(cls)[name][_DEFAULT]

    def value(self, name: str) -> Any:
        """The setting of a name, or its default where it was not given."""
        value = getattr(self, name)
        return self.default(name) if value is UNSET else value

    def over(self, lower: Self) -> Self:
        """The layer laid over a lower one, field by field: lists replace, tables and layers merge."""
        merged = {name: getattr(lower, name) for name in lower.given}
        for name in self.given:
            mine, theirs = getattr(self, name), merged.get(name)
            if isinstance(mine, Layer) and isinstance(theirs, Layer):
                mine = mine.over(theirs)
            elif isinstance(mine, FrozenMapping) and isinstance(theirs, FrozenMapping) and mine:
                mine = FrozenMapping({**theirs, **mine})
            merged[name] = mine
        return type(self)(**merged)

    def gives(self, path: tuple[str | int, ...]) -> bool:
        """Whether this layer wrote what is at `path`: the setting and, in a table, the name below it."""
        if not path or not isinstance(path[0], str) or path[0] not in self.given:
            return False
        value, rest = getattr(self, path[0]), path[1:]
        if isinstance(value, Layer) and rest:
            return value.gives(rest)
        return not (isinstance(value, Mapping) and rest) or rest[0] in value


def decoded(kind: type[C]) -> Callable[[Any], Any]:
    """A converter from tables to values of a Checked class. A table that is wrong stays, for its check."""

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        try:
            return kind.decode(value)
        except PlannerError:
            return value

    return convert


def each_decoded(kind: type[C], value: Any) -> Any:
    """Tables by name as values of a Checked class. What is wrong stays as it is, for the check."""
    if not isinstance(value, Mapping):
        return value
    convert = decoded(kind)
    return FrozenMapping({name: convert(item) for name, item in value.items()})


def of_kind(kind: type[Checked]) -> Check:
    """A check that a value is of a Checked class; of a table it says why it could not be decoded."""

    @saying({"$ref": kind})
    def check(value: object) -> Iterator[Problem]:
        if isinstance(value, kind):
            return
        try:
            kind.decode(value)
        except PlannerError as error:
            yield from error.problems

    return check
