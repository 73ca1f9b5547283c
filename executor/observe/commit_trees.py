"""The tree of a project's files in a commit, as a value: what a clean checkout of it would come to.

Owns what of it is remembered: the SHA-256 of each object, and whole trees, by the IDs that git has for them.
Neither goes stale. What is left out and refused is what `trees` leaves out of a checkout and refuses.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from attrs import define, field

from executor.observe.cache import Cache
from executor.observe.commit import Commit, Store
from executor.observe.files import encoded, shown
from executor.observe.objects import COMMIT, EXECUTABLE, LINK, Listed, Take, all_there
from executor.observe.selection import RENAME, Selection, no_root, unfit
from executor.records.images import UnreadableImage, pack, unpack
from executor.state import STATE_DIRECTORY
from planner.errors import PlannerError, Problem
from planner.facts.needs import FileTree
from planner.files.paths import joined
from planner.files.tree import Entry, Kind, Tree
from planner.immutable import frozen

__all__ = ["CommitTree", "read_commit_tree"]


@frozen
class CommitTree:
    """A tree, and what of it a checkout may have otherwise: files with a filter, and absent submodules."""

    tree: Tree
    converted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def read_commit_tree(commit: Commit, need: FileTree, cache: Cache) -> CommitTree:
    """The files of a commit that the rules of a need do not ignore.

    PlannerError with everything that an image cannot hold; GitUnknown if git cannot tell.
    """
    top = os.path.join(os.path.realpath(os.fsencode(commit.root)), encoded(need.root))  # noqa: PTH118  # see trees
    selection = Selection.of(need, top)
    if commit.tree is not None and (packed := cache.tree(selection.key, commit.tree)) is not None:
        words, _, nodes = packed.partition(b"\0")
        try:
            return CommitTree(unpack(nodes), tuple(json.loads(words)))
        except (UnreadableImage, ValueError):
            pass  # read again
    _check_root(commit, need.root)
    walk = _Walk(commit, need.root, selection)
    walk.enter_all()
    if walk.problems:
        raise PlannerError(sorted(walk.problems, key=str))
    tree = Tree.of(walk.entries(cache))
    kept = {joined(need.root, path) for path, *_ in walk.kept}
    converted = tuple(path for path in commit.attributes.checkout if path in kept)
    if not walk.missing and commit.tree is not None:
        cache.save_tree(
            selection.key, commit.tree, json.dumps(converted).encode() + b"\0" + pack(tree, level=0)
        )
    return CommitTree(tree, converted, tuple(walk.missing))


def _check_root(commit: Commit, below: str) -> None:
    """PlannerError if a tree is not in a directory of the commit, or is reached through a link."""
    if not below:
        return
    modes = {each.path: each.mode for _, each in commit.files}
    parts = below.split("/")
    if any(modes.get("/".join(parts[:depth])) == LINK for depth in range(1, len(parts) + 1)):
        raise no_root(below, "link")
    if modes.get(below, COMMIT) != COMMIT:
        raise no_root(below, "file")
    if below not in modes and not any(path.startswith(f"{below}/") for path in modes):
        raise no_root(below, "missing")


@define
class _Walk:
    """A walk over the directories of a commit. Collects problems instead of stopping at the first."""

    commit: Commit
    root: str
    selection: Selection
    problems: list[Problem] = field(factory=list)
    kept: list[tuple[str, Store, Listed]] = field(factory=list)
    missing: list[str] = field(factory=list)

    def enter_all(self) -> None:
        """Sort out which files are part of the tree, without reading any."""
        files, below = _directories(self.commit)
        absent = frozenset(self.commit.missing)
        left = [""]
        while left:
            path = left.pop()
            place = joined(self.root, path) if path else self.root
            left_out = self.selection.left_out.get(path, frozenset()) | {STATE_DIRECTORY}
            for name, store, listed in files.get(place, ()):
                if name not in left_out and self._takes(joined(path, name), name, directory=False):
                    self.kept.append((joined(path, name), store, listed))
            for name in below.get(place, ()):
                if name not in left_out and self._takes(joined(path, name), name, directory=True):
                    left.append(joined(path, name))
                    if joined(place, name) in absent:
                        self.missing.append(joined(place, name))

    def _takes(self, path: str, name: str, *, directory: bool) -> bool:
        if self.selection.ignores(path, directory=directory):
            return False
        if found := unfit(name):
            self._refuse(path, found)
            return False
        return True

    def _refuse(self, path: str, found: str) -> None:
        self.problems.append(Problem.in_file(shown(joined(self.root, path)), None, found, RENAME))

    def entries(self, cache: Cache) -> Iterator[Entry]:
        """The files and links, with what is in them."""
        links = [each for each in self.kept if each[2].mode == LINK]
        digests = _digests({listed.id: store for _, store, listed in self.kept if listed.mode != LINK}, cache)
        targets = _contents({listed.id: store for _, store, listed in links})
        for path, _, listed in self.kept:
            if listed.mode != LINK:
                kind = Kind.EXECUTABLE if listed.mode == EXECUTABLE else Kind.FILE
                yield Entry(path, kind, digests[listed.id])
                continue
            try:
                targets[listed.id].decode()
            except UnicodeDecodeError:
                self._refuse(path, "a link whose target is not UTF-8")
            else:
                yield Entry(path, Kind.LINK, targets[listed.id])
        if self.problems:
            raise PlannerError(sorted(self.problems, key=str))


def _directories(
    commit: Commit,
) -> tuple[Mapping[str, list[tuple[str, Store, Listed]]], Mapping[str, list[str]]]:
    """The files that are in each directory, and the directories below it; a submodule is one."""
    files: dict[str, list[tuple[str, Store, Listed]]] = {}
    below: dict[str, list[str]] = {}

    def make(path: str) -> None:
        while path and path not in known:
            known.add(path)
            above, _, name = path.rpartition("/")
            below.setdefault(above, []).append(name)
            path = above

    known: set[str] = set()
    for store, listed in commit.files:
        if listed.mode == COMMIT:
            make(listed.path)
            continue
        directory, _, name = listed.path.rpartition("/")
        if directory not in known:
            make(directory)
        files.setdefault(directory, []).append((name, store, listed))
    return files, below


def _by_store(blobs: Mapping[str, Store]) -> Mapping[str, tuple[Store, list[str]]]:
    found: dict[str, tuple[Store, list[str]]] = {}
    for blob, store in blobs.items():
        found.setdefault(store.path, (store, []))[1].append(blob)
    return found


def _digests(blobs: Mapping[str, Store], cache: Cache) -> Mapping[str, bytes]:
    """The SHA-256 of what each blob holds."""
    known = cache.digests(blobs)
    new: dict[str, bytes] = {}
    for store, ids in _by_store({blob: each for blob, each in blobs.items() if blob not in known}).values():
        hashes = [hashlib.sha256() for _ in ids]
        all_there(store.objects.read(ids, partial(_hash, hashes)))
        new |= {blob: each.digest() for blob, each in zip(ids, hashes, strict=True)}
    cache.save_digests(new)
    return {**known, **new}


def _hash(hashes: Sequence[hashlib._Hash], place: int, _: object) -> Take:
    return hashes[place].update


def _contents(blobs: Mapping[str, Store]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for store, ids in _by_store(blobs).values():
        for blob, data in zip(ids, store.objects.contents(ids), strict=True):
            all_there([data])
            found[blob] = data or b""
    return found
