"""Indexes with names, among requirements: those of settings, and those that a project says itself.

Owns how they are said among the options of a source, where they are one of their own that no requirements
file has; and what `[tool.uv.sources]` of a pyproject.toml says with its `[[tool.uv.index]]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import evolve
from packaging.utils import canonicalize_name

from planner import toml
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.requirements.addresses import INDEX_NAME
from planner.requirements.credentials import refuse_unreadable
from planner.requirements.markers import InvalidMarker, Marker
from planner.requirements.model import Option
from planner.requirements.options import PACKAGE_INDEX, check_option
from planner.requirements.packages import Closure
from planner.settings.package_indexes import PackageIndex, index_key

__all__ = [
    "IndexedPackage",
    "Indexes",
    "as_installer_option",
    "as_options",
    "for_installer",
    "joined_indexes",
    "name_of_url",
    "of_options",
    "read_indexes",
    "refused_index",
    "secrets_of",
    "without_indexes",
]


@frozen
class IndexedPackage:
    """A package that is from one index alone, where a marker holds."""

    package: str
    index: str
    url: str
    marker: Marker | None = None


@frozen
class Indexes:
    """What a project says of indexes: packages that have one of their own, and indexes of all others.

    `options` are those of indexes without a name, and of the default one.
    """

    packages: tuple[IndexedPackage, ...] = ()
    others: tuple[PackageIndex, ...] = ()
    options: tuple[Option, ...] = ()


def as_options(indexes: Iterable[PackageIndex]) -> tuple[Option, ...]:
    """Indexes as options of requirements, in the same order."""
    return tuple(Option(PACKAGE_INDEX, " ".join(_words(index))) for index in indexes)


def _words(index: PackageIndex) -> Iterator[str]:
    yield f"{index.name}={index.url}"
    if index.packages:
        yield f"packages={','.join(index.packages)}"
    if index.secret:
        yield f"secret={index.secret}"


def of_options(options: Iterable[Option]) -> tuple[PackageIndex, ...]:
    """The indexes that options of requirements are, each once."""
    return tuple(dict.fromkeys(_index(option) for option in options if option.name == PACKAGE_INDEX))


def _index(option: Option) -> PackageIndex:
    first, *rest = (option.value or "").split(" ")
    name, _, url = first.partition("=")
    words = dict(word.split("=", 1) for word in rest)
    packages = words["packages"].split(",") if "packages" in words else ()
    return PackageIndex(name=name, url=url, packages=packages, secret=words.get("secret"))


def without_indexes(options: Iterable[Option]) -> tuple[Option, ...]:
    """The options that say nothing of indexes with names."""
    return tuple(option for option in options if option.name != PACKAGE_INDEX)


def for_installer(options: Sequence[Option], installer: Literal["uv", "pip"]) -> tuple[Option, ...]:
    """The options as an installer knows them: indexes of any package first, for uv with their names.

    An index of some packages alone is none that an installer could be told of beside others.
    """
    return (
        *(as_installer_option(each, installer) for each in of_options(options) if not each.packages),
        *without_indexes(options),
    )


def as_installer_option(index: PackageIndex, installer: Literal["uv", "pip"]) -> Option:
    """An index beside the default one, as an installer is told of it."""
    if installer == "uv":
        return Option("index", f"{index.name}={index.url}")
    return Option("extra-index-url", index.url)


def secrets_of(indexes: Iterable[PackageIndex], closure: Closure | None) -> tuple[str, ...]:
    """The secrets that a layer needs to install a closure: of the indexes that are asked for it.

    An index that is limited to packages is asked for these alone. Without a closure all may be asked.
    """
    names = {package.name for package in closure.packages if package.version} if closure else None
    asked = (
        index
        for index in indexes
        if names is None or any(not index.packages or index.has(name) for name in names)
    )
    return tuple(dict.fromkeys(index.secret for index in asked if index.secret))


def name_of_url(url: str) -> str:
    """A name for an index that has none: its host and path."""
    address = re.sub(r"^[A-Za-z]+://([^?#]*).*", r"\1", url)
    return re.sub(r"[^A-Za-z0-9]+", "-", address).strip("-")[:64].rstrip("-")


def joined_indexes(
    given: Sequence[PackageIndex], packages: Iterable[IndexedPackage], others: Iterable[PackageIndex]
) -> tuple[PackageIndex, ...]:
    """The indexes that settings give, and those of a project, in the order in which they count.

    Where both have one of a name, settings say where it is. If they limit it to no packages, the project
    does.
    """
    named: dict[tuple[str, str], list[str]] = {}
    for each in packages:
        named.setdefault((each.index, each.url), []).append(each.package)
    of_project = [
        *(PackageIndex(name=name, url=url, packages=sorted(them)) for (name, url), them in named.items()),
        *others,
    ]
    found: list[PackageIndex] = []
    for index in given:
        same = [each for each in of_project if index_key(each.name) == index_key(index.name)]
        limited = not index.packages and same
        found += [evolve(index, packages=each.packages) for each in same] if limited else [index]
    keys = {index_key(index.name) for index in given}
    return (*found, *(each for each in of_project if index_key(each.name) not in keys))


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
    others: dict[str, PackageIndex] = {}
    problems: dict[Problem, None] = {}
    for path, data in files:
        uv = toml.table(data, "tool", "uv")
        for index in _indexes(uv):
            name, url = index.get("name"), index["url"]
            if isinstance(name, str):
                urls[name] = url
            if index.get("explicit") is True:
                continue
            default = index.get("default") is True
            option = Option("index-url" if default else "extra-index-url", url)
            if refused := refused_index(option, Place(path=("tool", "uv", "index"), file=path)):
                problems |= dict.fromkeys(refused)
            elif not default and isinstance(name, str) and re.fullmatch(INDEX_NAME, name):
                others[index_key(name)] = PackageIndex(name=name, url=url)
            else:
                options.append(option)
        for name, source in toml.table(uv, "sources").items():
            place = Place(path=("tool", "uv", "sources", name), file=path)
            sources[canonicalize_name(name)] = (place, source)
    packages: list[IndexedPackage] = []
    for name, (where, source) in sources.items():
        for entry in source if isinstance(source, list) else [source]:
            if isinstance(entry, Mapping) and _applies(entry, chosen):
                try:
                    packages.append(_indexed(name, entry, urls, where))
                except PlannerError as error:
                    problems |= dict.fromkeys(error.problems)
    if problems:
        raise PlannerError(problems)
    return Indexes(tuple(packages), tuple(others.values()), tuple(options))


def _indexes(uv: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = uv.get("index")
    for index in found if isinstance(found, list) else ():
        if isinstance(index, Mapping) and isinstance(index.get("url"), str):
            yield index


def _applies(entry: Mapping[str, Any], chosen: Mapping[str, frozenset[str]]) -> bool:
    """Whether a source names an index, and is for what is installed."""
    kinds = [kind for kind in chosen if kind in entry]
    return "index" in entry and all(canonicalize_name(str(entry[kind])) in chosen[kind] for kind in kinds)


def _indexed(name: str, entry: Mapping[str, Any], urls: Mapping[str, str], where: Place) -> IndexedPackage:
    label = str(entry["index"])
    if label not in urls:
        fix = did_you_mean(label, urls, "name one in [[tool.uv.index]]")
        raise PlannerError([Problem(where, f"no index {label!r}", fix)])
    if not re.fullmatch(INDEX_NAME, label):
        raise PlannerError([Problem(where, f"{label!r} is not the name of an index", "write one like corp")])
    if problems := refused_index(Option("index-url", urls[label]), where):
        raise PlannerError(problems)
    try:
        marker = Marker(str(entry["marker"])) if "marker" in entry else None
    except InvalidMarker as error:
        raise PlannerError(
            [Problem(where, f"{entry['marker']!r} is not a marker: {error}", "see PEP 508")]
        ) from None
    return IndexedPackage(name, label, urls[label], marker)


def refused_index(option: Option, where: Place) -> tuple[Problem, ...]:
    """What keeps an image from an index: a login, or a path of this machine."""
    try:
        refuse_unreadable(option.value or "", where)
        check_option(option, where)
    except PlannerError as error:
        return error.problems
    return ()
