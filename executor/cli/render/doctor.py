"""What `stowplan doctor` found: as text, as data, and as Markdown."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import asdict

from executor.cli.render.encode import Markdown, cell, code, document, table, terminal
from executor.doctor.check import Check, State

__all__ = ["doctor_data", "doctor_lines", "doctor_markdown"]

_SYMBOLS: Final[Mapping[State, str]] = {
    State.OK: "✓",
    State.WARNING: "!",
    State.FAILED: "✗",
    State.SKIPPED: "-",
}
_WIDEST: Final = 24
_INDENT: Final = 11


def doctor_lines(checks: Sequence[Check], *, width: int | None = None, symbols: bool = True) -> Iterator[str]:
    """A line for each thing, and below it what mends it; `width` is that of a terminal, in columns."""
    subjects = min(max((len(check.subject) for check in checks), default=0), _WIDEST)
    for check in checks:
        head = f"{_SYMBOLS[check.state]} {check.state:<7}" if symbols else f"{check.state:<7}  "
        yield from _wrapped(f"{head}  {check.subject:<{subjects}}  {check.found}", _INDENT, width)
        if check.fix:
            yield from _wrapped(f"{'':<{_INDENT}}fix: {check.fix}", _INDENT + 5, width)
    yield ""
    yield _counts(checks)


def _wrapped(line: str, indent: int, width: int | None) -> Iterator[str]:
    """A line in parts that fit, none of which ends within a word."""
    if width is None:
        yield line
    else:
        yield from textwrap.wrap(
            terminal(line),
            width,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _counts(checks: Sequence[Check]) -> str:
    counted = Counter(check.state for check in checks)
    return ", ".join(f"{counted[state]} {state}" for state in State) + "."


def doctor_data(checks: Sequence[Check], *, works: bool) -> dict[str, Any]:
    """The object that `stowplan doctor -o json` prints, schema `stowplan/doctor/1`."""
    return {
        "schema": "stowplan/doctor/1",
        "works": works,
        "checks": [
            {**asdict(check), "state": check.state.value, "fix": check.fix or None} for check in checks
        ],
    }


def doctor_markdown(checks: Sequence[Check]) -> Markdown:
    """A table of all."""
    rows = [
        [
            cell(check.state),
            cell(check.subject),
            cell(check.found),
            code(check.fix) if check.fix else cell(""),
        ]
        for check in checks
    ]
    return document([table(["state", "what", "found", "fix"], rows), cell(_counts(checks))])
