"""Times that a person types: a date, a moment, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

__all__ = ["age_option", "ago", "since", "since_option"]

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")


def ago(text: str) -> timedelta:
    """How long `30m`, `12h`, `7d` or `2w` is. ValueError for anything else."""
    match = _AGO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an age: write it like 30m, 12h, 7d or 2w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def since(text: str, now: datetime) -> str:
    """The time that `7d`, `2026-11-01` or `2026-11-01T12:00` names, in UTC as ISO 8601, by seconds.

    What names no zone is UTC. ValueError for anything else, and for a time that no calendar has.
    """
    try:
        if _AGO.fullmatch(text):
            moment = now - ago(text)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return moment.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time: write it like 2026-11-01, 2026-11-01T12:00, 12h or 7d"
        ) from None


def since_option(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """What `since` makes of the value of an option."""
    try:
        return None if value is None else since(value, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def age_option(_: click.Context, __: click.Parameter, value: str) -> str:
    """The time so long ago as the value of an option says, in UTC as ISO 8601."""
    try:
        return (datetime.now(UTC) - ago(value)).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is not an age: write it like 30m, 12h, 7d or 2w") from None
