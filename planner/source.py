"""One source of an image's requirements: a name, and what it asks for.

Refuses to know where it was asked for: `planner.sources` reads that.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import ImagePython
from planner.immutable import frozen
from planner.requirements.indexes import IndexedPackage, as_options, joined_indexes
from planner.requirements.lists import parse_list
from planner.requirements.model import Requirement, Requirements
from planner.requirements.options import canonical_options
from planner.requirements.pins import contradictions
from planner.requirements.urls import uv_refusal
from planner.settings.dependencies import Dependencies
from planner.settings.package_indexes import PackageIndex
from planner.values import Digest

__all__ = ["Source", "listed_source", "refuse_for_uv", "with_indexes"]


@frozen
class Source:
    """One source of requirements: the name of its layer, and what it asks for."""

    name: str
    requirements: Requirements
    apt_packages: tuple[str, ...] = ()
    indexed: tuple[IndexedPackage, ...] = ()
    """Packages that are from an index of their own."""
    indexes: tuple[PackageIndex, ...] = ()
    """Indexes of any package."""
    observed: Digest | None = None
    """The digest of what a program listed the requirements from."""


def listed_source(name: str, asked: Iterable[tuple[Place, Dependencies]]) -> Source:
    """One source of several lists. PlannerError if they contradict each other."""
    packages: list[tuple[Place, Requirement]] = []
    apt_packages: list[str] = []
    for where, dependencies in asked:
        listed = parse_list(dependencies.requirements)
        packages += [(where, evolve(each, where=where)) for each in listed.packages]
        apt_packages += dependencies.apt_packages
    if problems := contradictions(packages):
        raise PlannerError(problems)
    return Source(name, Requirements.of(each for _, each in packages), tuple(dict.fromkeys(apt_packages)))


def with_indexes(
    sources: tuple[Source, ...], given: tuple[PackageIndex, ...], python: ImagePython
) -> tuple[Source, ...]:
    """The sources of an image, the first that asks for packages with the indexes of all of them.

    `given` are those that settings name, which go before those of sources.
    """
    indexed = [
        each
        for source in sources
        for each in source.indexed
        if each.marker is None or each.marker.holds(python.version, python.platform)
    ]
    others = [index for source in sources for index in source.indexes]
    options = as_options(joined_indexes(given, indexed, others))
    first = next((source for source in sources if source.requirements.packages), None)
    if first is None or not options:
        return sources
    asked = first.requirements
    asked = evolve(asked, options=canonical_options([*asked.options, *options]))
    return tuple(evolve(each, requirements=asked) if each is first else each for each in sources)


def refuse_for_uv(where: tuple[str, ...], requirements: Requirements) -> None:
    """PlannerError for each URL that uv does not install from."""
    refused = {
        package: refusal
        for package in (*requirements.packages, *requirements.constraints)
        if package.url and (refusal := uv_refusal(package.url))
    }
    if refused:
        raise PlannerError(
            Problem.at(where, f"{package.text}: {found}", fix) for package, (found, fix) in refused.items()
        )
