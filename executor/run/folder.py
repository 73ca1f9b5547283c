"""The artifact store that a project has by itself: a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from executor.errors import ExecutorError, remedy

__all__ = ["Folder"]


class Folder:
    """An artifact store in a folder. ExecutorError for what cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, path: Path) -> None:
        """Put a file there under a name, which it has once it is whole."""
        target = self._path / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
            shutil.copyfile(path, part)
            part.replace(target)
        except OSError as error:
            raise ExecutorError.of(str(target), error.strerror or str(error), remedy(error)) from None

    def get(self, name: str, path: Path) -> None:
        """Copy what is there under a name to a new file."""
        try:
            shutil.copyfile(self._path / name, path)
        except OSError as error:
            raise ExecutorError.of(
                str(self._path / name), error.strerror or str(error), remedy(error)
            ) from None
