"""Version 1 of the lock → values. It had a table for each plan, with all images of the plan in it.

Its hashes were made in another way, so they are not checked: pins are what is taken from it, and the next
`stowplan lock` writes the current version. Refuses nothing that can be told apart from damage.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from attrs import evolve

from planner.errors import PlannerError, Problem
from planner.image.plan import NamedSpec, PlanSpec
from planner.image.spec import ExternalImage, ImageSpec
from planner.lock.checks import unplanned
from planner.lock.converter import RESTORE
from planner.lock.lock import LOCK_NAME, Lock, Pushed
from planner.lock.records import check_plain, read_instruction
from planner.names import NAME
from planner.values import Digest, FrozenMapping, ImageRef, freeze

__all__ = ["read_version_1"]

T = TypeVar("T")
_IMAGE_NAME: Final = rf"{NAME}(?:/{NAME})?"


def read_version_1(data: Mapping[str, Any]) -> Lock:
    """The lock that the data of a file of version 1 is. PlannerError with all that cannot be read."""
    problems: list[Problem] = []

    def attempt(what: str, make: Callable[[Any], T], table: Any) -> list[T]:
        try:
            return [make(table)]
        except PlannerError as error:
            problems.extend(error.problems)
        except (KeyError, TypeError, ValueError, AttributeError):
            problems.append(Problem.in_file(LOCK_NAME, None, f"{what} cannot be read", RESTORE))
        return []

    plans = [plan for table in _tables(data, "plan") for plan in attempt("a plan", _plan, table)]
    pushed = [
        entry for table in _tables(data, "pushed") for entry in attempt("an entry of pushed", _pushed, table)
    ]
    problems += [
        Problem.in_file(LOCK_NAME, None, f"unknown name {name!r}", RESTORE)
        for name in sorted(data.keys() - {"plan", "pushed"})
    ]
    pairs = [(plan.pipeline, plan.stack) for plan in plans]
    problems += [
        Problem.in_file(LOCK_NAME, None, f"two plans of {pipeline!r} on {stack!r}", RESTORE)
        for (pipeline, stack), count in Counter(pairs).items()
        if count > 1
    ]
    if problems:
        raise PlannerError(problems)
    return Lock(plans, pushed)


def _tables(data: Mapping[str, Any], name: str) -> list[Any]:
    """The tables of a name; what is no list is one that cannot be read."""
    given = data.get(name, [])
    return given if isinstance(given, list) else [given]


def _plan(table: Mapping[str, Any]) -> PlanSpec:
    images = tuple(_image(item) for item in table.get("image", ()))
    return PlanSpec(_name(table["pipeline"]), _name(table["stack"]), images)


def _name(value: object, pattern: str = NAME) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"not a name: {value!r}")
    return value


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _texts(value: object) -> FrozenMapping[str]:
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("not a table of texts")
    return FrozenMapping(value)


def _image(table: Mapping[str, Any]) -> NamedSpec:
    reference = ImageRef.parse(table["parent"])
    options = table.get("options", {})
    where = f"image {table['name']!r}"
    check_plain(options)
    spec = ImageSpec(
        ExternalImage(evolve(reference, digest=None), reference.digest),
        tuple(read_instruction(item, where) for item in table.get("instruction", ())),
        _text(options.get("platform")),
        _texts(options.get("build_args", {})),
        _texts(options.get("labels", {})),
        _text(options.get("target")),
        freeze(dict(options.get("other", {}))),
    )
    if strange := tuple(unplanned(spec)):
        raise PlannerError(
            Problem.in_file(LOCK_NAME, None, f"{where}: {found}", RESTORE) for found in strange
        )
    return NamedSpec(_name(table["name"], _IMAGE_NAME), tuple(map(_name, table["steps"])), spec)


def _pushed(table: Mapping[str, Any]) -> Pushed:
    if unknown := table.keys() - {"pipeline", "stack", "name", "image", "reference"}:
        # An entry of version 2 among them: its hash would not be looked at.
        raise ValueError(f"unknown name {min(unknown)!r}")
    return Pushed(
        Digest.parse(table["image"]),
        evolve(ImageRef.parse(table["reference"]), tag=None),
        _name(table["name"], _IMAGE_NAME),
        _name(table["stack"]),
    )
