"""What a lock is told to look up anew, as it is written: images, packages, and the time of the newest one."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from executor.errors import UsageError
from planner.errors import PlannerError
from planner.requirements.model import Requirement
from planner.values import ImageRef

__all__ = ["newest_time", "released_image", "upgraded_package"]


def released_image(text: str) -> ImageRef:
    """The parent image whose pin is looked up anew. UsageError for what is no reference."""
    try:
        return ImageRef.parse(text)
    except ValueError as error:
        raise UsageError.of("--upgrade-image", str(error), "write it like python:3.11-slim") from None


def upgraded_package(text: str) -> Requirement:
    """The package that is looked up anew, with its version if one is named. UsageError for anything else."""
    fix = "write a name, or a name with a version, like numpy or numpy==2.1.0"
    try:
        found = Requirement.parse(text)
    except PlannerError as error:
        raise UsageError.of("--upgrade-package", error.problems[0].found, fix) from None
    if found.url or found.marker or found.extras:
        raise UsageError.of("--upgrade-package", f"more than a package and its version: {text!r}", fix)
    return found


def newest_time(text: str) -> str:
    """A time in UTC, to the second: of a day its end, of `none` nothing. UsageError for what is neither."""
    if text == "none":
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fix = "write a day or a time, like 2026-05-31 or 2026-05-31T12:00:00Z"
        raise UsageError.of("--exclude-newer", f"not a date: {text!r}", fix) from None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        found = found.replace(hour=23, minute=59, second=59)
    known = found if found.tzinfo else found.replace(tzinfo=UTC)
    return known.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
