"""Why a package is in an image: who asks for it, through which packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from planner.immutable import frozen

if TYPE_CHECKING:
    from planner.image.spec import ImageSpec

__all__ = ["Chain", "chains", "wishes_of"]


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
    for item in spec.installs:
        for requirement in item.requirements.packages:
            if requirement.name in paths and requirement.name in packages:
                yield Chain(item.source, requirement.text, paths[requirement.name])


def wishes_of(spec: ImageSpec) -> Mapping[str, str]:
    """Who wants each package, in words: sources, or else the packages that require it."""
    asked: dict[str, list[str]] = {}
    for item in spec.installs:
        for each in item.requirements.packages:
            asked.setdefault(each.name, []).append(f"{item.source} asks for {each.text}")
    wanting: dict[str, list[str]] = {}
    for name, requires in sorted((package.name, package.requires) for package in spec.packages):
        for other in requires:
            wanting.setdefault(other, []).append(name)
    return {package.name: _words(package.name, asked, wanting) for package in spec.packages}


def _words(name: str, asked: Mapping[str, list[str]], wanting: Mapping[str, list[str]]) -> str:
    if name in asked:
        return " and ".join(asked[name])
    return f"wanted by {', '.join(wanting[name])}" if name in wanting else "wanted by nobody else"
