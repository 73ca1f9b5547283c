"""Errors of the executor: the world did not do as asked. Each says where, what was found, what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Final

from planner.errors import Place, Problem

__all__ = [
    "BuildFailed",
    "EngineUnavailable",
    "ExecutorError",
    "FilesChanged",
    "RegistryUnavailable",
    "UsageError",
    "remedy",
]


class ExecutorError(Exception):
    """The base of all errors of the executor. `problems` holds all that went wrong.

    `exit_code` is what the command line ends with: 1 failed, 64 the command line is wrong, 75 trying
    again later may help (sysexits.h).
    """

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, where: str, found: str, fix: str) -> ExecutorError:
        """An error with one problem; `where` names what it is about: a file, an image, an engine."""
        return cls([Problem(Place(file=where), found, fix)])


class UsageError(ExecutorError):
    """The command line asks for something that does not exist."""

    exit_code = 64


class EngineUnavailable(ExecutorError):
    """No container engine answers."""

    exit_code = 75


class RegistryUnavailable(ExecutorError):
    """A registry does not answer, so nothing can be said of what is in it."""

    exit_code = 75


class FilesChanged(ExecutorError):
    """Files are not what they were when the plan was made."""


class BuildFailed(ExecutorError):
    """An engine could not build or push an image."""


_PERMISSIONS: Final = "check its owner and its permissions"
_ROOM: Final = "make room on the disk, and run this again"
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
