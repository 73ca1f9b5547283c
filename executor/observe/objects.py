"""Objects of a git repository, read from its store: nothing is checked out, and no file is written.

Owns how the answers of `git cat-file --batch` and `git ls-tree -z` are read (git-cat-file(1),
git-ls-tree(1)). Names are given on standard input, where none is an option.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from attrs import define

from executor.observe.files import decoded, encoded
from executor.observe.git import NOT_FETCHED, Git, GitUnknown, refused

__all__ = ["COMMIT", "EXECUTABLE", "LINK", "GitObject", "Listed", "Objects", "Take", "all_there"]

EXECUTABLE: Final = "100755"
LINK: Final = "120000"
COMMIT: Final = "160000"
"""The mode of a submodule: of its commit, which is in a repository of its own."""

Take = Callable[[bytes], object]
"""Takes the bytes of an object, as they come."""
# What stands in place of an object that is not there.
_NONE: Final = (b" missing", b" ambiguous", b" submodule")
# Names that one process is asked for: its standard input is written by a thread.
_AT_ONCE: Final = 10_000


class GitObject(NamedTuple):
    """An object: its kind and its ID. Of a link that leads out of a tree the kind is `symlink`.

    Where a path leads to nothing, it is `dangling`, `loop` or `notdir`, and there is no ID.
    """

    kind: str
    id: str


class Listed(NamedTuple):
    """A file of a tree, by its path from there: its mode, and the ID of what it holds."""

    mode: str
    id: str
    path: str


@define
class Objects:
    """The objects of one repository. GitUnknown from any method if git cannot tell."""

    git: Git

    def kinds(self, *names: str) -> list[GitObject | None]:
        """The objects of some names; None for one that is not there, or that means several."""
        return self.read(names, lambda *_: lambda _: None, content=False)

    def read(
        self, names: Sequence[str], start: Callable[[int, GitObject], Take], *, content: bool = True
    ) -> list[GitObject | None]:
        """The objects of some names, and what is in them: `start` gives what takes it, by the name's place.

        Links are followed inside of a tree, in a name such as `<tree>:<path>`. What is in one that leads out
        of it is where it leads.
        """
        found: list[GitObject | None] = []
        for begin in range(0, len(names), _AT_ONCE):
            part = [encoded(name) for name in names[begin : begin + _AT_ONCE]]
            reading = _reading(begin, len(part), start, found, content=content)
            next(reading)
            how = ("--batch" if content else "--batch-check", "--follow-symlinks")
            done = self.git.run(
                "cat-file", *how, stdin=(b"\n".join(part) + b"\n",), on_output=partial(_feed, reading)
            )
            if done.code:
                raise refused(done, self.git.directory)
            if len(found) < begin + len(part):
                raise GitUnknown("git ended before it had read all objects", "run `git fsck` to see why")
        return found

    def contents(self, names: Sequence[str]) -> list[bytes | None]:
        """What is in some blobs; None for what is no blob, or not there."""
        parts: dict[int, list[bytes]] = {}
        found = self.read(names, lambda place, _: parts.setdefault(place, []).append)
        return [
            b"".join(parts[place]) if each is not None and each.kind == "blob" else None
            for place, each in enumerate(found)
        ]

    def files(self, tree: str) -> Iterator[Listed]:
        """The files of a tree, and of all below it, in the order of their names."""
        done = self.git.run("ls-tree", "-r", "-z", "--full-tree", tree)
        if done.code:
            raise refused(done, self.git.directory)
        for entry in decoded(done.stdout).split("\0"):
            if entry:
                # `<mode> <kind> <ID>`, a tab, and the path.
                head, _, path = entry.partition("\t")
                mode, _, id_ = head.split(" ")
                yield Listed(mode, id_, path)


def all_there(found: Sequence[object]) -> None:
    """GitUnknown if something is None: an object that a tree names is not in the store."""
    if any(each is None for each in found):
        raise GitUnknown(*NOT_FETCHED)


def _feed(reading: Generator[None, bytes], data: bytes) -> None:
    with contextlib.suppress(StopIteration):
        reading.send(data)


def _reading(
    begin: int,
    count: int,
    start: Callable[[int, GitObject], Take],
    found: list[GitObject | None],
    *,
    content: bool,
) -> Generator[None, bytes]:
    """Reads answers, whose bytes are sent to it as they come, and notes the objects in `found`."""
    data, at = b"", 0
    for place in range(begin, begin + count):
        while (end := data.find(b"\n", at)) < 0:
            data, at = data[at:] + (yield), 0
        head, at = data[at:end], end + 1
        if head.endswith(_NONE):
            found.append(None)
            continue
        # `<ID> <kind> <size>`, and where a path led: `<kind> <size>`.
        *id_, kind, size = head.decode("ascii", "replace").split(" ")
        this = GitObject(kind, "".join(id_))
        found.append(this)
        if id_ and not content:
            continue
        take: Take = start(place, this)
        # A line end stands behind it.
        left = int(size) + 1
        while left:
            if at >= len(data):
                data, at = (yield), 0
            part = data[at : at + left]
            at += len(part)
            left -= len(part)
            take(part if left else part[:-1])
