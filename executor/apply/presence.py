"""What is known of where the images of a plan are: from lock and records, registries, the engine.

Owns the questions and how answers become what `decide` takes. Refuses to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import evolve

from executor import limits
from executor.apply.verification import difference
from planner.compare.presence import (
    Absent,
    Foreign,
    Held,
    InEngine,
    InRegistry,
    Presence,
    Registered,
    Untold,
)
from planner.image.plan import BuildPlan, ImagePlan
from planner.lock.lock import Lock
from planner.values import ImageRef

if TYPE_CHECKING:
    from executor.engines.protocol import ImageStore
    from executor.records.store import Known, Records

__all__ = ["in_engine", "in_registry", "known", "presence", "with_engine", "with_registry"]


def known(plan: BuildPlan, lock: Lock, records: Records, engine_name: str = "") -> dict[str, Presence]:
    """What the ledger and the records say of each image, by its name. Asks no registry and no engine."""
    built = tuple(image for image in plan.images if image.builds)
    told = records.known(plan.pipeline, plan.stack, built, engine_name or None)
    return presence(plan, lock, told, engine_name)


def presence(
    plan: BuildPlan, lock: Lock, told: Mapping[str, Known], engine_name: str = ""
) -> dict[str, Presence]:
    """The same from what the records said of the images that are built."""
    found = {}
    for image in plan.images:
        if not image.builds:
            continue
        entry = lock.pushed_as(image) if image.destination.push else None
        found[image.name] = Presence(
            ledger=entry.digest if entry else None,
            record=told[image.name].recorded or told[image.name].elsewhere,
            history=told[image.name].history,
            engine_name=engine_name,
        )
    return found


def with_registry(
    plan: BuildPlan,
    present: Mapping[str, Presence],
    names: Iterable[str],
    *,
    timeout: float | None = None,
) -> dict[str, Presence]:
    """The same with what the registries say of some images, which are asked all at once.

    Only images that are pushed, and that may be reused, are asked for.
    """
    wanted = frozenset(names)
    images = [
        image
        for image in plan.images
        if image.name in wanted
        and image.builds
        and image.destination.push
        and not image.destination.prevent_reuse
    ]
    answers = in_registry(images, timeout=timeout)
    return {
        **present,
        **{image.name: evolve(present[image.name], registry=answers[image.name]) for image in images},
    }


def in_registry(images: Iterable[ImagePlan], *, timeout: float | None = None) -> dict[str, InRegistry]:
    """What the registries have under the tags of some images, by the names of these.

    `timeout` is in seconds for all of them, by default that of `apply`.
    """
    asked = {image.name: image for image in images}
    if not asked:
        return {}
    from executor.registry import marks  # noqa: PLC0415  # most plans ask nobody

    questions = {
        name: marks.Question(ImageRef.parse(image.reference), image.platform) for name, image in asked.items()
    }
    seconds = limits.REGISTRY_SECONDS if timeout is None else timeout
    told = marks.marks(questions.values(), timeout=seconds)
    found: dict[str, InRegistry] = {}
    for name, question in questions.items():
        match told[question]:
            case marks.Marked(digest, image) if image == asked[name].hash:
                found[name] = Registered(digest)
            case marks.Marked(digest, image):
                found[name] = Foreign(f"it was built from plan {image.short}", digest)
            case marks.Foreign(digest, reason):
                found[name] = Foreign(reason, digest)
            case marks.Missing(reason):
                found[name] = Absent(reason)
            case marks.Unknown(reason, transient):
                found[name] = Untold(reason, transient)
    return found


def with_engine(
    plan: BuildPlan,
    present: Mapping[str, Presence],
    names: Iterable[str],
    store: ImageStore,
    records: Records,
) -> dict[str, Presence]:
    """The same with what an engine says of some images."""
    wanted = frozenset(names)
    return {
        **present,
        **{
            image.name: evolve(present[image.name], engine=in_engine(image, store, records))
            for image in plan.images
            if image.name in wanted
        },
    }


def in_engine(image: ImagePlan, store: ImageStore, records: Records) -> InEngine:
    """Whether an engine has an image: under its own reference, or under one that a record knows.

    Found under another reference, it gets its own. No list of all images is asked for: one image that
    another program left half-written breaks such a list.
    """
    info = store.inspect(image.reference)
    if info is not None:
        found = difference(image, info)
        return Foreign(f"{info.id.removeprefix('sha256:')[:12]}, {found}") if found else Held()
    for reference in records.references(image.hash):
        other = store.inspect(reference) if reference != image.reference else None
        if other is not None and difference(image, other) is None:
            # By its ID: the other reference can move meanwhile.
            store.tag(other.id, image.reference)
            return Held()
    return Absent()
