"""The packages of a lock: each stands once, under a name that resolutions call it by.

Owns that name, and which packages it can stand for: two branches may have given one name to two packages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from attrs import evolve

from planner.errors import PlannerError
from planner.identity import content_hash
from planner.lock.converter import wrong
from planner.lock.records import PackageRecord
from planner.requirements.packages import Package

__all__ = ["distinct", "names_of", "readings"]

# What tells packages apart: the text and the hashes.
_Key: TypeAlias = tuple[str, tuple[str, ...]]


def distinct(packages: Iterable[Package]) -> dict[_Key, Package]:
    """Each package once: what it requires in any image, since an extra of one is none of another."""
    found: dict[_Key, Package] = {}
    for package in packages:
        key = (package.text, package.hashes)
        if key in found and package.requires != found[key].requires:
            found[key] = evolve(found[key], requires=(*found[key].requires, *package.requires))
        found.setdefault(key, package)
    return found


def names_of(packages: Iterable[Package]) -> dict[_Key, str]:
    """What resolutions call each package by: its name where that is enough, so that a version moves once."""
    by_name: dict[str, list[Package]] = {}
    for package in packages:
        by_name.setdefault(package.name, []).append(package)
    names: dict[_Key, str] = {}
    for name, same in by_name.items():
        texts = Counter(package.text for package in same)
        for package in same:
            key = (package.text, package.hashes)
            if len(same) == 1:
                names[key] = name
            elif texts[package.text] == 1:
                names[key] = package.text
            else:
                names[key] = f"{package.text} #{content_hash('package', package).short}"
    return names


def readings(records: Iterable[PackageRecord]) -> Mapping[str, tuple[Package, ...]]:
    """The packages that each name can stand for. PlannerError with the first that cannot be read."""
    packages = distinct(map(_package, records))
    # The reading that a lock was written with comes first: there can be more than are tried.
    found: dict[str, dict[Package, None]] = {}
    names = names_of(packages.values())
    for spelled in (lambda key: names[key], lambda key: key[0], lambda key: packages[key].name):
        for key in sorted(packages):
            found.setdefault(spelled(key), {})[packages[key]] = None
    return {name: tuple(each) for name, each in found.items()}


def _package(record: PackageRecord) -> Package:
    try:
        return Package(record.name, record.version, record.url, record.files, record.index, record.requires)
    except PlannerError as error:
        raise wrong(f"package {record.name!r}", error.problems[0].found) from None
    except ValueError as error:
        raise wrong(f"package {record.name!r}", str(error)) from None
