r"""What a `.dockerignore` leaves out of a build context, decided as Docker decides it.

Owns the reading of an ignore file and the question whether a path is ignored. Refuses to walk a tree,
to find the ignore file, or to keep the Dockerfile and the ignore file themselves in a context.

The rules are those of github.com/moby/patternmatcher (`patternmatcher.go`, `ignorefile/ignorefile.go`)
under the walk of github.com/tonistiigi/fsutil (`filter.go`), which is what BuildKit runs. What surprises:

- A directory hands down which rules spoke about it, but a rule is only asked when it could change the
  verdict. After `src/x` and `!src`, the file `src/x` stays ignored: when the walk was at `src`, `!src`
  had nothing to re-include and was not asked, and `src/x` is not its name.
- `**foo` is any path that ends in `foo`; `**foo*` is a *name* that starts with `foo`, at any depth.
- A negated class such as `[^a]` matches `/` too, and `**` in the middle does not cross a newline.

The legacy builder does not enter an ignored directory unless the text of some `!` pattern starts with
its path, so `*` with `!**/*.py` loses `d/a.py` there. BuildKit keeps it, and so does this module.

Where Docker's own regular expressions shine through by accident (`\d` is a digit, `[*]` is no star,
`a|b*` is everything that starts with `a`) the pattern is refused as malformed: never read differently.

pathspec does not carry this: its engines ask every pattern about every path and let the last answer
win, which is not the walk above. They also measured four times slower than joined expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Final, Self, TypeAlias

from attrs import Attribute, field

from planner.errors import Place, PlannerError, Problem
from planner.files.wildcards import (
    ANY_DIRECTORIES,
    ANY_NAME,
    START,
    TO_THE_END,
    below_any,
    expression,
    matches,
)
from planner.immutable import frozen

__all__ = ["SPACES", "IgnoreRules"]

# What Go's strings.TrimSpace removes. Python's str.strip() would also take U+001C to U+001F.
SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_BYTE_ORDER_MARK: Final = "\ufeff"
_LONGEST_LINE: Final = 64 * 1024 - 1  # bytes that fit the buffer of Go's bufio.Scanner

_MEMBER: Final = r"(?:\\.|[^\\\-\]])"
_RANGE: Final = re.compile(rf"({_MEMBER})(?:-({_MEMBER}))?", re.DOTALL)
# `\^?+` is possessive: `[^]` is malformed, not a class with the one member `^`.
_TOKEN: Final = re.compile(rf"\*\*/?|\\.|\[(?P<not>\^?+)(?P<ranges>(?:{_RANGE.pattern})+)\]|.", re.DOTALL)
# Docker does not escape these: beside wildcards they are an alternative of two whole patterns, a
# repetition, and the start of the path. (It means to: its table of characters has no room for `{|}`.)
_UNESCAPED: Final = re.compile(r"\||\{\d+(,\d*)?\}")
_WILD_START: Final = frozenset("*?\\[]")
# A class may match a slash.
_ANY_NUMBER: Final = re.compile(r"\*\*|[\[\]\\^]")
_WILD: Final = {"*": ANY_NAME, "?": "[^/]", "^": START}


_Matches: TypeAlias = Callable[[str], object]


@frozen
class _Group:
    """Neighbouring patterns of one sign: together one rule."""

    patterns: tuple[str, ...]
    _heads: dict[int, _Matches] = field(factory=dict, init=False, eq=False, repr=False)

    @cached_property
    def matches(self) -> _Matches:
        """Whether a pattern matches a path."""
        return _join(self.patterns)

    def reaches_below(self, directory: str) -> bool:
        """Whether a pattern may match something below a directory."""
        names = directory.split("/")
        if len(names) not in self._heads:
            self._heads[len(names)] = self._heads_of(len(names))
        return bool(self._heads[len(names)](directory)) or any(
            depth < len(names) and matches("/".join(names[:depth]))
            for depth, matches in self._open_heads.items()
        )

    def _heads_of(self, depth: int) -> _Matches:
        """What the first components match of those patterns that have more, and nothing unclear in them."""
        cut = [pattern.split("/", depth) for pattern in self.patterns]
        heads = ["/".join(parts[:depth]) for parts in cut if len(parts) > depth]
        return _join(dict.fromkeys(head for head in heads if not _ANY_NUMBER.search(head)))

    @cached_property
    def _open_heads(self) -> Mapping[int, _Matches]:
        """What comes before that part of a pattern which may match any number of components, by its depth."""
        heads: dict[int, dict[str, None]] = {}
        for pattern in self.patterns:
            if found := _ANY_NUMBER.search(pattern):
                head = pattern[: found.start()].rpartition("/")[0]
                heads.setdefault(head.count("/") + bool(head), {})[head] = None
        return {depth: _join(each) for depth, each in heads.items()}


def _all_translate(_: object, __: Attribute[tuple[str, ...]], patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        _translate(pattern.removeprefix("!"))


@frozen
class IgnoreRules:
    """The rules of an ignore file, as github.com/moby/patternmatcher reads and applies them.

    `patterns` are in order, cleaned (`filepath.Clean`), relative, with `!` kept on those that
    re-include; comments, blank lines and patterns that can match nothing (`.`, `/`, `../x`) are
    gone, so files that differ in such things only are the same value. Text comes in through `parse`;
    constructing it from malformed patterns is a PlannerError too.

    Paths are relative to the context root, separated by `/`, without `.` and `..`; case counts, and so
    does the Unicode form (NFC and NFD are different names).
    """

    patterns: tuple[str, ...] = field(default=(), converter=tuple[str, ...], validator=_all_translate)

    @classmethod
    def parse(cls, text: str, *, file: str) -> Self:
        """Read the text of an ignore file. PlannerError with every malformed line of `file`."""
        patterns: list[str] = []
        problems: list[Problem] = []
        for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).split("\n"), start=1):
            try:
                pattern = _read_line(line)
            except PlannerError as error:
                problems += [Problem.in_file(file, number, each.found, each.fix) for each in error.problems]
            else:
                patterns += [pattern] if pattern else []
        if problems:
            raise PlannerError(problems)
        return cls(tuple(patterns))

    def ignores(self, path: str) -> bool:
        """Whether the file or directory at `path` is left out of the context.

        A directory that is left out may still hold files that are not: it is then sent for their sake.
        """
        return bool(self._verdict(path).bit_length() & 1)

    def prunes(self, directory: str) -> bool:
        """Whether `directory` is ignored and so is all below it: a walk need not enter.

        False when in doubt: `!` patterns are followed component by component as far as they hold
        nothing but names, `*` and `?`.
        """
        verdict = self._verdict(directory)
        if not verdict.bit_length() & 1:
            return False
        # A rule before the last one that spoke cannot change what that one hands down.
        later = self._groups[verdict.bit_length() :: 2]
        return not any(group.reaches_below(directory) for group in later)

    def _verdict(self, path: str) -> int:
        """The groups that spoke about `path`, as bits; the highest decides, and an even one ignores."""
        known = self._directories
        if path in known:
            return known[path]
        verdict = known.get(path.rpartition("/")[0])
        if verdict is None:
            # Downwards in a loop: a path may have more components than Python has stack frames.
            verdict, end = 0, path.find("/")
            while end >= 0:
                verdict = known[path[:end]] = self._descend(verdict, path[:end])
                end = path.find("/", end + 1)
        return self._descend(verdict, path)

    def _descend(self, above: int, path: str) -> int:
        """The verdict on `path` from the one on its directory (`MatchesUsingParentResults`)."""
        verdict, ignored = above, False
        for index, group in enumerate(self._groups):
            re_includes = bool(index & 1)
            if above >> index & 1:
                ignored = not re_includes
            elif ignored is re_includes and group.matches(path):
                verdict |= 1 << index
                ignored = not re_includes
        return verdict

    @cached_property
    def _groups(self) -> tuple[_Group, ...]:
        """Groups of alternating sign. The first ignores: nothing before it has anything to re-include."""
        runs: list[list[str]] = []
        for pattern in self.patterns:
            re_includes = pattern.startswith("!")
            if re_includes is bool(len(runs) & 1):
                runs.append([])
            if runs:
                runs[-1].append(pattern[re_includes:])
        return tuple(_Group(tuple(run)) for run in runs)

    @cached_property
    def _directories(self) -> dict[str, int]:
        """Verdicts on the directories met so far. The context root is never ignored."""
        return {"": 0, ".": 0}


def _read_line(line: str) -> str | None:
    """The cleaned pattern of one line, or None if it has none or one that can match nothing."""
    if len(line.encode(errors="surrogatepass")) > _LONGEST_LINE:
        raise _malformed(f"a line of more than {_LONGEST_LINE} bytes", "shorten it: Docker fails on it")
    line = "" if line.startswith("#") else line.strip(SPACES)
    re_includes = line.startswith("!")
    body = line[re_includes:].strip(SPACES)
    if body:
        body = _clean(body).removeprefix("/") or "/"
    # Docker cleans twice, in the reader and in the matcher: `/!a` becomes `!a`, and `! /` becomes `!`.
    line = _clean(("!" * re_includes + body).strip(SPACES))
    body = line.removeprefix("!")
    if not body:
        raise _malformed("'!' without a pattern", "name what to re-include, as in !docs/keep.md")
    _translate(body)
    return None if body in (".", "..") or body.startswith(("/", "../")) else line


def _clean(path: str) -> str:
    """The shortest path with the same meaning, as Go's `filepath.Clean` gives it."""
    root = "/" if path.startswith("/") else ""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", ".") and not (part == ".." and root):
            parts.append(part)
    return root + "/".join(parts) or "."


