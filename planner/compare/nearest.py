"""The image that was there and is closest to one that is not: what was missed, and by how much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from planner.compare.changes import Change, diff_images
from planner.errors import first_few
from planner.image.plan import ImagePlan
from planner.immutable import frozen

__all__ = ["Candidate", "Nearest", "nearest"]

_SHOWN: Final = 3


@frozen
class Candidate:
    """An image that was there, and the record that says so."""

    record: int
    pipeline: str
    stack: str
    image: ImagePlan


@frozen
class Nearest:
    """The closest candidate: its record, what it was of, and what differs from it."""

    record: int
    pipeline: str
    stack: str
    image: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        words = [change.text for change in self.changes]
        where = f"{self.image} on {self.stack}, record {self.record}"
        return f"{where}: {first_few(words, _SHOWN, '; ')}"


def nearest(image: ImagePlan, candidates: Iterable[Candidate]) -> Nearest | None:
    """The candidate with the fewest changes, of several the first; None if there are none.

    Which steps run in an image is no change of it. An image of the same hash is no candidate.
    """
    best: Nearest | None = None
    for each in candidates:
        if each.image.hash == image.hash:
            continue
        changes = tuple(change for change in diff_images(each.image, image) if change.field != "steps")
        if best is None or len(changes) < len(best.changes):
            best = Nearest(each.record, each.pipeline, each.stack, each.image.name, changes)
    return best
