"""Lock ↔ records: the normal form, in which what several images share stands once.

Owns how stacks share an image, how images share a resolution, and that the hash of each record is that of
its content.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Final, TypeAlias

from attrs import evolve, field

from planner.errors import PlannerError, Problem
from planner.facts.answers import ImagePython
from planner.identity import content_hash
from planner.image.plan import NamedSpec, PlanSpec
from planner.image.spec import ExternalImage, ImageSpec, Resolved
from planner.immutable import frozen
from planner.lock.checks import unplanned
from planner.lock.converter import requirements_of, wrong
from planner.lock.lock import Lock, Pushed
from planner.lock.packages import distinct, names_of, readings
from planner.lock.records import (
    ImageRecord,
    PackageRecord,
    ParentRecord,
    PipelineRecord,
    PushedRecord,
    Record,
    ResolutionRecord,
    ResolvedSource,
    SourceRecord,
    StackRecord,
    external_of,
    parent_record,
    read_instruction,
    write_instruction,
)
from planner.requirements.model import Requirements, constraint_lines, to_lines
from planner.requirements.options import canonical_options
from planner.requirements.packages import Closure, Package
from planner.values import Digest, freeze

__all__ = ["Images", "pushed_of", "records_of"]

# How many ways to read a name that several packages share are tried.
_READINGS: Final = 64
# An engine takes images of up to 127 layers, and each image adds one at least.
_DEEPEST: Final = 127


def records_of(lock: Lock) -> Iterator[Record]:
    """The records of a lock, each once, in no particular order."""
    stacks = sorted({plan.stack for plan in lock.plans})
    yield from (StackRecord(stack) for stack in stacks)
    yield from (PipelineRecord(name, each.module, each.config) for name, each in lock.sources.items())
    resolutions = _resolutions(lock)
    for image in _images(lock, resolutions):
        yield evolve(image, stacks=() if list(image.stacks) == stacks else image.stacks)
    packages = distinct(package for _, closures in resolutions for item in closures for package in item[2])
    names = names_of(packages.values())
    for (resolved, closures), name in resolutions.items():
        yield ResolutionRecord(
            name,
            _resolution_hash(resolved, closures),
            resolved.inputs,
            resolved.python.version,
            resolved.python.platform,
            resolved.python.assumed,
            resolved.python.given,
            resolved.exclude_newer,
            resolved.overridden,
            tuple(
                SourceRecord(
                    source,
                    to_lines(requirements),
                    tuple(names[package.text, package.hashes] for package in closure),
                    constraint_lines(requirements),
                    tuple(map(str, requirements.options)),
                )
                for source, requirements, closure in closures
            ),
        )
    for package in packages.values():
        yield PackageRecord(
            package.name, package.version, package.url, package.index, package.requires, package.files
        )
    for entry in lock.pushed:
        yield PushedRecord(entry.image, entry.reference, entry.name, entry.stack, entry.hash)


_Closures: TypeAlias = tuple[tuple[str, Requirements, tuple[Package, ...]], ...]


def _resolution(spec: ImageSpec) -> tuple[Resolved, _Closures] | None:
    """What the requirements of an image were resolved to, by source; None where they were not."""
    if spec.resolved is None or not spec.closed:
        return None
    closures = ((item.source, item.requirements, item.closure) for item in spec.installs)
    return spec.resolved, tuple((name, asked, each.packages) for name, asked, each in closures if each)


def _resolutions(lock: Lock) -> dict[tuple[Resolved, _Closures], str]:
    """The names of all resolutions: that of the first image, with its stack where that tells two apart."""
    owners: dict[tuple[Resolved, _Closures], tuple[str, str]] = {}
    for plan in lock.plans:
        for image in plan.images:
            found = _resolution(image.spec)
            if found is not None:
                owner = (image.name, plan.stack)
                owners[found] = min(owner, owners.get(found, owner))
    count = Counter(name for name, _ in owners.values())
    return {found: name if count[name] == 1 else f"{name}@{stack}" for found, (name, stack) in owners.items()}


def _resolution_hash(resolved: Resolved, closures: _Closures) -> Digest:
    python = resolved.python
    told = (python.version, python.platform, python.assumed, python.given, resolved.exclude_newer)
    # Of the files it is the hashes that tell a resolution.
    sources = tuple((name, asked.digest, packages) for name, asked, packages in closures)
    overridden = (resolved.overridden,) if resolved.overridden else ()
    return content_hash("resolution", (resolved.inputs, told, sources, *overridden))


def _images(lock: Lock, resolutions: Mapping[tuple[Resolved, _Closures], str]) -> Iterator[ImageRecord]:
    """Each image of each pipeline, with the stacks that have it."""
    shared: dict[tuple[str, NamedSpec, ParentRecord, str | None], list[str]] = {}
    for plan in lock.plans:
        names = {image.spec: image.name for image in plan.images}
        for image in plan.images:
            found = _resolution(image.spec)
            key = (plan.pipeline, image, _parent(image.spec, names), resolutions[found] if found else None)
            shared.setdefault(key, []).append(plan.stack)
    for (pipeline, image, parent, resolution), stacks in shared.items():
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
            resolution,
            spec.observed,
            tuple(write_instruction(item) for item in spec.instructions),
        )


def _parent(spec: ImageSpec, names: Mapping[ImageSpec, str]) -> ParentRecord:
    parent = spec.parent
    if not isinstance(parent, ExternalImage):
        return ParentRecord(image=names[parent])
    return parent_record(parent)


def pushed_of(record: PushedRecord, where: str) -> Pushed:
    """The entry of the ledger that a record is. PlannerError if it was edited."""
    try:
        entry = Pushed(record.image, record.reference, record.name, record.stack)
    except ValueError as error:
        raise wrong(where, str(error)) from None
    if entry.hash != record.hash:
        raise wrong(
            where, f"what was pushed of {record.name!r} was edited: its hash is not that of its content"
        )
    return entry


@frozen
class Images:
    """The images of a lock by their records, and the packages that they were resolved to."""

    records: Mapping[tuple[str, str, str], ImageRecord]
    """By pipeline, stack and name."""
    resolutions: Mapping[str, ResolutionRecord]
    packages: Mapping[str, tuple[Package, ...]]
    """The packages that a name can stand for."""
    _resolved: dict[str, tuple[Resolved, Mapping[str, ResolvedSource]]] = field(factory=dict, eq=False)
    """Resolutions that were read before: images share them."""

    @classmethod
    def of(
        cls,
        images: Iterable[ImageRecord],
        resolutions: Iterable[ResolutionRecord],
        packages: Iterable[PackageRecord],
        stacks: Iterable[str],
    ) -> Images:
        """The images of records. PlannerError if two of them are one image."""
        every = tuple(stacks)
        records: dict[tuple[str, str, str], ImageRecord] = {}
        for image in images:
            for stack in image.stacks or every:
                key = (image.pipeline, stack, image.name)
                if key in records and records[key] != image:
                    # What a merge leaves that kept both sides.
                    raise wrong("image", f"two images {image.name!r} on {stack!r}")
                records[key] = image
        named: dict[str, ResolutionRecord] = {}
        for record in resolutions:
            if named.setdefault(record.name, record) != record:
                raise wrong("resolution", f"two resolutions {record.name!r}")
        return cls(records, named, readings(packages))

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
                raise wrong(where, f"its parent {record.parent.image!r} is not in the lock")
            if len(below) == _DEEPEST:
                raise wrong(where, f"more than {_DEEPEST} images are built on one another")
            parent = self.spec(above, known, (*below, record.name))
        elif record.parent.reference is not None:
            parent = external_of(record.parent)
        else:
            raise wrong(where, "it has no parent")
        resolved: Resolved | None = None
        sources: Mapping[str, ResolvedSource] = {}
        if record.resolution is not None:
            resolved, sources = self.resolution(record.resolution, where)
        spec = ImageSpec(
            parent,
            tuple(read_instruction(item, where, sources) for item in record.instruction),
            record.platform,
            record.build_args,
            record.labels,
            record.target,
            freeze(record.options),
            resolved,
            record.observed,
        )
        if spec.hash != record.hash:
            raise wrong(where, "its hash is not that of its content")
        if strange := tuple(unplanned(spec)):
            raise wrong(where, *strange)
        return known.setdefault(key, spec)

    def resolution(self, name: str, where: str) -> tuple[Resolved, Mapping[str, ResolvedSource]]:
        """What requirements were resolved to, by source. PlannerError if it is not there, or was edited."""
        if name not in self.resolutions:
            raise wrong(where, f"the resolution {name!r} is not in the lock")
        if name not in self._resolved:
            self._resolved[name] = self._read(self.resolutions[name])
        return self._resolved[name]

    def _read(self, record: ResolutionRecord) -> tuple[Resolved, Mapping[str, ResolvedSource]]:
        """A resolution, whose hash has to be that of its record.

        A name that two merged branches gave to different packages can be read in several ways: the hash
        tells which one was meant.
        """
        where = f"resolution {record.name!r}"
        named = list(dict.fromkeys(name for source in record.source for name in source.packages))
        if missing := [name for name in named if name not in self.packages]:
            raise wrong(where, f"the package {missing[0]!r} is not in the lock")
        resolved = Resolved(
            record.inputs,
            ImagePython(record.python, record.platform, record.assumed, record.given),
            record.exclude_newer,
            record.overridden,
        )
        asked = {source.name: _asked(source, where) for source in record.source}
        options = canonical_options([option for each in asked.values() for option in each.options])
        for _, chosen in zip(
            range(_READINGS), product(*(self.packages[name] for name in named)), strict=False
        ):
            packages = dict(zip(named, chosen, strict=True))
            closures = {
                source.name: Closure(packages[name] for name in source.packages) for source in record.source
            }
            found = tuple((name, asked[name], closure.packages) for name, closure in closures.items())
            if _resolution_hash(resolved, found) == record.hash:
                return resolved, {name: (asked[name], closures[name], options) for name in closures}
        raise wrong(where, "its hash is not that of its content")


def _asked(source: SourceRecord, where: str) -> Requirements:
    try:
        return requirements_of(source.requirements, source.constraints, source.options)
    except PlannerError as error:
        raise wrong(where, error.problems[0].found) from None
