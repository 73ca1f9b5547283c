"""Words of a Dockerfile with their variables replaced and their quotes removed, as BuildKit does it.

The rules are those of github.com/moby/buildkit (`frontend/dockerfile/shell/lex.go`). What a word comes to may
not be known without the images that a stage is built on: then it is `Unknown`, and says why. Refuses the
modifiers that cut and replace (`#`, `%`, `/`), which not every builder has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from planner.immutable import frozen

__all__ = ["Lookup", "Unknown", "expand"]

_NAME: Final = re.compile(r"[0-9]+|[@*#?$!-]|[^\W\d]\w*")
_DEEPEST: Final = 20


@frozen
class Unknown:
    """Why it is not known what a word comes to, and what to do about it."""

    found: str
    fix: str
    broken: bool = False
    """Whether no builder would know."""


Lookup: TypeAlias = Callable[[str], "str | Unknown | None"]
"""The value of a variable; None for one that is not set."""


def expand(word: str, lookup: Lookup, escape: str = "\\") -> str | Unknown:
    """What a word comes to. The time it takes grows with its length."""
    try:
        return _Reader(word, lookup, escape).read()
    except _BrokenError as error:
        return Unknown(
            f"{error} in {_shown(word)}", "write ${NAME}, ${NAME:-default} or ${NAME:+other}", True
        )


def _shown(word: str) -> str:
    return repr(word if len(word) <= 80 else word[:80] + "…")


class _BrokenError(ValueError):
    """No builder reads it."""


class _Reader:
    """A word that is gone through once, from left to right."""

    def __init__(self, word: str, lookup: Lookup, escape: str) -> None:
        self._word = word
        self._at = 0
        self._depth = 0
        self._lookup = lookup
        self._escape = escape

    def read(self, stop: str = "") -> str | Unknown:
        """All up to the end, or to the character that ends it."""
        parts: list[str | Unknown] = []
        while character := self._next():
            if character == stop:
                return _joined(parts)
            if character == "'":
                parts.append(self._single())
            elif character == '"':
                parts += self._double()
            elif character == "$":
                parts.append(self._variable())
            elif character == self._escape:
                parts.append(self._next())
            else:
                parts.append(character)
        if stop:
            raise _BrokenError(f"no {stop!r}")
        return _joined(parts)

    def _next(self) -> str:
        """The next character; empty at the end."""
        self._at += 1
        return self._word[self._at - 1 : self._at]

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _single(self) -> str:
        end = self._word.find("'", self._at)
        if end < 0:
            raise _BrokenError("a single quote that does not end")
        text, self._at = self._word[self._at : end], end + 1
        return text

    def _double(self) -> list[str | Unknown]:
        parts: list[str | Unknown] = []
        while character := self._next():
            if character == '"':
                return parts
            if character == "$":
                parts.append(self._variable())
            elif character == self._escape and self._peek() in ('"', "$", self._escape, ""):
                parts.append(self._next())
            else:
                parts.append(character)
        raise _BrokenError("a double quote that does not end")

    def _variable(self) -> str | Unknown:
        """What comes after a dollar sign."""
        if self._peek() != "{":
            name = self._name()
            return self._value(name) or "" if name else "$"
        self._next()
        name = self._name()
        modifier = self._next()
        if not name or not modifier:
            raise _BrokenError("a broken substitution")
        if modifier == "}":
            return self._value(name) or ""
        null_is_unset = modifier == ":"
        if null_is_unset:
            modifier = self._next()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _BrokenError("substitutions that are nested too deeply")
        if modifier not in ("-", "+", "?"):
            # Its end is found all the same.
            self.read("}")
            self._depth -= 1
            return Unknown(
                f"${{{name}{modifier}…}}, which not every builder takes",
                f"write the value that is meant, or give {name} that value",
            )
        other = self.read("}")
        self._depth -= 1
        return self._modified(name, modifier, other, null_is_unset=null_is_unset)

    def _modified(
        self, name: str, modifier: str, other: str | Unknown, *, null_is_unset: bool
    ) -> str | Unknown:
        value = self._value(name)
        if isinstance(value, Unknown):
            return value
        is_set = value is not None and not (null_is_unset and not value)
        if modifier == "+":
            return other if is_set else ""
        if is_set:
            return value or ""
        if modifier == "-":
            return other
        reason = other if isinstance(other, str) and other else "it has to have a value"
        return Unknown(f"{name} has no value: {reason}", f"set the build argument {name}", True)

    def _name(self) -> str:
        found = _NAME.match(self._word, self._at)
        if not found:
            return ""
        self._at = found.end()
        return found[0]

    def _value(self, name: str) -> str | Unknown | None:
        return self._lookup(name)


def _joined(parts: list[str | Unknown]) -> str | Unknown:
    unknown = [part for part in parts if isinstance(part, Unknown)]
    if unknown:
        return next((part for part in unknown if part.broken), unknown[0])
    return "".join(part for part in parts if isinstance(part, str))
