"""Lines on a terminal that live while something goes on: one for each image, or for each step.

Refuses to be shown anywhere else: whoever wants it asks `look` whether standard error may be drawn again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from attrs import define, field

from executor.cli.output import live_console, live_text
from executor.cli.render.encode import terminal
from executor.cli.render.line import Line, Part, Style, cells, duration, faint, padded

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Live", "live_lines"]

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES: Final = "-\\|/"
_FRAMES_A_SECOND: Final = 10
# Below the lines, the cursor has one of its own.
_SPARE_LINES: Final = 2


@define
class _State:
    """How one of the lines stands: `since` when it began, by the monotonic clock, and how long it took."""

    name: str
    words: str
    style: Style | None = None
    since: float | None = None
    seconds: float | None = None
    expected: float | None = None


@define
class Live:
    """The lines, which any thread changes. What is said is encoded here."""

    _states: dict[str, _State]
    _lock: threading.Lock = field(factory=threading.Lock)

    def going(self, name: str, words: str, *, expected: float | None = None) -> None:
        """Say what goes on with a name: its time runs from the first call; `expected` is a forecast of it."""
        with self._lock:
            state = self._states[name]
            state.words = words
            state.expected = state.expected if expected is None else expected
            state.since = time.monotonic() if state.since is None else state.since

    def ended(self, name: str, words: str, style: Style) -> None:
        """Say how it ended: its time stands."""
        with self._lock:
            state = self._states[name]
            state.words, state.style = words, style
            state.seconds = None if state.since is None else time.monotonic() - state.since

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        """The lines that there is room for: those of what goes on, before what has ended or waits."""
        width, height = console.size
        with self._lock:
            shown = _chosen(list(self._states.values()), max(height - _SPARE_LINES, 1))
            names = max((cells(terminal(state.name)) for state in shown), default=0)
            lines = [self._line(state, names, width, console.encoding) for state in shown]
            hidden = len(self._states) - len(shown)
        if hidden:
            lines.append((faint(f"  and {hidden} more"),))
        for line in lines:
            text = live_text(line)
            text.truncate(width, overflow="ellipsis")
            yield text

    def _line(self, state: _State, names: int, width: int, encoding: str) -> Line:
        now = time.monotonic()
        passed = state.seconds
        if passed is None and state.since is not None:
            passed = now - state.since
        shown_time = "" if passed is None else f"  {duration(passed if state.seconds else int(passed))}"
        if state.expected is not None and state.seconds is None and passed is not None:
            shown_time += f" of about {duration(state.expected)}"
        symbol = " " if passed is None else _frame(now, encoding)
        if state.style is not None:
            symbol = {Style.BAD: "✗", Style.GOOD: "✓"}.get(state.style, "·")
        name = padded(terminal(state.name), names)
        room = width - names - len(shown_time) - 4
        return (
            Part(symbol, state.style or Style.NOTE), " ", *name, "  ",
            Part(_cut(terminal(state.words), room), state.style), faint(shown_time),
        )  # fmt: skip


def _chosen(states: list[_State], most: int) -> list[_State]:
    """At most so many, in their order: first of all those of which something goes on."""
    if len(states) <= most:
        return states
    ranked = sorted(states, key=lambda state: (state.since is None) + 2 * (state.style is not None))
    kept = {id(state) for state in ranked[: most - 1]}
    return [state for state in states if id(state) in kept]


def _frame(now: float, encoding: str) -> str:
    frames = _FRAMES if encoding.lower().startswith("utf") else _ASCII_FRAMES
    return frames[int(now * _FRAMES_A_SECOND) % len(frames)]


def _cut(words: str, room: int) -> str:
    """As many whole words as there is room for."""
    if cells(words) <= room:
        return words
    while " " in words:
        words = words.rpartition(" ")[0]
        if cells(words) < room:
            return f"{words}…"
    return words


@contextlib.contextmanager
def live_lines(names: Iterable[str], words: str) -> Iterator[Live]:
    """A line for each name: the name, what is going on, which is `words` at first, and for how long it has.

    The lines are gone in the end.
    """
    from rich.live import Live as Drawn  # noqa: PLC0415  # only a terminal needs it

    with live_console() as console:
        lines = Live({name: _State(name, words) for name in names})
        with Drawn(
            lines,
            console=console,
            transient=True,
            refresh_per_second=_FRAMES_A_SECOND,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield lines
