"""Files as a tar archive: the same files give the same bytes, whoever packs them, when and where.

Owners, times and all of the mode but who may execute are left out; so is compression. Members are written in
the order in which they are given, and memory does not grow with their size.
"""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple, Protocol

from .errors import Refused

__all__ = ["Entry", "below", "write"]

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Writable(Protocol):
    """What an archive is written to."""

    def write(self, data: bytes, /) -> int:
        """Write all of it."""


class Entry(NamedTuple):
    """What goes into an archive: the name that it has there, and where it is."""

    name: str
    path: Path


def below(root: Path) -> Iterator[Entry]:
    """A file or a directory with all that it holds, under its own name, sorted.

    A link is what it leads to.
    """
    real = root.resolve()
    yield from _walked((root if root.name.strip(".") else real).name or "files", real)


def _walked(name: str, path: Path) -> Iterator[Entry]:
    yield Entry(name, path)
    if stat.S_ISDIR(path.lstat().st_mode):
        for child in sorted(path.iterdir()):
            yield from _walked(f"{name}/{child.name}", child)


def write(file: Writable, entries: Iterable[Entry]) -> None:
    """Write an archive. Links are written as links, wherever they lead.

    Refused for what is no file, directory or link, and for a file that changes while it is read. OSError if
    one cannot be read.
    """
    target: Any = file
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for entry in entries:
            _add(archive, entry)
            # It keeps them all, and looks at none again.
            archive.members.clear()  # type: ignore[attr-defined]


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.name)
    found = entry.path.lstat()
    if stat.S_ISLNK(found.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, os.readlink(entry.path), 0o777
        archive.addfile(member)
    elif stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    elif stat.S_ISREG(found.st_mode):
        with os.fdopen(os.open(entry.path, _FLAGS), "rb") as content:
            before = os.fstat(content.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise _changed(entry)
            member.mode, member.size = 0o755 if before.st_mode & stat.S_IXUSR else 0o644, before.st_size
            try:
                archive.addfile(member, content)
            except OSError as error:
                # What tarfile says of a file that ends too early has no number.
                if error.errno is not None:
                    raise
                raise _changed(entry) from None
            after = os.fstat(content.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise _changed(entry)
    else:
        raise Refused(
            "not-packed",
            f"{entry.path} is neither a file nor a directory nor a link",
            "leave it out",
        )


def _changed(entry: Entry) -> Refused:
    return Refused(
        "file-changed", f"{entry.path} changed while it was read", "try again once nothing writes to it"
    )
