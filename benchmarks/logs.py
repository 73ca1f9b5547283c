"""What it costs to mask and encode the output of a build, next to cutting it into lines and keeping these."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Final

from benchmarks.measure import best, table
from executor.cli.render.encode import terminal
from executor.engines.logs import Log
from planner.mask import Mask

__all__ = ["masking"]

_CHARACTERS: Final = 10_000_000
_WORDS: Final = (
    "Collecting", "package", "==", "1.2.3", "Downloading", "https://files.example.org/packages/ab/cd/", "|",
    "#7 0.123", "copying", "build/lib/foo/bar.py", "->", "done", "sha256:" + "a1b2c3d4" * 8, "git+https://h/x@v1",
)  # fmt: skip


def masking(runs: int) -> None:
    """Many short lines, ten times as many, and one as long as all; none, one and ten values to hide."""
    chance = random.Random(1)  # noqa: S311  # the same text each time
    words = [chance.choice(_WORDS) for _ in range(_CHARACTERS // 14)]
    lines = [" ".join(words[at : at + 8]) for at in range(0, len(words), 8)]
    letters = string.ascii_letters + string.digits + "-_+/'\"$ &"
    values = ["".join(chance.choice(letters) for _ in range(32)) for _ in range(10)]

    def shown(line: str) -> None:
        terminal(line)

    def logged(text: list[str], values: list[str]) -> Callable[[], None]:
        return lambda: _each(text, Log(shown, Mask(values)))

    kept: list[str] = []
    figures = best(
        runs,
        {
            "cut and kept": lambda: _each("\n".join(lines).split("\n"), kept.append),
            "shown": lambda: _each(lines, shown),
            "logged, no value": logged(lines, []),
            "logged, 1 value": logged(lines, values[:1]),
            "logged, 10 values": logged(lines, values),
            "10 times as much": logged(lines * 10, values[:1]),
            "as one line": logged([" ".join(lines)], values[:1]),
        },
        {"cut and kept": kept.clear},
    )
    table("the output of a build", figures, ("cut and kept", "logged, 1 value"))


def _each(lines: list[str], take: Callable[[str], None]) -> None:
    for line in lines:
        take(line)
