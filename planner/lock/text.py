"""The text of `stowplan.lock`: records laid out so that git merges what two branches add.

Owns the layout (TOML, stable, one numbered comment for each of 256 places) and the reading of whole
texts, of every version there was. A record stands at the place that a hash of its name says, so records
that two branches add are rarely neighbours, and git sees two changes where it would see one conflict.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from planner import toml
from planner.errors import PlannerError, Problem
from planner.image.plan import PlanSpec
from planner.lock.converter import RESTORE
from planner.lock.lock import LOCK_NAME, Lock, PipelineSource
from planner.lock.normal import Images, pushed_of, records_of
from planner.lock.records import (
    KIND_OF,
    ImageRecord,
    PackageRecord,
    PipelineRecord,
    PushedRecord,
    Record,
    ResolutionRecord,
    StackRecord,
    read,
    version_of,
    write,
)

__all__ = ["VERSION", "dumps", "loads", "of_records"]

VERSION: Final = 3
_HEADER: Final = (
    "# Written by `stowplan lock`. Commit it; do not edit it.\n"
    "# Numbered comments keep records apart, so that git merges what two branches add.\n"
)
_PLACES: Final = 256
# Lists of tables that are written one a line.
_INLINE: Final = frozenset({"files", "images", "observed"})


def dumps(lock: Lock) -> str:
    """The text of a lock: the same value gives the same bytes."""
    places: list[list[tuple[str, str, str]]] = [[] for _ in range(_PLACES)]
    records = list(records_of(lock))
    for record in records:
        kind, key = KIND_OF[type(record)], _key(record)
        place = hashlib.sha256(f"{kind}/{key}".encode()).digest()[0]
        places[place].append((kind, key, _block(kind, write(record))))
    parts = [_HEADER, f"version = {version_of(records)}\n\n"]
    for number, blocks in enumerate(places):
        parts.append(f"# {number:02x}\n")
        parts += [f"{block}\n" for _, _, block in sorted(blocks)]
    return "".join(parts)


def _key(record: Record) -> str:
    """What a record is called: what does not move while it does."""
    match record:
        case ImageRecord():
            return "/".join([record.name, *record.stacks])
        case PushedRecord():
            return f"{record.image.hex}/{record.reference.name}"
        case PackageRecord() | PipelineRecord() | ResolutionRecord() | StackRecord():
            return record.name


def _block(kind: str, data: Mapping[str, Any]) -> str:
    return "\n".join(_table(f"[[{kind}]]", kind, data)) + "\n"


def _table(header: str, path: str, data: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table, laid out as tomlkit does it, which takes time for each pair of keys."""
    plain = {name: value for name, value in data.items() if not _is_table(name, value)}
    # What holds nothing but tables is there with them.
    if plain or not data or header.startswith("[["):
        yield header
    for name, value in plain.items():
        yield f"{_key_text(name)} = {_value_text(value)}"
    # Plain keys stand before tables: behind one they would belong to it.
    for name, value in data.items():
        if name in plain:
            continue
        below = f"{path}.{_key_text(name)}"
        for table in value if isinstance(value, list) else [value]:
            yield ""
            yield from _table(f"[[{below}]]" if isinstance(value, list) else f"[{below}]", below, table)


def _key_text(name: str) -> str:
    import tomlkit  # noqa: PLC0415  # writing is rarer than reading, which the standard library does faster

    return tomlkit.key(name).as_string()


def _value_text(value: Any) -> str:
    """A value on the line of its key; a longer list with one entry a line."""
    import tomlkit  # noqa: PLC0415  # see _key_text

    if not isinstance(value, list | tuple):
        return str(tomlkit.item(value).as_string())
    texts = [_inline(item) if isinstance(item, dict) else tomlkit.item(item).as_string() for item in value]
    if len(texts) > 1:
        return "[\n" + "".join(f"    {text},\n" for text in texts) + "]"
    return f"[{''.join(texts)}]"


def _inline(data: Mapping[str, Any]) -> str:
    """A small table on one line."""
    return "{" + ", ".join(f"{_key_text(name)} = {_value_text(value)}" for name, value in data.items()) + "}"


def _is_table(key: str, value: Any) -> bool:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return key not in _INLINE
    return isinstance(value, dict)


# `apply` reads the lock to plan, to see what was pushed, and to add to it.
@lru_cache(maxsize=1)
def loads(text: str) -> Lock:
    """Read the text of a lock of any version. PlannerError says what is wrong with it, and where.

    A lock of a newer schema is refused by its version.
    """
    try:
        data = toml.parse(text)
    except toml.InvalidToml as error:
        raise _unreadable(text, error) from None
    version = data.pop("version", None)
    # True equals 1.
    number = version if type(version) is int else 0
    if number == 1:
        from planner.lock.version1 import read_version_1  # noqa: PLC0415  # old locks only

        return read_version_1(data)
    if number > VERSION:
        found = f"of a newer stowplan (schema {version}; this one reads up to {VERSION})"
        raise PlannerError([Problem.in_file(LOCK_NAME, None, found, "upgrade stowplan", code="newer-lock")])
    if number not in (2, VERSION):
        raise PlannerError([Problem.in_file(LOCK_NAME, None, f"unknown schema {version!r}", RESTORE)])
    problems: list[Problem] = []
    records: list[Record] = []
    kinds = set(KIND_OF.values())
    for kind, tables in data.items():
        if kind not in kinds or not isinstance(tables, list):
            problems.append(Problem.in_file(LOCK_NAME, None, f"unknown name {kind!r}", RESTORE))
            continue
        for index, table in enumerate(tables):
            try:
                records.append(read(kind, table, f"{kind}[{index}]"))
            except PlannerError as error:
                problems += error.problems
    if problems:
        raise PlannerError(problems)
    return of_records(records)


def of_records(records: Iterable[Record]) -> Lock:
    """The lock that records make. PlannerError with everything that is wrong with them."""
    by_kind: dict[type[Any], list[Any]] = {kind: [] for kind in KIND_OF}
    for record in records:
        by_kind[type(record)].append(record)
    problems: list[Problem] = []
    pushed = {}
    for entry in by_kind[PushedRecord]:
        key = (entry.image, entry.reference.name)
        try:
            if key in pushed:
                found = f"{entry.name!r} is listed twice among the pushed images"
                raise PlannerError([Problem.in_file(LOCK_NAME, None, found, RESTORE)])
            pushed[key] = pushed_of(entry, "pushed")
        except PlannerError as error:
            problems += error.problems
    sources: dict[str, PipelineSource] = {}
    for record in by_kind[PipelineRecord]:
        if record.name in sources:
            found = f"the pipeline {record.name!r} is listed twice"
            problems.append(Problem.in_file(LOCK_NAME, None, found, RESTORE))
        sources[record.name] = PipelineSource(record.source, record.config)
    plans: tuple[PlanSpec, ...] = ()
    try:
        stacks = [record.name for record in by_kind[StackRecord]]
        images = Images.of(by_kind[ImageRecord], by_kind[ResolutionRecord], by_kind[PackageRecord], stacks)
        plans = images.plans()
    except PlannerError as error:
        problems += error.problems
    if problems:
        raise PlannerError(problems)
    return Lock(plans, pushed.values(), sources)


def _unreadable(text: str, error: toml.InvalidToml) -> PlannerError:
    conflict = re.search(r"^(<{7}|={7}|>{7})", text, re.MULTILINE)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        return PlannerError([Problem.in_file(LOCK_NAME, line, "an unresolved merge conflict", RESTORE)])
    return PlannerError([Problem.in_file(LOCK_NAME, error.line, error.found, RESTORE)])
