"""One pattern of an ignore file against one path, in time that grows with their lengths and no faster.

Owns the parts that a pattern is made of, and a way to match them that never goes back: it keeps the set of
all places in the path that the parts so far can reach, as the bits of one number. Docker's matcher, Go's
regexp, is of that kind; Python's tries one way after the other, which for five stars between classes that
match `/` takes longer than anyone waits. Refuses to read patterns: `ignore` does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

__all__ = ["ANY_DIRECTORIES", "ANY_NAME", "START", "TO_THE_END", "below_any", "expression", "matches"]

ANY_NAME: Final = "[^/]*"
ANY_DIRECTORIES: Final = "(?:.*/)?"  # without DOTALL, as in Docker
TO_THE_END: Final = ".*"  # likewise
START: Final = "^"


def expression(parts: Sequence[str]) -> tuple[str, str] | None:
    """A head that many patterns share and a tail, for `fullmatch`; None if that might try too many ways.

    Each part is one of the four above, or an expression that matches exactly one character. An expression
    of Python takes time that grows with the path as long as one of its parts can end in several places, and
    what comes after that part looks at each component of the path only once for each of them.
    """
    crossing = [part in (ANY_DIRECTORIES, TO_THE_END) or _digits(part)[ord("/")] == "1" for part in parts]
    # Before a single component there is one place to end.
    single = parts[0] == ANY_DIRECTORIES and not any(crossing[1:])
    made = list(parts)
    directories = names = 0  # the parts that can end in several places, and what counts as one after such
    star = -1  # the last star, if nothing since could be a slash
    for index, part in enumerate(parts):
        if part == ANY_NAME:
            names += bool(names)
            if star >= 0:
                # The first place where the text between two stars fits is as good as any other:
                # not trying the rest keeps `*a*a*a*a*` from taking for ever.
                made[star] = f"(?>{made[star]}?"
                made[index] = f"){part}"
            star = index
        elif crossing[index]:
            directories += part == ANY_DIRECTORIES and not single
            # Before a slash and at the end a star has one place to end.
            names += star >= 0 and part not in ("/", TO_THE_END)
            star = -1
    if directories + names > 1:
        return None
    if made[-1] == TO_THE_END:
        # What comes before is tried at its longest first. Where a newline follows that, nothing shorter
        # will do.
        made[0] = f"(?>{made[0]}"
        made[-2] += ")"
    if made[0] == ANY_DIRECTORIES:
        return below_any(made[0], "".join(made[1:]), single=single)
    return "", "".join(made)


def below_any(head: str, tail: str, *, single: bool) -> tuple[str, str]:
    """A tail of a single component leaves one way to match the head: spare the others."""
    return (f"(?>{head})" if single else head), tail


def matches(parts: Sequence[str], path: str) -> bool:
    """Whether such parts, one after the other, match the whole path."""
    backwards = path[::-1]
    everywhere = (1 << len(path)) - 1
    slashes = _places("/", backwards)
    line = everywhere & ~_places("\n", backwards)
    reached = 1
    for part in parts:
        if part == ANY_NAME:
            reached = _through(reached, everywhere & ~slashes)
        elif part == ANY_DIRECTORIES:
            reached |= (_through(reached, line) & slashes) << 1
        elif part == TO_THE_END:
            reached = _through(reached, line)
        elif part == START:
            reached &= 1
        else:
            reached = (reached & _places(part, backwards)) << 1
    return bool(reached >> len(path) & 1)


def _through(reached: int, along: int) -> int:
    """All places reached from some by going along the places given: a carry runs through them at once.

    `MatchStar` of Cameron et al., "Bitwise data parallelism in regular expression matching" (2014).
    """
    return (((reached & along) + along) ^ along) | reached


def _places(part: str, backwards: str) -> int:
    """Where in a path a part matches one character, as bits: the first is the lowest."""
    return int(backwards.translate(_digits(part)) or "0", 2)


class _Digits(dict[int, str]):
    """Each character as the digit that says whether a part matches it, for `str.translate`."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._takes = re.compile(part).fullmatch

    def __missing__(self, character: int) -> str:
        self[character] = digit = "1" if self._takes(chr(character)) else "0"
        return digit


@lru_cache(maxsize=1024)
def _digits(part: str) -> _Digits:
    return _Digits(part)
