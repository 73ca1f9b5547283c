"""Files that are read as a whole: the lock, the project file, requirements, ignore rules.

Owns the one way to open them. Refuses whatever is no regular file, without waiting for it, and what is
larger than anybody writes by hand: neither a fifo nor `/dev/zero` holds a command up.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Final

from executor.errors import remedy

__all__ = ["LARGEST_TEXT_BYTES", "NotRead", "open_regular", "read_whole"]

# What people write: ten thousand packages with all their hashes are about as much.
LARGEST_TEXT_BYTES: Final = 16 * 1024 * 1024


class NotRead(Exception):
    """A file is not read: what it is instead, and what to do."""

    def __init__(self, found: str, fix: str) -> None:
        self.found = found
        self.fix = fix
        super().__init__(found)


def read_whole(path: bytes | Path, most: int = LARGEST_TEXT_BYTES) -> bytes | None:
    """What is in the regular file at `path`, through links; None if nothing is there.

    NotRead for what is no regular file, is longer than `most` bytes, or may not be read.
    """
    try:
        with io.BufferedReader(open_regular(path)) as file:
            size = os.fstat(file.fileno()).st_size
            # One byte more than is taken: the size of a file that is being written says little.
            data = file.read(most + 1) if size <= most else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise NotRead("is a directory, not a file", "put a regular file in its place") from None
    except OSError as error:
        # ENXIO: a socket, or a device that this machine does not have, cannot even be opened.
        if error.errno in (errno.EINVAL, errno.ENXIO):
            raise NotRead("is not a regular file", "put a regular file in its place") from None
        raise NotRead(f"cannot be read: {error.strerror}", remedy(error)) from None
    if data is None or len(data) > most:
        limit = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
        raise NotRead(f"is larger than {limit}, the most that is read", "make it smaller")
    return data


def open_regular(path: bytes | Path, flags: int = 0) -> io.FileIO:
    """A regular file, to be read. OSError for anything else: EINVAL for a fifo or a device."""
    # Without O_NONBLOCK, opening a fifo would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return io.FileIO(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
