"""Version 1 of the lock → values. It had a table for each plan, with all images of the plan in it.

Its hashes were made in another way, so they are not checked: pins are what is taken from it, and the next
`stowplan lock` writes the current version. Refuses nothing that can be told apart from damage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import evolve

from planner.errors import PlannerError, Problem
from planner.image.plan import NamedSpec, PlanSpec
from planner.image.spec import ExternalImage, ImageSpec
from planner.lock.lock import LOCK_NAME, Lock, Pushed
from planner.lock.records import RESTORE, check_plain, read_instruction
from planner.values import Digest, ImageRef, freeze

__all__ = ["read_version_1"]

T = TypeVar("T")


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
        for pipeline, stack in dict.fromkeys(pairs)
        if pairs.count((pipeline, stack)) > 1
    ]
    if problems:
        raise PlannerError(problems)
    return Lock(plans, pushed)


def _tables(data: Mapping[str, Any], name: str) -> list[Any]:
    """The tables of a name; what is no list is one that cannot be read."""
    given = data.get(name, [])
    return given if isinstance(given, list) else [given]


def _plan(table: Mapping[str, Any]) -> PlanSpec:
    return PlanSpec(table["pipeline"], table["stack"], tuple(_image(item) for item in table.get("image", ())))


def _image(table: Mapping[str, Any]) -> NamedSpec:
    reference = ImageRef.parse(table["parent"])
    options = table.get("options", {})
    where = f"image {table['name']!r}"
    check_plain(options)
    spec = ImageSpec(
        ExternalImage(evolve(reference, digest=None), reference.digest),
        tuple(read_instruction(item, where) for item in table.get("instruction", ())),
        options.get("platform"),
        freeze(options.get("build_args", {})),
        freeze(options.get("labels", {})),
        options.get("target"),
        freeze(options.get("other", {})),
    )
    return NamedSpec(table["name"], tuple(table["steps"]), spec)


def _pushed(table: Mapping[str, Any]) -> Pushed:
    reference = ImageRef.parse(table["reference"])
    return Pushed(Digest.parse(table["image"]), evolve(reference, tag=None), table["name"], table["stack"])
