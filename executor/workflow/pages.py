"""Pages in files: what a page needs to know of the checkout, and how it is written.

Refuses to replace a file that is no page of stowplan, and to write through a link.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from executor.errors import ExecutorError, remedy
from planner.image.plan import ImagePlan
from planner.values import Digest

__all__ = ["tree_sizes", "write_page"]

# How a page of ours begins: see `executor.cli.render.encode.page`.
_BEGINNING: Final = (
    b'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="stowplan">'
)


def tree_sizes(root: Path, images: Iterable[ImagePlan]) -> Mapping[Digest, int]:
    """The bytes of the files of each tree that images copy, by its digest. A link counts as what it says."""
    found: dict[Digest, int] = {}
    for image in images:
        base = root / image.checkout.context_root
        for tree in image.checkout.trees.values():
            if tree.digest not in found:
                # A file that is gone since it was looked at has no size.
                with contextlib.suppress(OSError):
                    found[tree.digest] = sum(os.lstat(base / path).st_size for path in tree.paths())
    return found


def write_page(path: Path, text: str) -> None:
    """Write a page so that at any instant the file is the old page or the new one, whole.

    ExecutorError if something else has this name, or it cannot be written.
    """
    if not path.parent.is_dir():
        raise ExecutorError.of(str(path.parent), "is not a directory", "make it, or name a file elsewhere")
    try:
        _check_replaceable(path)
        new = path.with_name(f".{path.name[:200]}.{os.urandom(8).hex()}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        fix = remedy(error) if isinstance(error, OSError) else "name another file"
        raise ExecutorError.of(str(path), f"cannot be written: {reason}", fix) from None


def _check_replaceable(path: Path) -> None:
    """ExecutorError if a file may not take the place of what is there."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    found = "is a link" if stat.S_ISLNK(there.st_mode) else "is not a file"
    if stat.S_ISREG(there.st_mode):
        with path.open("rb") as file:
            if file.read(len(_BEGINNING)) == _BEGINNING:
                return
        found = "is not a page that stowplan wrote"
    raise ExecutorError.of(str(path), found, "name another file, or remove it")
