"""Why a package is in an image: who asks for it, through which packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from planner.immutable import frozen
from planner.requirements.model import Requirement
from planner.requirements.urls import origin_of

if TYPE_CHECKING:
    from planner.image.spec import ImageSpec

__all__ = ["Chain", "asked_for", "chains", "wishes_of"]


@frozen
class Chain:
    """A requirement of a source, and the packages from the one that it names to the one it is about."""

    source: str
    requirement: str
    packages: tuple[str, ...]


def chains(spec: ImageSpec, name: str) -> Iterator[Chain]:
    """The shortest way from each requirement to a package, in the order of the sources."""
    packages = {package.name: package for package in spec.packages}
    wanting: dict[str, list[str]] = {}
    for package in packages.values():
        for other in package.requires:
            wanting.setdefault(other, []).append(package.name)
    # From the package to whatever wants it, the nearest first.
    paths: dict[str, tuple[str, ...]] = {name: (name,)}
    waiting = [name] if name in packages else []
    for each in waiting:
        for other in sorted(wanting.get(each, ())):
            if other not in paths:
                paths[other] = (other, *paths[each])
                waiting.append(other)
    for source, requirement, asked in asked_for(spec):
        if asked in paths and asked in packages:
            yield Chain(source, requirement.text, paths[asked])


def asked_for(spec: ImageSpec) -> Iterator[tuple[str, Requirement, str]]:
    """Each source with each of its requirements, and the name of the package that this is.

    Of a URL without a name it is that of the package which was found there, or "" if there is none. What a
    marker keeps out of the image is left out.
    """
    found = {origin_of(package.url): package.name for package in spec.packages if package.url}
    python = spec.resolved.python if spec.resolved else None
    for item in spec.installs:
        for each in item.requirements.packages:
            if each.marker and python and not each.marker.holds(python.version, python.platform):
                continue
            yield item.source, each, each.name or found.get(origin_of(each.url or ""), "")


def wishes_of(spec: ImageSpec) -> Mapping[str, str]:
    """Who wants each package, in words: sources, or else the packages that require it."""
    asked: dict[str, list[str]] = {}
    for source, each, name in asked_for(spec):
        asked.setdefault(name, []).append(f"{source} needs {each.text}")
    wanting: dict[str, list[str]] = {}
    for name, requires in sorted((package.name, package.requires) for package in spec.packages):
        for other in requires:
            wanting.setdefault(other, []).append(name)
    return {package.name: _words(package.name, asked, wanting) for package in spec.packages}


def _words(name: str, asked: Mapping[str, list[str]], wanting: Mapping[str, list[str]]) -> str:
    if name in asked:
        return " and ".join(asked[name])
    return f"wanted by {', '.join(wanting[name])}" if name in wanting else "wanted by nobody else"
