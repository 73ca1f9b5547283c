"""What uv writes → packages: a `pylock.toml` (PEP 751) for the files, an annotated list for who wants what.

Owns which files of a package are taken: wheels in the order in which an installer prefers them, and the
source archive only where no wheel fits. Refuses to run anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define, evolve
from packaging.utils import canonicalize_name, parse_wheel_filename

from executor.resolve.switch import Switch
from executor.resolve.tags import ranks
from planner.immutable import frozen
from planner.requirements.indexes import of_options
from planner.requirements.packages import File, Package
from planner.requirements.resolution import Inputs, Resolution
from planner.settings.package_indexes import index_of

if TYPE_CHECKING:
    from packaging import pylock

__all__ = ["Want", "closure", "locations", "wants"]

# What `--torch-backend` names.
_PYTORCH: Final = "https://download.pytorch.org/"
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")


@frozen
class Want:
    """Who wants a package: files of requirements, and packages; and the URL of its index."""

    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    index: str | None = None


@define
class _Wanted:
    name: str
    lines: list[str] = Factory(list)


def wants(text: str) -> Mapping[str, Want]:
    """Who wants each package, from the comments of `uv pip compile --annotation-style=split`."""
    found: list[_Wanted] = []
    for line in text.splitlines():
        if match := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line):
            found.append(_Wanted(canonicalize_name(match[0])))
        elif found and (match := re.match(r"\s+#\s+(?:via(?:\s+|$))?(.*)", line)) and match[1]:
            found[-1].lines.append(match[1].strip())
    return {item.name: _want(item.lines) for item in found}


def _want(lines: Iterable[str]) -> Want:
    files, packages, index = [], [], None
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "-r":
            files.append(rest)
        elif word == "from":
            index = rest
        elif not word.startswith("-") and not rest.startswith("("):
            packages.append(canonicalize_name(word))
    return Want(tuple(files), tuple(packages), index)


def closure(
    data: Mapping[str, Any],
    wanted: Mapping[str, Want],
    inputs: Inputs,
    kept: Iterable[Package],
    switch: Switch | None = None,
) -> Resolution:
    """The resolution that the data of uv's `pylock.toml` is. ValueError for what is not to be installed.

    `wanted` names files of requirements by the number of their source. With a `switch`, a package that is
    limited to an index has to be from there. A package of `kept` that is at the
    same version, and not from another index by now, stays as it is: what is published for a version later is
    none of a lock.
    """
    from packaging.pylock import Pylock  # noqa: PLC0415  # only what is resolved anew is read

    read = Pylock.from_dict(data)
    before = {package.text: package for package in kept}
    hashes = _hashes(inputs)
    rank = ranks(inputs.python, inputs.platform)
    requires: dict[str, list[str]] = {}
    for name, want in wanted.items():
        for other in want.packages:
            requires.setdefault(other, []).append(name)
    packages = []
    for item in read.packages:
        # A requirement that is a URL alone may not say the name.
        url = item.archive.url if item.archive is not None else None
        given = hashes.get(item.name) or hashes.get(url or "")
        told = {"index": _index(wanted, item.name, inputs, switch), "requires": requires.get(item.name, ())}
        package = _package(item, rank, given, told)
        old = before.get(package.text)
        if old is not None and (old.index == package.index or set(old.hashes) & set(package.hashes)):
            package = evolve(old, requires=package.requires)
        packages.append(package)
    roots = {
        source: tuple(name for name, want in wanted.items() if f"{number}.txt" in want.files)
        for number, (source, _) in enumerate(inputs.sources)
    }
    return Resolution(tuple(sorted(packages, key=lambda package: package.name)), roots)


def locations(data: Mapping[str, Any]) -> Mapping[str, str]:
    """The URL of each file of the data of uv's `pylock.toml`, by its hash."""
    from packaging.pylock import Pylock  # noqa: PLC0415  # as in closure

    read = Pylock.from_dict(data)
    files = (file for item in read.packages for file in (*(item.wheels or ()), item.sdist) if file)
    return {_hash(file.hashes): file.url for file in files if file.url}


