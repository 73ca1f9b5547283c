"""The whole log of each step, in a file of its own: what it wrote, without secrets, as it comes.

Refuses to fail a step: where a file cannot be written, that is said once, and the step goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from executor.errors import ExecutorError
from executor.state import log_directory

__all__ = ["StepLog"]


class StepLog:
    """The log of one step of a run. `name` is its file, from the root of the project; empty if there is none.

    Another attempt begins it anew. What a kill leaves is whole, up to its last line.
    """

    def __init__(self, root: Path, run: str, step: str, on_error: Callable[[str], None]) -> None:
        self.name = ""
        self._on_error = on_error
        self._file: IO[str] | None = None
        try:
            path = log_directory(root, run) / f"{step}.log"
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
