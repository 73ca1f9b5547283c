"""What is resolved together for one image, and how the answer is divided among the sources.

Owns which inputs a resolution depends on: where they are those of the lock, nothing is resolved. Refuses
to resolve: uv does, behind a need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from attrs import field
from packaging.utils import canonicalize_name

from planner.identity import content_hash
from planner.immutable import frozen
from planner.requirements.model import Requirements
from planner.requirements.packages import Closure, Package
from planner.values import Digest, FrozenMapping, freeze

__all__ = ["Inputs", "Resolution", "divided", "named_in", "reached"]


@frozen(cache_hash=True)
class Inputs:
    """All that a resolution depends on, besides what indexes have.

    `sources` are the names of the sources with what each asks for, in the order of their layers. `python`
    and `platform` are those of the image. `arguments` are options of the installer, and
    `variables` are templates of the image's variables, that say where packages are and which may be taken.
    Of packages published after `exclude_newer` nothing is known. Where the requirements of the sources named
    in `prevail` contradict those of others, or of packages, they win.
    """

    sources: tuple[tuple[str, Requirements], ...]
    python: str
    platform: str
    arguments: Mapping[str, object] = field(default=FrozenMapping(), converter=freeze)
    variables: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    exclude_newer: str | None = None
    prevail: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> Digest:
        """What tells whether anything has to be resolved again."""
        return content_hash(
            "inputs",
            (
                tuple((name, requirements.digest) for name, requirements in self.sources),
                self.python,
                self.platform,
                self.arguments,
                self.variables,
                self.exclude_newer,
                self.prevail,
            ),
        )


@frozen
class Resolution:
    """The answer: the packages, and which of them each source wants by itself; or why there is none.

    `overridden` are packages at versions that somebody excludes: the sources that prevail asked for them.
    `transient` says whether asking again later may help, `impossible` that the requirements are what is
    wrong, and `refused` that the options beside them are.
    `left_out` is what this machine says of indexes for itself, and was ignored.
    """

    packages: tuple[Package, ...] = ()
    wanted: Mapping[str, tuple[str, ...]] = field(default=FrozenMapping(), converter=freeze)
    overridden: tuple[str, ...] = ()
    reason: str = ""
    transient: bool = False
    impossible: bool = False
    refused: bool = False
    left_out: tuple[str, ...] = ()


def reached(names: Iterable[str], packages: Mapping[str, Package]) -> Iterator[str]:
    """The names of packages that some packages want, and theirs, each once."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in packages and name not in seen:
            seen.add(name)
            waiting += packages[name].requires
            yield name


def divided(sources: Iterable[str], resolution: Resolution) -> Mapping[str, Closure]:
    """The packages of each source: a package is in the first source that wants it.

    What nothing is known to want is in the last.
    """
    left = {package.name: package for package in resolution.packages}
    every = dict(left)
    names = list(sources)
    found: dict[str, list[Package]] = {}
    for name in names:
        wanted = sorted(reached(resolution.wanted.get(name, ()), every))
        found[name] = [left.pop(each) for each in wanted if each in left]
    if names:
        found[names[-1]] += left.values()
    return {name: Closure(packages) for name, packages in found.items()}


def named_in(reason: str) -> frozenset[str]:
    """The packages that uv names in a reason, among other words."""
    return frozenset(canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", reason))
