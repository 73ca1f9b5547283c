"""What of the records, builds and local images of a project nothing refers to any more, and removing it.

What is kept is decided by one pure function, `prunable`. Refuses to remove what a lock names.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from executor.apply.exclusive import alone
from executor.records.store import Record, Records
from executor.workflow.removal import Engines, has_image, needed_by, removed
from planner.build import Build
from planner.errors import StowplanError
from planner.immutable import frozen
from planner.lock.lock import Lock
from planner.values import Digest, FrozenMapping

__all__ = ["Named", "Prunable", "Pruned", "Removal", "named_by", "prunable", "prune"]


@frozen
class Named:
    """What locks name: the image hashes of their ledgers, and the spec hashes of their plans."""

    images: frozenset[str] = frozenset()
    specs: frozenset[str] = frozenset()


@frozen
class Prunable:
    """What nothing refers to, and why the rest is kept: how many records and builds, by the reason."""

    records: tuple[Record, ...] = ()
    builds: tuple[Build, ...] = ()
    kept: Mapping[str, int] = FrozenMapping()

    @property
    def images(self) -> tuple[tuple[str, str, str], ...]:
        """The local images that go: engine, reference and image hash, each once."""
        found = ((each.engine, each.reference, each.hash) for each in self.records if has_image(each))
        return tuple(dict.fromkeys(image for image in found if image[0]))


def named_by(locks: Iterable[Lock]) -> Named:
    """What some locks name."""
    images: set[str] = set()
    specs: set[str] = set()
    for lock in locks:
        images.update(str(entry.image) for entry in lock.pushed)
        specs.update(str(image.spec.hash) for plan in lock.plans for image in plan.images)
    return Named(frozenset(images), frozenset(specs))


def prunable(
    records: Sequence[Record],
    builds: Sequence[Build],
    *,
    specs: Mapping[int, str],
    named: Named,
    used_by_runs: frozenset[str],
    before: str,
) -> Prunable:
    """What nothing refers to, and why the rest is kept.

    `records` and `builds` are the newest first; `specs` has the spec hash of each record, by number.

    A build stays that was made or used after `before`, a time in UTC as ISO 8601, that is the last of its
    pipeline on its stack, or that a run names. A record stays that is younger than `before`, that is about an
    image of a build that stays, that is the newest of an image of a pipeline on a stack, or whose image a
    lock names: in its ledger, or as the newest that was built from a spec of it.
    """
    kept: Counter[str] = Counter()
    last: dict[tuple[str, str], Build] = {}
    # Of two that were used in the same second, the one that was made last.
    for _, build in sorted(enumerate(builds), key=lambda item: (item[1].used, -item[0])):
        last[build.pipeline, build.stack] = build
    gone_builds = []
    needed: set[str] = set()
    for build in builds:
        if build.used > before:
            reason = "recent"
        elif last[build.pipeline, build.stack] is build:
            reason = "newest"
        elif build.id in used_by_runs:
            reason = "run"
        else:
            gone_builds.append(build)
            continue
        kept[reason] += 1
        needed.update(str(image.hash) for image in build.images)
    newest: dict[tuple[str, str, str], int] = {}
    of_spec: dict[str, str] = {}
    for record in filter(has_image, records):
        newest.setdefault((record.pipeline, record.stack, record.image), record.id)
        if specs.get(record.id) in named.specs:
            of_spec.setdefault(specs[record.id], record.hash)
    locked = named.images | frozenset(of_spec.values())
    gone = []
    for record in records:
        if record.finished > before:
            kept["recent"] += 1
        elif has_image(record) and record.hash in locked:
            kept["lock"] += 1
        elif has_image(record) and record.hash in needed:
            kept["build"] += 1
        elif newest.get((record.pipeline, record.stack, record.image)) == record.id:
            kept["newest"] += 1
        else:
            gone.append(record)
    return Prunable(tuple(gone), tuple(gone_builds), FrozenMapping(kept))


@frozen
class Removal:
    """What came of one local image: `removed`, `absent`, `foreign`, `shared` or `failed`, and its bytes.

    Layers that images share are counted for each. `error` is why it could not be removed.
    """

    engine: str
    reference: str
    result: str
    size: int = 0
    error: StowplanError | None = None


@frozen
class Pruned:
    """What was removed, or would be: local images, records, and builds."""

    images: tuple[Removal, ...]
    records: tuple[Record, ...]
    builds: tuple[Build, ...]
    kept: Mapping[str, int]

    @property
    def size(self) -> int:
        """How many bytes the removed images have, layers that they share counted for each."""
        return sum(image.size for image in self.images if image.result == "removed")

    @property
    def errors(self) -> tuple[StowplanError, ...]:
        """Why images could not be removed."""
        return tuple(image.error for image in self.images if image.error is not None)


def prune(records: Records, chosen: Prunable, engines: Engines, *, dry_run: bool) -> Pruned:
    """Remove what was chosen, or say what would be; a failure keeps the records of its image, and no other.

    An image that a record that stays has under the same reference in the same engine stays as well, and so
    does what somebody else put there.
    """
    gone = {record.id for record in chosen.records}
    removals = []
    lost: set[tuple[str, str]] = set()
    for engine, reference, of in chosen.images:
        try:
            store = engines(engine)()
            with _alone(store, of, dry_run=dry_run):
                # Looked at now: whoever worked on the image has recorded it.
                if needed_by(records, engine, reference, of, but=gone) is not None:
                    removals.append(Removal(engine, reference, "shared"))
                else:
                    removals.append(
                        Removal(engine, reference, *removed(store, reference, of, dry_run=dry_run))
                    )
        except StowplanError as error:
            removals.append(Removal(engine, reference, "failed", error=error))
            lost.add((engine, reference))
    forgotten = tuple(each for each in chosen.records if (each.engine, each.reference) not in lost)
    if not dry_run and (forgotten or chosen.builds):
        records.forget((each.id for each in forgotten), (each.id for each in chosen.builds))
    return Pruned(tuple(removals), forgotten, chosen.builds, chosen.kept)


def _alone(store: Any, of: str, *, dry_run: bool) -> contextlib.AbstractContextManager[object]:
    """Wait for whoever works on the image."""
    if dry_run:
        return contextlib.nullcontext()
    return alone(store, Digest.parse(of), check=lambda: None, on_wait=lambda: None)
