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


# What tomllib says, what that means, and what to do about it.
_WORDS: Final = (
    (r"Invalid value", "an invalid value", "put text in quotes; write true and false in lower case"),
    (r"Illegal character '\\n'", "a string that does not end on its line", "end it with a quote"),
    (r"Unterminated string", "a string that does not end", "end it with its quotes"),
    (
        r"Unescaped '\\' in a string",
        "a backslash in double quotes",
        "double the backslash, or put the text in single quotes",
    ),
    (r"Expected '=' after a key.*", "no '=' after a name", "write name = value"),
    (
        r"Expected newline or end of document.*",
        "text after a value",
        "write each name = value on its own line",
    ),
    (r"Expected '\]+' at the end of a table.*", "a [table] that does not close", "add the missing ]"),
    (r"Unclosed array", "a list that does not close", "add the missing ]"),
    (r"Unclosed inline table", "an inline table that does not close", "add the missing }"),
    (
        r"Invalid initial character for a key part",
        "no name where one is expected",
        "write an inline table { … } on one line; put a name with special characters in quotes",
    ),
    (r"Invalid statement", "neither name = value nor a [table]", "correct the line, or remove it"),
    (r"Cannot overwrite a value", "a name that is already defined", "keep one of the two"),
    (r"Duplicate inline table key ('.*')", r"\1 is defined twice in one table", "keep one of the two"),
    (
        r"Cannot (?:mutate immutable|redefine) namespace .*",
        "a table that is already defined",
        "put everything in one place",
    ),
)
_QUOTED: Final = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_TWICE: Final = re.compile(r"Cannot declare \((.*?),?\) twice")


class InvalidToml(ValueError):
    """A text is not TOML, or goes beyond a limit; `line` counts from 1, where it is known.

    `fix` says what to do about it. `twice` is the table that is defined a second time, if that is it.
    """

    def __init__(
        self,
        found: str,
        line: int | None = None,
        fix: str = "correct the syntax",
        twice: tuple[str, ...] = (),
    ) -> None:
        self.found = found
        self.line = line
        self.fix = fix
        self.twice = twice
        super().__init__(found)


def parse(text: str) -> dict[str, Any]:
    """The data of a TOML text. InvalidToml says what is wrong with it, and in which line."""
    if key := _LONG_KEY.search(text):
        raise InvalidToml(f"a key of more than {_DEEPEST} parts", text.count("\n", 0, key.start()) + 1)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found, _, place = str(error).rpartition(" (at ")
        # At its end, a text has no line in what tomllib says.
        line = re.match(r"line (\d+)", place)
        raise _broken(found, int(line[1]) if line else len(text.rstrip().split("\n"))) from None
    except RecursionError:
        raise InvalidToml(f"tables and lists nested more than {_DEEPEST} deep") from None
    except ValueError:
        # Python reads no number of more digits (`sys.set_int_max_str_digits`).
        raise InvalidToml("an integer of more than 64 bits") from None
    _check(data)
    return data


def _broken(found: str, line: int | None) -> InvalidToml:
    """What tomllib found, in the words of people who write TOML."""
    if match := _TWICE.fullmatch(found):
        names = tuple(name or other for name, other in _QUOTED.findall(match[1]))
        table = f"[{'.'.join(names)}]"
        return InvalidToml(f"not TOML: {table} is defined twice", line, "put everything in one table", names)
    for pattern, words, fix in _WORDS:
        if match := re.fullmatch(pattern, found):
            return InvalidToml(f"not TOML: {match.expand(words)}", line, fix)
    return InvalidToml(f"not TOML: {found}", line)


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
