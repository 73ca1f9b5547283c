"""The directory that a container is given, and what it leaves there, as tar archives.

Owns what is taken back: regular files in `outputs/`, and `result.json`. Refuses links, devices and other
places: whoever wrote them could choose what is read here.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from executor.context import ARCHIVE_END
from executor.engines.protocol import EXCHANGE
from executor.reading import open_regular

__all__ = ["OUTPUTS", "RESULT", "empty_exchange", "exchange_archive", "take_back"]

OUTPUTS: Final = "outputs"
RESULT: Final = "result.json"
# A container may run as anybody: what it may not read or write there is of no use to it.
_DIRECTORY_MODE: Final = 0o777
_FILE_MODE: Final = 0o644
_CHUNK: Final = 1 << 20


def empty_exchange(directory: Path) -> Path:
    """A new directory to be given to a container, with a place for outputs; where it is mounted, too."""
    for each in (directory, directory / OUTPUTS):
        each.mkdir()
        # Whatever the umask says: the directory above lets nobody in but this user.
        each.chmod(_DIRECTORY_MODE)
    return directory


def exchange_archive(directory: Path) -> Iterator[bytes]:
    """The directories and regular files of a directory as a tar archive of where the container has them."""
    top = EXCHANGE.removeprefix("/")
    for place, names, files in os.walk(directory):
        path = "/".join((top, *Path(place).relative_to(directory).parts))
        names.sort()
        yield _header(path, tarfile.DIRTYPE, _DIRECTORY_MODE)
        for name in sorted(files):
            yield from _file(Path(place) / name, f"{path}/{name}")
    yield ARCHIVE_END


def _file(path: Path, name: str) -> Iterator[bytes]:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        yield _header(name, tarfile.REGTYPE, _FILE_MODE, size)
        while chunk := file.read(_CHUNK):
            yield chunk
    if size % tarfile.BLOCKSIZE:
        yield bytes(tarfile.BLOCKSIZE - size % tarfile.BLOCKSIZE)


def _header(name: str, kind: bytes, mode: int, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size = kind, mode, size
    return member.tobuf(tarfile.PAX_FORMAT)


def take_back(archive: IO[bytes], directory: Path) -> None:
    """Put what a container has left into the directory that it was given.

    `archive` is one of its `outputs/`, or of its `result.json`.
    """
    with tarfile.open(fileobj=archive, mode="r|") as members:
        for member in members:
            place = _place(member)
            content = members.extractfile(member) if place else None
            if place is not None and content is not None:
                target = directory.joinpath(*place)
                target.unlink(missing_ok=True)
                with target.open("xb") as file:
                    shutil.copyfileobj(content, file, _CHUNK)


def _place(member: tarfile.TarInfo) -> tuple[str, ...] | None:
    """Where a member belongs; None for one that is not taken."""
    parts = tuple(part for part in member.name.split("/") if part)
    if not member.isreg() or any(part in (".", "..") for part in parts):
        return None
    return parts if parts == (RESULT,) or (len(parts) == 2 and parts[0] == OUTPUTS) else None