def _translate(pattern: str) -> tuple[str, str] | _Matches:
    """The expression for `fullmatch` that Docker makes of a pattern: a head that many share, and a tail.

    A function instead, where there are too many ways in which the expression could fail to match.
    """
    if pattern.startswith(_BYTE_ORDER_MARK):
        raise _malformed("a byte order mark before a pattern", "remove the invisible U+FEFF")
    tokens = list(_TOKEN.finditer(pattern))
    parts = [_part(token) for token in tokens]
    wild = [index for index, token in enumerate(tokens) if token[0][0] in _WILD_START]
    # Docker compares most patterns as plain text: whole, as a suffix (`**/a`) or as a prefix (`a/**`).
    if not wild:
        return "", re.escape(pattern)
    if wild == [0] and pattern.startswith("**/"):
        return below_any("(?s:.*/)?", re.escape(pattern[3:]), single="/" not in pattern[3:])
    if wild == [0] and pattern.startswith("**"):
        return "", "(?s:.*)" + re.escape(pattern[2:])
    if wild == [len(tokens) - 1] and tokens[-1][0] == "**":
        return "", re.escape(pattern[:-2]) + "(?s:.*)"
    if _UNESCAPED.search("".join(token[0] if len(token[0]) == 1 else "/" for token in tokens)):
        raise _malformed(f"{pattern!r} has a '|' or a '{{2}}' beside wildcards", "put a backslash before it")
    return expression(parts) or partial(matches, tuple(parts))


