"""What a dry run has to say of one plan: what is done about each image, and what changed since when."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property

from planner.compare.actions import Action, Decision
from planner.compare.changes import Change
from planner.compare.nearest import Nearest
from planner.image.plan import BuildPlan
from planner.immutable import frozen
from planner.values import FrozenMapping

__all__ = ["LockState", "Report"]


class LockState(StrEnum):
    """How the lock stands to the plan."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"


@frozen
class Report:
    """A plan with what would be done and why.

    `since_lock` compares with the lock and `since_build` with the last build of each image; `rebuilt`
    names the layers of each image that would be built anew.
    """

    plan: BuildPlan
    decisions: Mapping[str, Decision]
    since_lock: tuple[Change, ...] = ()
    since_build: tuple[Change, ...] = ()
    rebuilt: Mapping[str, tuple[str, ...]] = FrozenMapping()
    lock: LockState = LockState.FRESH
    closest: Mapping[str, Nearest] = FrozenMapping()
    """What was there and is closest to an image that has to be built, by the image's name."""

    @cached_property
    def changes(self) -> tuple[tuple[str, Change], ...]:
        """All changes, each once, with what they are changes since: `lock` or `build`."""
        merged = dict.fromkeys(self.since_build, "build") | dict.fromkeys(self.since_lock, "lock")
        order = {image.name: index for index, image in enumerate(self.plan.images)}
        pairs = [(since, change) for change, since in merged.items()]
        return tuple(sorted(pairs, key=lambda pair: order.get(pair[1].image, len(order))))

    @cached_property
    def gone(self) -> tuple[Change, ...]:
        """The changes of images that the plan no longer has."""
        names = {image.name for image in self.plan.images}
        return tuple(change for _, change in self.changes if change.image not in names)

    def count(self, action: Action) -> int:
        """How many images something is done about."""
        return sum(decision.action is action for decision in self.decisions.values())

    @property
    def acts(self) -> bool:
        """Whether applying the plan would build or push anything."""
        return bool(self.count(Action.BUILD) or self.count(Action.PUSH))
