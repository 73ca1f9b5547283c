"""The tree of a project's files that are not ignored, as a value.

Owns the walk, which never follows a link. A directory in which nothing changed since the last walk costs
one listing; where something did, only the files that changed are read. Refuses what an image cannot hold
as it is (a socket, a name that is not UTF-8, a name that means a deletion there) and what cannot be read:
all of it at once, by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import stat
from pathlib import Path
from typing import Final, TypeAlias

from attrs import field

from executor.observe.cache import Cache, Hashed, Row, Stamp, SubDirectory
from executor.observe.files import NotSettled, decoded, encoded, hash_file, shown
from executor.observe.selection import RENAME, Selection, no_root, unfit
from executor.state import STATE_DIRECTORY
from planner.errors import PlannerError, Problem
from planner.facts.needs import FileTree
from planner.files.paths import joined
from planner.files.tree import EMPTY_NODE, Kind, Tree, encode_child
from planner.immutable import frozen

__all__ = ["TICK_NS", "read_tree"]

# File systems stamp files with a clock that ticks in steps, of up to 2 s (FAT). A file that was changed
# so shortly before it was read can change once more and keep its stamp: git calls it racy.
TICK_NS: Final = 2_000_000_000
_UNREADABLE: Final = "make it readable, or add it to .dockerignore"
_SPECIAL: Final = {
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
}

# Holds a directory's place in the order of the walk until its files are read.
_TO_COME: Final = Row(b"", b"", ())

_Listed: TypeAlias = tuple[str, int] | tuple[str, int, int, int, int, int]
"""An entry of a directory: its name, its mode, and its stamp unless it is a directory."""


def read_tree(root: Path, need: FileTree, cache: Cache, *, tick_ns: int = TICK_NS) -> Tree:
    """The files that the rules of `need` do not ignore, and the directories they are in.

    A directory is part of the tree for what it holds: if nothing in it is kept, it is not. A file is
    executable if its owner may execute it, as in git: the other bits follow the umask. PlannerError with
    everything that an image cannot hold, and everything that could not be read.

    The cache is told of no file that is younger than `tick_ns`: the file system's clock may be as coarse.
    """
    walk = _Walk(_top(root, need.root), need, cache, tick_ns)
    walk.enter_all()
    walk.read_changed()
    walk.remember()
    if walk.problems:
        raise PlannerError(sorted(walk.problems, key=str))
    return Tree(walk.nodes())


def _top(root: Path, below: str) -> bytes:
    """The directory that a tree is in. PlannerError if it is none, or is reached through a link."""
    top = os.path.realpath(os.fsencode(root))
    if not below:
        return top
    place = os.path.join(top, encoded(below))  # noqa: PTH118  # Path cannot
    if os.path.realpath(place) != place:
        raise no_root(below, "link")
    if not os.path.exists(place):  # noqa: PTH110  # as above
        raise no_root(below, "missing")
    if not os.path.isdir(place):  # noqa: PTH112  # as above
        raise no_root(below, "file")
    return place


def _outputs() -> frozenset[tuple[int, int]]:
    """The files that this process writes its words to, by number and device: `apply 2> err`.

    They are no code, and would have changed by the time they are copied.
    """
    found = set()
    for descriptor in (1, 2):
        # A daemon may have closed them.
        with contextlib.suppress(OSError):
            of = os.fstat(descriptor)
            if stat.S_ISREG(of.st_mode):
                found.add((of.st_ino, of.st_dev))
    return frozenset(found)


@frozen
class _Draft:
    """A directory in which something changed: what is known of it before its files are read."""

    path: str
    signature: bytes
    children: dict[str, tuple[Kind, bytes]] = field(factory=dict)
    below: set[str] = field(factory=set)
    """The directories to enter."""
    unread: list[str] = field(factory=list)
    hashed: dict[str, Hashed] = field(factory=dict)
    doubts: list[str] = field(factory=list)
    """What may change again without a sign, or is not what was listed: not to be remembered."""


class _Walk:
    """One walk over one tree. Collects problems instead of stopping at the first."""

    def __init__(self, root: bytes, need: FileTree, cache: Cache, tick_ns: int) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._below = need.root
        self._cache = cache
        self._selection = Selection.of(need, root)
        self._key = self._selection.key
        self._outputs = _outputs()
        self._settled_before = cache.now() - tick_ns
        self._remembered = {
            path.removeprefix(need.root).removeprefix("/"): row for path, row in cache.rows(self._key).items()
        }
        # In the order of the walk: each directory before those below it.
        self._rows: dict[str, Row] = {}
        self._drafts: list[_Draft] = []

    def enter_all(self) -> None:
        """List every directory, and look closely at each in which something changed."""
        left = [""]
        while left:
            path = left.pop()
            try:
                listed = self._list(path)
            except OSError as error:
                # What is gone since the directory above was listed is no part of the tree.
                if not path or not isinstance(error, FileNotFoundError):
                    self._refuse(path or ".", f"cannot be read: {error.strerror}", _UNREADABLE)
                continue
            signature = hashlib.sha256(marshal.dumps(listed, 2)).digest()
            row = self._remembered.get(path)
            if row is not None and row.signature == signature:
                self._rows[path] = row
                left += [joined(path, each.name) for each in row.below]
            else:
                self._drafts.append(self._draft(path, listed, signature))
                self._rows[path] = _TO_COME
                left += [joined(path, name) for name in self._drafts[-1].below]

    def read_changed(self) -> None:
        """Read the files whose content is not known."""
        for draft in self._drafts:
            for name in draft.unread:
                self._read(draft, name)
            self._rows[draft.path] = _row(draft)

    def remember(self) -> None:
        """Hand the cache what is new, except what may change without a sign."""
        if self._drafts:
            self._cache.save(
                self._key,
                {
                    joined(self._below, draft.path): None if draft.doubts else self._rows[draft.path]
                    for draft in self._drafts
                },
                {joined(self._below, draft.path): draft.hashed for draft in self._drafts},
                [joined(self._below, path) for path in self._remembered.keys() - self._rows.keys()],
            )

    def nodes(self) -> dict[str, bytes]:
        """The nodes of the directories in which anything is kept, made from the leaves up."""
        nodes: dict[str, bytes] = {}
        for path, row in reversed(self._rows.items()):
            parts, position = [], 0
            for offset, name in row.below:
                below = nodes.get(joined(path, name))
                if below is not None:
                    parts.append(row.node[position:offset])
                    parts.append(encode_child(name.encode(), Kind.DIRECTORY, hashlib.sha256(below).digest()))
                    position = offset
            node = b"".join([*parts, row.node[position:]]) if parts else row.node
            if node != EMPTY_NODE or not path:
                nodes[path] = node
        return nodes

    def _list(self, path: str) -> list[_Listed]:
        """All that is in a directory, sorted by name."""
        left_out = self._selection.left_out.get(path, ())
        listed: list[_Listed] = []
        # By descriptor: a directory that becomes a link meanwhile is not followed, and it is faster.
        directory = os.open(self._place(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    name = entry.name
                    if not name.isascii():
                        # A listing by descriptor is decoded as the locale has it.
                        name = decoded(os.fsencode(name))
                    # The state of a project below this one is left out as well, whatever the rules say.
                    if name in left_out or name == STATE_DIRECTORY:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        listed.append((name, stat.S_IFDIR))
                        continue
                    try:
                        of = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if (of.st_ino, of.st_dev) in self._outputs:
                        continue
                    listed.append((name, of.st_mode, of.st_size, of.st_mtime_ns, of.st_ctime_ns, of.st_ino))
        finally:
            os.close(directory)
        listed.sort()
        return listed

    def _draft(self, path: str, listed: list[_Listed], signature: bytes) -> _Draft:
        """Sort out what is in a directory, as far as its files need not be read."""
        draft = _Draft(path, signature)
        known = self._cache.hashes(joined(self._below, path))
        for name, mode, *numbers in listed:
            below = joined(path, name)
            stamp = Stamp(*numbers) if numbers else None
            if name in known and known[name].stamp == stamp:
                draft.hashed[name] = known[name]
            if self._selection.ignores(below, directory=stamp is None):
                continue
            if found := unfit(name):
                self._refuse(below, found, RENAME)
                draft.doubts.append(name)
            elif stamp is None:
                draft.below.add(name)
            else:
                self._sort_in(draft, name, mode, stamp)
        return draft

    def _sort_in(self, draft: _Draft, name: str, mode: int, stamp: Stamp) -> None:
        """One file, link or other thing of a directory."""
        below = joined(draft.path, name)
        if not self._is_settled(stamp):
            draft.doubts.append(name)
            draft.hashed.pop(name, None)
        if stat.S_ISREG(mode) and name in draft.hashed:
            draft.children[name] = (_kind(mode), draft.hashed[name].digest)
        elif stat.S_ISREG(mode):
            draft.unread.append(name)
        elif stat.S_ISLNK(mode):
            self._read_link(draft, name)
        else:
            what = _SPECIAL.get(stat.S_IFMT(mode), "neither file, directory nor link")
            self._refuse(below, f"{what}, which an image cannot hold", "add it to .dockerignore")
            draft.doubts.append(name)

    def _read_link(self, draft: _Draft, name: str) -> None:
        below = joined(draft.path, name)
        try:
            target = os.readlink(self._place(below))  # noqa: PTH115  # Path would change a target like `./a`
            target.decode()
        except UnicodeDecodeError:
            self._refuse(below, "a link whose target is not UTF-8", RENAME)
            draft.doubts.append(name)
        except OSError:
            draft.doubts.append(name)
            self._refuse(below, "changed while it was looked at", "try again when nothing writes it")
        else:
            draft.children[name] = (Kind.LINK, target)

    def _read(self, draft: _Draft, name: str) -> None:
        """Take in a file that has to be read."""
        below = joined(draft.path, name)
        try:
            content = hash_file(self._place(below))
        except FileNotFoundError:
            draft.doubts.append(name)  # gone since it was listed: no part of the tree
        except NotSettled:
            self._refuse(below, "changed each time it was read", "try again when nothing writes it")
            draft.doubts.append(name)
        except OSError as error:
            self._refuse(below, f"cannot be read: {error.strerror}", _UNREADABLE)
            draft.doubts.append(name)
        else:
            draft.children[name] = (_kind(content.status.st_mode), content.digest)
            stamp = Stamp.of(content.status)
            if self._is_settled(stamp):
                draft.hashed[name] = Hashed(stamp, content.digest)
            else:
                draft.doubts.append(name)

    def _is_settled(self, stamp: Stamp) -> bool:
        return max(stamp.mtime, stamp.ctime) < self._settled_before

    def _place(self, path: str) -> bytes:
        return b"%s/%s" % (self._root, encoded(path))

    def _refuse(self, path: str, found: str, fix: str) -> None:
        place = shown(joined(self._below, path if path != "." or not self._below else ""))
        self.problems.append(Problem.in_file(place, None, found, fix))


def _row(draft: _Draft) -> Row:
    """What a directory comes to: its node without directories, and where those belong in it."""
    parts, below = [EMPTY_NODE], []
    size = len(EMPTY_NODE)
    for name in sorted([*draft.children, *draft.below], key=str.encode):
        if name in draft.below:
            below.append(SubDirectory(size, name))
        else:
            parts.append(encode_child(name.encode(), *draft.children[name]))
            size += len(parts[-1])
    return Row(draft.signature, b"".join(parts), tuple(below))


def _kind(mode: int) -> Kind:
    return Kind.EXECUTABLE if mode & stat.S_IXUSR else Kind.FILE
