"""Errors of the executor: the world did not do as asked. Each says where, what was found, what to do.

Owns the one table from kinds of failure to exit codes, which docs/reference.md prints.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import ClassVar, Final

from planner.errors import Place, Problem, StowplanError
from planner.immutable import frozen

__all__ = [
    "FAILURES",
    "ArtifactStoreRefused",
    "ArtifactStoreUnavailable",
    "BuildFailed",
    "Ending",
    "EngineRefused",
    "EngineSilent",
    "EngineUnavailable",
    "ExecutorError",
    "Failure",
    "FilesChanged",
    "ProgramMissing",
    "ProgramSilent",
    "RegistryRefused",
    "RegistryUnavailable",
    "UsageError",
    "exit_code",
    "remedy",
]


class Failure(StrEnum):
    """The kinds of failure, by what would help."""

    FAILED = "failed"
    BUILD_FAILED = "build-failed"
    STEP_FAILED = "step-failed"
    REGISTRY_REFUSED = "registry-refused"
    ENGINE_REFUSED = "engine-refused"
    USAGE = "usage"
    DEFECT = "defect"
    REGISTRY_UNAVAILABLE = "registry-unavailable"
    ENGINE_UNAVAILABLE = "engine-unavailable"
    INDEX_UNAVAILABLE = "index-unavailable"
    ARTIFACT_STORE_REFUSED = "artifact-store-refused"
    ARTIFACT_STORE_UNAVAILABLE = "artifact-store-unavailable"
    PROGRAM_SILENT = "program-silent"
    BUSY = "busy"


@frozen
class Ending:
    """The exit code that a kind of failure leads to, and what the kind is, in words."""

    code: int
    words: str


FAILURES: Final[Mapping[Failure, Ending]] = {
    Failure.FAILED: Ending(1, "anything that no other line names: the project, a file or a record is wrong"),
    Failure.BUILD_FAILED: Ending(1, "a build failed, or made something that was not planned"),
    Failure.STEP_FAILED: Ending(1, "a step of a pipeline failed"),
    Failure.REGISTRY_REFUSED: Ending(
        1,
        "a registry asks for a login or refuses it, does not have an image that must be there, has no "
        "certificate that this machine trusts, or does not answer like a registry",
    ),
    Failure.ENGINE_REFUSED: Ending(
        1, "`DOCKER_HOST` or a context names no daemon, or stowplan cannot use an engine of this version"
    ),
    Failure.USAGE: Ending(64, "the command line, or a variable that stands for an option, is wrong"),
    Failure.DEFECT: Ending(70, "a defect of stowplan"),
    Failure.REGISTRY_UNAVAILABLE: Ending(
        75,
        "a registry cannot be reached, does not answer in time, hangs up, or answers with status 429 or 5xx",
    ),
    Failure.ENGINE_UNAVAILABLE: Ending(
        75, "no engine answers, or the engine was lost while it built or pushed"
    ),
    Failure.INDEX_UNAVAILABLE: Ending(
        75, "a package index is not asked or cannot be reached, and the lock lacks what only that can tell"
    ),
    Failure.ARTIFACT_STORE_REFUSED: Ending(
        1, "an artifact store asks for a login or refuses it, or does not have what must be there"
    ),
    Failure.ARTIFACT_STORE_UNAVAILABLE: Ending(75, "an artifact store cannot be reached"),
    Failure.PROGRAM_SILENT: Ending(75, "another program that stowplan runs does not end in its time"),
    Failure.BUSY: Ending(75, "another process keeps the lock or the records locked"),
}
"""What each kind of failure leads to, in every command. 64, 70 and 75 are those of sysexits.h."""


def exit_code(failures: Iterable[Failure]) -> int:
    """The exit code of all failures of a command: 0 if there is none, 1 where their codes differ."""
    codes = {FAILURES[failure].code for failure in failures}
    return codes.pop() if len(codes) == 1 else int(bool(codes))


class ExecutorError(StowplanError):
    """The base of all errors of the executor: the world did not do as asked.

    `failure` is its kind, by default that of its class.
    """

    kind: ClassVar[Failure] = Failure.FAILED

    def __init__(self, problems: Iterable[Problem], failure: Failure | None = None) -> None:
        self.failure = failure or self.kind
        super().__init__(problems)

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return FAILURES[self.failure].code

    @classmethod
    def of(cls, where: str, found: str, fix: str) -> ExecutorError:
        """An error with one problem; `where` names what it is about: a file, an image, an engine."""
        return cls([Problem(Place(file=where), found, fix)])

    @classmethod
    def joined(cls, errors: Iterable[StowplanError]) -> ExecutorError:
        """Several errors as one: each problem once, and the first kind if all have its exit code."""
        given = tuple(errors)
        kinds = [each.failure if isinstance(each, ExecutorError) else Failure.FAILED for each in given]
        return cls(
            dict.fromkeys(problem for each in given for problem in each.problems),
            kinds[0] if len({FAILURES[kind].code for kind in kinds}) == 1 else Failure.FAILED,
        )


class UsageError(ExecutorError):
    """The command line asks for something that does not exist."""

    kind = Failure.USAGE


class EngineUnavailable(ExecutorError):
    """No container engine answers."""

    kind = Failure.ENGINE_UNAVAILABLE


class EngineSilent(EngineUnavailable):
    """An engine took a question, and did not answer in time: it is not asked again."""


class EngineRefused(ExecutorError):
    """What names an engine names none, or it is one that cannot be used."""

    kind = Failure.ENGINE_REFUSED


class RegistryUnavailable(ExecutorError):
    """A registry does not answer, so nothing can be said of what is in it."""

    kind = Failure.REGISTRY_UNAVAILABLE


class RegistryRefused(ExecutorError):
    """A registry refuses to answer, or what answers is none."""

    kind = Failure.REGISTRY_REFUSED


class ArtifactStoreUnavailable(ExecutorError):
    """An artifact store does not answer, so nothing can be said of what is in it."""

    kind = Failure.ARTIFACT_STORE_UNAVAILABLE


class ArtifactStoreRefused(ExecutorError):
    """An artifact store refuses to answer, or does not have what must be there."""

    kind = Failure.ARTIFACT_STORE_REFUSED


class ProgramMissing(ExecutorError):
    """A program that is to be run is not there."""


class ProgramSilent(ExecutorError):
    """A program that was run did not end in its time, and was made to end."""

    kind = Failure.PROGRAM_SILENT


class FilesChanged(ExecutorError):
    """Files are not what they were when the plan was made."""


class BuildFailed(ExecutorError):
    """An engine could not build or push an image."""

    kind = Failure.BUILD_FAILED


_PERMISSIONS: Final = "check its owner and its permissions"
_ROOM: Final = "free disk space, and run this again"
_REMEDIES: Final = {
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.ENOENT: "make it",
    errno.EBADF: "open it",
    errno.EROFS: "it is on a file system that may only be read: mount it for writing",
    errno.EEXIST: "remove it",
    errno.ENOTDIR: "remove it",
    errno.EISDIR: "remove it",
    errno.ELOOP: "remove the link",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), and run this again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and run this again",
    errno.ENFILE: "close some programs, and run this again",
    errno.ENOMEM: "close some programs, and run this again",
    errno.EIO: "check the disk",
    errno.ENAMETOOLONG: "move the project to a shorter path",
    errno.ENOLCK: "move the project to a file system that has locks",
}


def remedy(error: OSError) -> str:
    """What to do about an error of the system, about something that is named beside it."""
    return _REMEDIES.get(error.errno or 0, _PERMISSIONS)
