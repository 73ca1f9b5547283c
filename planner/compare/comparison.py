"""The plans of two states of a project compared, each with the one of the same pipeline and stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from planner.compare.changes import Change, diff
from planner.compare.layers import rebuilt_layers
from planner.image.plan import BuildPlan, PlanSpec
from planner.immutable import frozen

__all__ = ["AnyPlan", "Comparison", "compare"]

AnyPlan: TypeAlias = PlanSpec | BuildPlan


@frozen
class Comparison:
    """Two plans of one pipeline on one stack, compared."""

    pipeline: str
    stack: str
    changes: tuple[Change, ...]
    steps: Mapping[str, tuple[str, ...]]
    """The steps of each image, by its name."""
    rebuilt: Mapping[str, tuple[str, ...]]
    """The layers that are built anew, by image."""


def compare(before: Iterable[AnyPlan], after: Iterable[AnyPlan]) -> tuple[Comparison, ...]:
    """Each plan compared with the one of the same pipeline and stack before, and then those that are gone.

    A plan that knows its files and variables is compared with one that does not as a lock would have it.
    """
    old = {(each.pipeline, each.stack): each for each in before}
    new = {(each.pipeline, each.stack): each for each in after}
    pairs = [*new, *(pair for pair in old if pair not in new)]
    return tuple(_compared(old.get(pair), new.get(pair) or PlanSpec(*pair)) for pair in pairs)


def _compared(was: AnyPlan | None, now: AnyPlan) -> Comparison:
    if not (isinstance(was, BuildPlan) and isinstance(now, BuildPlan)):
        was = was.spec if isinstance(was, BuildPlan) else was
        now = now.spec if isinstance(now, BuildPlan) else now
    known = {image.name: image for image in was.images} if was is not None else {}
    changes = diff(was, now)
    return Comparison(
        now.pipeline,
        now.stack,
        changes,
        {image.name: image.steps for image in (*known.values(), *now.images)},
        {image.name: rebuilt_layers(known.get(image.name), image) for image in now.images} if changes else {},
    )
