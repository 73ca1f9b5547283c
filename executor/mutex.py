"""Files that one process locks at a time. The kernel lets go of such a lock when its holder ends.

Owns what filelock says of a file that cannot be locked.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["locked"]


def locked(path: Path, seconds: float) -> BaseFileLock | None:
    """Lock the file at `path`, which is made if it is not there; None if another has it for so long.

    Whoever has it releases it. OSError if it cannot be locked: ENOLCK where a file system has no locks.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415  # only building and writing need it

    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return None
    except NotImplementedError:  # the word of its older versions
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)) from None
    return lock
