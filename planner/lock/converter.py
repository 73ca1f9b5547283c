"""Values ↔ plain data: the reading of what stands in a lock, and the writing.

Owns that no key is ignored and nothing is coerced, and how what is wrong is said. Refuses to know what a
lock is made of (`records` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from planner.errors import Place, PlannerError, Problem
from planner.image.instructions import Installer
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME
from planner.requirements.model import Requirement, Requirements
from planner.requirements.options import parse_option
from planner.settings.build_options import check_arguments
from planner.settings.checks import kind_of
from planner.values import Digest, EnvTemplate, FrozenMapping, ImageRef, bare_flags, freeze

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["RESTORE", "requirements_of", "structured", "unstructured", "wrong"]

T = TypeVar("T")
RESTORE: Final = "repair it with `stowplan lock`, or restore it from version control"


def wrong(where: str, *found: str) -> PlannerError:
    """The error of what is wrong at one place of a lock."""
    return PlannerError(Problem(Place(path=(where,), file=LOCK_NAME), each, RESTORE) for each in found)


def structured(data: Mapping[str, Any], kind: type[T], where: str) -> T:
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


def unstructured(value: object) -> Any:
    """A value as plain data, without what says nothing."""
    return _converter().unstructure(value)


def _problems(error: Exception, where: str) -> Iterator[Problem]:
    from cattrs import transform_error  # noqa: PLC0415  # see structured

    for text in transform_error(error, path=where, format_exception=_said):
        found, _, path = text.rpartition(" @ ")
        yield Problem(Place(path=(path or where,), file=LOCK_NAME), found or text, RESTORE)


def _said(error: BaseException, kind: type | None) -> str:
    """What is wrong with one value: our own words where they are."""
    from cattrs.v import format_exception  # noqa: PLC0415  # see structured

    # A validator of attrs gives more than its message.
    if isinstance(error, ValueError) and error.args:
        return str(error.args[0]).replace("\n", "; ")
    return format_exception(error, kind)


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
    from cattrs import Converter  # noqa: PLC0415  # see structured

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
    converter.register_structure_hook_func(
        _is(Mapping[str, int]), lambda value, _: FrozenMapping(converter.structure(value, dict[str, int]))
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
    return unstructured(
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
    return {name: unstructured(item) for name, item in written.items() if item}
