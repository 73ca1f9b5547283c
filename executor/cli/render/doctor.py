"""What `stowplan doctor` found: as text, as data, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from executor.cli.render.encode import Markdown, cell, code, document, table
from executor.cli.render.line import Line, Part, Style, cells, padded
from executor.doctor.check import Check, State

if TYPE_CHECKING:
    from executor.schemas.printed import DoctorObject

__all__ = ["doctor_data", "doctor_lines", "doctor_markdown"]

_SYMBOLS: Final[Mapping[State, str]] = {
    State.OK: "✓",
    State.WARNING: "!",
    State.FAILED: "✗",
    State.SKIPPED: "-",
}
_STYLES: Final[Mapping[State, Style]] = {
    State.OK: Style.GOOD,
    State.WARNING: Style.TODO,
    State.FAILED: Style.BAD,
    State.SKIPPED: Style.FAINT,
}
_WIDEST: Final = 24
_INDENT: Final = 11


def doctor_lines(checks: Sequence[Check]) -> Iterator[Line]:
    """A line for each thing, and below it what mends it."""
    subjects = min(max((cells(check.subject) for check in checks), default=0), _WIDEST)
    for check in checks:
        head = padded(Part(f"{_SYMBOLS[check.state]} {check.state}", _STYLES[check.state]), _INDENT)
        yield *head, *padded(check.subject, subjects), f"  {check.found}"
        if check.fix:
            yield f"{'':<{_INDENT}}fix: {check.fix}"
    yield ""
    yield _counts(checks)


def _counts(checks: Sequence[Check]) -> str:
    counted = Counter(check.state for check in checks)
    return ", ".join(f"{counted[state]} {state}" for state in State) + "."


def doctor_data(checks: Sequence[Check], *, works: bool) -> DoctorObject:
    """The object that `stowplan doctor -o json` prints, schema `stowplan/doctor/1`."""
    return {
        "schema": "stowplan/doctor/1",
        "works": works,
        "checks": [
            {
                "code": check.code,
                "subject": check.subject,
                "state": check.state.value,
                "found": check.found,
                "fix": check.fix or None,
            }
            for check in checks
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
