"""What pins of several requirements say together: no two versions of one package, and all hashes or none.

Owns the rules that no requirement can break alone. Refuses to resolve: ranges are the installer's.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.utils import canonicalize_version
from packaging.version import Version

from planner.errors import Place, Problem
from planner.requirements.model import Requirement
from planner.requirements.urls import has_hash, is_version_control

__all__ = ["contradictions", "unhashed"]

_Found = Iterable[tuple[Place, Requirement]]


def unhashed(packages: _Found) -> list[Problem]:
    """One problem for each package that hash checking would refuse: it is all or nothing."""
    problems = []
    for where, package in packages:
        url = package.url or ""
        lacks = "" if package.hashes or has_hash(url) else "has no hash"
        fix = "add all its hashes to the line"
        if is_version_control(url):
            lacks = "comes from version control, which has no hash"
            fix = "install a release archive with a hash"
        elif not (url or package.exact):
            lacks = f"is not pinned{' and ' if lacks else ''}{lacks}"
            fix = "pin it with == and add all its hashes to the line"
        if lacks:
            fix = f"{fix}; hash checking is all or nothing"
            problems.append(Problem(where, f"{package.label} {lacks}", fix))
    return problems


def contradictions(packages: _Found) -> list[Problem]:
    """One problem for each package that is pinned to two versions, markers aside."""
    pins: dict[str, dict[str, tuple[Version, Place]]] = {}
    problems: dict[str, Problem] = {}
    for where, package in packages:
        pin = package.pin
        if pin is None or package.marker is not None:
            continue
        earlier = pins.setdefault(package.name, {})
        for other, place in earlier.values():
            if _excludes(pin, other):
                found = f"{package.text} contradicts {package.name}=={other} at {place}"
                problems.setdefault(package.name, Problem(where, found, "keep one, or give each a marker"))
                break
        earlier.setdefault(str(pin), (pin, where))
    return list(problems.values())


def _excludes(pin: Version, other: Version) -> bool:
    """Whether no version is equal to both, as PEP 440 has it: `==2.0` also matches 2.0+cu118."""
    if canonicalize_version(pin.public) != canonicalize_version(other.public):
        return True
    return bool(pin.local and other.local and pin.local != other.local)
