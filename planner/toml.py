"""TOML texts → data, within limits that nothing people write comes near.

Owns the limits: TOML 1.0 asks for integers of 64 bits, and nothing here is nested as deeply as a stack of
calls reaches. Refuses to know what the data means.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["InvalidToml", "parse", "table"]

_DEEPEST: Final = 64
_INTEGERS: Final = range(-(2**63), 2**63)
_PART: Final = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
# tomllib takes time for each pair of parts of a key.
_LONG_KEY: Final = re.compile(
    rf"(?:^|[\[{{,])[ \t]*+{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_DEEPEST}}}", re.MULTILINE
)


class InvalidToml(ValueError):
    """A text is no TOML, or goes beyond a limit; `line` counts from 1, where it is known."""

    def __init__(self, found: str, line: int | None = None) -> None:
        self.found = found
        self.line = line
        super().__init__(found)


def parse(text: str) -> dict[str, Any]:
    """The data of a TOML text. InvalidToml says what is wrong with it, and in which line."""
    if key := _LONG_KEY.search(text):
        raise InvalidToml(f"a key of more than {_DEEPEST} parts", text.count("\n", 0, key.start()) + 1)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # At its end, a text has no line in what tomllib says.
        at = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        found = str(error)[: at.start()] if at else str(error)
        raise InvalidToml(f"not TOML: {found}", int(at[1]) if at else None) from None
    except RecursionError:
        raise InvalidToml(f"tables and lists nested more than {_DEEPEST} deep") from None
    except ValueError:
        # Python reads no number of more digits (`sys.set_int_max_str_digits`).
        raise InvalidToml("an integer of more than 64 bits") from None
    _check(data)
    return data


def table(data: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A table inside data; empty where there is none."""
    for name in path:
        inner = data.get(name, {})
        data = inner if isinstance(inner, Mapping) else {}
    return data


def _check(data: Mapping[str, Any]) -> None:
    """InvalidToml for what is nested too deeply, and for an integer that other readers could not hold."""
    level: list[Any] = [data]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for holder in level:
            for item in holder.values() if isinstance(holder, dict) else holder:
                if isinstance(item, dict | list):
                    below.append(item)
                elif type(item) is int and item not in _INTEGERS:
                    raise InvalidToml("an integer of more than 64 bits")
        if not below:
            return
        level = below
    raise InvalidToml(f"tables and lists nested more than {_DEEPEST} deep")