def _part(token: re.Match[str]) -> str:
    """The expression for one token of a pattern."""
    text = token[0]
    if text == "[":
        raise _malformed(
            f"{token.string!r} has a '[' that opens no well-formed character class",
            r"write a class as [abc], [a-z] or [^a-z], and \[ for the character itself",
        )
    if text.startswith("**"):
        return TO_THE_END if token.end() == len(token.string) else ANY_DIRECTORIES
    if text in _WILD:
        return _WILD[text]
    return _class(token) if token["ranges"] else re.escape(_unescape(text, token.string))


def _malformed(found: str, fix: str) -> PlannerError:
    return PlannerError([Problem(Place(), found, fix)])


def _class(token: re.Match[str]) -> str:
    """The expression for a character class."""
    members = ""
    for low, high in _RANGE.findall(token["ranges"]):
        if {low, high} & {"*", "?"} or "[:" in token["ranges"]:
            raise _malformed(
                f"{token[0]!r} has a '*', a '?' or a '[:' inside, which Docker does not read as written",
                r"put a backslash before it, as in [\*]",
            )
        first, last = _unescape(low, token.string), _unescape(high or low, token.string)
        if first > last:
            raise _malformed(f"{token[0]!r} has a range that runs backwards", f"write {last}-{first}")
        members += f"{re.escape(first)}-{re.escape(last)}"
    return f"[{token['not']}{members}]"


def _unescape(text: str, pattern: str) -> str:
    """The character that a token or a member of a class stands for."""
    if text == "\\":
        raise _malformed(f"{pattern!r} ends in a backslash that escapes nothing", "remove or double it")
    if text.startswith("\\") and (text[1].isalnum() or not text[1].isascii()):
        raise _malformed(
            f"{pattern!r} has a backslash before {text[1]!r}, which Docker reads as an expression or refuses",
            "separate directories with '/'; escape nothing but punctuation",
        )
    return text[-1]


def _join(patterns: Iterable[str]) -> _Matches:
    """What tells the paths that any of the patterns matches: a set of names, and one expression if it can."""
    names: set[str] = set()
    tails: dict[str, list[str]] = {}
    others: list[_Matches] = []
    for pattern in patterns:
        found = _translate(pattern)
        if _WILD_START.isdisjoint(pattern):
            names.add(pattern)
        elif isinstance(found, tuple):
            tails.setdefault(found[0], []).append(found[1])
        else:
            others.append(found)
    if tails:
        joined = "|".join(f"{head}(?:{'|'.join(each)})" for head, each in tails.items())
        others.insert(0, re.compile(joined).fullmatch)
    if not others:
        return names.__contains__
    return lambda path: path in names or any(each(path) for each in others)
