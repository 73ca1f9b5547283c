"""The code of a project as one archive, named by what is in it.

It holds the files and links below the source root that git does not ignore, those of submodules too; of a
source root that says nothing about what is ignored, what images leave out as well. Its digest is that of the
tar file: zlib does not compress alike on every machine, and an archive that a colleague has sent is not sent
again.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from executor.artifacts.gitignore import GITIGNORE, Rules, above, of_checkout
from executor.bootstrap import limits, pack
from executor.bootstrap.errors import Refused
from executor.bootstrap.links import leaves
from executor.errors import ExecutorError, FilesChanged, remedy
from executor.observe.files import shown
from executor.observe.git import Git, GitUnknown
from planner.errors import Place, Problem
from planner.files.defaults import OWN_FILES, default_rules
from planner.files.ignore import IgnoreRules
from planner.values import Digest

__all__ = ["CodeArchive", "archive_code"]

_GIT: Final = ".git"
_LEAVE_OUT: Final = "add it to .gitignore"
_UNREADABLE: Final = "make it readable, or add it to .gitignore"
# An archive is made for each run: that it is small is worth less than that it is quick.
_LEVEL: Final = 1


@frozen
class CodeArchive:
    """An archive in a file. `digest` is that of the tar file in it, `size` is that of the file, in bytes."""

    path: Path
    digest: Digest
    size: int
    files: int

    @property
    def name(self) -> str:
        """What it is called in an artifact store."""
        return f"code/{self.digest.hex}.tar.gz"


def archive_code(root: Path, path: Path) -> CodeArchive:
    """Write the archive of the code below a source root to a file. Memory does not grow with its size.

    ExecutorError with everything that cannot be in it: links out of the source root, what is neither a file
    nor a link, what cannot be read, names that are not UTF-8. FilesChanged if a file changes meanwhile.
    """
    entries = _entries(root)
    with path.open("wb") as file, gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
        hashed = _Hashed(packed)
        try:
            pack.write(hashed, entries)
        except Refused as error:
            raise FilesChanged([Problem(Place(file=str(root)), error.found, error.fix)]) from None
        except OSError as error:
            where = str(error.filename or path)
            raise ExecutorError.of(
                where, f"cannot be archived: {error.strerror or error}", remedy(error)
            ) from None
    return CodeArchive(path, Digest(hashed.digest.hexdigest()), path.stat().st_size, len(entries))


class _Hashed:
    """A file to write to, and the digest of what was written."""

    def __init__(self, file: pack.Writable) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)


def _entries(root: Path) -> list[pack.Entry]:
    walk = _Walk(root)
    named = {entry.name: entry for entry in walk.all()}
    found = sorted(named.values(), key=lambda entry: os.fsencode(entry.name))
    walk.problems += [
        _problem(path, f"is a link out of the source root, to {shown(target)}", _LEAVE_OUT)
        for path, target in walk.links.items()
        if leaves(path, walk.links)
    ]
    if len(found) > limits.MEMBERS:
        walk.problems.append(_problem("", f"has {len(found)} files, more than {limits.MEMBERS}", _LEAVE_OUT))
    if walk.size > limits.UNPACKED_BYTES:
        most = f"{limits.UNPACKED_BYTES >> 30} GiB"
        walk.problems.append(
            _problem("", f"has {walk.size >> 30} GiB of files, more than {most}", _LEAVE_OUT)
        )
    if walk.problems:
        raise ExecutorError(sorted({*walk.problems}, key=str))
    return found


class _Walk:
    """What is in a source root, and what is wrong with it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.links: dict[str, str] = {}
        self.size = 0
        # Where nobody says what is ignored.
        self._defaults: IgnoreRules | None = None

    def all(self) -> Iterator[pack.Entry]:
        found = above(self.root)
        start, rules = found or ("", Rules())
        if found is None and not (self.root / GITIGNORE).exists():
            self._defaults = default_rules()
        yield from self._below(self.root, "", start, rules)
        if found is not None:
            yield from self._tracked()

    def _tracked(self) -> Iterator[pack.Entry]:
        """The files that git tracks although a rule ignores them. None where git cannot say."""
        try:
            told = Git(str(self.root)).read("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
        except GitUnknown:
            return
        for path in filter(None, told.split("\0")):
            place = self.root / path
            above_it = [each for each in place.parents if each.is_relative_to(self.root)]
            # What is in its place, or on the way to it, may be something else by now, or nothing.
            gone = not (place.is_symlink() or place.is_file()) or any(
                each.is_symlink() for each in above_it[:-1]
            )
            if not gone and path.partition("/")[0] not in OWN_FILES:
                yield from self._file(place, path)

    def _below(self, directory: Path, path: str, start: str, rules: Rules) -> Iterator[pack.Entry]:
        """What is in a directory, by its path. With `start` before it, it is one of the checkout."""
        try:
            with os.scandir(directory) as entries:
                inside = list(entries)
        except OSError as error:
            self.problems.append(_problem(path, f"cannot be read: {error.strerror}", _UNREADABLE))
            return
        if path and any(entry.name == _GIT for entry in inside):
            # A submodule, or another checkout: what is ignored in it is its own to say.
            rules = of_checkout(directory, start + path)
        rules = rules.below(directory, f"{start}{path}".removesuffix("/"))
        for entry in inside:
            below = f"{path}/{entry.name}" if path else entry.name
            if entry.name == _GIT or below in OWN_FILES:
                continue
            yield from self._entry(entry, below, start, rules)

    def _entry(self, entry: os.DirEntry[str], path: str, start: str, rules: Rules) -> Iterator[pack.Entry]:
        is_directory = entry.is_dir(follow_symlinks=False)
        if rules.ignore(start + path, directory=is_directory):
            return
        if self._defaults is not None and self._defaults.ignores(path):
            return
        if is_directory:
            yield from self._below(Path(entry.path), path, start, rules)
        else:
            yield from self._file(Path(entry.path), path)

    def _file(self, place: Path, path: str) -> Iterator[pack.Entry]:
        problem = self._look(place, path)
        if problem is None:
            yield pack.Entry(path, place)
        else:
            self.problems.append(problem)

    def _look(self, place: Path, path: str) -> Problem | None:
        """What is wrong with what is not a directory."""
        try:
            path.encode()
        except UnicodeEncodeError:
            return _problem(path, "has a name that is not UTF-8", "rename it, or add it to .gitignore")
        try:
            status = place.lstat()
            if stat.S_ISLNK(status.st_mode):
                self.links[path] = str(place.readlink())
                return None
        except OSError as error:
            return _problem(path, f"cannot be read: {error.strerror}", _UNREADABLE)
        if not stat.S_ISREG(status.st_mode):
            return _problem(path, "is neither a file nor a directory nor a link", _LEAVE_OUT)
        if not os.access(place, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
            return _problem(path, "cannot be read: Permission denied", _UNREADABLE)
        self.size += status.st_size
        return None


def _problem(path: str, found: str, fix: str) -> Problem:
    return Problem(Place(file=shown(path) or "."), found, fix)
