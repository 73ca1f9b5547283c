"""Single files of a project: the text of one, and the digest of what one holds.

Owns how a path is spelled: in UTF-8 for the system, whatever the locale, so that `café.txt` is one name on
every machine. What is not UTF-8 has surrogates in place of its bytes, as Python itself does it.

Text is read through links, as far as they stay inside the project's root; the files of a tree are never
read through a link. Refuses to wait for what is no file: a fifo is opened without blocking, and named.

A store through a shared memory map moves a file's times when its page turns dirty; later stores to that
page leave no trace until it is written back. So before a file is hashed the kernel is asked to write back
what is dirty of it, after which the next store is seen again. That works where the kernel has
sync_file_range and the file system counts dirty pages: on ext4, XFS and Btrfs, but not on tmpfs, which
never writes back, nor on overlayfs, whose pages belong to the file below. There, a store into a page that
was mapped and dirty before the file was hashed is only found when the file is streamed.
"""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from executor.reading import NotRead, open_regular, read_whole
from planner.errors import PlannerError, Problem

__all__ = [
    "Content", "NotSettled", "decoded", "encoded", "hash_file", "is_file", "outside", "read_text", "refused",
    "shown", "text_of",
]  # fmt: skip

_TRIES: Final = 3
# Up to here one read is faster than hashlib.file_digest, which sets up a buffer of 256 KiB for each file.
_SMALL_BYTES: Final = 64 * 1024
# SYNC_FILE_RANGE_WAIT_BEFORE, as a page that is being written already is passed over otherwise, and
# SYNC_FILE_RANGE_WRITE. Nothing waits for the disk: fsync would, for each file.
_WRITE_BACK: Final = 1 | 2


class Content(NamedTuple):
    """The SHA-256 of a file's bytes, and its status before and after they were read."""

    digest: bytes
    status: os.stat_result


class NotSettled(Exception):
    """A file changed each time it was read."""


def read_text(root: Path, path: str) -> str | None:
    """The text of a file, by its path from the root; None if there is none.

    PlannerError for anything but a text file of at most 16 MiB in UTF-8, or in UTF-16 with a byte order
    mark, whose real place is inside the root. The mark of UTF-8 is kept: who reads the text knows what it
    means there.
    """
    top = os.path.realpath(os.fsencode(root))
    real = os.path.realpath(os.path.join(top, encoded(path)))  # noqa: PTH118  # a Path is in the locale's encoding
    if os.path.commonpath([top, real]) != top:
        raise outside(path, decoded(real))
    try:
        data = read_whole(real)
    except NotRead as error:
        raise refused(path, error.found, error.fix) from None
    return None if data is None else text_of(data, path)


def text_of(data: bytes, path: str) -> str:
    """The text of the file at `path` that holds this. PlannerError as `read_text` has it."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            found = f"not UTF-16, as its byte order mark says, at offset {error.start}"
            raise PlannerError([Problem.in_file(shown(path), None, found, "save it as UTF-8")]) from None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise PlannerError([Problem.in_file(shown(path), line, found, "save it as UTF-8")]) from None


def is_file(root: Path, path: str) -> bool:
    """Whether there is a file, or a link to one, at a path from the root."""
    return os.path.isfile(os.path.join(os.fsencode(root), encoded(path)))  # noqa: PTH113, PTH118  # as above


def hash_file(path: bytes) -> Content:
    """What the file at `path` holds. OSError if it is none or cannot be read; it is not read through a link.

    A file that changes meanwhile is read again, three times in all; then NotSettled.
    """
    for _ in range(_TRIES):
        with open_regular(path, os.O_NOFOLLOW) as file:
            # Before its status is asked for: what is stored after this shows in it.
            _write_back()(file.fileno(), 0, 0, _WRITE_BACK)
            before = os.fstat(file.fileno())
            if before.st_size <= _SMALL_BYTES:
                digest = hashlib.sha256(file.read())
            else:
                digest = hashlib.file_digest(file, "sha256")
            after = os.fstat(file.fileno())
        if _stamp(before) == _stamp(after):
            return Content(digest.digest(), after)
    raise NotSettled


def encoded(path: str) -> bytes:
    """A path as the system knows it: in UTF-8."""
    return path.encode("utf-8", "surrogateescape")


def decoded(path: bytes) -> str:
    """A path that the system gave. `encoded` gives the same bytes back."""
    return path.decode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """A path as a message shows it: on one line, and printable whatever its bytes."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in path)


@cache
def _write_back() -> Callable[[int, int, int, int], object]:
    """sync_file_range(2), or nothing where there is none. What it fails on is hashed all the same."""
    import ctypes  # noqa: PLC0415  # only files that were just written need it

    try:
        function = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return lambda *_: None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def outside(path: str, where: str) -> PlannerError:
    """The error about the path of a file that is not in the project."""
    fix = "copy the file into the project, and name it by its path from the root"
    return refused(path, f"leads out of the project, to {shown(where)}", fix)


def refused(path: str, found: str, fix: str) -> PlannerError:
    """Why the file at `path` is not read."""
    return PlannerError([Problem.in_file(shown(path), None, found, fix)])
