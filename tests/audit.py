"""What Python says before it opens, connects, renames and the like, for tests that watch or forbid it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Watch: TypeAlias = Callable[[str, tuple[object, ...]], None]

_watching: list[Watch] = []


def _tell(event: str, arguments: tuple[object, ...]) -> None:
    for watch in tuple(_watching):
        watch(event, arguments)


# One for all tests of a process: it can never be taken away.
sys.addaudithook(_tell)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have a function told of each event, with its arguments. What it raises, the event fails with."""
    _watching.append(watch)
    try:
        yield
    finally:
        _watching.remove(watch)
