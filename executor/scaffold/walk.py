"""The files of a folder that may say something about it, within limits.

Refuses to follow links, to enter what is hidden or an environment, and to go on for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

__all__ = ["files_of"]

_DEEPEST: Final = 4
_MOST_ENTRIES: Final = 20_000
_LEFT_OUT: Final = frozenset(
    {"__pycache__", "build", "dist", "docs", "env", "node_modules", "site-packages", "test", "tests", "venv"}
)
_ENVIRONMENT: Final = "pyvenv.cfg"


def files_of(root: str) -> Iterator[str]:
    """Paths of regular files from `root`, those nearer to it first, with slashes, sorted by name."""
    left = _MOST_ENTRIES
    level = [""]
    for _ in range(_DEEPEST):
        below: list[str] = []
        for directory in level:
            try:
                with os.scandir(os.path.join(root, directory)) as entries:  # noqa: PTH118  # texts, as below
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                continue
            if directory and any(entry.name == _ENVIRONMENT for entry in found):
                continue
            for entry in found:
                left -= 1
                if left < 0:
                    return
                path = f"{directory}/{entry.name}" if directory else entry.name
                # What is not UTF-8 cannot be written into a project file.
                if any("\ud800" <= character <= "\udfff" for character in path):
                    continue
                if entry.is_file(follow_symlinks=False):
                    yield path
                elif (
                    entry.is_dir(follow_symlinks=False)
                    and not entry.name.startswith(".")
                    and entry.name not in _LEFT_OUT
                ):
                    below.append(path)
        level = below
