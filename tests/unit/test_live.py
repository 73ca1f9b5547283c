"""The lines that live on a terminal, drawn without one: what fits, in which words, and for how long."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from executor.cli import live
from executor.cli.live import Live, live_lines
from executor.cli.render.line import Style
from planner.immutable import frozen


@frozen
class Clock:
    """A clock that stands."""

    seconds: float

    def monotonic(self) -> float:
        """The time."""
        return self.seconds


def drawn(lines: Live, columns: int, rows: int, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    console = Console(file=file, width=columns, height=rows, color_system=None)
    console.print(lines)
    file.flush()
    shown = file.buffer.raw if hasattr(file.buffer, "raw") else file.buffer
    assert isinstance(shown, io.BytesIO)
    return [line.rstrip() for line in shown.getvalue().decode(encoding).splitlines()]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Live:
    with live_lines(["p", "p/first", "p/second", "p/third"], "waiting") as made:
        monkeypatch.setattr(live, "time", Clock(1000.0))
        made.going("p/first", "building", expected=75.0)
        made.going("p/second", "building")
        monkeypatch.setattr(live, "time", Clock(1012.0))
        made.going("p/first", "[3/6] requirements")
        made.ended("p/second", "built", Style.GOOD)
        made.ended("p/third", "failed", Style.BAD)
        return made


def test_a_line_for_each(lines: Live) -> None:
    assert drawn(lines, 80, 24) == [
        "  p         waiting",
        "⠋ p/first   [3/6] requirements  12 s of about 1 min 15 s",
        "✓ p/second  built  12 s",
        "✗ p/third   failed",
    ]


def test_what_does_not_fit_is_cut_between_words(lines: Live) -> None:
    assert drawn(lines, 48, 24)[1] == "⠋ p/first   [3/6]…  12 s of about 1 min 15 s"
    assert all(len(line) <= 20 for line in drawn(lines, 20, 24))


def test_what_goes_on_is_shown_before_what_waits_or_has_ended(lines: Live) -> None:
    assert drawn(lines, 80, 4) == [
        "⠋ p/first  [3/6] requirements  12 s of about 1 min 15 s",
        "  and 3 more",
    ]


def test_a_terminal_without_the_symbols_has_others(lines: Live) -> None:
    first, going, *_ = drawn(lines, 80, 24, "ascii")
    assert first == "  p         waiting"
    assert going[0] in "-\\|/"


def test_nothing_of_a_name_is_obeyed() -> None:
    with live_lines(["a\x1b[2J"], "wait\x1b]0;t\x07") as made:
        pass
    assert drawn(made, 80, 24) == ["  a\\x1b[2J  wait\\x1b]0;t\\x07"]
