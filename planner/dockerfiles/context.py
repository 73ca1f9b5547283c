"""Which files of a build context a Dockerfile can reach.

Owns the patterns of COPY and ADD (those of Go's `path/filepath.Match`, component by component), `--exclude`
and `--parents` (those of an ignore file), and links: what leads to a source is reached, and so is what it
leads to. In doubt a file is reached: a wildcard is followed through links, which not every builder does.
Refuses to know of ignore files: what they leave out is no part of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final, NamedTuple, TypeAlias

from attrs import evolve, field

from planner.dockerfiles.words import Unknown
from planner.errors import PlannerError
from planner.files.ignore import IgnoreRules
from planner.files.tree import Child, Kind, Tree, decode_node
from planner.files.wildcards import ANY_NAME, matches
from planner.immutable import frozen

__all__ = ["ContextSource", "Reached", "faults", "narrowed", "reached_files"]

# Links to follow until one is taken for a circle, as Linux has it.
_LINKS: Final = 40
# Longer paths no system has.
_LONGEST: Final = 4096
_WILD: Final = re.compile(r"[*?\[\\]")
# What an ignore file takes for more than itself.
_SPECIAL: Final = re.compile(r"[*?\[\]\\!#^|{}]")
# A class without members, and all but those.
_ANY: Final = (r"[^\s\S]", r"[\s\S]")
_MEMBER: Final = r"(?:\\.|[^\\\-\]])"
_CLASS: Final = re.compile(rf"\[(?P<not>\^?)(?P<ranges>(?:{_MEMBER}(?:-{_MEMBER})?)+)\]", re.DOTALL)
_RANGE: Final = re.compile(rf"({_MEMBER})(?:-({_MEMBER}))?", re.DOTALL)


@frozen
class ContextSource:
    """What a statement takes from the build context: a path from its root, empty for all of it.

    With `wildcards`, its components are patterns. With `below`, only what that pattern of an ignore file
    matches below the path is taken (`--parents`); `excluded` are patterns of what is not (`--exclude`).
    """

    path: str
    wildcards: bool = True
    below: str | None = None
    excluded: tuple[str, ...] = ()
    keyword: str = field(default="COPY", eq=False)
    written: str = field(default="", eq=False)
    """As the Dockerfile names it, with its variables replaced."""
    line: int = 0

    @property
    def is_pattern(self) -> bool:
        """Whether it may match several files, or none."""
        return self.wildcards and _is_wild(self.path)

    @cached_property
    def _included(self) -> IgnoreRules | None:
        return None if self.below is None else IgnoreRules((self.below,))

    @cached_property
    def _excluded(self) -> IgnoreRules | None:
        return IgnoreRules.parse("\n".join(self.excluded), file="") if self.excluded else None

    def takes(self, path: str) -> bool:
        """Whether a file is taken that is at this path below the source."""
        included = self._included is None or self._included.ignores(path)
        return included and not (self._excluded is not None and self._excluded.ignores(path))


def faults(source: ContextSource) -> Iterator[Unknown]:
    """What is wrong with the patterns of a source."""
    for flag, patterns in (("parents", (source.below,)), ("exclude", source.excluded)):
        for pattern in filter(None, patterns):
            try:
                IgnoreRules.parse(pattern, file="")
            except PlannerError as error:
                yield from (Unknown(f"--{flag}: {each.found}", each.fix, True) for each in error.problems)
    if source.wildcards:
        for part in source.path.split("/"):
            if _is_wild(part) and _Pattern(part).parts is None:
                fix = r"write a class as [abc], [a-z] or [^a-z], and \[ for the character itself"
                yield Unknown(f"the pattern {part!r}, which is malformed and matches nothing", fix, True)


class Reached(NamedTuple):
    """What of a tree some sources take, with the links that lead there."""

    tree: Tree
    nothing: tuple[ContextSource, ...]
    """The sources that are not there. A pattern may match nothing where its statement takes more."""
    astray: bool
    """Whether a link on the way to a source leads to nothing that the tree has."""


def reached_files(sources: Iterable[ContextSource], tree: Tree) -> Reached:
    """What of a build context is reached."""
    walk = _Walk(tree)
    all_sources = tuple(sources)
    taken = [walk.take(source) for source in all_sources]
    lines = {source.line for source, found in zip(all_sources, taken, strict=True) if found}
    nothing = tuple(
        source
        for source, found in zip(all_sources, taken, strict=True)
        if not found and not (source.is_pattern and source.line in lines and walk.has_start(source))
    )
    reached = Tree.of(entry for entry in tree.entries() if entry.path in walk.reached)
    return Reached(reached, nothing, walk.astray)


def narrowed(sources: Iterable[ContextSource]) -> IgnoreRules:
    """Rules that leave out what no source takes, as far as rules can say it.

    Links lead elsewhere: where `reached_files` finds nothing for a source, or a link astray, the whole
    context has to be looked at.
    """
    patterns: list[str] = []
    for source in sources:
        parts = source.path.split("/")
        wild = next((at for at, part in enumerate(parts) if source.wildcards and _is_wild(part)), len(parts))
        pattern = source.path
        if wild < len(parts) - 1 or not _is_rule(pattern):
            # What a pattern matches on the way may be a link.
            pattern = "/".join(parts[:wild])
        if wild >= len(parts) or pattern != source.path:
            pattern = _SPECIAL.sub(r"\\\g<0>", pattern)
        if not pattern or not _is_rule(pattern):
            return IgnoreRules()
        patterns.append(f"!{pattern}")
    return IgnoreRules(("*", *dict.fromkeys(patterns)))


class _Walk:
    """A tree that is gone through, and what of it is reached."""

    def __init__(self, tree: Tree) -> None:
        self._children = {
            path: {child.name: child for child in decode_node(node)} for path, node in tree.nodes.items()
        }
        self.reached: set[str] = set()
        self.astray = False

    def take(self, source: ContextSource) -> bool:
        """Whether a source takes anything."""
        found = False
        for path in self._find(source):
            if path in self._children:
                found |= self._take_below(path, source)
            else:
                self.reached.add(path)
                found = True
        return found

    def has_start(self, source: ContextSource) -> bool:
        """Whether there is what comes before the first wildcard of a pattern: all builders ask for that."""
        parts = source.path.split("/")
        start = next(at for at, part in enumerate(parts) if _is_wild(part))
        return any(True for _ in self._find(evolve(source, path="/".join(parts[:start]))))

    def _take_below(self, directory: str, source: ContextSource) -> bool:
        """Whether a directory has files that a source takes. Links there are taken as such."""
        found = False
        start = len(directory) + bool(directory)
        waiting = [directory]
        while waiting:
            path = waiting.pop()
            for name, child in self._children[path].items():
                below = f"{path}/{name}" if path else name
                if child.kind is Kind.DIRECTORY:
                    waiting.append(below)
                elif source.takes(below[start:]):
                    self.reached.add(below)
                    found = True
        return found

    def _find(self, source: ContextSource) -> Iterator[str]:
        """The files and directories that a path leads to, through links, which are reached with them."""
        start: tuple[str, tuple[_Part, ...], tuple[str, ...]] = ("", _parts(source), ())
        waiting = [start] if len(source.path) <= _LONGEST else []
        seen = set()
        while waiting:
            at, parts, links = waiting.pop()
            if (at, parts) in seen:
                continue
            seen.add((at, parts))
            if not parts:
                self.reached.update(links)
                yield at
                continue
            part, *rest = parts
            if part in ("", ".", ".."):
                waiting.append((at.rpartition("/")[0] if part == ".." else at, tuple(rest), links))
                continue
            for child in self._named(at, part, through_link=bool(links)):
                path = f"{at}/{child.name}" if at else child.name
                if child.kind is Kind.DIRECTORY:
                    waiting.append((path, tuple(rest), links))
                elif child.kind is not Kind.LINK:
                    if not rest:
                        self.reached.update(links)
                        yield path
                elif len(links) < _LINKS:
                    if not rest:
                        self.reached.add(path)
                    target = child.content.decode()
                    directory = "" if target.startswith("/") else at
                    waiting.append((directory, (*target.split("/"), *rest), (*links, path)))

    def _named(self, at: str, part: _Part, *, through_link: bool) -> Iterator[Child]:
        """The children of a directory that a component names."""
        children = self._children.get(at, {})
        if isinstance(part, _Pattern):
            yield from (child for name, child in children.items() if part.takes(name) or name == part.text)
        elif part in children:
            yield children[part]
        else:
            self.astray |= through_link


@frozen
class _Pattern:
    """One component of a pattern; without parts it is malformed, and matches nothing."""

    text: str

    @cached_property
    def parts(self) -> tuple[str, ...] | None:
        """An expression for each part, as `planner.files.wildcards` matches them; None if it is malformed."""
        found: list[str] = []
        at = 0
        while at < len(self.text):
            character = self.text[at]
            if character == "[":
                read = _CLASS.match(self.text, at)
                if not read:
                    return None
                ranges = [(low[-1], (high or low)[-1]) for low, high in _RANGE.findall(read["ranges"])]
                members = "".join(
                    f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high
                )
                found.append(f"[{read['not']}{members}]" if members else _ANY[bool(read["not"])])
                at = read.end()
                continue
            if character == "\\":
                at += 1
                if at == len(self.text):
                    return None
                found.append(re.escape(self.text[at]))
            else:
                found.append({"*": ANY_NAME, "?": "[^/]"}.get(character, re.escape(character)))
            at += 1
        return tuple(found)

    def takes(self, name: str) -> bool:
        """Whether a name matches."""
        return self.parts is not None and matches(self.parts, name)


_Part: TypeAlias = str | _Pattern


def _parts(source: ContextSource) -> tuple[_Part, ...]:
    """The components of a path: names, and patterns."""
    if not source.path:
        return ()
    parts = source.path.split("/")
    return tuple(_Pattern(part) if source.wildcards and _is_wild(part) else part for part in parts)


def _is_wild(part: str) -> bool:
    """Whether it has a wildcard, or escapes one."""
    return _WILD.search(part) is not None


def _is_rule(pattern: str) -> bool:
    """Whether an ignore file takes a pattern."""
    try:
        IgnoreRules((pattern,))
    except PlannerError:
        return False
    return True
