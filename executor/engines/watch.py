"""Whether the Docker daemon is still there while it builds or pushes, which may take as long as it likes.

A build can be silent for an hour. So its silence means nothing, but that of the daemon itself does: asked for
nothing but a sign of life, it answers at once, whatever it builds.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from executor import limits
from executor.engines.daemon import Daemon
from executor.engines.interrupts import Task
from executor.errors import EngineUnavailable, ExecutorError
from planner.errors import Place, Problem

__all__ = ["check_lost", "watched"]

# So often in a row it may leave a question open: a machine that is short of memory or was asleep recovers.
_MISSES: Final = 2
_LAST_LINES: Final = 3
# A build's last words when its daemon goes, in those of `docker buildx` (grpc-go, moby's client).
_LOST: Final = re.compile(
    r"error reading from server: EOF|transport is closing|code = Unavailable|error during connect"
    r"|Cannot connect to the Docker daemon|closing transport due to|use of closed network connection"
)


@contextlib.contextmanager
def watched(task: Task) -> Iterator[None]:
    """End the task with EngineUnavailable when the daemon no longer answers."""
    over = threading.Event()

    def look() -> None:
        missed = 0
        while not over.wait(limits.WATCH_SECONDS):
            try:
                # Of its own: the one that works remembers silence at once.
                Daemon().greet(limits.ANSWER_SECONDS)
            except ExecutorError as error:
                missed += 1
                if missed == _MISSES:
                    task.interrupt(_lost(task.reference, error.problems[0]))
                    return
            else:
                missed = 0

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def check_lost(reference: str, lines: Iterable[str]) -> None:
    """EngineUnavailable if a build or a push failed because its daemon went, which its last words say."""
    try:
        Daemon().greet()
    except ExecutorError as error:
        raise _lost(reference, error.problems[0]) from None
    for line in tuple(lines)[-_LAST_LINES:]:
        if _LOST.search(line):
            raise _lost(reference, Problem(Place(), line, "check that the daemon runs, and run again"))


def _lost(reference: str, problem: Problem) -> EngineUnavailable:
    found = f"the Docker daemon was lost while it worked on this: {problem.found}"
    return EngineUnavailable([Problem(Place(file=reference), found, problem.fix)])
