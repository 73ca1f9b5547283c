"""What an engine is doing at the moment, so that another thread can stop it.

Refuses to know how anything is stopped: whoever starts something hands over the function that ends it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from executor.errors import BuildFailed
from executor.process import Stop

__all__ = ["Task", "Tasks"]


class Task:
    """One build or one push of what `reference` names."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._lock = threading.Lock()
        self._stops: list[Stop] = []
        self.interrupted = False

    def stoppable(self, stop: Stop) -> None:
        """Take over the function that ends this task; it is called at once if that was asked for already."""
        with self._lock:
            self._stops.append(stop)
            late = self.interrupted
        if late:
            stop()

    def check(self) -> None:
        """Raise BuildFailed if this task was interrupted."""
        if self.interrupted:
            raise BuildFailed.of(self._reference, "interrupted", "run again: what is complete is kept")

    def guarded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks, until the task is interrupted: then BuildFailed."""
        for chunk in chunks:
            self.check()
            yield chunk

    def interrupt(self) -> None:
        """End this task."""
        with self._lock:
            self.interrupted = True
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
