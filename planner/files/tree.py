"""A file tree as a value, with a Merkle digest.

Owns the node of one directory: canonical bytes that name each child with its kind and its content's
digest, its link target, or its own node's digest. Executable bits and link targets count; times,
owners and all other permission bits do not. Neither does an empty directory, which git cannot keep: a
directory is part of a tree for what it holds. Refuses to follow links and to read files: whoever observes
a tree hands over what the files hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, Self

from attrs import field

from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.values import Digest, freeze

__all__ = ["EMPTY_NODE", "Child", "Entry", "Kind", "Tree", "decode_node", "encode_child", "encode_node"]

# Every node starts like this; that of a tree without files is nothing else.
EMPTY_NODE: Final = b"stowplan/tree/1\n"
_DIRECTORY: Final = b"d"


class Kind(StrEnum):
    """What a child of a directory is."""

    FILE = "f"
    EXECUTABLE = "x"
    LINK = "l"
    DIRECTORY = "d"


# A node is made and read for every directory of every tree: a NamedTuple is made four times as fast
# as an attrs value, and a tree of 50,000 files has as many of these.
class Child(NamedTuple):
    """One child of a directory.

    `content` is the SHA-256 of a file's bytes or of a directory's node (32 bytes), or the target of a
    link (UTF-8).
    """

    name: str
    kind: Kind
    content: bytes


class Entry(NamedTuple):
    """One file or link of a tree, by its path from the root."""

    path: str
    kind: Kind
    content: bytes

    @property
    def target(self) -> str:
        """Where a link points."""
        return self.content.decode()


def encode_node(children: Iterable[Child]) -> bytes:
    """The canonical bytes of a directory, whatever order its children come in."""
    parts = sorted((child.name.encode(), child.kind, child.content) for child in children)
    return EMPTY_NODE + b"".join([encode_child(*part) for part in parts])


def encode_child(name: bytes, kind: Kind, content: bytes) -> bytes:
    """The part of a directory's node that one child makes. The parts are in the order of the names."""
    return b"%s%d:%s%d:%s" % (kind.encode(), len(name), name, len(content), content)


def decode_node(node: bytes) -> Iterator[Child]:
    """The children of a directory, sorted by the bytes of their names."""
    position = len(EMPTY_NODE)
    while position < len(node):
        kind = Kind(chr(node[position]))
        name, position = _framed(node, position + 1)
        content, position = _framed(node, position)
        yield Child(name.decode(), kind, content)


def _framed(data: bytes, position: int) -> tuple[bytes, int]:
    colon = data.index(b":", position)
    end = colon + 1 + int(data[position:colon])
    return data[colon + 1 : end], end


@frozen
class Tree:
    """The files below a root, as the nodes of its directories by their paths; the root's path is "".

    Holds exactly the directories that can be reached from the root, and none but the root is empty.
    """

    nodes: Mapping[str, bytes] = field(converter=freeze, metadata=NOT_COUNTED, repr=False)
    digest: Digest = field(init=False, metadata=COUNTED)

    @digest.default
    def _root_digest(self) -> Digest:
        return Digest(hashlib.sha256(self.nodes[""]).hexdigest())

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        """The tree of some files and links; the directories above them come by themselves."""
        children: dict[str, list[Child]] = {"": []}
        for path, kind, content in entries:
            # A directory by itself holds nothing.
            if kind is not Kind.DIRECTORY:
                parent, _, name = path.rpartition("/")
                _ensure(parent, children).append(Child(name, kind, content))
        nodes: dict[str, bytes] = {}
        for path in sorted(children, key=_depth, reverse=True):
            node = nodes[path] = encode_node(children[path])
            if path:
                parent, _, name = path.rpartition("/")
                children[parent].append(Child(name, Kind.DIRECTORY, hashlib.sha256(node).digest()))
        return cls(nodes)

    def entries(self) -> Iterator[Entry]:
        """Every file and link, sorted by the bytes of their paths."""
        found = [
            Entry(f"{path}/{child.name}" if path else child.name, child.kind, child.content)
            for path, node in self.nodes.items()
            for child in decode_node(node)
            if child.kind is not Kind.DIRECTORY
        ]
        yield from sorted(found, key=lambda entry: entry.path.encode())

    def paths(self) -> Iterator[str]:
        """The paths of every file and link, sorted by their bytes."""
        return (entry.path for entry in self.entries())

    def holds(self, path: str) -> bool:
        """Whether a file or a link of this path is in the tree."""
        parent, _, name = path.rpartition("/")
        children = decode_node(self.nodes[parent]) if parent in self.nodes else ()
        return any(child.name == name and child.kind is not Kind.DIRECTORY for child in children)

    def changed_paths(self, other: Tree) -> tuple[str, ...]:
        """The paths at which two trees differ, sorted; directories of equal digest are not entered."""
        return tuple(sorted(_changed(self.nodes, other.nodes, ""), key=str.encode))


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def _ensure(path: str, children: dict[str, list[Child]]) -> list[Child]:
    """The list of children of the directory at `path`, made along with all directories above it."""
    while path not in children:
        children[path] = []
        _ensure(path.rpartition("/")[0], children)
    return children[path]


def _changed(old: Mapping[str, bytes], new: Mapping[str, bytes], path: str) -> Iterator[str]:
    if old.get(path) == new.get(path):
        return
    for name, parts in _differing(old.get(path, EMPTY_NODE), new.get(path, EMPTY_NODE)):
        below = f"{path}/{name.decode()}" if path else name.decode()
        directories = [part.startswith(_DIRECTORY) for part in parts]
        if any(directories):
            yield from _changed(old, new, below)
        if not all(directories):
            yield below


def _differing(old: bytes, new: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """The children that are not the same in two nodes: the name, and its part of each node that has it.

    Every file of a large tree may come by here, and most are the same: those are read in one of the nodes.
    """
    old_at = new_at = len(EMPTY_NODE)
    while old_at < len(old) or new_at < len(new):
        old_name, old_end = _child(old, old_at)
        # A part says where it ends, so that it begins no other one.
        if old_end > old_at and new.startswith(part := old[old_at:old_end], new_at):
            old_at, new_at = old_end, new_at + len(part)
            continue
        new_name, new_end = _child(new, new_at)
        name = min(each for each in (old_name, new_name) if each)
        parts = []
        if old_name == name:
            parts.append(old[old_at:old_end])
            old_at = old_end
        if new_name == name:
            parts.append(new[new_at:new_end])
            new_at = new_end
        yield name, parts


def _child(node: bytes, position: int) -> tuple[bytes, int]:
    """The name of the child whose part of a node begins here, and where that ends; no name at the end."""
    if position == len(node):
        return b"", position
    colon = node.index(b":", position)
    name_end = colon + 1 + int(node[position + 1 : colon])
    content = node.index(b":", name_end)
    return node[colon + 1 : name_end], content + 1 + int(node[name_end:content])
