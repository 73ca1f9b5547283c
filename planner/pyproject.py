"""What a pyproject.toml asks for, as far as it can be read without a tool; and what a pylock.toml has.

Owns when the standard tables of a pyproject.toml (PEP 621, PEP 735) say it all, and the reading of PEP 751.
Refuses what only a tool knows: the settings of uv and Poetry, and metadata that is made by a build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve
from packaging.utils import canonicalize_name

from planner import toml
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.requirements.indexes import IndexedPackage, name_of_url, refused_index
from planner.requirements.model import Option, Requirement, Requirements
from planner.requirements.options import canonical_options
from planner.requirements.pins import contradictions

__all__ = [
    "PYPROJECT",
    "Asked",
    "LockFile",
    "is_pylock",
    "needs_tool",
    "parse_toml",
    "read_project",
    "read_pylock",
    "wants_anything",
]

PYPROJECT: Final = "pyproject.toml"
_PYLOCK: Final = r"(?:.*/)?pylock(?:\.[^/.]+)?\.toml"
# Settings of uv that change nothing of what the standard tables say.
_PLAIN_UV: Final = frozenset(
    {"build-backend", "cache-dir", "cache-keys", "default-groups", "dev-dependencies", "managed", "package"}
    | {"publish-url", "python-downloads", "python-preference", "required-version", "trusted-publishing"}
)
_PYPI: Final = r"https://pypi\.org/simple/?"


@frozen
class Asked:
    """What settings want of a pyproject.toml beside its dependencies: extras, and groups of PEP 735."""

    path: str
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def is_pylock(path: str) -> bool:
    """Whether a path has a name that PEP 751 gives to lock files."""
    return re.fullmatch(_PYLOCK, path) is not None


def parse_toml(path: str, text: str) -> Mapping[str, Any]:
    """The data of a file. PlannerError if it is not TOML."""
    try:
        return toml.parse(text)
    except toml.InvalidToml as error:
        raise PlannerError([Problem.in_file(path, error.line, error.found, error.fix)]) from None


def wants_anything(path: str, text: str) -> bool:
    """Whether a pyproject.toml has dependencies: many are there for the settings of tools alone."""
    data = parse_toml(path, text)
    project = toml.table(data, "project")
    dynamic = project.get("dynamic", ())
    poetry = toml.table(data, "tool", "poetry")
    return bool(project.get("dependencies") or "dependencies" in dynamic or poetry.get("dependencies"))


def needs_tool(data: Mapping[str, Any], asked: Asked) -> bool:
    """Whether only uv or Poetry can say what a pyproject.toml asks for."""
    project = toml.table(data, "project")
    dynamic = project.get("dynamic", ())
    if not project and not (asked.groups and not toml.table(data, "tool", "poetry")):
        return True
    if "dependencies" in dynamic or (asked.extras and "optional-dependencies" in dynamic):
        return True
    poetry = toml.table(data, "tool", "poetry")
    if "dependencies" in poetry or (asked.groups and "group" in poetry):
        return True
    return bool(toml.table(data, "tool", "uv").keys() - _PLAIN_UV)


def read_project(data: Mapping[str, Any], asked: Asked) -> Requirements:
    """The dependencies of a `[project]`, and those of the extras and groups that are asked for.

    PlannerError holds every problem.
    """
    project = toml.table(data, "project")
    found: list[tuple[tuple[str, ...], Any]] = [
        (("project", "dependencies"), project.get("dependencies", []))
    ]
    problems: list[Problem] = []
    extras = {canonicalize_name(name): name for name in toml.table(project, "optional-dependencies")}
    for extra in asked.extras:
        name = extras.get(canonicalize_name(extra))
        if name is None:
            problems.append(_unknown("pyproject_extras", extra, extras.values(), asked.path))
            continue
        found.append((("project", "optional-dependencies", name), project["optional-dependencies"][name]))
    found += _groups(toml.table(data, "dependency-groups"), asked, problems)
    packages: list[tuple[Place, Requirement]] = []
    for path, lines in found:
        packages += _lines(lines, Place(path=path, file=asked.path), problems)
    problems += contradictions(packages)
    if problems:
        raise PlannerError(dict.fromkeys(problems))
    return Requirements.of(package for _, package in packages)


def _groups(
    table: Mapping[str, Any], asked: Asked, problems: list[Problem]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The lines of each group of PEP 735, with those it includes."""
    from packaging.dependency_groups import DependencyGroupResolver  # noqa: PLC0415  # few projects have any

    if not asked.groups:
        return
    names = {canonicalize_name(name): name for name in table}
    for group in asked.groups:
        if canonicalize_name(group) not in names:
            problems.append(_unknown("pyproject_groups", group, names.values(), asked.path))
            continue
        path = ("dependency-groups", group)
        try:
            lines = [str(item) for item in DependencyGroupResolver(table).resolve(group)]
        except (ValueError, LookupError, TypeError, ExceptionGroup, RecursionError) as error:
            found = f"the group cannot be read: {str(error).splitlines()[0]}"
            problems.append(Problem(Place(path=path, file=asked.path), found, "see PEP 735"))
            continue
        yield path, lines


