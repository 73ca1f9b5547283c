"""Settings as plain data, as they are written in TOML, YAML or JSON: decoding it gives the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from planner.settings.build_options import BuildOptions
from planner.settings.checked import Checked, Layer

__all__ = ["plain"]


def plain(value: object) -> Any:
    """A value of a setting, or the settings that a layer gives: dicts, lists, texts, numbers, None."""
    match value:
        case BuildOptions():
            return _options(value)
        case Layer():
            return {name: plain(getattr(value, name)) for name in value.given}
        case Checked():
            fields = {name: plain(getattr(value, name)) for name in value.settable()}
            return {name: item for name, item in fields.items() if item not in (None, [])}
        case Enum():
            return value.value
        case Mapping():
            return {str(name): plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def _options(options: BuildOptions) -> dict[str, Any]:
    """Build options by their names: those without a field are written beside the others."""
    found: dict[str, Any] = {}
    for name in options.given:
        item = plain(getattr(options, name))
        # An empty table of them is explicit.
        found |= item if name in {"other", "tuning"} and item else {name: item}
    return found
