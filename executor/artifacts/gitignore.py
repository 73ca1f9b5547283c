r"""What git ignores in a directory of files: the rules of each `.gitignore` on the way, the innermost first.

pathspec reads the patterns. It also says that a pattern matches what is below a directory that matches, which
is the walk's to know here: after `*` and `!src`, git does not take back `src/x`. git looks at bytes, so
that `é` is two characters to `?`: paths and patterns are bytes here, each as the character of its number.

What a user's own configuration of git ignores (`core.excludesFile`) does not count: the archive of one commit
would differ between two machines. What the checkout ignores (`.git/info/exclude`) does, since people have
secrets there. What git tracks although a rule ignores it is not for these rules to know.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen
from pathspec.patterns.gitignore.base import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from executor.errors import ExecutorError
from executor.reading import NotRead, read_whole

__all__ = ["GITIGNORE", "Rules", "above", "of_checkout"]

GITIGNORE: Final = ".gitignore"
_BYTES: Final = "latin-1"
# pathspec takes these away at the end of a line. Of spaces, only those are left here that count.
_NO_SPACES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\?([ \t\v\f\r\x1c-\x1f\x85\xa0])$")
# As many stars as one likes are two to git, where they are all of a name.
_STARS: Final = re.compile(r"(^!?|/)\*{3,}(?=/|$)")
# A slash is one to git, escaped or not.
_SLASHES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\/(?!$)")
_EXCLUDE: Final = Path("info/exclude")


@frozen
class _Pattern:
    """A line: what it says about paths that it matches, and whether these are directories only."""

    pattern: GitIgnoreSpecPattern
    only_directories: bool

    def matches(self, path: str, *, directory: bool) -> bool:
        """Whether it matches a path itself, and not only one of the directories that this is in."""
        regex = self.pattern.regex
        if regex is None:
            return False
        if self.only_directories and not directory:
            return False
        found = regex.search(path)
        # A group has matched where the path is below what the pattern names.
        return found is not None and found.lastindex is None


@frozen
class _Level:
    """The rules of one file, for paths below a directory. `start` is what that adds to paths of the walk."""

    start: str
    patterns: tuple[_Pattern, ...]

    def says(self, path: str, *, directory: bool) -> bool | None:
        """Whether a path is ignored; None if no rule is about it. The last rule wins."""
        own = path[len(self.start) :]
        for each in reversed(self.patterns):
            if each.matches(own, directory=directory):
                return each.pattern.include
        return None


@frozen
class Rules:
    """The rules for what is in a directory, the innermost last."""

    levels: tuple[_Level, ...] = ()

    def below(self, directory: Path, path: str) -> Rules:
        """The rules for what is in a directory whose path of the walk is `path`.

        ExecutorError if its own cannot be read.
        """
        patterns = _read(directory / GITIGNORE)
        return Rules((*self.levels, _Level(_start(path), patterns))) if patterns else self

    def ignore(self, path: str, *, directory: bool) -> bool:
        """Whether a path is ignored, in a directory that is not."""
        path = os.fsencode(path).decode(_BYTES)
        for level in reversed(self.levels):
            said = level.says(path, directory=directory)
            if said is not None:
                return said
        return False


def above(root: Path) -> tuple[str, Rules] | None:
    """The rules of the checkout that a directory is in: how its paths begin there, and what is above it.

    None if it is in none, or if the checkout ignores it: then it is no part of it.
    """
    root = root.resolve()
    top = next((each for each in (root, *root.parents) if (each / ".git").exists()), None)
    if top is None:
        return None
    rules = of_checkout(top, "")
    at, path = top, ""
    for name in root.relative_to(top).parts:
        rules = rules.below(at, path)
        at, path = at / name, f"{path}/{name}".removeprefix("/")
        if rules.ignore(path, directory=True):
            return None
    return (f"{path}/" if path else ""), rules


def of_checkout(directory: Path, path: str) -> Rules:
    """What a checkout, whose path of the walk is `path`, ignores by rules that are not in its files."""
    patterns = _read(_exclude_file(directory / ".git"))
    return Rules((_Level(_start(path), patterns),)) if patterns else Rules()


def _exclude_file(git: Path) -> Path:
    """Where a checkout keeps rules of its own: a linked worktree has them where its repository is."""
    named = _linked(git, "gitdir: ") if git.is_file() else git
    common = _linked(named / "commondir", "") if (named / "commondir").is_file() else named
    return common / _EXCLUDE


def _linked(file: Path, prefix: str) -> Path:
    data = _whole(file) or b""
    return file.parent / data.decode("utf-8", "surrogateescape").removeprefix(prefix).rstrip("\n")


def _read(file: Path) -> tuple[_Pattern, ...]:
    data = _whole(file)
    return () if data is None else tuple(_patterns(data.removeprefix(codecs.BOM_UTF8).decode(_BYTES)))


def _start(path: str) -> str:
    return os.fsencode(path).decode(_BYTES) + "/" if path else ""


def _whole(file: Path) -> bytes | None:
    # git does not read through a link either.
    if file.is_symlink():
        return None
    try:
        return read_whole(file)
    except NotRead as error:
        raise ExecutorError.of(str(file), error.found, error.fix) from None


def _patterns(text: str) -> Iterator[_Pattern]:
    for line in text.split("\n"):
        wanted = _trimmed(line.removesuffix("\r"))
        if re.match(r"!?\\/", wanted):
            # A path does not begin with a slash, and this one says that it does.
            continue
        try:
            pattern = GitIgnoreSpecPattern(_as_pathspec_reads(wanted.removesuffix("/")))
        except GitIgnorePatternError:
            # git takes a pattern that is none for one that matches nothing.
            continue
        if pattern.include is not None:
            yield _Pattern(pattern, wanted.endswith("/"))


def _as_pathspec_reads(line: str) -> str:
    """A pattern that means to pathspec what this one means to git."""
    line = _NO_SPACES.sub(r"\1[\2]", line)
    line = _SLASHES.sub(r"\1/", line)
    return _STARS.sub(r"\1**", line)


def _trimmed(line: str) -> str:
    """A line without spaces at its end, but one that is escaped."""
    bare = line.rstrip(" ")
    escapes = len(bare) - len(bare.rstrip("\\"))
    return line[: len(bare) + 1] if escapes % 2 and len(bare) < len(line) else bare
