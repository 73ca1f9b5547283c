"""Options of a build: BuildOptions and BuildConfig, and what their values and arguments may be.

Owns which options have a field, and how those of the table are taken by name. Refuses to know an engine:
how options reach one is written in its table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from planner.errors import Problem, did_you_mean
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.logins import quoted
from planner.requirements.credentials import PRIVATE_INDEX
from planner.settings.checked import Layer, Unset, decoded, of_kind, setting
from planner.settings.checks import (
    ANYTHING,
    Check,
    Schema,
    boolean,
    image_ref,
    kind_of,
    list_of,
    mapping_of,
    matching,
    optional,
    project_path,
    saying,
    text,
    without_login,
)
from planner.settings.option_table import CONTAINER_LIMITS, FIELD_SPELLINGS, OPTIONS, REFUSED
from planner.values import FrozenMapping, freeze, respelled

__all__ = [
    "ENV_NAME", "LABEL_NAME", "OPTION_NAME", "PLATFORM", "TARGET", "BuildConfig", "BuildOptions",
    "check_arguments", "env_name",
]  # fmt: skip


ENV_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
OPTION_NAME: Final = r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*"
LABEL_NAME: Final = r"[^=\s]+"
PLATFORM: Final = r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?"
TARGET: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]*"

env_name = matching(ENV_NAME, "the name of an environment variable", "MODEL_DIR")
_label = matching(LABEL_NAME, "a label's name", "org.example.team")


_WORD: Final[Schema] = {"type": ["string", "integer"]}


# In TOML, which has no null, true is a bare flag.
@saying({"anyOf": [_WORD, {"enum": [True, None]}, {"type": "array", "items": _WORD}]})
def _argument(value: object) -> Iterator[Problem]:
    """A value of an option: nothing (a bare flag), text, a number, or a list of texts and numbers."""
    if isinstance(value, tuple):
        yield from list_of(_word)(value)
    elif value is not None:
        yield from _word(value)


# Everybody who has the image can read it.
_public = without_login(text, "leave them out: the image's history shows labels and build arguments")
_argument_text = without_login(text, PRIVATE_INDEX)


@saying(_WORD)
def _word(value: object) -> Iterator[Problem]:
    """Text or a number; a flag in a list would be neither repeated nor written down."""
    if isinstance(value, str):
        yield from _argument_text(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        yield Problem.at(
            (), f"not a value of an option: {kind_of(value)}", "leave it out, or give text or a number"
        )


_arguments = mapping_of(matching(OPTION_NAME, "an option's name", "timeout"), _argument)


# What is read back from a lock is checked with it as well.
@saying(_arguments.schema)
def check_arguments(value: object) -> Iterator[Problem]:
    """A table of options of an installer, each under one spelling of its name."""
    yield from _arguments(value)
    if isinstance(value, Mapping):
        for name in value:
            if isinstance(name, str) and "_" in name and name.replace("_", "-") in value:
                yield Problem.at(
                    name, f"{name.replace('_', '-')} is given twice", "keep one of the spellings"
                )


@saying({**env_name.schema, "not": {"pattern": "^(STOWPLAN_.*|SOURCE_DATE_EPOCH)$"}})
def _argument_name(value: object) -> Iterator[Problem]:
    """The name of a build argument that is the user's to set."""
    yield from env_name(value)
    if isinstance(value, str) and (value.startswith("STOWPLAN_") or value == "SOURCE_DATE_EPOCH"):
        yield Problem.at((), "stowplan sets this build argument itself", "choose another name")


@saying({**_label.schema, "not": {"pattern": r"^dev\.stowplan\."}})
def _label_name(value: object) -> Iterator[Problem]:
    """The name of a label that is the user's to set."""
    yield from _label(value)
    if isinstance(value, str) and value.startswith("dev.stowplan."):
        yield Problem.at((), "stowplan sets these labels itself", "choose another name")


def _ours(name: object) -> str:
    """Our spelling of an option's name."""
    plain = str(name).replace("-", "_")
    return _SPELLINGS.get(plain, plain)


def _asking(given: Mapping[str, Any]) -> FrozenMapping[Any]:
    return FrozenMapping({name: value for name, value in given.items() if value != OPTIONS[name].plain})


