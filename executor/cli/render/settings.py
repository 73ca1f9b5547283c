"""What each setting of a step is and where it was said, in words, as data, and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from executor.cli.render.encode import Markdown, cell, code, document, heading, table
from planner.settings.explained import Said

if TYPE_CHECKING:
    from executor.schemas.printed import SettingsObject

__all__ = ["settings_data", "settings_lines", "settings_markdown"]

# Behind a longer value, its place is not in line with the others.
_WIDEST: Final = 40


def settings_lines(title: str, settings: Sequence[Said]) -> Iterator[str]:
    """A line for each setting, those that are said before the others: its name, its value, and its place."""
    yield title
    yield ""
    ordered = sorted(settings, key=lambda said: said.where is None)
    rows = [(_name(said), _value(said.value), _where(said)) for said in ordered]
    names = max((len(name) for name, _, _ in rows), default=0)
    values = min(max((len(value) for _, value, _ in rows), default=0), _WIDEST)
    for name, value, where in rows:
        yield f"  {name:<{names}}  {value:<{values}}  {where}"


def settings_markdown(title: str, settings: Sequence[Said]) -> Markdown:
    """The same as a table."""
    ordered = sorted(settings, key=lambda said: said.where is None)
    rows = [[code(_name(said)), code(_value(said.value)), cell(_where(said))] for said in ordered]
    return document([heading(title), table(["setting", "value", "from"], rows)])


def settings_data(pipeline: str, step: str | None, settings: Sequence[Said]) -> SettingsObject:
    """The settings of a step, or of a pipeline, schema `stowplan/settings/1`."""
    return {
        "schema": "stowplan/settings/1",
        "pipeline": pipeline,
        "step": step,
        "settings": [
            {
                "setting": _name(said),
                "value": said.value,
                "origin": said.origin,
                "file": said.where.file if said.where else None,
                "line": said.where.line if said.where else None,
                "how": said.how or None,
            }
            for said in settings
        ],
    }


def _name(said: Said) -> str:
    return ".".join(said.path)


def _value(value: object) -> str:
    match value:
        case None:
            return "none"
        case str():
            return value if value.strip() else json.dumps(value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def _where(said: Said) -> str:
    """`pipe.py:12 (@step)`, `run.yaml:7`, `stowplan.toml:9`, `default`."""
    if said.where is None:
        return "default"
    place = f"{said.where.file}:{said.where.line}" if said.where.line else said.where.file or ""
    return f"{place} ({said.how})" if said.how else place
