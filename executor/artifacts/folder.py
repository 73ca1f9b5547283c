"""An artifact store that is a folder. Files are written beside it, and get their names by being moved."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from executor.errors import ExecutorError, remedy
from executor.scratch import held

__all__ = ["Folder"]

_TEMPORARY: Final = ".part-"


@frozen
class Folder:
    """Files below a folder, which is made when something is stored."""

    folder: Path

    def put(self, name: str, path: Path) -> None:
        """Store a file under a name. It is on the disk before it has it."""
        target = self.folder / name
        with _told(target, "written"):
            if not self.folder.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                # In a project, it is neither code nor a change of it.
                (self.folder / ".gitignore").write_text("*\n")
            target.parent.mkdir(parents=True, exist_ok=True)
            with held(self.folder, _TEMPORARY) as scratch:
                part = scratch / "file"
                shutil.copyfile(path, part)
                part.replace(target)

    def get(self, name: str, path: Path) -> None:
        """Write what has a name to a file; part of it, where that fails."""
        source = self.folder / name
        with _told(source, "read"):
            shutil.copyfile(source, path)

    def size(self, name: str) -> int | None:
        """How many bytes have a name; None if nothing has."""
        with _told(self.folder / name, "read"):
            try:
                status = (self.folder / name).stat()
            except FileNotFoundError:
                return None
            return status.st_size if stat.S_ISREG(status.st_mode) else None

    def signed(self, name: str, seconds: int) -> None:  # noqa: ARG002  # as Files has it
        """None: a container does not see the folder."""
        return


@contextmanager
def _told(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ExecutorError.of(str(path), "does not exist", "run the step that makes it again") from None
    except OSError as error:
        raise ExecutorError.of(
            str(path), f"cannot be {verb}: {error.strerror or error}", remedy(error)
        ) from None
