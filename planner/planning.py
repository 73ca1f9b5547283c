"""The one traversal: settings, pins and facts → the plan of a pipeline, or what must still be looked at.

Owns `make_plan`, `make_spec` and `needs`, which are one piece of code: planning asks its facts, and what
is not among them yet is a need. Refuses to look at anything but its arguments.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from planner.delivery import commit_of
from planner.errors import PlannerError
from planner.facts.facts import Facts
from planner.facts.needs import (
    ImageDigest,
    LocalImage,
    Need,
    PythonOf,
    Resolve,
)
from planner.image.plan import BuildPlan, ImagePlan, PlanSpec
from planner.lock.lock import Pins
from planner.notes import assumed_pythons, notes_of, operator_notes
from planner.pipeline import Pipeline
from planner.settings.option_table import BUILDERS
from planner.share import Share
from planner.specs import UV_VERSION
from planner.stack import Stack
from planner.traversal import Traversal

__all__ = ["UV_VERSION", "Planning", "make_plan", "make_spec", "needs"]


@define
class Planning:
    """One pipeline on one stack, planned in rounds: with more facts it goes on where it had to stop before.

    A plan made in rounds is the one that is made at once. With `checkout=False` only what a lock holds is
    planned. `builders` are those that may build it: an option that none of them has is a problem. Values
    of variables are hashed unless only needs are asked for, with `hashes=False`.
    """

    pipeline: Pipeline
    stack: Stack
    pins: Pins = field(default=Pins(), kw_only=True)
    frozen: bool = field(default=False, kw_only=True)
    checkout: bool = field(default=True, kw_only=True)
    builders: frozenset[str] = field(default=frozenset(BUILDERS), kw_only=True)
    hashes: bool = field(default=True, kw_only=True)
    _traversal: Traversal | None = None

    def needs(self, facts: Facts) -> tuple[Need[Any], ...]:
        """What must still be observed, as `needs` says."""
        traversal, _ = self._run(facts)
        local = tuple(
            need
            for need in traversal.gaps.needs
            if not isinstance(need, ImageDigest | LocalImage | PythonOf | Resolve)
        )
        if not local and traversal.gaps.problems:
            raise PlannerError(traversal.gaps.problems)
        return local or tuple(traversal.gaps.needs)

    def plan(self, facts: Facts) -> BuildPlan:
        """The plan, as `make_plan` says."""
        traversal, shares = self._run(facts)
        traversal.gaps.finish()
        made: dict[int, ImagePlan] = {}
        for name, share in shares:
            parent = made[id(share.parent)] if share.parent is not None else None
            made[id(share)] = share.image(name, parent)
        images = tuple(made.values())
        settings = {name: share.settings for name, share in shares}
        notes = notes_of(images, settings, default_rules=traversal.default_rules)
        notes = (*traversal.notes, *operator_notes(self.pipeline, self.stack), *notes)
        commit = commit_of(self.pipeline.code_repositories, facts)
        return BuildPlan(self.pipeline.name, self.stack.name, images, notes, commit)

    def spec(self, facts: Facts) -> PlanSpec:
        """The part of a plan that a lock holds, as `make_spec` says."""
        traversal, shares = self._run(facts)
        traversal.gaps.finish()
        images = tuple(share.named(name) for name, share in shares)
        notes = dict.fromkeys((*traversal.notes, *assumed_pythons(images)))
        return PlanSpec(self.pipeline.name, self.stack.name, images, tuple(notes))

    def _run(self, facts: Facts) -> tuple[Traversal, list[tuple[str, Share]]]:
        """One round. What was made from other facts than these is made anew."""
        traversal = self._traversal
        if traversal is None or not facts.has_all(traversal.facts):
            traversal = Traversal(
                self.pipeline, self.stack, self.pins, self.frozen, self.builders, self.hashes
            )
            self._traversal = traversal
        return traversal, traversal.run(facts, checkout=self.checkout)


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
    planning = Planning(pipeline, stack, pins=pins, frozen=frozen, checkout=checkout, hashes=False)
    return planning.needs(facts)


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
    return Planning(pipeline, stack, pins=pins, frozen=frozen, builders=builders).plan(facts)


def make_spec(
    pipeline: Pipeline,
    stack: Stack,
    facts: Facts,
    *,
    pins: Pins = Pins(),  # noqa: B008  # frozen
) -> PlanSpec:
    """The part of a plan that a lock holds, from the facts that `needs(…, checkout=False)` asks for."""
    return Planning(pipeline, stack, pins=pins, checkout=False).spec(facts)
