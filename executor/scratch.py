"""Temporary directories that do not outlive their owner, however that ends.

Owns how the leftovers of a killed process are told from what a living one uses: the owner of a directory
keeps a file in it locked, and the kernel lets go of that lock when the owner is gone. A number of a process
would not do: another process has it by then. A child that outlives its owner does not count as one: what is
made of a context that goes away below it gets no name of ours.

Where a file system has no locks nothing is told, and nothing is swept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["held", "name_of", "named_by", "owned", "sweep"]

_OWNER: Final = "owner"
# What is swept has another name first: nobody can come to own it any more.
_DEAD: Final = ".dead"
_NAME: Final = r"[0-9a-f]{16}(\.dead)?"


@contextlib.contextmanager
def held(place: Path, prefix: str = "") -> Iterator[Path]:
    """A new directory in `place` that only this user can enter, and that is gone afterwards.

    What dead owners left behind is swept first. OSError if it cannot be made.
    """
    sweep(place, prefix)
    directory, owner = _claimed(place, prefix)
    try:
        try:
            yield directory
        finally:
            _remove(directory)
    finally:
        # Also where that was interrupted: what this process no longer uses can be swept.
        os.close(owner)


def sweep(place: Path, prefix: str = "") -> None:
    """Remove the directories in `place` whose owners are dead. One listing where there are none.

    Only what is this user's and has a name that was made here is touched, for anybody may have a directory
    whose name begins with `prefix`. What cannot be removed is left for the next time.
    """
    with contextlib.suppress(OSError):
        with os.scandir(place) as entries:
            names = [entry.name for entry in entries if re.fullmatch(re.escape(prefix) + _NAME, entry.name)]
        for name in names:
            with contextlib.suppress(OSError):
                _sweep(place / name)


def owned(directory: Path) -> bool:
    """Whether a living process uses a directory. True too where that cannot be told."""
    try:
        owner = os.open(directory / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(owner)
    return False


def name_of(directory: Path) -> str:
    """What a directory is called where other processes of this machine can read it.

    In a container the same path is another directory, so that the name says whose view the path is of.
    """
    return f"{_view()}:{directory}"


def named_by(name: str) -> Path | None:
    """The directory of such a name; None if it is of another view, or no directory of ours."""
    view, _, path = name.partition(":")
    directory = Path(path)
    known = re.fullmatch(rf"(stowplan-)?{_NAME}", directory.name)
    return directory if view == str(_view()) and known else None


def _view() -> int:
    """The number of the mounts that this process sees; 0 where nothing tells."""
    try:
        return Path("/proc/self/ns/mnt").stat().st_ino
    except OSError:
        return 0


def _sweep(directory: Path) -> None:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    owner = _opened(directory)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_in_place(owner, directory):
            dead = directory.with_name(directory.name.removesuffix(_DEAD) + _DEAD)
            directory.rename(dead)
            _remove(dead)
    finally:
        os.close(owner)


def _claimed(place: Path, prefix: str) -> tuple[Path, int]:
    """A new directory, and the descriptor that keeps it."""
    while True:
        directory = place / f"{prefix}{os.urandom(8).hex()}"
        directory.mkdir(0o700)
        # Another process may sweep it before it is locked.
        with contextlib.suppress(FileNotFoundError):
            owner = _opened(directory)
            if _is_locked(owner) and _is_in_place(owner, directory):
                return directory, owner
            os.close(owner)


def _opened(directory: Path) -> int:
    # For writing, which a network file system asks for before it gives a lock.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(directory / _OWNER, flags, 0o600)


def _is_locked(owner: int) -> bool:
    """Lock a directory of one's own; False if another process has. True where there are no locks."""
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _is_in_place(owner: int, directory: Path) -> bool:
    """Whether the file that is open is still the one in the directory."""
    try:
        return os.path.samestat(os.fstat(owner), (directory / _OWNER).lstat())
    except FileNotFoundError:
        return False


def _remove(directory: Path) -> None:
    import shutil  # noqa: PLC0415  # every command sweeps, and few find anything

    shutil.rmtree(directory, ignore_errors=True)
