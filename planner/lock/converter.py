"""Values ↔ plain data: the reading of what stands in a lock, and the writing.

Owns that no key is ignored and nothing is coerced, and how what is wrong is said. Refuses to know what a
lock is made of (`records` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args, get_origin

import attrs

from planner.errors import Place, PlannerError, Problem
from planner.image.instructions import Installer
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME
from planner.requirements.model import Requirement, Requirements
from planner.requirements.options import parse_option
from planner.settings.build_options import check_arguments
from planner.settings.checks import kind_of
from planner.values import (
    Digest,
    EnvTemplate,
    FrozenMapping,
    ImageRef,
    PythonPackageInstaller,
    bare_flags,
    freeze,
)

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
    from cattrs.cols import homogenous_tuple_structure_factory as of_items  # noqa: PLC0415  # as above

    converter = Converter(detailed_validation=thorough, forbid_extra_keys=True, omit_if_default=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    # What has another shape than it should: cattrs would say which attribute Python has missed.
    converter.register_structure_hook_factory(
        attrs.has, lambda kind: _shaped(_read_table, converter.gen_structure_attrs_fromdict(kind))
    )
    converter.register_structure_hook_factory(
        _made_of(tuple), lambda kind: _shaped(_read_list, of_items(kind, converter))
    )
    converter.register_structure_hook_func(_made_of(Literal), _read_choice)
    for leaf, parse in ((Digest, Digest.parse), (ImageRef, ImageRef.parse)):
        converter.register_structure_hook(leaf, lambda value, _, parse=parse: parse(_string(value)))
    converter.register_structure_hook(Requirements, lambda value, _: _read_requirements(converter, value))
    converter.register_structure_hook_func(
        _is(Mapping[str, EnvTemplate]), lambda value, _: _read_variables(converter, value)
    )
    converter.register_structure_hook_func(_is(Mapping[str, Any]), lambda value, _: _read_mapping(value))
    converter.register_structure_hook_func(
        _is(Mapping[str, str]), lambda value, _: FrozenMapping(_read_texts(converter, value))
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


def _made_of(origin: object) -> Callable[[object], bool]:
    return lambda kind: get_origin(kind) is origin


def _exactly(kind: type) -> Any:
    def check(value: Any, _: object) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {kind.__name__}, found {kind_of(value)}")
        return value

    return check


def _string(value: object) -> str:
    checked: str = _exactly(str)(value, None)
    return checked


def _shaped(check: Callable[[Any], Any], read: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """What reads a value after its shape was checked."""
    return lambda value, kind: read(check(value), kind)


def _read_table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a table, found {kind_of(value)}")
    return value


def _read_list(value: Any) -> Any:
    # Instructions are frozen before their kind is known.
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list, found {kind_of(value)}")
    return value


def _read_choice(value: object, kind: Any) -> object:
    if not isinstance(value, str) or value not in get_args(kind):
        found = repr(value) if isinstance(value, str) else kind_of(value)
        raise ValueError(f"expected {' or '.join(map(repr, get_args(kind)))}, found {found}")
    return value


def _read_mapping(value: object) -> Mapping[str, Any]:
    frozen_value: FrozenMapping[Any] = freeze(_read_table(value))
    return frozen_value


def _read_texts(converter: Converter, value: Any) -> dict[str, str]:
    return converter.structure(_read_table(value), dict[str, str])


def _read_installer(value: Any, _: object) -> Installer:
    """Arguments are checked as those of settings are."""
    table = dict(_read_mapping(value))
    arguments = bare_flags(table.pop("arguments", {}))
    if problems := tuple(check_arguments(arguments)):
        raise PlannerError(problems)
    known = {name: _string(item) for name, item in table.items()}
    if unknown := known.keys() - {"name", "version"}:
        raise ValueError(f"unknown key {min(unknown)!r}")
    names = [each.value for each in PythonPackageInstaller]
    if known.get("name") not in names:
        raise ValueError(f"expected an installer, {' or '.join(names)}, found {known.get('name', 'none')!r}")
    return Installer(known["name"], known.get("version"), arguments)


def _read_variables(converter: Converter, value: Any) -> FrozenMapping[EnvTemplate]:
    return FrozenMapping({name: EnvTemplate(text) for name, text in _read_texts(converter, value).items()})


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
