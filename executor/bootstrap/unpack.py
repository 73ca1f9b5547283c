"""Archives are unpacked into an empty directory, and nothing of them gets anywhere else.

Members are checked by their names before anything is written, files are made anew and never opened, and links
are made last: no path passes through a link. Python's own filters (`tarfile.data_filter`) are not in every
Python that runs this, and do not bound what comes out.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator

from . import limits
from .errors import Refused
from .links import leaves

__all__ = ["check_links", "digest_of", "scratch", "unpack"]

_DIRECTORY, _FILE, _LINK = "a directory", "a file", "a link"


class _Hostile(Exception):
    """What is wrong with an archive."""


def scratch(place: Path) -> Path:
    """A new directory for temporary files: where these usually are, or in `place` if that is not writable.

    It is there until Python ends. OSError if that is not writable either.
    """
    usual = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  # a directory of its own is made in it
    try:
        made = tempfile.mkdtemp(prefix="stowplan-", dir=usual)
    except OSError:
        made = tempfile.mkdtemp(prefix="stowplan-", dir=str(place))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def unpack(
    file: BinaryIO,
    directory: Path,
    *,
    strip: int = 0,
    below: str = "",
    most_bytes: int = limits.UNPACKED_BYTES,
    most_members: int = limits.MEMBERS,
) -> None:
    """Unpack a tar file, compressed by gzip or not, into an empty directory.

    Without the first `strip` names of each path, and of what is left only what is below `below`. Files get
    mode 644, or 755 if their owner could execute them. Refused if the archive is not one that stowplan would
    make: absolute paths, `..`, links out of the directory, hard links, devices, two members of one name, more
    than the limits. OSError if something cannot be written.
    """
    with _refusing():
        _Unpacking(directory, strip, [part for part in below.split("/") if part], most_members).run(
            _Bounded(_plain(file), most_bytes)
        )


def digest_of(file: BinaryIO, most_bytes: int = limits.UNPACKED_BYTES) -> str:
    """The SHA-256 digest of the tar file in a file, compressed or not, in hexadecimal.

    Refused if it cannot be told, or if the tar file is larger than the limit.
    """
    digest = hashlib.sha256()
    with _refusing():
        bounded = _Bounded(_plain(file), most_bytes)
        while True:
            data = bounded.read(limits.CHUNK_BYTES)
            if not data:
                break
            digest.update(data)
    return digest.hexdigest()


def check_links(directory: Path) -> None:
    """Refused if a link in a directory, which something else has unpacked, leads out of it."""
    links = {
        path.relative_to(directory).as_posix(): os.readlink(path)
        for path in directory.rglob("*")
        if path.is_symlink()
    }
    with _refusing():
        _check_links(links)


def _check_links(links: dict[str, str]) -> None:
    for path, target in links.items():
        if leaves(path, links):
            raise _Hostile(f"the link {path!r} leads out of it, to {target!r}")


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _Hostile as error:
        found = str(error)
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, ValueError, OverflowError) as error:
        found = f"it is damaged, or no archive ({str(error) or type(error).__name__})"
    else:
        return
    raise Refused("archive-refused", f"the archive is not unpacked: {found}", "make it again")


def _plain(file: BinaryIO) -> Any:
    """The archive without compression."""
    start = file.read(2)
    file.seek(-len(start), io.SEEK_CUR)
    return gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file


class _Bounded:
    """A file that is read forwards, up to a limit, and of which no more than a little is in memory."""

    def __init__(self, file: Any, most: int) -> None:
        self._file = file
        self._most = most
        self._at = 0

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= limits.HEADER_BYTES:
            raise _Hostile(f"a header of it is larger than {limits.HEADER_BYTES} bytes")
        data: bytes = self._file.read(size)
        self._at += len(data)
        if self._at > self._most:
            raise _Hostile(f"more than {self._most} bytes come out of it")
        return data

    def seek(self, position: int) -> int:
        """Read up to a position, or to the end. _Hostile if it has been passed."""
        if position < self._at:
            raise _Hostile("its members overlap")
        while self._at < position:
            if not self.read(min(position - self._at, limits.CHUNK_BYTES)):
                break
        return self._at


class _Unpacking:
    """What was unpacked so far."""

    def __init__(self, directory: Path, strip: int, below: list[str], most_members: int) -> None:
        self._directory = directory
        self._strip = strip
        self._below = below
        self._most_members = most_members
        self._kinds: dict[str, str] = {}
        self._links: dict[str, str] = {}

    def run(self, file: _Bounded) -> None:
        count = 0
        with tarfile.open(fileobj=file, mode="r:", errorlevel=2) as archive:  # type: ignore[call-overload]
            while True:
                member = archive.next()
                if member is None:
                    break
                count += 1
                if count > self._most_members:
                    raise _Hostile(f"it has more than {self._most_members} members")
                self._member(archive, member)
                # It keeps them all, and looks at none again.
                archive.members.clear()
        # After all else, so that no path was written through one.
        _check_links(self._links)
        for path, target in self._links.items():
            self._new(path, partial(_link, target))

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = self._path(member.name)
        if path is None:
            return
        if not path:
            if not member.isdir():
                raise _Hostile("its root is not a directory")
            return
        if member.isdir():
            self._parents(path + "/")
        elif member.isreg() and not member.issparse():
            self._parents(path)
            self._claim(path, _FILE)
            content = archive.extractfile(member)
            if content is None:
                raise _Hostile(f"{path!r} has no content")
            self._new(path, partial(_write, content, member.mode))
        elif member.issym():
            self._parents(path)
            self._claim(path, _LINK)
            self._links[path] = member.linkname
        else:
            raise _Hostile(f"{path!r} is neither a file nor a directory nor a symbolic link")

    def _path(self, name: str) -> str | None:
        """The path of a member in the directory: None if it is not wanted, empty for the directory itself."""
        if name.startswith("/"):
            raise _Hostile(f"{name!r} is an absolute path")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise _Hostile(f"{name!r} leads out of it")
        parts = parts[self._strip :]
        if parts[: len(self._below)] != self._below:
            return None
        return "/".join(parts[len(self._below) :])

    def _parents(self, path: str) -> None:
        """Make the directories that a path is in."""
        at = path.find("/")
        while at >= 0:
            parent = path[:at]
            kind = self._kinds.get(parent)
            if kind is None:
                self._claim(parent, _DIRECTORY)
                self._new(parent, _make_directory)
            elif kind is not _DIRECTORY:
                raise _Hostile(f"{parent!r} is {kind} and a directory")
            at = path.find("/", at + 1)

    def _claim(self, path: str, kind: str) -> None:
        if path in self._kinds:
            raise _Hostile(f"{path!r} is in it twice")
        self._kinds[path] = kind

    def _new(self, path: str, make: Callable[[Path], None]) -> None:
        try:
            make(self._directory / path)
        except FileExistsError:
            raise _Hostile(f"{path!r} and another name of it are one name here") from None


def _link(target: str, path: Path) -> None:
    path.symlink_to(target)


def _make_directory(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


def _write(content: Any, mode: int, path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        while True:
            data = content.read(limits.CHUNK_BYTES)
            if not data:
                break
            file.write(data)
        os.fchmod(file.fileno(), 0o755 if mode & 0o100 else 0o644)
