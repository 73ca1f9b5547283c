"""An archive of a build context, unpacked as it streams, for an engine that builds from a directory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from executor.engines.archive import DOCKERFILE, IGNORE_FILE, context, whole_dockerfile
from executor.engines.interrupts import Task
from executor.engines.protocol import BuildJob
from executor.errors import ExecutorError

__all__ = ["lay_out"]


def lay_out(job: BuildJob, task: Task, directory: Path) -> None:
    """Have the context of a job in the directory `context` of another, and its Dockerfile beside that.

    Nothing in the context is a Dockerfile or an ignore file of ours. ExecutorError if it cannot be written.
    """
    unpack(task.guarded(context(job)), directory / "context")
    try:
        (directory / DOCKERFILE).write_bytes(whole_dockerfile(job.image).encode())
        (directory / IGNORE_FILE).touch()
    except OSError as error:
        raise _not_written(directory, error) from None


def unpack(chunks: Iterator[bytes], directory: Path) -> None:
    """Unpack an archive of our own making: everything in it is a relative path below the directory."""
    try:
        directory.mkdir()
        with tarfile.open(fileobj=_Reader(chunks), mode="r|") as members:
            directories = []
            while (member := members.next()) is not None:
                # Links may point anywhere: they are copied into the image as they are, and never followed.
                members.extract(member, directory, filter="fully_trusted")
                if member.isdir():
                    directories.append(member)
                # It keeps them all, which is a kilobyte for each file.
                members.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out
            # What was put into them has changed their times.
            for member in reversed(directories):
                members.extract(member, directory, filter="fully_trusted")
    except OSError as error:
        raise _not_written(directory, error) from None


def _not_written(directory: Path, error: OSError) -> ExecutorError:
    found = f"the build context cannot be written: {error.strerror}"
    return ExecutorError.of(str(directory), found, "free disk space, or set TMPDIR to another directory")


class _Reader(io.RawIOBase):
    """An iterator of chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """It is for reading only."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what there is of one chunk."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
