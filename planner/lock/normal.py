"""Lock ↔ records: the normal form, in which what several images share stands once.

Owns how a package is named by the images that ask for it, how stacks share an image, and that the hash of
each record is that of its content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final

from attrs import evolve

from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import Pin
from planner.identity import content_hash
from planner.image.plan import NamedSpec, PlanSpec
from planner.image.spec import ExternalImage, ImageSpec
from planner.immutable import frozen
from planner.lock.checks import unplanned
from planner.lock.lock import LOCK_NAME, Lock, Pushed
from planner.lock.records import (
    PACKAGE_LISTS,
    RESTORE,
    ImageRecord,
    PackageRecord,
    ParentRecord,
    PushedRecord,
    Record,
    StackRecord,
    read_instruction,
    requirement_of,
    write_instruction,
)
from planner.requirements.model import Requirement
from planner.values import freeze

__all__ = ["Images", "pushed_of", "records_of"]

# How many ways to read a name that several packages share are tried.
_READINGS: Final = 64
# An engine takes images of up to 127 layers, and each image adds one at least.
_DEEPEST: Final = 127


def records_of(lock: Lock) -> Iterator[Record]:
    """The records of a lock, each once, in no particular order."""
    images = list(_images(lock))
    lines = {line for image in images for table in image.instruction for line in _lines(table)}
    packages = [requirement_of(line) for line in lines]
    names = _names(packages)
    stacks = sorted({plan.stack for plan in lock.plans})
    yield from (StackRecord(stack) for stack in stacks)
    for image in images:
        instructions = tuple(_renamed(table, names) for table in image.instruction)
        yield evolve(
            image,
            stacks=() if list(image.stacks) == stacks else image.stacks,
            instruction=instructions,
        )
    for requirement in packages:
        yield PackageRecord(requirement.label, requirement.text, requirement.hashes)
    for entry in lock.pushed:
        yield PushedRecord(entry.image, entry.reference, entry.name, entry.stack, entry.hash)


def _images(lock: Lock) -> Iterator[ImageRecord]:
    """Each image of each pipeline, with the stacks that have it, and lines where packages will be named."""
    shared: dict[tuple[str, NamedSpec, ParentRecord], list[str]] = {}
    for plan in lock.plans:
        names = {image.spec: image.name for image in plan.images}
        for image in plan.images:
            key = (plan.pipeline, image, _parent(image.spec, names))
            shared.setdefault(key, []).append(plan.stack)
    for (pipeline, image, parent), stacks in shared.items():
        spec = image.spec
        yield ImageRecord(
            pipeline,
            image.name,
            image.steps,
            spec.hash,
            parent,
            tuple(sorted(stacks)),
            spec.platform,
            spec.target,
            spec.build_args,
            spec.labels,
            spec.options,
            tuple(write_instruction(item) for item in spec.instructions),
        )


def _parent(spec: ImageSpec, names: Mapping[ImageSpec, str]) -> ParentRecord:
    parent = spec.parent
    if not isinstance(parent, ExternalImage):
        return ParentRecord(image=names[parent])
    pin = parent.pin
    if parent.reference.tag is None and parent.digest is not None:
        # By digest alone: a name without both would be read as that of the tag `latest`.
        return ParentRecord(parent.base, None, pin.kind, pin.platform, pin.manifest)
    return ParentRecord(parent.reference, parent.digest, pin.kind, pin.platform, pin.manifest)


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    requirements = table.get("requirements", {})
    for name in PACKAGE_LISTS:
        yield from requirements.get(name, ())


def _renamed(table: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """An instruction whose lines of requirements are replaced by what `names` has for them."""
    if "requirements" not in table:
        return table
    requirements = dict(table["requirements"])
    for key in PACKAGE_LISTS:
        if key in requirements:
            requirements[key] = [names[line] for line in requirements[key]]
    return {**table, "requirements": requirements}


def _names(packages: Iterable[Requirement]) -> dict[str, str]:
    """What images call each line by: its name where that is enough, so that a version moves in one place."""
    by_name: dict[str, list[Requirement]] = {}
    for package in packages:
        by_name.setdefault(package.label, []).append(package)
    names: dict[str, str] = {}
    for name, same in by_name.items():
        texts = Counter(package.text for package in same)
        for package in same:
            if len(same) == 1:
                names[package.line] = name
            elif texts[package.text] == 1:
                names[package.line] = package.text
            else:
                names[package.line] = f"{package.text} #{content_hash('line', package.line).short}"
    return names


def pushed_of(record: PushedRecord, where: str) -> Pushed:
    """The entry of the ledger that a record is. PlannerError if it was edited."""
    try:
        entry = Pushed(record.image, record.reference, record.name, record.stack)
    except ValueError as error:
        raise _wrong(where, str(error)) from None
    if entry.hash != record.hash:
        raise _wrong(
            where, f"what was pushed of {record.name!r} was edited: its hash is not that of its content"
        )
    return entry


@frozen
class Images:
    """The images of a lock by their records, and the packages that they name."""

    records: Mapping[tuple[str, str, str], ImageRecord]
    """By pipeline, stack and name."""
    lines: Mapping[str, tuple[str, ...]]
    """The lines that a name can stand for."""

    @classmethod
    def of(
        cls, images: Iterable[ImageRecord], packages: Iterable[PackageRecord], stacks: Iterable[str]
    ) -> Images:
        """The images of records. PlannerError if two of them are one image."""
        every = tuple(stacks)
        records: dict[tuple[str, str, str], ImageRecord] = {}
        for image in images:
            for stack in image.stacks or every:
                key = (image.pipeline, stack, image.name)
                if key in records and records[key] != image:
                    # What a merge leaves that kept both sides.
                    raise _wrong("image", f"two images {image.name!r} on {stack!r}")
                records[key] = image
        requirements = sorted(set(map(_requirement, packages)))
        # The reading that a lock was written with comes first: there can be more than are tried.
        lines: dict[str, dict[str, None]] = {}
        names = _names(requirements)
        for spelled in (lambda item: names[item.line], lambda item: item.text, lambda item: item.label):
            for package in requirements:
                lines.setdefault(spelled(package), {})[package.line] = None
        return cls(records, {name: tuple(found) for name, found in lines.items()})

    def plans(self) -> tuple[PlanSpec, ...]:
        """All plans. PlannerError with everything that is wrong with them."""
        problems: dict[Problem, None] = {}
        plans: dict[tuple[str, str], list[NamedSpec]] = {}
        specs: dict[tuple[str, str, str], ImageSpec] = {}
        for key, record in self.records.items():
            try:
                spec = self.spec(key, specs)
            except PlannerError as error:
                problems |= dict.fromkeys(error.problems)
                continue
            plans.setdefault(key[:2], []).append(NamedSpec(record.name, record.steps, spec))
        if problems:
            raise PlannerError(problems)
        return tuple(PlanSpec(*pair, tuple(images)) for pair, images in plans.items())

    def spec(
        self,
        key: tuple[str, str, str],
        known: dict[tuple[str, str, str], ImageSpec],
        below: tuple[str, ...] = (),
    ) -> ImageSpec:
        """The spec of an image, whose hash has to be that of its record. PlannerError if it is not.

        `known` are specs that were read before, and this one after; `below` are the images that are built
        on this one and being read.
        """
        if key in known:
            return known[key]
        record = self.records[key]
        where = f"image {record.name!r}"
        parent: ExternalImage | ImageSpec
        if record.parent.image is not None:
            above = (*key[:2], record.parent.image)
            # The images of a plan have no cycle: what is being read is no parent.
            if above not in self.records or record.parent.image in (*below, record.name):
                raise _wrong(where, f"its parent {record.parent.image!r} is not in the lock")
            if len(below) == _DEEPEST:
                raise _wrong(where, f"more than {_DEEPEST} images are built on one another")
            parent = self.spec(above, known, (*below, record.name))
        elif record.parent.reference is not None:
            digest = record.parent.digest or record.parent.reference.digest
            pin = Pin(digest, record.parent.kind, record.parent.platform, record.parent.manifest)
            parent = ExternalImage(record.parent.reference, digest, pin)
        else:
            raise _wrong(where, "it has no parent")
        for instructions in self._readings(record, where):
            spec = ImageSpec(
                parent,
                tuple(read_instruction(item, where) for item in instructions),
                record.platform,
                record.build_args,
                record.labels,
                record.target,
                freeze(record.options),
            )
            if spec.hash == record.hash:
                if strange := tuple(unplanned(spec)):
                    raise _wrong(where, *strange)
                return known.setdefault(key, spec)
        raise _wrong(where, "its hash is not that of its content")

    def _readings(self, record: ImageRecord, where: str) -> Iterator[tuple[Mapping[str, Any], ...]]:
        """The instructions of a record, with lines in place of the names of packages.

        A name that two merged branches gave to different packages can be read in several ways: the hash
        tells which one was meant.
        """
        named = list(dict.fromkeys(name for item in record.instruction for name in _lines(item)))
        missing = [name for name in named if name not in self.lines]
        if missing:
            raise _wrong(where, f"the package {missing[0]!r} is not in the lock")
        for _, chosen in zip(range(_READINGS), product(*(self.lines[name] for name in named)), strict=False):
            names = dict(zip(named, chosen, strict=True))
            yield tuple(_renamed(item, names) for item in record.instruction)


def _requirement(record: PackageRecord) -> Requirement:
    where = f"package {record.name!r}"
    try:
        requirement = Requirement.parse(record.requirement, record.hashes)
    except PlannerError as error:
        place = Place(path=(where,), file=LOCK_NAME)
        raise PlannerError(evolve(problem, where=place, fix=RESTORE) for problem in error.problems) from None
    if requirement.label != record.name:
        raise _wrong(where, f"it is another package, {requirement.label!r}")
    return requirement


def _wrong(where: str, *found: str) -> PlannerError:
    return PlannerError(Problem(Place(path=(where,), file=LOCK_NAME), each, RESTORE) for each in found)
