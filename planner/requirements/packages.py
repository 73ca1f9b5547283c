"""What a resolution comes to: packages at one version each, with the files that may be installed.

Owns what a lock says of a package. A closure is for one Python and one platform, so no marker is left in
it. Refuses versions and URLs that no installer reads, and URLs with logins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Final, Literal

from attrs import field
from attrs.validators import deep_iterable, matches_re, optional

from planner.identity import COUNTED, NOT_COUNTED, content_hash
from planner.immutable import frozen
from planner.requirements.model import Requirement
from planner.requirements.urls import is_version_control
from planner.values import Digest

__all__ = ["Closure", "File", "Package"]

_COMMIT: Final = re.compile(r"@[0-9a-f]{40}(?:#|$)")


@frozen
class File:
    """One file of a package: its name, its hash (`sha256:…`), and its size in bytes if an index says it."""

    name: str = field(validator=matches_re(r"[A-Za-z0-9_.+!-]+"))
    hash: str
    size: int | None = None

    @property
    def wheel(self) -> bool:
        """Whether it is installed as it is; else it is built first."""
        return self.name.endswith(".whl")


def _hashes(files: Iterable[File]) -> tuple[str, ...]:
    return tuple(sorted({file.hash for file in files}))


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


@frozen(cache_hash=True)
class Package:
    """One package at one version, from an index or from a URL.

    `files` are those that fit the image, the one that an installer prefers first. `index` is the name of
    the index that it is from, where the project names one. `requires` are the packages of the closure that
    it wants. ValueError (PlannerError among them) for what cannot be installed.
    """

    name: str = field(metadata=COUNTED)
    version: str | None = field(default=None, metadata=COUNTED)
    url: str | None = field(default=None, metadata=COUNTED)
    files: tuple[File, ...] = field(default=(), metadata=NOT_COUNTED)
    index: str | None = field(
        default=None, validator=optional(matches_re(r"[A-Za-z0-9_.:/\[\]-]+")), metadata=NOT_COUNTED
    )
    requires: tuple[str, ...] = field(
        default=(),
        converter=_names,
        validator=deep_iterable(matches_re(r"[a-z0-9][a-z0-9-]*")),
        metadata=NOT_COUNTED,
    )
    hashes: tuple[str, ...] = field(init=False, metadata=COUNTED)

    @hashes.default
    def _hashes_of_files(self) -> tuple[str, ...]:
        return _hashes(self.files)

    def __attrs_post_init__(self) -> None:
        if bool(self.version) == bool(self.url):
            raise ValueError(f"{self.name!r} has no version, or a URL beside it")
        found = self.requirement
        if found.name != self.name:
            raise ValueError(f"{self.name!r} is not the normalized name of a package")
        if self.version and not (found.pin and self.files):
            raise ValueError(f"{self.text} is not a version, or has no files")
        if self.url and is_version_control(self.url) and not _COMMIT.search(self.url):
            raise ValueError(f"{self.name} is not pinned to a commit")

    @cached_property
    def requirement(self) -> Requirement:
        """The package as a requirement with hashes. PlannerError if it is none."""
        return Requirement.parse(self.text, self.hashes)

    @property
    def text(self) -> str:
        """The package as PEP 508 writes it: `six==1.16.0`."""
        return f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"

    @cached_property
    def kind(self) -> Literal["wheel", "sdist", "vcs"]:
        """How it is installed: as it is, built from a source archive, or built from a commit."""
        if self.url and is_version_control(self.url):
            return "vcs"
        return "wheel" if any(file.wheel for file in self.files) else "sdist"

    @property
    def shown(self) -> str:
        """What people want to know of its version: the version itself, or the URL that it is from."""
        return self.version or self.url or ""

    @property
    def size(self) -> int | None:
        """The bytes of the file that an installer prefers; None where that is not known."""
        return self.files[0].size if self.files else None


def _by_name(packages: Iterable[Package]) -> tuple[Package, ...]:
    return tuple(sorted(packages, key=lambda package: package.name))


@frozen
class Closure:
    """The packages of one layer. Images share closures, so what counts is hashed once for all of them."""

    packages: tuple[Package, ...] = field(default=(), converter=_by_name, eq=False, metadata=NOT_COUNTED)
    digest: Digest = field(init=False, metadata=COUNTED)

    @digest.default
    def _digest_of_packages(self) -> Digest:
        return content_hash("closure", self.packages)

    def of_kind(self, *kinds: str) -> tuple[Package, ...]:
        """The packages that are installed in one of these ways."""
        return tuple(package for package in self.packages if package.kind in kinds)

    @property
    def size(self) -> tuple[int, int]:
        """How many bytes are downloaded, and of how many packages that is not known."""
        sizes = [package.size for package in self.packages]
        return sum(size for size in sizes if size is not None), sizes.count(None)
