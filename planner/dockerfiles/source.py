"""The text of a Dockerfile as lines: parser directives, and statements that continue over several lines.

Owns where each character of a statement stands in the text, which the parser does not say, so that a
reference can be replaced and everything else stays. The rules are those of github.com/moby/buildkit
(`frontend/dockerfile/parser/parser.go` and `directives.go`). Refuses to read statements: `reading` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final, NamedTuple

from planner.errors import Problem
from planner.files.ignore import SPACES
from planner.immutable import frozen

__all__ = ["Directives", "Head", "Joined", "Source", "Token", "directives", "head"]

_BYTE_ORDER_MARK: Final = "\ufeff"
# Spaces in a parser directive, which are Go's `\\s`.
_BLANKS: Final = "\t\n\f\r "
_KEYS: Final = ("syntax", "escape", "check")
_CODE: Final = "dockerfile-syntax"
# What the parser takes for spaces between words, which is less than `SPACES`.
_BETWEEN: Final = re.compile("[\t\v\f\r ]+")


class Joined(NamedTuple):
    """A statement with its continuations joined, and without comments between them.

    `offsets` has, for each character of `text`, where it stands in the source; `last_line` is the line that
    it ends in, before heredocs.
    """

    text: str
    offsets: list[int]
    last_line: int


class Token(NamedTuple):
    """A word without quotes and escapes, and where each of its characters stands."""

    text: str
    places: list[int]


class Head(NamedTuple):
    """The flags of a statement, and where what comes after them begins."""

    flags: list[Token]
    rest: int


class Directives(NamedTuple):
    """What the comments at the top ask for: the frontend with the offset it stands at, and the escape.

    `lines` says how many of them the parser takes.
    """

    syntax: str | None = None
    syntax_line: int | None = None
    syntax_offset: int = 0
    escape: str = "\\"
    lines: int = 0


@frozen
class Source:
    """The text of a Dockerfile, whose lines count from 1 and end in a line feed, with or without a return."""

    text: str
    escape: str = "\\"

    @cached_property
    def lines(self) -> list[str]:
        """Each line without what ends it; the first without a byte order mark."""
        lines = [line.rstrip("\r") for line in self.text.split("\n")]
        return [lines[0].removeprefix(_BYTE_ORDER_MARK), *lines[1:]]

    @cached_property
    def starts(self) -> list[int]:
        """Where in the text each line begins."""
        starts = [0]
        starts += [at.end() for at in re.finditer("\n", self.text)]
        starts[0] += self.text.startswith(_BYTE_ORDER_MARK)
        return starts

    def join(self, line: int) -> Joined:
        """The statement that begins in a line. Its text is empty where none does."""
        text, first = "", True
        offsets: list[int] = []
        while line <= len(self.lines):
            part = self.lines[line - 1]
            start = self.starts[line - 1]
            stripped = part.lstrip(SPACES)
            if first:
                start += len(part) - len(stripped)
                part = stripped
            if stripped.startswith("#") or (not first and not stripped):
                if first:
                    break
                line += 1
                continue
            part, goes_on = self._continued(part)
            text += part
            offsets += range(start, start + len(part))
            if not goes_on:
                break
            first = False
            line += 1
        return Joined(text, offsets, min(line, len(self.lines)))

    def flags(self, line: int, column: int, name: str) -> Iterator[Token]:
        """The values of a flag of the statement that begins there, with where in the text they stand."""
        joined = self.join(line)
        for flag in head(joined.text, self.escape, column).flags:
            if flag.text.startswith(name):
                places = flag.places[len(name) :]
                yield Token(flag.text[len(name) :], [joined.offsets[place] for place in places])

    def _continued(self, part: str) -> tuple[str, bool]:
        """A line without the escape at its end, and whether there is one that is not escaped itself."""
        bare = part.rstrip(" \t")
        if bare.endswith(self.escape) and bare[-2:-1] != self.escape:
            return bare[:-1], True
        return part, False


def head(text: str, escape: str, start: int = 0) -> Head:
    """The flags of the statement that begins at `start` of a text (`split_command.go`)."""
    keyword = _BETWEEN.search(text, start)
    at = keyword.end() if keyword else len(text)
    flags: list[Token] = []
    while True:
        while text[at : at + 1] in SPACES and at < len(text):
            at += 1
        if not text.startswith("--", at):
            return Head(flags, at)
        token, at = _token(text, at, escape)
        if token.text == "--":
            return Head(flags, len(text) - len(text[at:].lstrip(SPACES)))
        flags.append(token)


def _token(text: str, at: int, escape: str) -> tuple[Token, int]:
    """The word that begins at a place, and where it ends."""
    characters: list[str] = []
    places: list[int] = []
    quote = ""
    while at < len(text):
        character = text[at]
        if not quote and character in SPACES:
            break
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        else:
            if character == escape:
                at += 1
                if at == len(text):
                    break
            characters.append(text[at])
            places.append(at)
        at += 1
    return Token("".join(characters), places), at


def directives(text: str, path: str) -> tuple[Directives, tuple[Problem, ...]]:
    """What the comments at the top of a Dockerfile ask for, and what is wrong with them."""
    source = Source(text)
    problems: list[Problem] = []
    # The parser reads the escape, indented or not; who calls it reads the frontend, below a line for shells.
    shebang = source.lines[0].startswith("#!")
    found: dict[str, tuple[str, int, int]] = {}
    lines = 0
    for key, value, line, at in _directives([line.lstrip(SPACES) for line in source.lines]):
        lines = line
        if key in found:
            fix = "keep one of them"
            problems.append(Problem.in_file(path, line, f"a second `# {key}=`", fix, code=_CODE))
        found.setdefault(key, (value, line, at))
    escape, line, _ = found.get("escape", ("\\", 0, 0))
    if escape not in ("\\", "`"):
        fix = "an escape is a backslash or a backtick"
        problems.append(Problem.in_file(path, line, f"the escape {escape!r}", fix, code=_CODE))
        escape = "\\"
    for key, value, line, at in _directives(source.lines[shebang:]):
        if key == "syntax":
            number = line + shebang
            offset = source.starts[number - 1] + at
            return Directives(value.partition(" ")[0], number, offset, escape, lines), tuple(problems)
    return Directives(escape=escape, lines=lines), tuple(problems)


def _directives(lines: Iterable[str]) -> Iterator[tuple[str, str, int, int]]:
    """The parser directives that a text begins with: key, value, line, and where in the line the value is."""
    for number, line in enumerate(lines, start=1):
        name, equals, value = line.removeprefix("#").partition("=")
        key = name.strip(_BLANKS).lower()
        if not line.startswith("#") or not equals or key not in _KEYS or not value.strip(_BLANKS):
            return
        yield key, value.strip(_BLANKS), number, len(line) - len(value.lstrip(_BLANKS))
