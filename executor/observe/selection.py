"""Which entries of a directory belong to a tree: the same ones in a checkout and in a commit."""

from __future__ import annotations

import hashlib
import marshal
import os
from collections.abc import Mapping
from typing import Final, Literal, Self

from executor.observe.files import decoded, encoded, refused
from planner.errors import PlannerError
from planner.facts.needs import FileTree
from planner.files.ignore import IgnoreRules
from planner.immutable import frozen

__all__ = ["RENAME", "Selection", "no_root", "unfit"]

RENAME: Final = "rename it, or add it to .dockerignore"
_NO_ROOT: Final = {
    "link": ("is reached through a link", "name the directory that the link leads to"),
    "missing": ("does not exist", "name a directory of the project"),
    "file": ("is not a directory", "name the directory that it is in"),
}
# The layer of an image says by such a name what is gone (OCI Image Format Specification, layer.md).
_WHITEOUT: Final = ".wh."


@frozen
class Selection:
    """What a need leaves out of the tree that it asks for. Paths are those from the tree's root."""

    key: bytes
    """Equal for needs that leave the same out."""
    left_out: Mapping[str, frozenset[str]]
    """Names that are left out whatever the rules say, by the directory that they are in."""
    _rules: tuple[IgnoreRules, ...]

    @classmethod
    def of(cls, need: FileTree, root: bytes) -> Self:
        """The selection of a need, whose tree is in the directory `root`."""
        # marshal in version 2 is a plain framing: newer versions depend on reference counts.
        which = (need.rules.patterns, need.left_out, need.root, need.only.patterns if need.only else None)
        left_out: dict[str, frozenset[str]] = {}
        for path in need.left_out:
            # As the settings name it, which may be `./docker/ignore`, or an absolute path.
            inside = os.path.relpath(os.path.join(root, encoded(path)), root)  # noqa: PTH118  # Path cannot
            directory, _, name = decoded(inside).rpartition("/")
            left_out[directory] = left_out.get(directory, frozenset()) | {name}
        rules = tuple(each for each in (need.rules, need.only) if each is not None)
        return cls(hashlib.sha256(marshal.dumps(which, 2)).digest(), left_out, rules)

    def ignores(self, path: str, *, directory: bool) -> bool:
        """Whether some rules leave out a file, or a directory with all that is below it."""
        return any(
            rules.ignores(path) and not (directory and not rules.prunes(path)) for rules in self._rules
        )


def unfit(name: str) -> str:
    """Why an image cannot hold a file or directory of this name; empty if it can."""
    if name.startswith(_WHITEOUT):
        return f"a name that starts with {_WHITEOUT}, which deletes a file in an image instead of adding one"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    return ""


def no_root(path: str, kind: Literal["link", "missing", "file"]) -> PlannerError:
    """The error about the directory of a tree, where there is something else."""
    return refused(path, *_NO_ROOT[kind])
