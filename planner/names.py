"""The names of pipelines, steps, their outputs, stacks and integrations: one grammar for all of them."""

from __future__ import annotations

from typing import Final

from planner.settings.checks import matching

__all__ = ["NAME", "SOURCE", "name_check", "source_check"]

# They stand in tags, tables, paths and messages.
NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
name_check: Final = matching(
    NAME,
    "a name",
    "training",
    fix="use a-z, A-Z, 0-9 and '_', after the first also '.' and '-', at most 100",
)

_PART: Final = r"[^\W\d]\w*"
SOURCE: Final = rf"{_PART}(?:\.{_PART})*:{_PART}(?:\.{_PART})*"
"""A pipeline in Python: `module:object`, as it is imported from the source root."""
source_check: Final = matching(
    SOURCE,
    "a pipeline in Python",
    "training.pipelines:train",
    # Letters of any alphabet, of which ECMA-262 has no class that all programs know.
    {"type": "string", "pattern": r"^[^\s:.]+(\.[^\s:.]+)*:[^\s:.]+(\.[^\s:.]+)*$"},
)
