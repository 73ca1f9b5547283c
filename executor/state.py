"""What stowplan keeps beside a project: `stowplan.lock`, and the directory `.stowplan/`.

Owns reading and replacing the lock: whole or not at all, one writer at a time. Refuses to replace a
lock it cannot read.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from executor.errors import ExecutorError
from planner.lock.lockfile import LOCK_NAME, Lock, dumps, loads

__all__ = ["STATE_DIRECTORY", "read_lock", "state_directory", "update_lock"]

STATE_DIRECTORY: Final = ".stowplan"
_WAIT_SECONDS: Final = 60.0


def state_directory(root: Path) -> Path:
    """The project's `.stowplan/`, made if it is not there, with a `.gitignore` that keeps it out of git."""
    directory = root / STATE_DIRECTORY
    ignore = directory / ".gitignore"
    try:
        directory.mkdir(exist_ok=True)
        if not ignore.exists():
            write_atomically(ignore, "*\n")
    except OSError as error:
        raise ExecutorError.of(
            str(directory), f"cannot be written: {error.strerror}", "check its permissions"
        ) from None
    return directory


def read_lock(root: Path) -> Lock | None:
    """The project's lock; None if it has none. PlannerError if it cannot be read."""
    return read_lock_file(root / LOCK_NAME)


def read_lock_file(path: Path) -> Lock | None:
    """The lock in a file; None if there is no such file."""
    try:
        return loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ExecutorError.of(
            path.name, f"not UTF-8 at byte {error.start}", "restore it from version control"
        ) from None
    except OSError as error:
        raise ExecutorError.of(
            path.name, f"cannot be read: {error.strerror}", "check its permissions"
        ) from None


def update_lock(root: Path, change: Callable[[Lock], Lock]) -> bool:
    """Replace the lock by what `change` makes of it, an empty one if there is none; whether it changed.

    Two processes that do so at once do it one after the other, and neither loses the other's change.
    """
    with _exclusively(root):
        before = read_lock(root)
        after = change(before or Lock())
        if after == before:
            return False
        path = root / LOCK_NAME
        # The file itself is replaced where it is a link, and only inside the project.
        target = path.resolve()
        if not target.is_relative_to(root.resolve()):
            raise ExecutorError.of(LOCK_NAME, f"is a link to {target}, outside the project", "make it a file")
        try:
            write_atomically(target, dumps(after))
        except OSError as error:
            raise ExecutorError.of(
                LOCK_NAME, f"cannot be written: {error.strerror}", "check its permissions"
            ) from None
        return True


@contextlib.contextmanager
def _exclusively(root: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout  # noqa: PLC0415  # only writing needs it

    path = state_directory(root) / "writer"
    try:
        with FileLock(path, timeout=_WAIT_SECONDS):
            yield
    except Timeout:
        raise ExecutorError.of(
            LOCK_NAME, "another stowplan has been writing it for a minute", "wait for it, or stop it"
        ) from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that at any instant, even of a crash, it is the old one or the new one, whole."""
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    # A new file gets the permissions of any new file; one that is replaced keeps its own.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
