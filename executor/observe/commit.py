"""A commit of the checkout that a project is in: what it has of the project, read from the objects of git.

Owns how paths are followed in it, and where the objects of its submodules are. Nothing is checked out, and
no file of the checkout or of the repository is written.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, Self

from attrs import define, evolve, field

from executor.observe.files import outside, refused, shown
from executor.observe.git import Git, GitUnknown, text_of
from executor.observe.objects import COMMIT, Listed, Objects
from executor.reading import LARGEST_TEXT_BYTES
from executor.state import scratch_directory
from planner.lock.lock import LOCK_NAME

__all__ = ["Attributes", "Commit", "Store"]

# Read at once with the first file that is asked for: each question is a process.
_USUAL: Final = ("stowplan.toml", "pyproject.toml", LOCK_NAME, ".dockerignore", "requirements.txt")
_ATTRIBUTES: Final = ("filter", "ident", "eol", "working-tree-encoding", "export-ignore", "export-subst")
# A part that is empty, `.`, `..` or `.git`: a checkout would be written over, or left.
_NO_PATH: Final = re.compile(r"(?:^|/)(?:\.{0,2}|\.git)(?:/|$)", re.IGNORECASE)
_UNSET: Final = ("unspecified", "unset")


class Attributes(NamedTuple):
    """Files that a checkout, or an archive, has otherwise than git, by their attributes."""

    checkout: tuple[str, ...] = ()
    archive: tuple[str, ...] = ()


class Store(NamedTuple):
    """Where objects are: a repository, and below which path of the project its files are."""

    objects: Objects
    path: str = ""


@define(slots=False)
class Commit:
    """A commit, by the name that somebody gave it. `tree` is the project's; None if it is not in the commit.

    GitUnknown from any method if git cannot tell.
    """

    root: Path
    name: str
    id: str
    tree: str | None
    store: Store
    _texts: dict[str, bytes | None] = field(factory=dict, repr=False)

    @classmethod
    def named(cls, root: Path, name: str) -> Self | None:
        """The commit of a name, as git resolves it; None if there is none, or several."""
        if not name or any(each in name for each in ":\n\0"):
            return None
        objects = Objects(Git(os.path.realpath(root)))
        commit, tree = objects.kinds(f"{name}^{{commit}}", f"{name}:./")
        if commit is None:
            return None
        return cls(root, name, commit.id, tree.id if tree and tree.kind == "tree" else None, Store(objects))

    @staticmethod
    def names(root: Path) -> tuple[str, ...]:
        """The names of branches and tags. GitUnknown if git cannot tell."""
        kinds = ("refs/heads/", "refs/remotes/", "refs/tags/")
        git = Git(os.path.realpath(root))
        return tuple(git.read("for-each-ref", "--format=%(refname:short)", *kinds).splitlines())

    def content(self, path: str) -> bytes | None:
        """What is in a file, by its path from the root of the project; None if there is none.

        PlannerError for anything but a file of at most 16 MiB, through links that stay inside of the project.
        """
        plain = self._plain(path)
        if plain not in self._texts:
            self._read(dict.fromkeys([plain] if self._texts else [plain, *_USUAL]))
        return self._texts[plain]

    def is_file(self, path: str) -> bool:
        """Whether there is a file, or a link to one."""
        plain = self._plain(path)
        if self.tree is None or "\n" in plain:
            return False
        (found,) = self.store.objects.kinds(f"{self.tree}:{plain}")
        if found is None and (below := self._submodule_of(plain)) is not None:
            store, rest = below
            (found,) = store.objects.kinds(rest)
        return found is not None and found.kind == "blob"

    def _plain(self, path: str) -> str:
        """A path as git has it. PlannerError if it leads out of the project."""
        inside = path
        if posixpath.isabs(path):
            inside = posixpath.relpath(path, os.path.realpath(self.root))
        plain = posixpath.normpath(inside)
        if plain == ".." or plain.startswith("../"):
            raise outside(path, posixpath.normpath(posixpath.join(os.path.realpath(self.root), plain)))
        return plain

    def _read(self, paths: Iterable[str]) -> None:
        """Look at some files. What is wrong with the first is raised, the others are looked at again."""
        if self.tree is None:
            self._texts |= dict.fromkeys(paths)
            return
        first, *others = paths
        if "\n" in first:
            raise refused(first, "has a line end in its name, which git cannot be asked for", "rename it")
        names = [f"{self.tree}:{path}" for path in (first, *others)]
        parts: dict[int, bytearray] = {}

        def start(place: int, _: object) -> _Part:
            return _Part(parts.setdefault(place, bytearray()))

        for place, (path, found) in enumerate(
            zip((first, *others), self.store.objects.read(names, start), strict=True)
        ):
            data = bytes(parts.get(place, b""))
            if found is None:
                self._texts[path] = self._in_submodule(path)
            elif found.kind == "blob" and len(data) <= LARGEST_TEXT_BYTES:
                self._texts[path] = data
            elif found.kind in ("dangling", "notdir"):
                self._texts[path] = None
            elif not place:
                raise self._unreadable(path, found.kind, data)

    @staticmethod
    def _unreadable(path: str, kind: str, data: bytes) -> Exception:
        match kind:
            case "symlink":
                return outside(path, text_of(data))
            case "loop":
                return refused(path, "is a link that leads to itself", "make it a file")
            case "blob":
                limit = f"{LARGEST_TEXT_BYTES >> 20} MiB"
                return refused(path, f"is larger than {limit}, the most that is read", "make it smaller")
            case _:
                found = "is a directory, not a file"
                return refused(path, found, "put a regular file in its place")

    def _in_submodule(self, path: str) -> bytes | None:
        below = self._submodule_of(path)
        if below is None:
            return None
        store, name = below
        return store.objects.contents([name])[0]

    def _submodule_of(self, path: str) -> tuple[Store, str] | None:
        """The submodule that a path is in, and the name of the object there; None if it is in none."""
        if "/" not in path or "\n" in path:
            return None
        above = max((each for each in self.submodules if path.startswith(f"{each}/")), key=len, default=None)
        if above is None or (store := self._stores.get(above)) is None:
            return None
        return store, f"{self.submodules[above]}:{path.removeprefix(f'{above}/')}"

    @cached_property
    def files(self) -> tuple[tuple[Store, Listed], ...]:
        """Every file that the commit has of the project, and of its submodules as far as they are here."""
        if self.tree is None:
            return ()
        return tuple(self._files_of(self.store, self.tree))

    @cached_property
    def submodules(self) -> dict[str, str]:
        """The commit of each submodule, by its path."""
        return {each.path: each.id for _, each in self.files if each.mode == COMMIT}

    @property
    def missing(self) -> tuple[str, ...]:
        """The submodules whose objects are not here."""
        return tuple(path for path in self.submodules if path not in self._stores)

    @cached_property
    def _stores(self) -> dict[str, Store]:
        return {store.path: store for store, _ in self.files if store.path}

    def _files_of(self, store: Store, tree: str) -> Iterator[tuple[Store, Listed]]:
        for each in store.objects.files(tree):
            path = f"{store.path}/{each.path}" if store.path else each.path
            if _NO_PATH.search(each.path):
                found = f"its tree has a path that no checkout can have: {shown(path)}"
                raise GitUnknown(found, "run `git fsck` to see why")
            yield store, each._replace(path=path) if store.path else each
            if each.mode == COMMIT and (below := self._submodule(store, each, path)) is not None:
                yield from self._files_of(below, each.id)

    def _submodule(self, above: Store, listed: Listed, path: str) -> Store | None:
        """Where the objects of a submodule are: below its path, or where git keeps them for the one above."""
        top = os.path.realpath(self.root)
        git = above.objects.git
        common = git.read("rev-parse", "--git-common-dir").removesuffix("\n")
        prefix = "" if above.path else self.prefix
        modules = Path(top, common, "modules", f"{prefix}{listed.path}")
        for place in (Path(top, path, ".git"), modules):
            if not os.path.lexists(place):
                continue
            # As git itself finds it there; where its files would be does not matter.
            objects = Objects(evolve(git, environ={"GIT_DIR": str(place), "GIT_WORK_TREE": top}))
            try:
                (found,) = objects.kinds(f"{listed.id}^{{tree}}")
            except GitUnknown:
                continue
            if found is not None:
                return Store(objects, path)
        return None

    @cached_property
    def prefix(self) -> str:
        """The path of the project in the checkout, with a slash at its end; empty for its top."""
        return self.store.objects.git.read("rev-parse", "--show-prefix").removesuffix("\n")

    @cached_property
    def attributes(self) -> Attributes:
        """The files of the project that are not everywhere as git has them."""
        own = [each.path for store, each in self.files if not store.path and each.mode != COMMIT]
        above = [posixpath.join(*self.prefix.split("/")[:depth], ".gitattributes") for depth in self._depths]
        has_some = any(posixpath.basename(path) == ".gitattributes" for path in own)
        objects = self.store.objects
        if not has_some and not any(objects.kinds(*(f"{self.id}:{path}" for path in above)) if above else ()):
            return Attributes()
        with scratch_directory(None) as scratch:
            # Of a commit, git reads attributes from an index alone (2.40 was the first to take a tree).
            git = evolve(objects.git, environ={"GIT_INDEX_FILE": str(scratch / "index")})
            git.read("read-tree", self.id)
            given = "".join(f"{path}\0" for path in own).encode(errors="surrogateescape")
            done = git.run("check-attr", "--cached", "-z", "--stdin", *_ATTRIBUTES, stdin=(given,))
        words = text_of(done.stdout).split("\0")
        checkout: dict[str, None] = {}
        archive: dict[str, None] = {}
        for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=False):
            if value in _UNSET or (name == "eol" and value != "crlf"):
                continue
            archive[path] = None
            if not name.startswith("export-"):
                checkout[path] = None
        return Attributes(tuple(checkout), tuple(sorted(archive)))

    @property
    def _depths(self) -> Sequence[int]:
        """How many directories of the checkout are above the project, from none to all."""
        return range(self.prefix.count("/"))


class _Part:
    """Takes what is in a file, and of a large one no more than tells that it is."""

    def __init__(self, data: bytearray) -> None:
        self._data = data

    def __call__(self, part: bytes) -> None:
        if len(self._data) <= LARGEST_TEXT_BYTES:
            self._data += part