def _unknown(setting: str, name: str, known: Any, path: str) -> Problem:
    kind = setting.removeprefix("pyproject_").removesuffix("s")
    return Problem.at(setting, f"{path} has no {kind} {name!r}", did_you_mean(name, known))


def _lines(lines: Any, where: Place, problems: list[Problem]) -> list[tuple[Place, Requirement]]:
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        problems.append(Problem(where, "expected a list of strings", "see PEP 621"))
        return []
    found: list[tuple[Place, Requirement]] = []
    for line in lines:
        try:
            found.append((where, Requirement.parse(line, where=where)))
        except PlannerError as error:
            problems += error.problems
    return found


@frozen
class LockFile:
    """What a lock file of PEP 751 has: requirements, and the indexes of packages where it names several."""

    requirements: Requirements
    indexed: tuple[IndexedPackage, ...] = ()


def read_pylock(path: str, text: str) -> LockFile:
    """The packages of a lock file of PEP 751. PlannerError if it has some that no image can install."""
    from packaging.pylock import Pylock, PylockValidationError  # noqa: PLC0415  # few projects have one

    try:
        lock = Pylock.from_dict(parse_toml(path, text))
    except PylockValidationError as error:
        raise PlannerError(
            [Problem.in_file(path, None, f"no lock of PEP 751: {error}", "lock it again")]
        ) from None
    problems: list[Problem] = []
    found: list[Requirement] = []
    indexes: dict[str, list[IndexedPackage]] = {}
    for number, package in enumerate(lock.packages):
        try:
            locked = _locked(package, Place(path=("packages", number), file=path))
        except PlannerError as error:
            problems += error.problems
            continue
        found.append(locked)
        if locked.url is None:
            url = package.index or ""
            url = "" if re.fullmatch(_PYPI, url) else url
            indexed = IndexedPackage(locked.name, name_of_url(url), url, locked.marker)
            indexes.setdefault(url, []).append(indexed)
    options = [Option("extra-index-url", url) for url in indexes if url]
    for option in options:
        problems += refused_index(option, Place(file=path))
    if problems:
        raise PlannerError(problems)
    own: tuple[IndexedPackage, ...] = ()
    if len(indexes) > 1:
        # Any of them may have the packages of the others as well, at other versions.
        options, own = [], tuple(each for url, named in indexes.items() if url for each in named)
    if all(package.hashes for package in found):
        options.append(Option("require-hashes"))
    else:
        # Hash checking is all or nothing.
        found = [evolve(package, hashes=()) for package in found]
    return LockFile(Requirements.of(found, options=canonical_options(options)), own)


def _locked(package: Any, where: Place) -> Requirement:
    """One package of a lock as a requirement."""
    source = package.vcs or package.archive
    if package.directory is not None or (source is not None and source.url is None):
        fix = "include its files and install them with `local_project_install_command`"
        raise PlannerError([Problem(where, f"the local package {package.name!r}", fix)])
    marker = str(package.marker) if package.marker else ""
    if re.search(r"\b(?:extras|dependency_groups)\b", marker):
        found = f"{package.name} is for some extras or groups only"
        raise PlannerError([Problem(where, found, "write a lock of what is to be installed")])
    hashes: set[str] = set()
    if package.vcs is not None:
        text = f"{package.name} @ {package.vcs.type}+{package.vcs.url}@{package.vcs.commit_id}"
        text += _subdirectory(package.vcs.subdirectory)
    elif package.archive is not None:
        text = f"{package.name} @ {package.archive.url}{_subdirectory(package.archive.subdirectory)}"
        hashes |= _hashes(package.archive.hashes)
    elif package.version is None:
        raise PlannerError([Problem(where, f"{package.name} has no version", "lock it again")])
    else:
        text = f"{package.name}=={package.version}"
        for file in (*(package.wheels or ()), *([package.sdist] if package.sdist else ())):
            hashes |= _hashes(file.hashes)
    return Requirement.parse(f"{text} ; {marker}" if marker else text, sorted(hashes), where=where)


def _subdirectory(path: str | None) -> str:
    return f"#subdirectory={path}" if path else ""


def _hashes(hashes: Mapping[str, str]) -> set[str]:
    return {f"{name}:{digest}" for name, digest in hashes.items() if name in {"sha256", "sha384", "sha512"}}
