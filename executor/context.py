"""The files of the project that an image copies, as a stream: what was planned, and nothing else.

Owns the members of the tar archive (POSIX.1-2001, PAX) that every engine is fed: sorted, with modes,
owners and times set here, so that the same plan gives the same bytes on any machine. Each file is hashed
while it is streamed and compared with the plan: what an engine gets is what was planned, or the stream
breaks off. What is found changed is forgotten by the cache of hashes, which may be what was wrong. Refuses
ignore files (the tree is already resolved), and refuses to follow any link.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from executor.errors import ExecutorError, FilesChanged
from executor.observe.files import decoded
from planner.errors import Place, Problem
from planner.files.paths import joined
from planner.files.tree import Child, Kind, Tree, decode_node
from planner.image.instructions import CONTEXT, CopyFiles
from planner.image.plan import ImagePlan
from planner.render.dockerfile import CONTEXT_TREES, TIMESTAMP

__all__ = ["ARCHIVE_END", "directory_member", "file_member", "files", "verify"]

# Two blocks of zeros end an archive, which is a multiple of 20 blocks long only by custom.
ARCHIVE_END: Final = bytes(2 * tarfile.BLOCKSIZE)
_CHUNK_BYTES: Final = 1 << 20
_DIRECTORY_MODE: Final = 0o755
_DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a fifo that took a file's place would wait for a writer.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_Mode = Callable[[int], int]


class _Changed(Exception):
    """One path is not what was planned; says what it is."""


def files(image: ImagePlan, root: Path) -> Iterator[bytes]:
    """The members of a build context that are files of the project, which is below `root`.

    Each tree that is copied is below `trees/<name>/`; the context of a custom Dockerfile is as it is. It is
    no whole archive: what is generated, and the end, are an engine's to add. Memory does not grow with the
    size of files. FilesChanged names every file that is not what was planned.
    """
    yield from _gathered(_members(image, root))


def _members(image: ImagePlan, root: Path) -> Iterator[bytes]:
    if image.spec.dockerfile is not None:
        # A Dockerfile of the user's own names its files from the context's root.
        yield from _tree_members(_tree(image, CONTEXT), root, "", image.checkout.context_root)
        return
    names = sorted(image.built.trees)
    if names:
        yield directory_member(CONTEXT_TREES)
    for name in names:
        prefix = f"{CONTEXT_TREES}/{name}/"
        yield from _tree_members(_tree(image, name), root, prefix, mode=_mode(image, name))


def verify(image: ImagePlan, root: Path) -> None:
    """Compare every file that would be copied with the plan. FilesChanged names those that differ."""
    for _ in files(image, root):
        pass


def directory_member(path: str, mode: int = _DIRECTORY_MODE) -> bytes:
    """A member of an archive that is a directory."""
    return _header(path, tarfile.DIRTYPE, mode)


def file_member(path: str, data: bytes) -> bytes:
    """A member of an archive that holds a file of its own making."""
    return _header(path, tarfile.REGTYPE, 0o644, size=len(data)) + data + _padding(len(data))


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: each becomes a write, and over HTTP a chunk."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= _CHUNK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _tree(image: ImagePlan, name: str) -> Tree:
    trees: Mapping[str, Tree] = image.checkout.trees
    if name not in trees:
        raise ExecutorError.of(image.name, "planned without its files", "plan it in a checkout")
    return trees[name]


def _mode(image: ImagePlan, name: str) -> _Mode:
    """What becomes of the usual modes in a tree; of several copies of it, where more may write."""
    copies = (item for item in image.built.instructions if isinstance(item, CopyFiles) and item.tree == name)
    return max(copies, key=lambda item: bool(item.group_writes)).mode


def _usual(mode: int) -> int:
    return mode


def _tree_members(
    tree: Tree, root: Path, prefix: str, below: str = "", mode: _Mode = _usual
) -> Iterator[bytes]:
    """The members of a tree that is in a directory `below` the root, each directory before what it holds.

    `mode` makes their modes of the usual ones.

    After the first change nothing more is produced, but all the rest is still compared.
    """
    problems: list[Problem] = []
    gone: set[str] = set()
    with ExitStack() as stack:
        try:
            top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            found = error.strerror or "no directory"
            raise ExecutorError.of(str(root), found, "name the project's root") from None
        stack.callback(os.close, top)
        for directory in sorted(tree.nodes, key=str.encode):
            if directory and directory.rpartition("/")[0] in gone:
                gone.add(directory)
                continue
            try:
                with _opened(top, joined(below, directory)) as handle:
                    if not problems and (prefix or directory):
                        path = f"{prefix}{directory}".removesuffix("/")
                        yield directory_member(path, mode(_DIRECTORY_MODE))
                    for child in decode_node(tree.nodes[directory]):
                        path = joined(directory, child.name)
                        try:
                            for chunk in _member(handle, child, f"{prefix}{path}", mode):
                                if not problems:
                                    yield chunk
                        except _Changed as change:
                            problems.append(_problem(joined(below, path), str(change)))
            except _Changed as change:
                gone.add(directory)
                problems.append(_problem(joined(below, directory), str(change)))
    if problems:
        _forget(root, [problem.where.file or "" for problem in problems])
        raise FilesChanged(problems)


def _forget(root: Path, paths: Iterable[str]) -> None:
    """Have changed files read again by the next plan: where their stamps did not change, it would not."""
    from executor.observe.cache import Cache  # noqa: PLC0415  # SQLite, and few files change

    with Cache(root) as cache:
        cache.forget(paths)


def _problem(path: str, found: str) -> Problem:
    return Problem(Place(file=path or "."), f"changed since it was planned: {found}", "plan again")


@contextmanager
def _opened(top: int, directory: str) -> Iterator[int]:
    """A directory below `top`, opened name by name so that no link is followed on the way."""
    handle = os.dup(top)
    try:
        for name in directory.split("/") if directory else ():
            try:
                below = os.open(name.encode(), _DIRECTORY_FLAGS, dir_fd=handle)
            except NotADirectoryError:
                raise _Changed("it is not a directory") from None
            except OSError as error:
                raise _Changed(_words(error)) from None
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def _member(directory: int, child: Child, path: str, mode: _Mode) -> Iterator[bytes]:
    """The member of one file or link. Directories have a turn of their own."""
    match child.kind:
        case Kind.DIRECTORY:
            return
        case Kind.LINK:
            try:
                target = os.readlink(child.name.encode(), dir_fd=directory)
            except OSError as error:
                raise _Changed("it is not a link" if error.errno == errno.EINVAL else _words(error)) from None
            if target != child.content:
                raise _Changed(f"it points to {decoded(target)!r}")
            yield _header(path, tarfile.SYMTYPE, 0o777, target=child.content.decode())
        case Kind.FILE | Kind.EXECUTABLE:
            yield from _file(directory, child, path, mode)


def _file(directory: int, child: Child, path: str, mode: _Mode) -> Iterator[bytes]:
    try:
        handle = os.open(child.name.encode(), _FILE_FLAGS, dir_fd=directory)
    except OSError as error:
        raise _Changed(_words(error)) from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _Changed("it is not a file")
        executable = bool(found.st_mode & stat.S_IXUSR)
        if executable is not (child.kind is Kind.EXECUTABLE):
            raise _Changed("it is executable" if executable else "it is not executable")
        yield _header(path, tarfile.REGTYPE, mode(0o755 if executable else 0o644), size=found.st_size)
        digest = hashlib.sha256()
        left = found.st_size
        while left:
            chunk = os.read(handle, min(left, _CHUNK_BYTES))
            if not chunk:
                raise _Changed("it became shorter while it was read")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        if digest.digest() != child.content:
            raise _Changed("its content is another")
        yield _padding(found.st_size)
    finally:
        os.close(handle)


def _words(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is gone"
    if error.errno == errno.ELOOP:
        return "it is a link"
    return f"it cannot be read ({error.strerror})"


def _header(path: str, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> bytes:
    """The header of a member: owned by root, whose name is left out, and with one time for all."""
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.size, member.linkname = kind, mode, size, target
    member.mtime = TIMESTAMP
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
