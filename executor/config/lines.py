"""The line of every setting in a TOML text.

TOML libraries keep no positions, but tomlkit keeps the text: a number put in place of every value comes
out on that value's own line, so that one pass over the text finds them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["lines_of"]

_MARK: Final = "stowplan-value-"
Path = tuple[str | int, ...]


def lines_of(text: str) -> Mapping[Path, int]:
    """The line, from 1, of each value, table and item of a list in a TOML text, by its path.

    A table's line is that of the first value in it; one without any has none.
    """
    import tomlkit  # noqa: PLC0415  # only errors need it

    document: Any = tomlkit.parse(text)
    mark = _MARK
    while mark in text:  # in a comment or a key, which stay
        mark += "-"
    paths: list[Path] = []
    for holder, key, path in list(_values(document, ())):
        # What follows a text of several lines has to stay on its line.
        more = str(holder[key].as_string()).count("\n") if hasattr(holder[key], "as_string") else 0
        holder[key] = tomlkit.string(f"{mark}{len(paths)}" + "\n" * more, multiline=bool(more))
        paths.append(path)
    found: dict[Path, int] = {}
    line, position = 1, 0
    marked = tomlkit.dumps(document)
    for match in re.finditer(rf"{mark}(\d+)", marked):
        line += marked.count("\n", position, match.start())
        position = match.start()
        path = paths[int(match[1])]
        for end in range(len(path), 0, -1):
            found.setdefault(path[:end], line)
    return found


def _values(value: Any, path: Path) -> Iterator[tuple[Any, Any, Path]]:
    """Every value that holds no other, with what holds it."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, item in list(items):
        below = (*path, key if isinstance(key, int) else str(key))
        if isinstance(item, Mapping) or (isinstance(item, list) and item):
            yield from _values(item, below)
        else:
            yield value, key, below
