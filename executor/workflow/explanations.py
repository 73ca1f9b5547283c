"""What the hash of an image is made of, and what kept it from being one that was built before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import evolve

from executor.config.project import Project
from executor.config.source import chosen
from executor.errors import UsageError
from executor.observe.images import ChooseEngine
from executor.records.store import Records
from executor.workflow.plans import plan, unknown_image
from planner.compare.changes import Change, diff_images
from planner.compare.explanation import Field, explanation
from planner.compare.impact import Looked, subjects_of
from planner.compare.nearest import Candidate, nearest
from planner.image.plan import ImagePlan
from planner.immutable import frozen

__all__ = ["Compared", "Explained", "explain"]


@frozen
class Compared:
    """An image that was there, in words and by its hash, and what differs from it, if anything does."""

    name: str
    hash: str
    changes: tuple[Change, ...]


@frozen
class Explained:
    """An image, what counts in it, and the closest that was there, or the one that was asked for."""

    image: ImagePlan
    fields: tuple[Field, ...]
    against: Compared | None


def explain(
    project: Project,
    name: str,
    pipeline: str | None,
    stack: str | None,
    config: Path | None = None,
    *,
    against: str | None = None,
    asks: bool,
    engine: ChooseEngine | None,
) -> Explained:
    """What the hash of an image is made of, and how it differs from one that was there.

    That is the closest of those that were there last; with `against` that of a build, by its id or its file,
    or of a record, by its number or its hash. UsageError if there is no such image, or no such other.
    """
    one = chosen(project, pipeline, config, image=name)
    place = project.stack(stack)
    planned = plan(project, one, place, engine=engine, offline=not asks)
    image = planned.plan.image(name)
    if image is None:
        raise unknown_image(name, planned.plan)
    looked = Looked(one.pipeline, place, planned.plan, planned.facts)
    subject = next(each for each in subjects_of(looked) if each.image == image)
    known = planned.lock.plan(planned.plan.pipeline, planned.plan.stack) if planned.lock else None
    locked = known.image(image.name) if known else None
    fields = tuple(
        evolve(field, where=field.where and project.located(field.where))
        for field in explanation(subject, locked)
    )
    records = Records(project.root)
    found = _closest(records, image) if against is None else _asked(records, image, against)
    return Explained(image, fields, found)


def _closest(records: Records, image: ImagePlan) -> Compared | None:
    candidates = records.candidates(records.last_number())
    same = next((each for each in candidates if each.image.hash == image.hash), None)
    if same is not None:
        return Compared(_words(same), str(same.image.hash), ())
    found = nearest(image, candidates)
    if found is None:
        return None
    best = next(each for each in candidates if each.record == found.record)
    return Compared(_words(best), str(best.image.hash), found.changes)


def _asked(records: Records, image: ImagePlan, name: str) -> Compared:
    if (of_record := _of_record(records, image, name)) is not None:
        return of_record
    from executor.workflow.build_files import named_build  # noqa: PLC0415  # only this one names builds

    build = named_build(records, name)
    steps = set(image.steps)
    of_name = [each for each in build.images if each.name == image.name or steps & set(each.steps)]
    if not of_name:
        known = ", ".join(each.name for each in build.images)
        raise UsageError.of("command line", f"build {build.id} has no image {image.name}", f"it has {known}")
    built = of_name[0]
    of_record = _of_record(records, image, str(built.hash))
    words = f"{built.name} of build {build.id}"
    if of_record is not None:
        return evolve(of_record, name=words)
    before = build.specs.image(built.name) if build.specs else None
    changes = () if before is None else _changes(diff_images(before, image))
    return Compared(words, str(built.hash), changes)


def _of_record(records: Records, image: ImagePlan, name: str) -> Compared | None:
    """The image of a record, as it was planned."""
    for record in records.find(name):
        candidates: Sequence[Candidate] = records.candidates(record.id)
        found = next((each for each in candidates if str(each.image.hash) == record.hash), None)
        if found is not None:
            return Compared(_words(found), record.hash, _changes(diff_images(found.image, image)))
    return None


def _changes(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.field != "steps")


def _words(candidate: Candidate) -> str:
    return f"{candidate.image.name} on {candidate.stack}, record {candidate.record}"
