"""What has to be observed before something can be planned.

A need is a question about the world, as a value: equal needs are one need, however many steps share it,
and each knows the type of its answer. Owns the kinds of needs. Refuses to answer any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field

from planner.facts.answers import HiddenValue, ImageId, ImagePython, Pin, Printed
from planner.facts.code_state import CodeState
from planner.files.ignore import IgnoreRules
from planner.files.tree import Tree
from planner.immutable import frozen
from planner.requirements.packages import Package
from planner.requirements.resolution import Inputs, Resolution
from planner.settings.package_indexes import PackageIndex
from planner.settings.secrets import SecretSource
from planner.values import Digest, FrozenMapping, ImageRef, freeze

__all__ = [
    "Bootstrap",
    "CheckoutState",
    "FileText",
    "FileTree",
    "HostPlatform",
    "ImageDigest",
    "LocalImage",
    "Need",
    "ProgramOutput",
    "ProjectFiles",
    "PythonOf",
    "PythonVersion",
    "RequirementsFile",
    "Resolve",
    "Variable",
]

T = TypeVar("T")


class Need(Generic[T]):
    """A question whose answer is a T."""


@frozen
class PythonVersion(Need[str]):
    """The major and minor version of the Python that plans, like `3.11`."""


@frozen
class HostPlatform(Need[str]):
    """The platform that images are built for when none is asked for, like `linux/amd64`."""


@frozen
class Bootstrap(Need[Digest]):
    """The digest of the program that starts a step in a container, as this version has it."""


@frozen
class CheckoutState(Need[CodeState]):
    """What git says of the checkout that holds the project."""


@frozen
class FileText(Need[str | None]):
    """The text of a file of the project, by its path from the root; None if it does not exist."""

    path: str


@frozen
class ProjectFiles(Need[frozenset[str]]):
    """Which of these paths from the root are files of the project. What they hold is not looked at."""

    paths: tuple[str, ...]


@frozen
class ProgramOutput(Need[Printed]):
    """What the first of these commands prints that works, run in a directory of the project.

    `{directory}` in a word stands for that directory, and `{python}` for the Python that the user works in.
    `indexes` may be asked, and `secrets` says where their logins are found.
    """

    commands: tuple[tuple[str, ...], ...]
    directory: str = "."
    indexes: tuple[PackageIndex, ...] = ()
    secrets: Mapping[str, SecretSource] = field(default=FrozenMapping(), converter=freeze)


@frozen
class RequirementsFile(Need[Mapping[str, str | None]]):
    """The texts of a requirements file and of all files that it includes, by path; None if one is missing."""

    path: str


@frozen
class FileTree(Need[Tree]):
    """The files below a directory of the project that the rules do not ignore, by their paths from there.

    Paths in `left_out` are from there, too. With `only`, what those rules ignore is no part of it either.
    """

    rules: IgnoreRules
    left_out: tuple[str, ...] = ()
    root: str = ""
    only: IgnoreRules | None = None


@frozen
class Variable(Need[HiddenValue | None]):
    """The value of an environment variable; None if it is not set."""

    name: str


@frozen
class ImageDigest(Need[Pin]):
    """The digest that a reference stands for now, in its registry.

    `platform` is the one that was asked for, None for that of the machine: an index is looked through
    for its manifest.
    """

    ref: ImageRef
    platform: str | None = None


@frozen
class LocalImage(Need[ImageId]):
    """The engine's own image of a reference that no registry tells the digest of."""

    ref: ImageRef


@frozen
class PythonOf(Need[ImagePython]):
    """The Python of a parent image, on a platform; None for that of the machine.

    `version` is the version where a setting says it: then only the platform is asked for.
    """

    ref: ImageRef
    platform: str | None = None
    version: str | None = None


@frozen(cache_hash=True)
class Resolve(Need[Resolution]):
    """The packages that requirements come to.

    `preferred` are those that a lock has: they stay where they still fit. `upgrades` are requirements of
    packages of which something newer is wanted: `numpy`, or `numpy==2.1.0`. `secrets` says where the logins
    of indexes are found, by the names that options have for them.
    """

    inputs: Inputs
    preferred: tuple[Package, ...] = ()
    upgrades: tuple[str, ...] = ()
    secrets: Mapping[str, SecretSource] = field(default=FrozenMapping(), converter=freeze)
