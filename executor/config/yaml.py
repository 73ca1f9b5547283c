"""YAML texts → data with the line of everything in it, within limits that nothing people write comes near.

YAML is read as PyYAML's safe loader reads it (YAML 1.1: `yes` is true, `010` is 8), but for a date, which is
its text, and a key, which is always one. Refuses several documents, tags, anchors that refer to themselves,
and aliases that come to more than was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import define, field

from executor.config.lines import Path
from planner.errors import Place, PlannerError, Problem
from planner.immutable import frozen
from planner.settings.checks import unencodable

__all__ = ["LARGEST_YAML_BYTES", "Yaml", "read_yaml"]

LARGEST_YAML_BYTES: Final = 1024 * 1024
_DEEPEST: Final = 64
_MOST_VALUES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"
_TEXTS: Final = frozenset({"str", "timestamp", "value", "merge"})
# Words of what is wrong with a text, and what to do about it.
_FIXES: Final = (
    (
        "cannot start any token",
        "indent with spaces, not tabs, and put text with special characters in quotes",
    ),
    ("mapping values are not allowed", "put text with a colon in quotes, and check the indentation"),
)
_MERGE: Final = object()
"""The key `<<`, which takes over what is in another mapping."""


@frozen
class Yaml:
    """What a YAML text says, and where."""

    data: Any
    lines: Mapping[Path, int]
    """The line, from 1, of each key and item, by its path: where it is written that an alias stands for."""
    texts: Mapping[Path, str]
    """How the values are written that are no text: `1.10`, `on`."""
    twice: Mapping[Path, int]
    """The keys that stand in a mapping twice, with two values, and the line of the second."""


@define(eq=False)
class _Scalar:
    value: Any
    text: str
    line: int


@define(eq=False)
class _List:
    line: int
    items: list[_Node] = field(factory=list)
    whole: bool = False


@define(eq=False)
class _Mapping:
    line: int
    items: list[_Node] = field(factory=list)
    """Keys and values, in turn."""
    whole: bool = False


_Node: TypeAlias = _Scalar | _List | _Mapping


def read_yaml(text: str, file: str) -> Yaml:
    """Read a YAML text; `file` is its name in errors. PlannerError if it is none, or beyond a limit."""
    return _Data(file).read(_Tree(file).read(text))


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file

    def refused(self, line: int | None, found: str, fix: str) -> PlannerError:
        return PlannerError([Problem(Place(file=self.file, line=line), found, fix, "invalid-file")])


class _Tree(_Reader):
    """Events → nodes, without a stack of calls that a text could exhaust."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.anchors: dict[str, _Node] = {}
        self.open: list[_List | _Mapping] = []
        self.root: _Node | None = None

    def read(self, text: str) -> _Node | None:
        import yaml  # noqa: PLC0415  # few commands read a run configuration

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.resolver: Any = yaml.resolver.Resolver()
        self.constructor: Any = yaml.constructor.SafeConstructor()
        self.scalar_node: Any = yaml.ScalarNode
        documents = 0
        try:
            for event in yaml.parse(text, Loader=loader):
                line = event.start_mark.line + 1
                match event:
                    case yaml.DocumentStartEvent():
                        documents += 1
                        if documents > 1:
                            raise self.refused(line, "a second document begins here", "keep one of them")
                    case yaml.AliasEvent():
                        self._add(self._alias(event.anchor, line), None)
                    case yaml.ScalarEvent():
                        self._add(self._scalar(event, line), event.anchor)
                    case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                        self._begin(event, line, isinstance(event, yaml.MappingStartEvent))
                    case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                        self.open.pop().whole = True
        except yaml.YAMLError as error:
            raise self._broken(error) from None
        return self.root

    def _broken(self, error: Any) -> PlannerError:
        mark = getattr(error, "problem_mark", None)
        found = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        fix = next((fix for words, fix in _FIXES if words in found), "correct the syntax")
        return self.refused(mark.line + 1 if mark else None, f"not YAML: {found}", fix)

    def _begin(self, event: Any, line: int, is_mapping: bool) -> None:
        kind = "map" if is_mapping else "seq"
        if event.tag not in {None, "!", f"{_TAG}{kind}"}:
            raise self._unknown_tag(event.tag, line)
        if len(self.open) >= _DEEPEST:
            raise self.refused(line, f"nested more than {_DEEPEST} deep", "nest it less deeply")
        node: _List | _Mapping = _Mapping(line) if is_mapping else _List(line)
        self._add(node, event.anchor)
        self.open.append(node)

    def _add(self, node: _Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if self.open:
            self.open[-1].items.append(node)
        else:
            self.root = node

    def _alias(self, anchor: str, line: int) -> _Node:
        node = self.anchors.get(anchor)
        if node is None:
            raise self.refused(line, f"*{anchor} refers to no anchor above it", f"write &{anchor} first")
        if not isinstance(node, _Scalar) and not node.whole:
            raise self.refused(line, f"*{anchor} is a part of itself", "write out what is meant")
        return node

    def _scalar(self, event: Any, line: int) -> _Scalar:
        text = event.value
        if unencodable(text):
            raise self.refused(line, "is not valid Unicode text", "write it as UTF-8")
        tag = event.tag
        if tag in {None, "!"}:
            tag = self.resolver.resolve(self.scalar_node, text, event.implicit)
        name = tag.removeprefix(_TAG)
        if name == "merge" and event.implicit[0]:
            return _Scalar(_MERGE, text, line)
        if name in _TEXTS:
            return _Scalar(text, text, line)
        if name not in {"int", "float", "bool", "null"} or not tag.startswith(_TAG):
            raise self._unknown_tag(tag, line)
        node = self.scalar_node(tag, text)
        try:
            return _Scalar(getattr(self.constructor, f"construct_yaml_{name}")(node), text, line)
        except (ValueError, KeyError, IndexError):
            raise self.refused(
                line, f"no value of the kind that is meant ({name})", "put it in quotes"
            ) from None

    def _unknown_tag(self, tag: str, line: int) -> PlannerError:
        shown = re.sub(rf"^{_TAG}", "!!", tag)
        return self.refused(line, f"the tag {shown} means nothing here", "write the value without a tag")


class _Data(_Reader):
    """Nodes → data. What aliases stand for is in it wherever they are."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.left = _MOST_VALUES
        self.lines: dict[Path, int] = {}
        self.texts: dict[Path, str] = {}
        self.twice: dict[Path, int] = {}

    def read(self, root: _Node | None) -> Yaml:
        data = None if root is None else self._data(root, ())
        return Yaml(data, self.lines, self.texts, self.twice)

    def _data(self, node: _Node, path: Path) -> Any:
        self._count(node, len(path))
        match node:
            case _Scalar():
                if not isinstance(node.value, str):
                    self.texts[path] = node.text
                return node.text if node.value is _MERGE else node.value
            case _List():
                found = []
                for index, item in enumerate(node.items):
                    self.lines[*path, index] = item.line
                    found.append(self._data(item, (*path, index)))
                return found
            case _Mapping():
                return self._mapping(node, path)

    def _mapping(self, node: _Mapping, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        for name, line, value in self._entries(node):
            below = (*path, name)
            before, said = name in own, self._data(value, below)
            if before and own[name] != said:
                self.twice[below] = line
            own[name] = said
            self.lines[below] = line
        # What is written here goes over what is taken from elsewhere.
        for name, line, value in self._merged(node, len(path)):
            if name not in own:
                own[name] = self._data(value, (*path, name))
                self.lines[*path, name] = line
        return own

    def _entries(self, node: _Mapping) -> Iterator[tuple[str, int, _Node]]:
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            if not isinstance(key, _Scalar):
                raise self.refused(key.line, "a key that is not text", "write one word as the key")
            if key.value is not _MERGE:
                yield key.text, key.line, value

    def _merged(self, node: _Mapping, depth: int) -> Iterator[tuple[str, int, _Node]]:
        """What a mapping takes over with `<<`: of several that say it, the first says what it is."""
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            if not isinstance(key, _Scalar) or key.value is not _MERGE:
                continue
            for each in value.items if isinstance(value, _List) else (value,):
                if not isinstance(each, _Mapping):
                    raise self.refused(key.line, "<< takes over no mapping", "name one: <<: *anchor")
                self._count(each, depth + 1)
                yield from self._entries(each)
                yield from self._merged(each, depth + 1)

    def _count(self, node: _Node, depth: int) -> None:
        self.left -= 1
        if self.left < 0:
            found = f"holds more than {_MOST_VALUES} values"
            raise self.refused(node.line, found, "write fewer: an alias counts as what it stands for")
        if depth > _DEEPEST:
            raise self.refused(node.line, f"nested more than {_DEEPEST} deep", "nest it less deeply")
