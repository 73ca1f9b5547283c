"""What `stowplan doctor` found: as text, as data, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import asdict

from executor.cli.render.encode import Markdown, cell, code, document, table
from executor.doctor.check import Check, State

__all__ = ["doctor_data", "doctor_lines", "doctor_markdown"]

_SYMBOLS: Final[Mapping[State, str]] = {
    State.OK: "✓",
    State.WARNING: "!",
    State.FAILED: "✗",
    State.SKIPPED: "-",
}
_WIDEST: Final = 30


def doctor_lines(checks: Sequence[Check]) -> Iterator[str]:
    """A line for each thing, and below it what mends it."""
    width = min(max((len(check.subject) for check in checks), default=0), _WIDEST)
    for check in checks:
        yield f"{_SYMBOLS[check.state]} {check.state:<7}  {check.subject:<{width}}  {check.found}"
        if check.fix:
            yield f"           fix: {check.fix}"
    yield ""
    yield _counts(checks)


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