def _hashes(inputs: Inputs) -> Mapping[str, frozenset[str]]:
    """The hashes that requirements and constraints give for packages, by name, or by URL where there is none.

    Others must not be installed.
    """
    found: dict[str, set[str]] = {}
    for _, requirements in inputs.sources:
        for each in (*requirements.packages, *requirements.constraints):
            if each.hashes:
                found.setdefault(each.name or (each.url or "").partition("#")[0], set()).update(each.hashes)
    return {name: frozenset(each) for name, each in found.items()}


def _package(
    item: pylock.Package, rank: Mapping[object, int], hashes: frozenset[str] | None, told: Mapping[str, Any]
) -> Package:
    """A package with the files of it that fit, and what is `told` of it elsewhere."""
    if item.vcs is not None:
        vcs = item.vcs
        below = f"#subdirectory={vcs.subdirectory}" if vcs.subdirectory else ""
        return Package(item.name, url=f"{vcs.type}+{vcs.url}@{vcs.commit_id}{below}", **told)
    if item.archive is not None:
        archive = item.archive
        below = f"#subdirectory={archive.subdirectory}" if archive.subdirectory else ""
        name = (archive.url or "").partition("#")[0].rpartition("/")[2]
        file = File(name, _hash(archive.hashes), archive.size)
        if hashes is not None and file.hash not in hashes:
            raise ValueError(f"{item.name} @ {archive.url} has no hash of the requirements")
        return Package(item.name, url=f"{archive.url}{below}", files=(file,), **told)
    if item.version is None:
        raise ValueError(f"{item.name} is a directory of this machine")
    wheels = sorted(
        (File(each.filename, _hash(each.hashes), each.size) for each in item.wheels or ()),
        key=lambda file: (_rank(file.name, rank), file.name),
    )
    files = [file for file in wheels if hashes is None or file.hash in hashes]
    if not files and item.sdist is not None:
        sdist = File(item.sdist.filename, _hash(item.sdist.hashes), item.sdist.size)
        files = [sdist] if hashes is None or sdist.hash in hashes else []
    if not files:
        lacks = "no file that fits" if hashes is None else "no file that fits with a hash of the requirements"
        raise ValueError(f"{item.name}=={item.version} has {lacks}")
    return Package(item.name, str(item.version), files=tuple(files), **told)


def _hash(hashes: Mapping[str, str]) -> str:
    for algorithm in _ALGORITHMS:
        if algorithm in hashes:
            return f"{algorithm}:{hashes[algorithm]}"
    raise ValueError(f"no strong hash, but {', '.join(sorted(hashes)) or 'none'}")


def _rank(name: str, rank: Mapping[object, int]) -> int:
    tags = parse_wheel_filename(name)[3]
    return min((rank.get(tag, len(rank)) for tag in tags), default=len(rank))


def _index(wanted: Mapping[str, Want], name: str, inputs: Inputs, switch: Switch | None) -> str | None:
    """The name of an index that the project names, else its address. The default index has none."""
    want = wanted.get(name)
    if want is None or want.index is None:
        return None
    limited = index_of(switch.limited, name) if switch else None
    if switch and limited:
        if want.index != switch.address(limited):
            raise ValueError(f"{name} is from {_plain(want.index)}, and not from the index {limited.name}")
        return limited.name
    if want.index.startswith(_PYTORCH):
        address = re.sub(r"^[a-z]+://([^?#]*).*", r"\1", _plain(want.index))
        return re.sub(r"[^A-Za-z0-9_.:/\[\]-]", "-", address)
    for label, url in _indexes(inputs):
        if _plain(url) == _plain(want.index):
            return label or re.sub(r"^[a-z]+://([^/]*).*", r"\1", _plain(url))
    return None


def _indexes(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Names and URLs of the indexes that the project asks for, beside the default one."""
    options = [option for _, requirements in inputs.sources for option in requirements.options]
    yield from ((index.name, index.url) for index in of_options(options) if not index.packages)
    given: list[object] = [inputs.arguments.get(name) for name in ("index", "extra-index-url", "find-links")]
    given += [inputs.variables.get(name, "").split() for name in inputs.variables if "INDEX" in name]
    given += [option.value for option in options if option.name in {"extra-index-url", "find-links"}]
    for value in given:
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str):
                match = re.match(r"([A-Za-z0-9_.-]+)=(.*)", text)
                yield (match[1], match[2]) if match else ("", text)


def _plain(url: str) -> str:
    """A URL without login and slash at its end."""
    return re.sub(r"://[^/@]*@", "://", url).rstrip("/")
