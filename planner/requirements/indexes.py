"""Indexes of single packages: which index a package is from, whatever others have of its name.

Owns how they are said: by a setting, or by `[tool.uv.sources]` of a pyproject.toml with its
`[[tool.uv.index]]`. Among the options of a source they are one of their own, which no requirements file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from planner import toml
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.requirements.credentials import refuse_unreadable
from planner.requirements.markers import InvalidMarker, Marker
from planner.requirements.model import Option
from planner.requirements.options import PACKAGE_INDEX, check_option

__all__ = [
    "Indexes",
    "PackageIndex",
    "as_options",
    "of_options",
    "read_indexes",
    "refused_index",
    "without_indexes",
]


@frozen
class PackageIndex:
    """The index of one package, where a marker holds."""

    package: str
    url: str
    marker: Marker | None = None


@frozen
class Indexes:
    """What a pyproject.toml says of indexes: those of single packages, and options for all others."""

    packages: tuple[PackageIndex, ...] = ()
    options: tuple[Option, ...] = ()


def as_options(indexes: Mapping[str, str]) -> Iterator[Option]:
    """The indexes of packages as options of requirements."""
    return (Option(PACKAGE_INDEX, f"{name}={url}") for name, url in sorted(indexes.items()))


def of_options(options: Iterable[Option]) -> Mapping[str, str]:
    """The URLs of the indexes of packages, by the names of the packages."""
    pairs = ((option.value or "").partition("=") for option in options if option.name == PACKAGE_INDEX)
    return {name: url for name, _, url in pairs}


def without_indexes(options: Iterable[Option]) -> tuple[Option, ...]:
    """The options that say nothing of single packages."""
    return tuple(option for option in options if option.name != PACKAGE_INDEX)


def read_indexes(
    files: Sequence[tuple[str, Mapping[str, Any]]], extras: Iterable[str], groups: Iterable[str]
) -> Indexes:
    """The indexes of a pyproject.toml, which is the last of the files; those before it are of workspaces.

    Of the extras and groups only these are installed. PlannerError holds everything that no image can use.
    """
    chosen = {
        "extra": frozenset(map(canonicalize_name, extras)),
        "group": frozenset(map(canonicalize_name, groups)),
    }
    urls: dict[str, str] = {}
    sources: dict[str, tuple[Place, Any]] = {}
    options: list[Option] = []
    problems: dict[Problem, None] = {}
    for path, data in files:
        uv = toml.table(data, "tool", "uv")
        for index in _indexes(uv):
            urls[str(index.get("name"))] = index["url"]
            if index.get("explicit") is not True:
                option = Option(
                    "index-url" if index.get("default") is True else "extra-index-url", index["url"]
                )
                problems |= dict.fromkeys(
                    refused_index(option, Place(path=("tool", "uv", "index"), file=path))
                )
                options.append(option)
        for name, source in toml.table(uv, "sources").items():
            place = Place(path=("tool", "uv", "sources", name), file=path)
            sources[canonicalize_name(name)] = (place, source)
    packages: list[PackageIndex] = []
    for name, (where, source) in sources.items():
        for entry in source if isinstance(source, list) else [source]:
            if isinstance(entry, Mapping) and _applies(entry, chosen):
                try:
                    packages.append(_package_index(name, entry, urls, where))
                except PlannerError as error:
                    problems |= dict.fromkeys(error.problems)
    if problems:
        raise PlannerError(problems)
    return Indexes(tuple(packages), tuple(options))


def _indexes(uv: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = uv.get("index")
    for index in found if isinstance(found, list) else ():
        if isinstance(index, Mapping) and isinstance(index.get("url"), str):
            yield index


def _applies(entry: Mapping[str, Any], chosen: Mapping[str, frozenset[str]]) -> bool:
    """Whether a source names an index, and is for what is installed."""
    kinds = [kind for kind in chosen if kind in entry]
    return "index" in entry and all(canonicalize_name(str(entry[kind])) in chosen[kind] for kind in kinds)


def _package_index(
    name: str, entry: Mapping[str, Any], urls: Mapping[str, str], where: Place
) -> PackageIndex:
    label = str(entry["index"])
    if label not in urls:
        fix = did_you_mean(label, urls, "name one in [[tool.uv.index]]")
        raise PlannerError([Problem(where, f"no index {label!r}", fix)])
    if problems := refused_index(Option("index-url", urls[label]), where):
        raise PlannerError(problems)
    try:
        marker = Marker(str(entry["marker"])) if "marker" in entry else None
    except InvalidMarker as error:
        raise PlannerError(
            [Problem(where, f"{entry['marker']!r} is no marker: {error}", "see PEP 508")]
        ) from None
    return PackageIndex(name, urls[label], marker)


def refused_index(option: Option, where: Place) -> tuple[Problem, ...]:
    """What keeps an image from an index: a login, or a path of this machine."""
    try:
        refuse_unreadable(option.value or "", where)
        check_option(option, where)
    except PlannerError as error:
        return error.problems
    return ()
