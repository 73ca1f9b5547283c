"""Removing local images of what was built: only what is ours, and what nothing else needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from executor.apply.outcome import Result
from executor.records.store import Record, Records
from planner.build import Build

__all__ = ["delete_build_images", "has_image", "remove_image"]

Engines = Callable[[str], Callable[[], Any]]
"""Chooses an engine by its name, when it is first needed."""


def remove_image(records: Records, record: Record, engine: str, engines: Engines) -> str:
    """Remove the image of a record from an engine, before the record is forgotten; in words, what came of it.

    No other record of this engine may need it.
    """
    if not has_image(record):
        return "it made no image"
    if not engine:
        return "its image is in no engine"
    for other in records.find(record.hash):
        same = (other.reference, other.engine) == (record.reference, engine)
        if same and other.id != record.id and has_image(other):
            return f"{record.reference} stays, for record {other.id}"
    return _removed(record.reference, record.hash, engine, engines)


def delete_build_images(records: Records, build: Build, engine: str, engines: Engines) -> tuple[str, ...]:
    """Remove the local images of a build from an engine, and forget their records; what came of each.

    An image that another build of this engine has stays.
    """
    used = {
        image.reference: other.id
        for other in records.builds().builds
        if other.id != build.id and other.engine == engine
        for image in other.images
    }
    words = []
    for image in build.images:
        if not image.builds:
            continue
        if image.reference in used:
            words.append(f"{image.reference} stays, for build {used[image.reference]}")
            continue
        if not engine:
            words.append(f"{image.reference} is in no engine")
            continue
        words.append(_removed(image.reference, str(image.hash), engine, engines))
        for record in records.find(str(image.hash)):
            if (record.reference, record.engine) == (image.reference, engine):
                records.delete(record.id)
    return tuple(words)


def _removed(reference: str, of: str, engine: str, engines: Engines) -> str:
    """Remove a reference, if the image under it is the one of a hash; in words, what came of it."""
    store = engines(engine)()
    info = store.inspect(reference)
    if info is not None and str(info.mark) != of:
        return f"{reference} stays: what {engine} has there was not built from this plan"
    if info is not None and store.remove(reference):
        return f"removed {reference} from {engine}"
    return f"{engine} does not have {reference}"


def has_image(record: Record) -> bool:
    """Whether there was an image when the record was written."""
    return record.status not in (Result.FAILED, Result.INTERRUPTED)
