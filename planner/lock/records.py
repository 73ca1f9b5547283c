"""The records that a lock's file consists of, as plain data: images, packages, stacks, pushed images.

Owns the schema of version 2 and its strict reading: no key is ignored, nothing is coerced. What several
images share stands once: a package is a record of its own, so is what requirements were resolved to, and
an image that is the same on several stacks is one record. Refuses to know how records are laid out in a
file (`text` does), and what they mean together (`normal` does).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from attrs import asdict, field
from attrs.validators import deep_iterable, matches_re, optional

from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import PinKind
from planner.image.instructions import KINDS, Installer, InstallRequirements, Instruction
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME
from planner.pipeline import NAME
from planner.requirements.model import Option, Requirement, Requirements
from planner.requirements.options import parse_option
from planner.requirements.packages import Closure, File
from planner.settings.build_options import check_arguments
from planner.settings.checks import kind_of
from planner.values import Digest, EnvTemplate, FrozenMapping, ImageRef, bare_flags, freeze

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "RESTORE",
    "ImageRecord",
    "PackageRecord",
    "ParentRecord",
    "PushedRecord",
    "Record",
    "ResolutionRecord",
    "ResolvedSource",
    "SourceRecord",
    "StackRecord",
    "read",
    "requirements_of",
    "write",
    "wrong",
]

RESTORE: Final = "repair it with `stowplan lock`, or restore it from version control"


def wrong(where: str, *found: str) -> PlannerError:
    """The error of what is wrong at one place of a lock."""
    return PlannerError(Problem(Place(path=(where,), file=LOCK_NAME), each, RESTORE) for each in found)


_NAME: Final = re.compile(NAME)
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


T = TypeVar("T")

Record = ImageRecord | ResolutionRecord | PackageRecord | StackRecord | PushedRecord
KIND_OF: Final[Mapping[type[Any], str]] = {
    StackRecord: "stack",
    ImageRecord: "image",
    ResolutionRecord: "resolution",
    PackageRecord: "package",
    PushedRecord: "pushed",
}
CLASS_OF: Final[Mapping[str, type[Any]]] = {name: kind for kind, name in KIND_OF.items()}


def read(kind: str, data: object, where: str) -> Record:
    """The record that plain data describes. PlannerError says what is wrong with it, at `where`."""
    if not isinstance(data, Mapping):
        raise wrong(where, f"expected a table, found {kind_of(data)}")
    record: Record = _structured(data, CLASS_OF[kind], where)
    return record


def write(record: Record) -> dict[str, Any]:
    """A record as plain data, without what says nothing."""
    data: dict[str, Any] = _converter().unstructure(record)
    return data


def read_instruction(
    data: Mapping[str, Any], where: str, sources: Mapping[str, ResolvedSource] | None = None
) -> Instruction:
    """An instruction. `sources` are those whose packages are known, by name."""
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise wrong(where, f"unknown kind of instruction: {kind!r}")
    if kind != "requirements":
        return _structured(data, KINDS[kind], where)
    install = _structured(data, _Install, where)
    known = (sources or {}).get(install.source)
    if (known is None) == (install.requirements is None):
        found = f"the source {install.source!r} has {'no packages' if known is None else 'packages twice'}"
        raise wrong(where, found)
    requirements, closure, options = known or (install.requirements or Requirements(), None, ())
    return InstallRequirements(
        install.source, requirements, install.installer, closure, options, install.observed
    )


def write_instruction(value: Instruction) -> dict[str, Any]:
    """Every field, the kind first: a default that changes later must not change what an old lock says."""
    if isinstance(value, InstallRequirements):
        written = value.requirements if value.closure is None else None
        install = _Install("requirements", value.source, value.installer, written, value.observed)
        data: dict[str, Any] = _converter().unstructure(install)
        return data
    fields = {"kind": value.kind, **asdict(value, recurse=False)}
    return {name: _converter().unstructure(item) for name, item in fields.items() if item is not None}


def _structured(data: Mapping[str, Any], kind: type[T], where: str) -> T:
    """The value that plain data describes. PlannerError holds everything that is wrong with it."""
    from cattrs.errors import BaseValidationError  # noqa: PLC0415  # heavy, and only a lock needs it

    # What finds every problem takes twice as long to generate, and most locks have none.
    try:
        return _converter().structure(data, kind)
    except Exception:
        try:
            return _converter(thorough=True).structure(data, kind)
        except BaseValidationError as error:
            raise PlannerError(_problems(error, where)) from None


def _problems(error: Exception, where: str) -> Iterator[Problem]:
    from cattrs import transform_error  # noqa: PLC0415  # see _structured

    for text in transform_error(error, path=where, format_exception=_said):
        found, _, path = text.rpartition(" @ ")
        yield Problem(Place(path=(path or where,), file=LOCK_NAME), found or text, RESTORE)


def _said(error: BaseException, kind: type | None) -> str:
    """What is wrong with one value: our own words where they are."""
    from cattrs.v import format_exception  # noqa: PLC0415  # see _structured

    # A validator of attrs gives more than its message.
    if isinstance(error, ValueError) and error.args:
        return str(error.args[0]).replace("\n", "; ")
    return format_exception(error, kind)


ResolvedSource: TypeAlias = tuple[Requirements, Closure, tuple[Option, ...]]
"""What was written, the packages of the layer, and the options of all sources."""


@frozen
class _Install:
    kind: str
    source: str
    installer: Installer
    requirements: Requirements | None = None
    observed: Digest | None = None


@frozen
class _Requirements:
    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@cache
def _converter(*, thorough: bool = False) -> Converter:
    """Reads strictly and writes tersely: no key is ignored, nothing is coerced, defaults are left out.

    It stops at the first problem, unless it is `thorough`.
    """
    from cattrs import Converter  # noqa: PLC0415  # see _structured

    converter = Converter(detailed_validation=thorough, forbid_extra_keys=True, omit_if_default=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    for leaf, parse in ((Digest, Digest.parse), (ImageRef, ImageRef.parse)):
        converter.register_structure_hook(leaf, lambda value, _, parse=parse: parse(_string(value)))
    converter.register_structure_hook(Requirements, lambda value, _: _read_requirements(converter, value))
    converter.register_structure_hook_func(
        _is(Mapping[str, EnvTemplate]), lambda value, _: _read_variables(converter, value)
    )
    converter.register_structure_hook_func(_is(Mapping[str, Any]), lambda value, _: _read_mapping(value))
    converter.register_structure_hook_func(
        _is(Mapping[str, str]), lambda value, _: FrozenMapping(converter.structure(value, dict[str, str]))
    )
    converter.register_structure_hook(Installer, _read_installer)
    for text in (Digest, ImageRef, EnvTemplate):
        converter.register_unstructure_hook(text, str)
    converter.register_unstructure_hook(FrozenMapping, lambda value: converter.unstructure(dict(value)))
    converter.register_unstructure_hook(Requirements, _write_requirements)
    converter.register_unstructure_hook(Installer, _write_installer)
    return converter


def _is(shape: object) -> Callable[[object], bool]:
    return lambda kind: kind == shape


def _exactly(kind: type) -> Any:
    def check(value: Any, _: object) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {kind.__name__}, found {kind_of(value)}")
        return value

    return check


def _string(value: object) -> str:
    checked: str = _exactly(str)(value, None)
    return checked


def _read_mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a table, found {kind_of(value)}")
    frozen_value: FrozenMapping[Any] = freeze(value)
    return frozen_value


def _read_installer(value: Any, _: object) -> Installer:
    """Arguments are checked as those of settings are."""
    table = dict(_read_mapping(value))
    arguments = bare_flags(table.pop("arguments", {}))
    if problems := tuple(check_arguments(arguments)):
        raise PlannerError(problems)
    known = {name: _string(item) for name, item in table.items()}
    if unknown := known.keys() - {"name", "version"}:
        raise ValueError(f"unknown key {min(unknown)!r}")
    return Installer(known.get("name", ""), known.get("version"), arguments)


def _read_variables(converter: Converter, value: Any) -> FrozenMapping[EnvTemplate]:
    texts = converter.structure(value, dict[str, str])
    return FrozenMapping({name: EnvTemplate(text) for name, text in texts.items()})


def _read_requirements(converter: Converter, value: Any) -> Requirements:
    lines = converter.structure(value, _Requirements)
    return requirements_of(lines.packages, lines.constraints, lines.options)


def requirements_of(
    packages: Iterable[str], constraints: Iterable[str], options: Iterable[str]
) -> Requirements:
    """The requirements of lines. PlannerError if one of them cannot be read."""
    return Requirements(
        tuple(map(_requirement, packages)),
        tuple(map(_requirement, constraints)),
        tuple(map(parse_option, options)),
    )


# Images and stacks share packages.
@lru_cache(maxsize=4096)
def _requirement(line: str) -> Requirement:
    """The requirement of a line, with its hashes. PlannerError if it is none."""
    text, *hashes = line.split(" --hash=")
    return Requirement.parse(text, hashes)


def _write_requirements(value: Requirements) -> Any:
    return _converter().unstructure(
        _Requirements(
            tuple(package.line for package in value.packages),
            tuple(constraint.line for constraint in value.constraints),
            tuple(str(option) for option in value.options),
        )
    )


def _write_installer(value: Installer) -> dict[str, Any]:
    # TOML has no null: a bare flag is written as true, as in the settings.
    arguments = {name: True if item is None else item for name, item in value.arguments.items()}
    written = {"name": value.name.value, "version": value.version, "arguments": arguments}
    return {name: _converter().unstructure(item) for name, item in written.items() if item}
