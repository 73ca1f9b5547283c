"""The closed union of build instructions: what is done to a parent image, as data.

A Dockerfile is one way to write them down. Each carries its `kind` in data; whoever handles them
matches on the class and ends with `assert_never`. Refuses to hold rendered text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field

from planner.identity import COUNTED, NOT_COUNTED
from planner.image.external import ExternalImage
from planner.immutable import frozen
from planner.requirements.model import Option, Requirements
from planner.requirements.packages import Closure
from planner.settings.secrets import used_secrets
from planner.values import Digest, EnvTemplate, FrozenMapping, PythonPackageInstaller, dashed_arguments

__all__ = [
    "APP_DIRECTORY",
    "BOOTSTRAP",
    "CONTEXT",
    "FILES",
    "BuildDockerfile",
    "CopyBootstrap",
    "CopyFiles",
    "InstallApt",
    "InstallProject",
    "InstallRequirements",
    "Installer",
    "Instruction",
    "MakeDirectory",
    "NamedImage",
    "SetEnvironment",
    "SetUser",
]

APP_DIRECTORY: Final = "/app"
BOOTSTRAP: Final = "/stowplan/bootstrap.pyz"
# The name of the tree of the project's own files, and that of the build context of a custom Dockerfile.
FILES: Final = "files"
CONTEXT: Final = "context"


def _variables(value: Mapping[str, EnvTemplate | str]) -> FrozenMapping[EnvTemplate]:
    return FrozenMapping({
        name: item if isinstance(item, EnvTemplate) else EnvTemplate(item) for name, item in value.items()
    })  # fmt: skip


@frozen
class SetEnvironment:
    """Set environment variables: before anything is installed, or (`runtime`) after everything is."""

    variables: Mapping[str, EnvTemplate] = field(converter=_variables, metadata=COUNTED)
    runtime: bool = field(default=False, metadata=COUNTED)
    kind: Literal["environment"] = field(default="environment", metadata=COUNTED)


def _sorted_unique(value: Any) -> tuple[str, ...]:
    return tuple(sorted(set(value)))


@frozen
class InstallApt:
    """Install Debian packages; their order means nothing."""

    packages: tuple[str, ...] = field(converter=_sorted_unique, metadata=COUNTED)
    kind: Literal["apt"] = field(default="apt", metadata=COUNTED)


def _arguments(value: object) -> Any:
    """Arguments in their only spelling: names with dashes, texts for numbers, and lists of several only."""
    given = dashed_arguments(value)
    if not isinstance(given, FrozenMapping):
        return given
    words = {name: _words(item) for name, item in given.items()}
    return FrozenMapping({name: item for name, item in words.items() if item != ()})


def _words(value: object) -> object:
    if isinstance(value, tuple):
        words = tuple(str(item) for item in value)
        return words[0] if len(words) == 1 else words
    return str(value) if isinstance(value, int) else value


@frozen
class Installer:
    """The program that installs Python packages.

    `version` is None for `pip`, which is the parent image's own and so pinned by its digest.
    """

    name: PythonPackageInstaller = field(metadata=COUNTED, converter=PythonPackageInstaller)
    version: str | None = field(default=None, metadata=COUNTED)
    arguments: Mapping[str, Any] = field(default=FrozenMapping(), converter=_arguments, metadata=COUNTED)


@frozen
class InstallRequirements:
    """Install what one source of requirements needs, as one layer.

    `closure` has the packages at the versions that a resolution came to: all that the source wants and no
    source before it has. Then what was written is there to be read, without hashes, and does not count.
    Without a closure, the installer resolves the requirements while it builds. `options` are those of all
    sources of the image: which index a package is from, another source may say.
    `observed` is the digest of what a program listed the requirements from, where one did: as long as that
    is the same, the program is not asked again. `secrets` are those that the installer can read, by name,
    with their versions.
    """

    source: str = field(metadata=COUNTED)
    requirements: Requirements = field(metadata=NOT_COUNTED)
    installer: Installer = field(metadata=COUNTED)
    closure: Closure | None = field(default=None, metadata=COUNTED)
    options: tuple[Option, ...] = field(default=(), metadata=NOT_COUNTED)
    observed: Digest | None = field(default=None, eq=False, metadata=NOT_COUNTED)
    secrets: Mapping[str, int] | None = field(default=None, converter=used_secrets, metadata=COUNTED)
    kind: Literal["requirements"] = field(default="requirements", metadata=COUNTED)
    unresolved: Requirements | None = field(init=False, metadata=COUNTED)

    @unresolved.default
    def _if_unresolved(self) -> Requirements | None:
        return self.requirements if self.closure is None else None


def _only_true(value: bool | None) -> Any:
    """What is not said is False: it has one form, which counts in no hash."""
    return value or None


@frozen
class CopyFiles:
    """Copy a tree to a directory of the image; `owner` is a user with an optional group.

    With `group_writes`, their group may do with the files and the directories what their owner may.
    """

    tree: str = field(default=FILES, metadata=COUNTED)
    destination: str = field(default=APP_DIRECTORY, metadata=COUNTED)
    owner: str | None = field(default=None, metadata=COUNTED)
    group_writes: bool | None = field(default=None, converter=_only_true, metadata=COUNTED)
    kind: Literal["files"] = field(default="files", metadata=COUNTED)

    def mode(self, usual: int) -> int:
        """The mode of a file or directory that is copied, from the usual one."""
        return _mode(usual, self.group_writes)


def _mode(usual: int, group_writes: bool | None) -> int:
    """A mode with which the group may do what the owner may, if it may."""
    return usual | (usual & 0o700) >> 3 if group_writes else usual


@frozen
class MakeDirectory:
    """Make the directory that code is downloaded into, the working directory, in place of copying files.

    `owner` and `group_writes` are as those of `CopyFiles`. Only a checkout has it: what is written down of an
    image does not depend on how its code is delivered today.
    """

    destination: str = field(default=APP_DIRECTORY, metadata=COUNTED)
    owner: str | None = field(default=None, metadata=COUNTED)
    group_writes: bool | None = field(default=None, converter=_only_true, metadata=COUNTED)
    kind: Literal["directory"] = field(default="directory", metadata=COUNTED)

    def mode(self, usual: int) -> int:
        """The mode of the directory, from the usual one."""
        return _mode(usual, self.group_writes)


@frozen
class CopyBootstrap:
    """Copy the program that starts a step, by its digest, to where each container has it."""

    digest: Digest = field(metadata=COUNTED)
    kind: Literal["bootstrap"] = field(default="bootstrap", metadata=COUNTED)


@frozen
class InstallProject:
    """Run the user's command that installs the copied files as a package.

    `uv` is the version of uv that the command finds where the parent has none, if it calls uv. What the
    command makes in the directory of the code belongs to `owner`, a user with an optional group, and with
    `group_writes` the group may do with it what the owner may. `secrets` are those that the command names,
    with their versions.
    """

    command: str = field(metadata=COUNTED)
    uv: str | None = field(default=None, metadata=COUNTED)
    owner: str | None = field(default=None, metadata=COUNTED)
    secrets: Mapping[str, int] | None = field(default=None, converter=used_secrets, metadata=COUNTED)
    group_writes: bool | None = field(default=None, converter=_only_true, metadata=COUNTED)
    kind: Literal["project"] = field(default="project", metadata=COUNTED)


@frozen
class SetUser:
    """Run the container as this user, the owner of the directory of the code."""

    user: str = field(metadata=COUNTED)
    kind: Literal["user"] = field(default="user", metadata=COUNTED)


@frozen
class NamedImage:
    """An image that a custom Dockerfile names, for a platform; None for that of the machine."""

    image: ExternalImage = field(metadata=COUNTED)
    platform: str | None = field(default=None, metadata=COUNTED)


@frozen
class BuildDockerfile:
    """Build what a custom Dockerfile says: the only instruction of its image.

    `lines` are the instructions that the target needs, in their order and as they are written, without
    comments and continuations; a directive that means something comes first. `images` are those that they
    name, but for the one that the last stage is built on, which is the parent. `secrets` are those that a RUN
    mounts, by name, each with its version.
    `file` is where they stand in the project, `numbers` the line that each begins on.
    """

    lines: tuple[str, ...] = field(metadata=COUNTED)
    images: tuple[NamedImage, ...] = field(default=(), metadata=COUNTED)
    secrets: Mapping[str, int] | None = field(default=None, converter=used_secrets, metadata=COUNTED)
    file: str = field(default="", eq=False, metadata=NOT_COUNTED)
    numbers: tuple[int, ...] = field(default=(), eq=False, metadata=NOT_COUNTED)
    kind: Literal["dockerfile"] = field(default="dockerfile", metadata=COUNTED)


Instruction: TypeAlias = (
    SetEnvironment
    | InstallApt
    | InstallRequirements
    | CopyFiles
    | MakeDirectory
    | InstallProject
    | CopyBootstrap
    | SetUser
    | BuildDockerfile
)
# Those that are written down. What a checkout puts in their place is in no lock.
KINDS: Final[Mapping[str, type[Instruction]]] = {
    "environment": SetEnvironment,
    "apt": InstallApt,
    "requirements": InstallRequirements,
    "files": CopyFiles,
    "project": InstallProject,
    "user": SetUser,
    "dockerfile": BuildDockerfile,
}
