"""The records that a lock's file consists of, as plain data: images, packages, stacks, pushed images.

Owns the schema of versions 2 and 3. What several images share stands once: a package is a record of its own,
so is what requirements were resolved to, and an image that is the same on several stacks is one record.
Refuses to know how values are read and written (`converter` does), how records are laid out in a file (`text`
does), and what they mean together (`normal` does).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import asdict, field
from attrs.validators import deep_iterable, matches_re, optional

from planner.facts.answers import Pin, PinKind
from planner.image.external import ExternalImage
from planner.image.instructions import (
    KINDS,
    BuildDockerfile,
    Installer,
    InstallRequirements,
    Instruction,
    NamedImage,
)
from planner.image.spec import Observed
from planner.immutable import frozen
from planner.lock.converter import structured, unstructured, wrong
from planner.names import NAME, SOURCE
from planner.requirements.model import Option, Requirements
from planner.requirements.packages import Closure, File
from planner.settings.checks import kind_of
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = [
    "ImageRecord",
    "PackageRecord",
    "ParentRecord",
    "PipelineRecord",
    "PushedRecord",
    "Record",
    "ResolutionRecord",
    "ResolvedSource",
    "SourceRecord",
    "StackRecord",
    "read",
    "version_of",
    "write",
]

_NAME: Final = re.compile(NAME)
# A path in the project.
_CONFIG: Final = r"(?!/)(?!\.\.(/|$))(?!.*/\.\.(/|$))[^\x00-\x1f]+"
_IMAGE_NAME: Final = re.compile(rf"{NAME}(/{NAME})?")


def _named(_: object, attribute: Any, value: Any) -> None:
    pattern = _IMAGE_NAME if attribute.name == "name" else _NAME
    for name in (value,) if isinstance(value, str) else value:
        if not pattern.fullmatch(name):
            raise ValueError(f"not a name: {name!r}")


def _plain(_: object, __: object, value: Any) -> None:
    check_plain(value)


def check_plain(value: object) -> None:
    """ValueError for what no option can be: TOML has numbers that are not whole, and dates."""
    match value:
        case None | bool() | int() | str():
            pass
        case Mapping():
            for item in value.values():
                check_plain(item)
        case list() | tuple():
            for item in value:
                check_plain(item)
        case _:
            raise ValueError(f"not a value of an option: {kind_of(value)}")


@frozen
class ParentRecord:
    """The parent of an image: a reference with its pin, or the name of another image of the pipeline."""

    reference: ImageRef | None = None
    digest: Digest | None = None
    kind: PinKind | None = None
    platform: str | None = None
    manifest: Digest | None = None
    image: str | None = None


@frozen
class ImageRecord:
    """One image of a pipeline. Without `stacks` it is on all stacks that the lock has."""

    pipeline: str = field(validator=_named)
    name: str = field(validator=_named)
    steps: tuple[str, ...] = field(validator=_named)
    hash: Digest
    parent: ParentRecord
    stacks: tuple[str, ...] = field(default=(), validator=_named)
    platform: str | None = None
    target: str | None = None
    build_args: Mapping[str, str] = FrozenMapping()
    labels: Mapping[str, str] = FrozenMapping()
    options: Mapping[str, Any] = field(default=FrozenMapping(), validator=_plain)
    resolution: str | None = None
    """The name of what its requirements were resolved to."""
    observed: tuple[Observed, ...] = ()
    """What its sources were listed from, where no instruction says so."""
    instruction: tuple[Mapping[str, Any], ...] = ()
    """Instructions as plain data: what a source comes to, its resolution says."""


@frozen
class SourceRecord:
    """One source of requirements: what was written there, without hashes, and the packages of its layer."""

    name: str = field(validator=_named)
    requirements: tuple[str, ...]
    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@frozen
class ResolutionRecord:
    """What the requirements of images were resolved to. `hash` tells one that was edited.

    `name` is that of the first image that has it: it stays while the packages move.
    """

    name: str = field(validator=matches_re(rf"{NAME}(/{NAME})?(@{NAME})?"))
    hash: Digest
    inputs: Digest
    python: str = field(validator=matches_re(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?"))
    platform: str = field(validator=matches_re(r"[a-z0-9_]+-[a-z0-9_-]+"))
    assumed: bool = False
    given: bool = False
    exclude_newer: str | None = field(default=None, validator=optional(matches_re(r"[0-9]{4}-[0-9TZ:-]+")))
    overridden: tuple[str, ...] = field(
        default=(), validator=deep_iterable(matches_re(r"[a-z0-9][a-z0-9-]*"))
    )
    source: tuple[SourceRecord, ...] = ()


@frozen
class PackageRecord:
    """One package at one version, with the files that fit."""

    name: str
    version: str | None = None
    url: str | None = None
    index: str | None = None
    requires: tuple[str, ...] = ()
    files: tuple[File, ...] = ()


@frozen
class PipelineRecord:
    """One pipeline of which the project file does not say all: where it is in Python, its configuration."""

    name: str = field(validator=_named)
    source: str | None = field(default=None, validator=optional(matches_re(SOURCE)))
    config: str | None = field(default=None, validator=optional(matches_re(_CONFIG)))


@frozen
class StackRecord:
    """One stack that the lock has plans for."""

    name: str = field(validator=_named)


@frozen
class PushedRecord:
    """One entry of the ledger; `hash` tells one that was edited."""

    image: Digest
    reference: ImageRef
    name: str = field(validator=_named)
    stack: str = field(validator=_named)
    hash: Digest


Record = ImageRecord | ResolutionRecord | PackageRecord | PipelineRecord | StackRecord | PushedRecord
KIND_OF: Final[Mapping[type[Any], str]] = {
    StackRecord: "stack",
    PipelineRecord: "pipeline",
    ImageRecord: "image",
    ResolutionRecord: "resolution",
    PackageRecord: "package",
    PushedRecord: "pushed",
}
CLASS_OF: Final[Mapping[str, type[Any]]] = {name: kind for kind, name in KIND_OF.items()}


def version_of(records: Iterable[Record]) -> int:
    """The oldest schema that has all of these: how pipelines are named came with the third."""
    return 3 if any(isinstance(record, PipelineRecord) for record in records) else 2


def read(kind: str, data: object, where: str) -> Record:
    """The record that plain data describes. PlannerError says what is wrong with it, at `where`."""
    if not isinstance(data, Mapping):
        raise wrong(where, f"expected a table, found {kind_of(data)}")
    record: Record = structured(data, CLASS_OF[kind], where)
    return record


def write(record: Record) -> dict[str, Any]:
    """A record as plain data, without what says nothing."""
    data: dict[str, Any] = unstructured(record)
    return data


def read_instruction(
    data: Mapping[str, Any], where: str, sources: Mapping[str, ResolvedSource] | None = None
) -> Instruction:
    """An instruction. `sources` are those whose packages are known, by name."""
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        found = (
            f"unknown kind of instruction: {kind!r}" if "kind" in data else "an instruction without a kind"
        )
        raise wrong(where, found)
    if kind == "dockerfile":
        read_back = structured(data, _Dockerfile, where)
        if not all(each.reference for each in read_back.images):
            raise wrong(where, "an image of its Dockerfile has no name")
        images = tuple(NamedImage(external_of(each), each.asked) for each in read_back.images)
        return BuildDockerfile(read_back.lines, images, read_back.secrets)
    if kind != "requirements":
        return structured(data, KINDS[kind], where)
    install = structured(data, _Install, where)
    known = (sources or {}).get(install.source)
    if (known is None) == (install.requirements is None):
        found = f"the source {install.source!r} has {'no packages' if known is None else 'packages twice'}"
        raise wrong(where, found)
    requirements, closure, options = known or (install.requirements or Requirements(), None, ())
    return InstallRequirements(
        install.source, requirements, install.installer, closure, options, install.observed, install.secrets
    )


def write_instruction(value: Instruction) -> dict[str, Any]:
    """Every field, the kind first: a default that changes later must not change what an old lock says."""
    if isinstance(value, InstallRequirements):
        written = value.requirements if value.closure is None else None
        install = _Install(
            "requirements", value.source, value.installer, written, value.observed, value.secrets
        )
        data: dict[str, Any] = unstructured(install)
        return data
    if isinstance(value, BuildDockerfile):
        # Where it stands in the project is for messages, and moves with every comment.
        named = tuple(
            _NamedRecord(**asdict(parent_record(each.image), recurse=False), asked=each.platform)
            for each in value.images
        )
        written_down: dict[str, Any] = unstructured(
            _Dockerfile("dockerfile", value.lines, named, value.secrets)
        )
        return written_down
    fields = {"kind": value.kind, **asdict(value, recurse=False)}
    return {name: unstructured(item) for name, item in fields.items() if item is not None}


ResolvedSource: TypeAlias = tuple[Requirements, Closure, tuple[Option, ...]]
"""What was written, the packages of the layer, and the options of all sources."""


def parent_record(image: ExternalImage) -> ParentRecord:
    """An image from outside as a lock has it."""
    pin = image.pin
    if image.reference.tag is None and image.digest is not None:
        # By digest alone: a name without both would be read as that of the tag `latest`.
        return ParentRecord(image.base, None, pin.kind, pin.platform, pin.manifest)
    return ParentRecord(image.reference, image.digest, pin.kind, pin.platform, pin.manifest)


def external_of(record: ParentRecord) -> ExternalImage:
    """The image from outside that a record is. ValueError if it names none."""
    if record.reference is None:
        raise ValueError("an image without a name")
    digest = record.digest or record.reference.digest
    pin = Pin(digest, record.kind, record.platform, record.manifest)
    return ExternalImage(record.reference, digest, pin)


@frozen
class _NamedRecord(ParentRecord):
    """An image that a Dockerfile names, and the platform that it is asked for."""

    asked: str | None = None


@frozen
class _Dockerfile:
    kind: str
    lines: tuple[str, ...]
    images: tuple[_NamedRecord, ...] = ()
    secrets: Mapping[str, int] | None = None


@frozen
class _Install:
    kind: str
    source: str
    installer: Installer
    requirements: Requirements | None = None
    observed: Digest | None = None
    secrets: Mapping[str, int] | None = None
