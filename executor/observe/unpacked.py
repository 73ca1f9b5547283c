"""The files of a commit written below a directory, for programs that need files: no checkout, and no filter.

Refuses to write through a link: links are made last.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Self

from executor.observe.commit import Commit, Store
from executor.observe.files import encoded
from executor.observe.git import GitUnknown
from executor.observe.objects import COMMIT, EXECUTABLE, LINK, GitObject, Listed, Take, all_there

__all__ = ["unpack_commit"]


def unpack_commit(commit: Commit, place: Path) -> None:
    """Write all files of a commit below `place`, a directory that is made.

    GitUnknown if git cannot tell, or has what no directory can hold; OSError if they cannot be written.
    """
    by_store: dict[str, tuple[Store, list[Listed]]] = {}
    links: list[tuple[Store, Listed]] = []
    place.mkdir()
    for store, listed in commit.files:
        path = _path(place, listed)
        (path if listed.mode == COMMIT else path.parent).mkdir(parents=True, exist_ok=True)
        if listed.mode == LINK:
            links.append((store, listed))
        elif listed.mode != COMMIT:
            by_store.setdefault(store.path, (store, []))[1].append(listed)
    for store, files in by_store.values():
        with _Writer(place, files) as writer:
            all_there(store.objects.read([each.id for each in files], writer.start))
    for store, listed in links:
        contents = store.objects.contents([listed.id])
        all_there(contents)
        try:
            _path(place, listed).symlink_to(os.fsdecode(contents[0] or b""))
        except FileExistsError:
            raise GitUnknown(f"its tree has {listed.path!r} twice", "run `git fsck` to see why") from None


def _path(place: Path, listed: Listed) -> Path:
    return place / os.fsdecode(encoded(listed.path))


class _Writer:
    """Writes files one after the other, as git gives what is in them."""

    def __init__(self, place: Path, files: list[Listed]) -> None:
        self._place = place
        self._files = files
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def start(self, number: int, _: GitObject) -> Take:
        """Begin with the next file."""
        if self._file is not None:
            self._file.close()
        listed = self._files[number]
        self._file = _path(self._place, listed).open("xb")
        if listed.mode == EXECUTABLE:
            os.fchmod(self._file.fileno(), 0o755)
        return self._file.write
