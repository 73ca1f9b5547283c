"""Indexes of single packages as uv is told of them: a project that wants just these, from there.

uv knows an index of one package in a project alone, and minds it wherever that package is wanted, as long as
the project itself wants it too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping

from attrs import evolve

from planner.requirements.indexes import of_options
from planner.requirements.resolution import Inputs, Resolution, reached

__all__ = ["indexes_of", "project_lines", "wanted_alone"]


def indexes_of(inputs: Inputs) -> Mapping[str, str]:
    """The URL of the index of each package that has one of its own."""
    return of_options(option for _, asked in inputs.sources for option in asked.options)


def project_lines(indexes: Mapping[str, str], packages: Collection[str]) -> Iterator[str]:
    """A `pyproject.toml` that wants some packages, each from its index and from no other."""
    names = sorted(packages)
    numbers = {url: number for number, url in enumerate(sorted({indexes[name] for name in names}))}
    yield "[project]"
    yield 'name = "package-indexes"'
    yield 'version = "0"'
    yield f"dependencies = {json.dumps(names)}"
    yield "[tool.uv.sources]"
    for name in names:
        yield f'{name} = {{ index = "index-{numbers[indexes[name]]}" }}'
    for url, number in numbers.items():
        yield from (
            "[[tool.uv.index]]",
            f'name = "index-{number}"',
            f"url = {json.dumps(url)}",
            "explicit = true",
        )


def wanted_alone(found: Resolution, pinned: Collection[str]) -> Resolution:
    """A resolution without what nobody wants but the project that names indexes."""
    packages = {package.name: package for package in found.packages}
    wanted = set(reached((name for names in found.wanted.values() for name in names), packages))
    left = set(reached((name for name in pinned if name not in wanted), packages)) - wanted
    if not left:
        return found
    return evolve(found, packages=tuple(each for each in found.packages if each.name not in left))
