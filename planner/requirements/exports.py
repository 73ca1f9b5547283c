"""The packages of an image as texts that other programs read: a requirements file, and a `pylock.toml`.

Owns both formats: pip's, and that of PEP 751 as `packaging.pylock` has it. Refuses to know where files are:
that is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

from planner.facts.answers import ImagePython
from planner.requirements.packages import File, Package
from planner.requirements.urls import origin_of

if TYPE_CHECKING:
    from packaging import pylock

__all__ = ["pylock_text", "requirements_text"]


def requirements_text(packages: Iterable[Package]) -> str:
    """A requirements file, with each hash on a line of its own."""
    return "".join(" \\\n    --hash=".join((each.text, *each.hashes)) + "\n" for each in _by_name(packages))


def pylock_text(packages: Iterable[Package], urls: Mapping[str, str], python: ImagePython | None) -> str:
    """A `pylock.toml` for one Python on one platform. `urls` has the address of each file by its hash."""
    import tomlkit  # noqa: PLC0415  # requirements need neither of them
    from packaging.pylock import Pylock  # noqa: PLC0415  # as above

    lock = Pylock(
        lock_version=Version("1.0"),
        environments=[_environment(python)] if python else None,
        created_by="stowplan",
        packages=[_package(each, urls) for each in _by_name(packages)],
    )
    lock.validate()
    return tomlkit.dumps(lock.to_dict())


def _environment(python: ImagePython) -> Marker:
    """What the files fit, as far as markers can say it: they know no C library."""
    minor = ".".join(python.version.split(".")[:2])
    machine = python.platform.partition("-")[0]
    return Marker(
        f'python_version == "{minor}" and sys_platform == "linux" and platform_machine == "{machine}"'
    )


def _by_name(packages: Iterable[Package]) -> list[Package]:
    return sorted(packages, key=lambda each: each.name)


def _package(package: Package, urls: Mapping[str, str]) -> pylock.Package:
    from packaging import pylock  # noqa: PLC0415  # as in pylock_text

    wheels = [
        pylock.PackageWheel(name=file.name, url=urls[file.hash], size=file.size, hashes=_hashes(file))
        for file in package.files
        if file.wheel and not package.url
    ]
    sdists = [
        pylock.PackageSdist(name=file.name, url=urls[file.hash], size=file.size, hashes=_hashes(file))
        for file in package.files
        if not file.wheel and not package.url
    ]
    return pylock.Package(
        name=canonicalize_name(package.name),
        version=Version(package.version) if package.version else None,
        dependencies=[{"name": name} for name in package.requires] or None,
        vcs=_vcs(package.url) if package.kind == "vcs" and package.url else None,
        archive=_archive(package, package.url) if package.kind != "vcs" and package.url else None,
        sdist=sdists[0] if sdists else None,
        wheels=wheels or None,
    )


def _vcs(url: str) -> pylock.PackageVcs:
    from packaging import pylock  # noqa: PLC0415  # as in pylock_text

    origin = origin_of(url)
    kind, _, address = origin.address.partition("+")
    commit = url.partition("#")[0].rpartition("@")[2]
    return pylock.PackageVcs(
        type=kind, url=address, commit_id=commit, subdirectory=origin.subdirectory or None
    )


def _archive(package: Package, url: str) -> pylock.PackageArchive:
    from packaging import pylock  # noqa: PLC0415  # as in pylock_text

    origin = origin_of(url)
    (file,) = package.files
    return pylock.PackageArchive(
        url=origin.address,
        size=file.size,
        hashes=_hashes(file),
        subdirectory=origin.subdirectory or None,
    )


def _hashes(file: File) -> Mapping[str, str]:
    algorithm, _, digest = file.hash.partition(":")
    return {algorithm: digest}
