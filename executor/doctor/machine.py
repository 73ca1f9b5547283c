"""The machine: stowplan, Python, uv, git, and room on its disks."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from executor import limits
from executor.doctor.check import Check, State
from executor.errors import ExecutorError
from executor.observe.programs import user_python
from executor.process import Command, run
from executor.resolve.program import uv_program

__all__ = ["git", "local_python", "own", "project_room", "room", "scratch_room", "size", "uv"]

_GIB: Final = 1 << 30
_LITTLE_BYTES: Final = 2 * _GIB
_TOO_LITTLE_BYTES: Final = _GIB // 10


def own() -> Iterator[Check]:
    """Stowplan itself."""
    try:
        number = version("stowplan")
    except PackageNotFoundError:
        number = "not installed"
    python = ".".join(map(str, sys.version_info[:3]))
    yield Check("stowplan", "stowplan", State.OK, f"{number}, on Python {python} ({sys.executable})")


def uv(environ: Mapping[str, str]) -> Iterator[Check]:
    """The uv that resolves requirements. ExecutorError if there is none, or if it does not run."""
    program = uv_program(environ)
    yield Check("uv", "uv", State.OK, f"{_version((program, '--version'))} ({program})")


def git() -> Iterator[Check]:
    """Git itself. ExecutorError if there is none, or if it does not run."""
    yield Check("git", "git", State.OK, _version(("git", "--version")))


def local_python(environ: Mapping[str, str]) -> Iterator[Check]:
    """The Python that the user works in. ExecutorError if there is none, or if it does not run."""
    program = str(user_python(environ))
    yield Check("python", "your Python", State.OK, f"{_version((program, '--version'))} ({program})")


def _version(argv: tuple[str, ...]) -> str:
    """The number in what a program says of its version."""
    done = run(Command(argv), timeout=limits.GREETING_SECONDS, merged=True)
    match = re.search(r"\d+(\.\d+)+\S*", done.text)
    if done.code or match is None:
        raise ExecutorError.of(
            argv[0], f"`{' '.join(argv)}` ends with exit code {done.code}", "install it again"
        )
    return match[0]


def project_room(root: Path) -> Iterator[Check]:
    """Whether the project can be written to, and the room for it."""
    yield _place("disk-project", f"disk at {root}", root, "the project cannot be written to")


def scratch_room(environ: Mapping[str, str]) -> Iterator[Check]:
    """The same of temporary files."""
    place = Path(environ.get("TMPDIR") or "/tmp")  # noqa: S108  # nothing is written there
    yield _place("disk-temporary", f"disk at {place}", place, "no temporary file can be written")


def _place(code: str, subject: str, place: Path, unwritable: str) -> Check:
    if not os.path.isdir(place):  # noqa: PTH112  # Path.is_dir raises where it may not look
        return Check(code, subject, State.FAILED, "is not a directory", f"mkdir -p {place}")
    if not os.access(place, os.W_OK | os.X_OK):
        return Check(
            code, subject, State.FAILED, unwritable, f"check the owner and permissions: ls -ld {place}"
        )
    return room(code, subject, shutil.disk_usage(place).free)


def room(code: str, subject: str, free: int, fix: str = "remove what is not needed") -> Check:
    """Whether so many bytes are enough."""
    found = f"{size(free)} free"
    if free < _TOO_LITTLE_BYTES:
        return Check(code, subject, State.FAILED, found, fix)
    if free < _LITTLE_BYTES:
        return Check(code, subject, State.WARNING, found, fix)
    return Check(code, subject, State.OK, found)


def size(count: int) -> str:
    """So many bytes, for people."""
    return f"{count / _GIB:.1f} GiB"
