"""The one traversal: settings, pins and facts → the plan of a pipeline, or what must still be looked at.

Owns `make_plan`, `make_spec` and `needs`, which are one piece of code: planning asks its facts, and what
is not among them yet is a need. Refuses to look at anything but its arguments.
"""

from __future__ import annotations

from typing import Any

from planner.errors import PlannerError
from planner.facts.facts import Facts
from planner.facts.needs import (
    ImageDigest,
    LocalImage,
    Need,
    PythonOf,
    Resolve,
)
from planner.image.plan import BuildPlan, NamedSpec, PlanSpec
from planner.lock.lock import Pins
from planner.notes import assumed_pythons, notes_of
from planner.pipeline import Pipeline
from planner.settings.option_table import BUILDERS
from planner.stack import Stack
from planner.traversal import UV_VERSION, Traversal

__all__ = ["UV_VERSION", "make_plan", "make_spec", "needs"]


def needs(
    pipeline: Pipeline,
    stack: Stack,
    facts: Facts = Facts(),  # noqa: B008  # frozen
    *,
    pins: Pins = Pins(),  # noqa: B008  # frozen
    frozen: bool = False,
    checkout: bool = True,
) -> tuple[Need[Any], ...]:
    """What must still be observed before this can be planned, each need once, in a stable order.

    One answer can raise the next need: ask again with the larger facts until nothing is left. Images are
    asked for last: by then all that is wrong with the settings and files has been found. With
    `checkout=False` only what a lock needs is asked for: no file trees and no variables. PlannerError when
    the settings, or a file they name, cannot be planned.
    """
    traversal = Traversal(pipeline, stack, facts, pins, frozen, hashes=False)
    traversal.run(checkout=checkout)
    local = tuple(
        need
        for need in traversal.needs
        if not isinstance(need, ImageDigest | LocalImage | PythonOf | Resolve)
    )
    if not local and traversal.problems:
        raise PlannerError(traversal.problems)
    return local or tuple(traversal.needs)


def make_plan(
    pipeline: Pipeline,
    stack: Stack,
    facts: Facts,
    *,
    pins: Pins = Pins(),  # noqa: B008  # frozen
    frozen: bool = False,
    builders: frozenset[str] = frozenset(BUILDERS),
) -> BuildPlan:
    """The plan of a pipeline on a stack: a pure function of its arguments.

    Pins of a lock stand where there are any; with `frozen` the specs of the lock are taken as they are.
    `builders` are those that may build it: an option that none of them has is a problem. PlannerError
    holds all problems of all steps, or names what was not observed.

    >>> pipeline = Pipeline(name="p", steps=["a"], settings={"docker": {
    ...     "parent_image": "python:3.11-slim@sha256:" + "0" * 64, "skip_build": True}})
    >>> make_plan(pipeline, Stack(), Facts()).images[0].builds
    False
    """
    traversal = Traversal(pipeline, stack, facts, pins, frozen, builders=builders)
    shares = traversal.run(checkout=True)
    traversal.finish()
    images = tuple(share.image(name) for name, share in shares)
    settings = {name: share.settings for name, share in shares}
    notes = notes_of(images, settings, default_rules=traversal.default_rules)
    return BuildPlan(pipeline.name, stack.name, images, (*traversal.notes, *notes))


def make_spec(
    pipeline: Pipeline,
    stack: Stack,
    facts: Facts,
    *,
    pins: Pins = Pins(),  # noqa: B008  # frozen
) -> PlanSpec:
    """The part of a plan that a lock holds, from the facts that `needs(…, checkout=False)` asks for."""
    traversal = Traversal(pipeline, stack, facts, pins, frozen=False)
    shares = traversal.run(checkout=False)
    traversal.finish()
    images = tuple(NamedSpec(name, tuple(share.steps), share.spec) for name, share in shares)
    notes = dict.fromkeys((*traversal.notes, *assumed_pythons(images)))
    return PlanSpec(pipeline.name, stack.name, images, tuple(notes))