def _misplaced(name: str, place: Sequence[str]) -> Problem | None:
    """Why an option cannot be given where it is: it is none, or it has a field of its own."""
    if name in BuildOptions.settable():
        if len(place) == 1:
            return None
        return Problem.at((), f"{name} has a field of its own", f"write it as {name}, not inside {place[0]}")
    if name in REFUSED:
        return Problem.at((), *REFUSED[name])
    if name in OPTIONS:
        if "container_limits" in map(_ours, place[:-1]) and name not in CONTAINER_LIMITS:
            return Problem.at((), "is not a limit of containers", "write it beside container_limits")
        return None
    known = {*BuildOptions.settable(), *OPTIONS}.difference(_TABLES)
    fix = did_you_mean(name, known, "leave it out, or see the build options of the reference")
    return Problem.at((), f"unknown build option {place[-1]!r}", fix)


def _flat(data: Mapping[Any, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every option with its place, also those in the tables that options may be put in."""
    for given, value in data.items():
        place = (*above, str(given))
        name = _ours(given)
        if name in _TABLES and not above:
            if isinstance(value, Mapping):
                yield from _flat(value, *place)
            else:
                yield place, value
        elif name == "container_limits" and isinstance(value, Mapping):
            yield from _flat(value, *place)
        else:
            yield place, value


def _read(value: object) -> Any:
    """Options by name in their one form: our spelling of each name, and equal meanings as equal values."""
    frozen_value = freeze(value)
    if not isinstance(frozen_value, FrozenMapping):
        return frozen_value
    options = respelled(frozen_value, lambda given: ours if (ours := _ours(given)) in OPTIONS else given)
    return FrozenMapping({
        name: OPTIONS[_ours(name)].shape.read(item) if _ours(name) in OPTIONS else item
        for name, item in options.items()
    })  # fmt: skip


def _named(counts: bool) -> Check:
    """A table of options that have no field of their own, and that count, or do not."""
    table, others = ("other", "tuning") if counts else ("tuning", "other")

    @saying({"type": "object"})
    def check(value: object) -> Iterator[Problem]:
        yield from mapping_of(text, ANYTHING)(value)
        for given, item in value.items() if isinstance(value, Mapping) else ():
            name = _ours(given)
            if found := _misplaced(name, (table, str(given))):
                yield found.inside(str(given))
            elif name != given:
                yield Problem.at(str(given), f"{name} is given twice", "keep one of the spellings")
            elif OPTIONS[name].counts is not counts:
                yield Problem.at(name, f"{name} is not one of these options", f"write it inside {others}")
            else:
                yield from (problem.inside(name) for problem in OPTIONS[name].shape.check(item))

    return check


@saying({"type": ["integer", "string"], "minimum": 1, "pattern": "^[1-9][0-9]*[bkmgBKMG]?$"})
def _size(value: object) -> Iterator[Problem]:
    """A number of bytes, or a number with one of docker's units."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]*[bkmgBKMG]?", value):
        yield Problem.at(
            (), f"not a size: {quoted(str(value))}", "give bytes, or a number with b, k, m or g, like '1g'"
        )


# The fields that hold options by name.
_TABLES: Final = ("other", "tuning")
_SPELLINGS: Final[Mapping[str, str]] = {
    **FIELD_SPELLINGS,
    **{spelling: option.name for option in OPTIONS.values() for spelling in option.also},
}


def _with_dashes(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {**properties, **{name.replace("_", "-"): each for name, each in properties.items()}}


def _table(properties: Mapping[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "required": [], "additionalProperties": False}


@frozen(kw_only=True)
class BuildOptions(Layer):
    """Options of the build itself, passed to the engine.

    The options that have no field here are those of the table, by name: in `other` if the image's
    identity has them, else in `tuning`. Decoding takes them beside the fields and sorts them.
    """

    build_args: Mapping[str, str] | Unset = setting(
        FrozenMapping(), mapping_of(_argument_name, _public), COUNTED
    )
    """Build arguments by name. Visible in the image's history: no place for secrets."""
    cache_from: Sequence[str] | Unset = setting((), list_of(image_ref), NOT_COUNTED)
    """Images to take cached layers from."""
    no_cache: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """Build every layer anew."""
    shm_size: int | str | Unset | None = setting(None, optional(_size), NOT_COUNTED)
    """Size of /dev/shm while building: bytes, or a number with b, k, m or g."""
    pull: bool | Unset = setting(False, boolean, NOT_COUNTED)
    """Ask the registry for the parent image even when the engine has it."""
    rm: bool | Unset = setting(True, boolean, NOT_COUNTED)
    """Remove the containers that the classic builder leaves between layers."""
    labels: Mapping[str, str] | Unset = setting(FrozenMapping(), mapping_of(_label_name, _public), COUNTED)
    """Labels of the image by name."""
    platform: str | Unset | None = setting(
        None,
        optional(matching(PLATFORM, "a platform", "linux/amd64")),
        COUNTED,
    )
    """Operating system and architecture to build for. Default: this machine's."""
    target: str | Unset | None = setting(
        None, optional(matching(TARGET, "a build stage", "runtime")), COUNTED
    )
    """The stage of a custom Dockerfile to build."""
    other: Mapping[str, Any] | Unset = setting(FrozenMapping(), _named(counts=True), COUNTED, convert=_read)
    """Other options that change what commands see while the image is built, by name."""
    tuning: Mapping[str, Any] | Unset = setting(
        FrozenMapping(), _named(counts=False), NOT_COUNTED, convert=_read
    )
    """Other options that only say how the image is built, by name."""

    @cached_property
    def by_name(self) -> Mapping[str, Any]:
        """The options that have no field of their own, without those that ask for nothing."""
        return FrozenMapping({**_asking(self.value("other")), **_asking(self.value("tuning"))})

    @property
    def counted(self) -> Mapping[str, Any]:
        """Those of them that the image's identity has."""
        return _asking(self.value("other"))

    def gives(self, path: tuple[str | int, ...]) -> bool:
        """Options without a field too, by the names that they are written with beside the fields."""
        return super().gives(path) or any(
            path[:1] == (name,) for table in _TABLES for name in self.value(table)
        )

    @classmethod
    def schema(cls) -> Schema:
        """As they are written: each option in each of its spellings, and the tables that they may be in."""
        fields = {name: each for name, each in super().schema()["properties"].items() if name not in _TABLES}
        options = {
            name: {**option.shape.schema, "description": option.doc} for name, option in OPTIONS.items()
        }
        limits = {name: options[name] for name in CONTAINER_LIMITS}
        known = {**fields, **options}
        spelled = {other: known[name] for other, name in _SPELLINGS.items()}
        known = _with_dashes({**known, **spelled, "container_limits": _table(_with_dashes(limits))})
        return _table({**known, **{name: {"type": "object"} for name in _TABLES}})

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """All spellings of each option to ours, and each to the field it belongs in."""
        # Of the tables of options, an empty one is explicit.
        fields: dict[str, Any] = {name: data[name] for name in _TABLES if name in data and data[name] == {}}
        named: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
        given: set[str] = set()
        problems = []
        for place, value in _flat(data):
            name = _ours(place[-1])
            found = _misplaced(name, place)
            if name in given:
                found = Problem.at((), f"{name} is given twice", "keep one of the spellings")
            given.add(name)
            if found:
                problems.append(found.inside(*place))
            elif name in cls.settable():
                fields[name] = value  # also a table of options that is none, for the check to report
            else:
                option = OPTIONS[name]
                item = option.shape.read(freeze(value))
                wrong = [problem.inside(*place) for problem in option.shape.check(item)]
                problems += wrong
                if not wrong:
                    named["other" if option.counts else "tuning"][name] = item
        return {**{name: table for name, table in named.items() if table}, **fields}, problems


@frozen(kw_only=True)
class BuildConfig(Layer):
    """How one image is built: the engine's options and the ignore file of its context."""

    build_options: BuildOptions | Mapping[str, Any] | Unset = setting(
        BuildOptions(), of_kind(BuildOptions), COUNTED, convert=decoded(BuildOptions)
    )
    """Options passed to the engine, as a BuildOptions or a table."""
    dockerignore: str | Unset | None = setting(None, optional(project_path), NOT_COUNTED)
    """Ignore file to use instead of the `.dockerignore` at the root. Only its effect counts."""

    @classmethod
    def advice(cls, name: object) -> str:
        """What to do about an unknown name: an option goes one table deeper."""
        known = (*BuildOptions.settable(), *OPTIONS)
        return (
            f"write it inside build_options: build_options = {{ {name} = … }}"
            if name in known
            else super().advice(name)
        )
