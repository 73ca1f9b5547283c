"""Removing local images of what was built: only what is ours, and what nothing else needs."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from executor.apply.outcome import Result
from executor.records.store import Record, Records
from planner.build import Build

__all__ = ["Engines", "delete_build_images", "has_image", "needed_by", "remove_image", "removed"]

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
    other = needed_by(records, engine, record.reference, record.hash, but={record.id})
    if other is not None:
        return f"{record.reference} stays, for record {other.id}"
    return _words(record.reference, record.hash, engine, engines)


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
        words.append(_words(image.reference, str(image.hash), engine, engines))
        for record in records.find(str(image.hash)):
            if (record.reference, record.engine) == (image.reference, engine):
                records.delete(record.id)
    return tuple(words)


def _words(reference: str, of: str, engine: str, engines: Engines) -> str:
    result, _ = removed(engines(engine)(), reference, of)
    return {
        "removed": f"removed {reference} from {engine}",
        "foreign": f"{reference} stays: what {engine} has there was not built from this plan",
        "absent": f"{engine} does not have {reference}",
    }[result]


def removed(store: Any, reference: str, of: str, *, dry_run: bool = False) -> tuple[str, int]:
    """Remove a reference, if the image under it is the one of a hash, or say whether it would be removed.

    What came of it, `removed`, `foreign` or `absent`, and how many bytes are removed.
    """
    info = store.inspect(reference)
    if info is not None and str(info.mark) != of:
        return "foreign", 0
    if info is not None and (dry_run or store.remove(reference)):
        return "removed", info.size
    return "absent", 0


def needed_by(
    records: Records, engine: str, reference: str, of: str, *, but: Container[int]
) -> Record | None:
    """A record, none of some numbers, of the image of a hash that an engine has under a reference."""
    same = (each for each in records.find(of) if (each.engine, each.reference) == (engine, reference))
    return next((each for each in same if each.id not in but and has_image(each)), None)


def has_image(record: Record) -> bool:
    """Whether there was an image when the record was written."""
    return record.status not in (Result.FAILED, Result.INTERRUPTED)
