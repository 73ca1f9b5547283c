"""What an engine is doing at the moment, so that another thread can stop it.

Refuses to know how anything is stopped: whoever starts something hands over the function that ends it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from executor.errors import BuildFailed, ExecutorError
from executor.process import Stop

__all__ = ["Task", "Tasks"]


class Task:
    """One build or one push of what `reference` names."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self._lock = threading.Lock()
        self._stops: list[Stop] = []
        self._over = threading.Event()
        self._why: ExecutorError | None = None

    @property
    def interrupted(self) -> bool:
        """Whether this task was ended from another thread."""
        return self._over.is_set()

    def stoppable(self, stop: Stop) -> None:
        """Take over the function that ends this task; it is called at once if that was asked for already."""
        with self._lock:
            self._stops.append(stop)
            late = self.interrupted
        if late:
            stop()

    def check(self) -> None:
        """Raise BuildFailed if this task was interrupted, or the error that ended it."""
        if self.interrupted:
            raise self._why or BuildFailed.of(
                self.reference, "interrupted", "run again: what is complete is kept"
            )

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises what `check` does as soon as the task is interrupted."""
        self._over.wait(seconds)
        self.check()

    def guarded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, until the task is interrupted: then BuildFailed."""
        for chunk in chunks:
            self.check()
            yield chunk

    def interrupt(self, why: ExecutorError | None = None) -> None:
        """End this task; `why` is raised by it, by default that it was interrupted."""
        with self._lock:
            self._why = self._why or why
            self._over.set()
            stops = tuple(self._stops)
        for stop in stops:
            stop()


class Tasks:
    """All that one engine is building and pushing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: set[Task] = set()

    @contextmanager
    def begun(self, reference: str) -> Iterator[Task]:
        """A new task, which counts until the context ends."""
        task = Task(reference)
        with self._lock:
            self._active.add(task)
        try:
            yield task
        finally:
            with self._lock:
                self._active.discard(task)

    def interrupt(self) -> None:
        """End what is going on now, and nothing that begins later."""
        with self._lock:
            active = tuple(self._active)
        for task in active:
            task.interrupt()
