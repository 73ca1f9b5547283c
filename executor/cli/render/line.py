"""A line as it is shown: text in parts, each in a style that has a name, and how it is broken to fit.

Refuses to know colours: `executor.cli.output` encodes what is shown and paints it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final, TypeAlias

__all__ = [
    "Line",
    "Part",
    "Style",
    "broken",
    "cells",
    "duration",
    "faint",
    "note",
    "padded",
    "parts_of",
    "text_of",
]

_WORDS: Final = re.compile(r" +|[^ ]+")
_HANG: Final = 2


class Style(StrEnum):
    """What a part of a line means. A colour never says it alone."""

    GOOD = "good"
    """It is there."""
    TODO = "todo"
    """It will be built or pushed."""
    BAD = "bad"
    """It failed, or will."""
    NOTE = "note"
    STRONG = "strong"
    FAINT = "faint"
    FIRST = "first"
    """This and the next ones tell those apart who speak at the same time, and mean nothing else."""
    SECOND = "second"
    THIRD = "third"
    FOURTH = "fourth"


VOICES: Final = (Style.FIRST, Style.SECOND, Style.THIRD, Style.FOURTH)
"""The styles of those who speak at the same time."""


# Even `--version` prints one: no attrs, which takes longer to load than that takes to print.
@dataclass(frozen=True)
class Part:
    """Text in one style."""

    text: str
    style: Style | None = None


Line: TypeAlias = str | Sequence[str | Part]
"""Text, or parts one after the other."""


def parts_of(line: Line) -> tuple[Part, ...]:
    """The parts of a line."""
    given = (line,) if isinstance(line, str) else line
    return tuple(part if isinstance(part, Part) else Part(part) for part in given)


def text_of(line: Line) -> str:
    """The text of a line, without its styles."""
    return "".join(part.text for part in parts_of(line))


def faint(text: str) -> Part:
    """Text that matters less."""
    return Part(text, Style.FAINT)


def note(text: str) -> Line:
    """What a user should know."""
    return Part("note:", Style.NOTE), f" {text}"


def cells(text: str) -> int:
    """How many columns of a terminal text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  # most text is ASCII

    return cell_len(text)


def padded(part: str | Part, width: int) -> tuple[Part, str]:
    """A part, and the spaces up to a width in columns."""
    (made,) = parts_of((part,))
    return made, " " * (width - cells(made.text))


def broken(parts: Iterable[Part], width: int) -> Iterator[tuple[Part, ...]]:
    """Parts as lines of at most `width` columns, none of which begins or ends within a word.

    Those after the first are further in: below the last column that begins in the left half, where two spaces
    or more come before a column.
    """
    words = [(word, part.style) for part in parts for word in _WORDS.findall(part.text)]
    line: list[Part] = []
    used = 0
    indent = _indent([word for word, _ in words], width // 2)
    for word, style in words:
        size = cells(word)
        if used + size > width and any(part.text.strip() for part in line):
            yield tuple(_trimmed(line))
            line, used = [Part(" " * indent)], indent
            if not word.strip():
                continue
        line.append(Part(word, style))
        used += size
    yield tuple(_trimmed(line))


def _indent(words: Sequence[str], most: int) -> int:
    """How far in lines after the first begin."""
    first = words[0] if words else ""
    indent, used = (len(first) if not first.strip() else 0) + _HANG, 0
    for word in words:
        used += cells(word)
        if used > most:
            break
        if len(word) >= _HANG and not word.strip() and used != len(first):
            indent = used
    return min(indent, most)


def _trimmed(line: Sequence[Part]) -> Iterator[Part]:
    """The parts of a line without spaces at its end; what has one style is one part."""
    end = len(line)
    while end and not line[end - 1].text.strip():
        end -= 1
    for style, parts in groupby(line[:end], key=lambda part: part.style):
        yield Part("".join(part.text for part in parts), style)


def duration(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `12 s`, `2 min 5 s`, `1 h 10 min`."""
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
