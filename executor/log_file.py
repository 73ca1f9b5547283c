"""Logs, each in a file of its own below `.stowplan/logs`: what a build or a step wrote, without secrets.

Keeps the newest few. Refuses to fail what it is about: where a file cannot be written, that is said once, and
the work goes on.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from executor import limits
from executor.errors import ExecutorError
from executor.state import log_directory

__all__ = ["LogFile"]


class LogFile:
    """The log of one build or step. `name` is its file, from the root of the project; empty if there is none.

    `run` is the run of a step, whose logs have a directory of their own. Another attempt begins the file
    anew. What a kill leaves is whole, up to its last line.
    """

    def __init__(
        self, root: Path, name: str, on_error: Callable[[str], None], *, run: str | None = None
    ) -> None:
        self.name = ""
        self._on_error = on_error
        self._file: IO[str] | None = None
        try:
            directory = log_directory(root, run)
            path = directory / f"{name}.log"
            self._file = open(  # noqa: SIM115  # `close` closes it; Path.open has no opener
                path,
                "w",
                buffering=1,
                encoding="utf-8",
                errors="backslashreplace",
                newline="\n",
                opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666),
            )
            self.name = str(path.relative_to(root))
            _keep_newest(directory if run is None else directory.parent)
        except ExecutorError as error:
            on_error(str(error.problems[0]))
        except OSError as error:
            self._failed(error)

    def write(self, line: str) -> None:
        """Write one line."""
        if self._file is not None:
            try:
                self._file.write(f"{line}\n")
            except OSError as error:
                self._failed(error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._failed(error)

    def _failed(self, error: OSError) -> None:
        self._file = None
        self._on_error(f"its log cannot be written: {error.strerror or error}")


def _keep_newest(logs: Path) -> None:
    """Remove what is oldest of the logs of builds and of runs: a run counts once."""
    with contextlib.suppress(OSError):
        aged = sorted(os.scandir(logs), key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
        for entry in aged[: -limits.KEPT_LOGS]:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)  # noqa: PTH108  # a path of os.scandir
