"""The packages of an image in a format that other programs read.

Of a file the lock has the hash, and an index its address: whoever wants that has to ask the index.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from executor.errors import ExecutorError, Failure
from planner.errors import Place, Problem
from planner.facts.needs import Resolve
from planner.image.instructions import SetEnvironment
from planner.image.plan import NamedSpec
from planner.image.spec import ImageSpec, Resolved
from planner.logins import holds_login
from planner.requirements.exports import pylock_text, requirements_text
from planner.requirements.model import Requirements
from planner.requirements.options import resolving, resolving_variables
from planner.requirements.resolution import Inputs, Resolution

__all__ = ["FORMATS", "Format", "export"]

Format = Literal["requirements", "pylock"]
FORMATS: Final[tuple[Format, ...]] = ("requirements", "pylock")
_AS_REQUIREMENTS: Final = "export it with --format requirements, which has no addresses"


def export(
    image: NamedSpec,
    format: Format,  # noqa: A002  # as the option is called
    root: Path,
    *,
    asks: bool,
) -> str:
    """The packages of an image as a requirements file with hashes, or as a `pylock.toml` (PEP 751).

    `root` is the project, which may have files of secrets. ExecutorError if the address of a file is not
    known: the index has it no more, cannot be reached, or, unless it `asks`, is not asked.
    """
    packages, resolved = image.spec.packages, image.spec.resolved
    if format == "requirements":
        return requirements_text(packages)
    urls: Mapping[str, str] = {}
    if resolved and any(package.version for package in packages):
        urls = _addresses(image, resolved, root, asks=asks)
    return pylock_text(packages, urls, resolved.python if resolved else None)


def _addresses(image: NamedSpec, resolved: Resolved, root: Path, *, asks: bool) -> Mapping[str, str]:
    from executor.resolve.uv import addresses  # noqa: PLC0415  # only this format asks for them

    found: Mapping[str, str] | Resolution = Resolution(reason="no index is asked", transient=True)
    if asks:
        found = addresses(Resolve(_pinned(image.spec, resolved), secrets=image.secrets), os.environ, root)
    if isinstance(found, Resolution):
        problem = Problem(
            Place(file=image.name),
            f"the addresses of its files are not known: {found.reason}",
            f"try again when its package index can be reached, or {_AS_REQUIREMENTS}",
            "unresolved",
        )
        raise ExecutorError([problem], Failure.INDEX_UNAVAILABLE if found.transient else Failure.FAILED)
    problems = []
    for package in image.spec.packages:
        for file in package.files if package.version else ():
            if file.hash not in found:
                lacks, fix = f"its index has no {file.name} with the hash of the lock", "look at the index"
            elif holds_login(found[file.hash]):
                lacks, fix = f"the address of {file.name} holds a login", _AS_REQUIREMENTS
            else:
                continue
            problems.append(Problem(Place(file=image.name), f"{package.text}: {lacks}", fix))
    if problems:
        raise ExecutorError(problems)
    return found


def _pinned(spec: ImageSpec, resolved: Resolved) -> Inputs:
    """The packages of the lock that indexes have, to be looked up as they were resolved."""
    options = {option: None for item in spec.installs for option in item.options}
    packages = (package.requirement for package in spec.packages if package.version)
    installer = spec.installer
    variables = {
        name: value
        for item in spec.instructions
        if isinstance(item, SetEnvironment) and not item.runtime
        for name, value in item.variables.items()
    }
    return Inputs(
        (("lock", Requirements.of(packages, options=tuple(options))),),
        resolved.python.version,
        resolved.python.platform,
        {**resolving(installer.arguments if installer else {}), "no-deps": None},
        resolving_variables(installer.name, variables) if installer else {},
    )
