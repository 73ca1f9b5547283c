"""The id that git has for a directory of files: by it those of a commit are known, wherever they come from.

See gitformat-pack(5) and the sources of git, `tree.c` and `read-cache.c`: an object is hashed with its kind
and its length before it, and names are sorted as if those of directories ended in a slash.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

from .limits import CHUNK_BYTES

__all__ = ["tree_id"]


def tree_id(directory: Path, algorithm: str) -> str:
    """The id of a directory, by `sha1` or `sha256`, in hexadecimal. Empty directories are no part of it.

    OSError if something in it cannot be read.
    """
    return _tree(directory, algorithm).hex()


def _tree(directory: Path, algorithm: str) -> bytes:
    entries = []
    for path in directory.iterdir():
        status = path.lstat()
        name = os.fsencode(path.name)
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(os.readlink(path))  # Path would tidy it
            entries.append(
                (name, b"120000 " + name + b"\0" + _hashed("blob", len(target), algorithm, target))
            )
        elif stat.S_ISDIR(status.st_mode):
            found = _tree(path, algorithm)
            if found != _hashed("tree", 0, algorithm, b""):
                entries.append((name + b"/", b"40000 " + name + b"\0" + found))
        else:
            mode = b"100755 " if status.st_mode & stat.S_IXUSR else b"100644 "
            entries.append((name, mode + name + b"\0" + _blob(path, status.st_size, algorithm)))
    data = b"".join(entry for _, entry in sorted(entries))
    return _hashed("tree", len(data), algorithm, data)


def _blob(path: Path, size: int, algorithm: str) -> bytes:
    digest = _begun("blob", size, algorithm)
    with path.open("rb") as file:
        while True:
            data = file.read(CHUNK_BYTES)
            if not data:
                return bytes(digest.digest())
            digest.update(data)


def _hashed(kind: str, size: int, algorithm: str, data: bytes) -> bytes:
    digest = _begun(kind, size, algorithm)
    digest.update(data)
    return bytes(digest.digest())


def _begun(kind: str, size: int, algorithm: str) -> Any:
    # git's own: SHA-1 is what most repositories have, and where it is broken is not what this guards.
    digest = hashlib.sha1() if algorithm == "sha1" else hashlib.sha256()  # noqa: S324  # as above
    digest.update(f"{kind} {size}\0".encode("ascii"))
    return digest
