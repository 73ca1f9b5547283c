"""An engine by its name, looked for when it is first asked for: planning seldom needs one."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from executor.engines.names import asked_engine
from executor.errors import ExecutorError

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["engine_chooser"]


def engine_chooser(name: str | None) -> Callable[[], Engine]:
    """Choose the engine when it is first asked for, and only then.

    UsageError at once for a name that is none.
    """
    asked_engine(name)

    @functools.cache
    def found() -> Engine | ExecutorError:
        from executor.engines.select import choose  # noqa: PLC0415  # most commands need no engine

        # Kept too: to find out that an engine hangs takes a while.
        try:
            return choose(name)
        except ExecutorError as error:
            return error

    # Whoever asks while another still looks, as planning does that gave up, waits for what that finds.
    lock = threading.Lock()

    def chosen() -> Engine:
        with lock:
            engine = found()
        if isinstance(engine, ExecutorError):
            raise engine
        return engine

    return chosen
