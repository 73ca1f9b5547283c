"""What can still be read of a broken lock: conflicted, truncated, edited, or not a lock at all.

Owns the reading record by record. Each record that is whole and says what its hash says is kept, of both
sides of a conflict; the ledger first, since nothing else knows what was pushed. Refuses to guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from attrs import evolve

from planner import toml
from planner.errors import PlannerError
from planner.image.plan import NamedSpec, PlanSpec
from planner.image.spec import ImageSpec
from planner.immutable import frozen
from planner.lock.lock import Lock, PipelineSource, Pushed
from planner.lock.normal import Images, pushed_of
from planner.lock.packages import readings
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
)
from planner.lock.text import loads
from planner.requirements.packages import Package
from planner.values import Digest

__all__ = ["Repaired", "repair"]

K = TypeVar("K")
R = TypeVar("R", ImageRecord, ResolutionRecord)

_START: Final = re.compile(rf"^\[\[({'|'.join(KIND_OF.values())})\]\]\s*$")
# Git's conflict markers; the third stands before the common ancestor (merge.conflictStyle = diff3).
_OURS, _BASE, _THEIRS, _END = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


@frozen
class Repaired:
    """A lock with what was kept of a broken one, and what was kept and dropped in words."""

    lock: Lock
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def repair(text: str) -> Repaired:
    """What can be kept of the text of a lock; a lock that is whole is kept as it is."""
    try:
        return Repaired(loads(text.removeprefix("\ufeff")))
    except PlannerError as error:
        if any(problem.code == "newer-lock" for problem in error.problems):
            raise
    dropped: dict[str, None] = {}
    records: dict[Record, None] = {}
    for side in _sides(text.removeprefix("\ufeff").replace("\r\n", "\n")):
        for kind, number, block in _blocks(side):
            try:
                tables = toml.parse(block)[kind]
                records |= {read(kind, table, f"{kind} in line {number}"): None for table in tables}
            except (ValueError, KeyError):  # PlannerError and InvalidToml among them
                dropped[f"{kind} in line {number}: it cannot be read"] = None
    pushed = _pushed(records, dropped)
    plans = _plans(records, dropped)
    images = sum(len(plan.images) for plan in plans)
    kept = (_counted(images, "image"), _counted(len(pushed), "entry of the ledger", "entries of the ledger"))
    return Repaired(Lock(plans, pushed, _sources(records, plans)), kept, tuple(dropped))


def _sources(records: Iterable[Record], plans: Iterable[PlanSpec]) -> dict[str, PipelineSource]:
    """How pipelines of these plans are named; of two names of one, the first."""
    found: dict[str, PipelineSource] = {}
    pipelines = {plan.pipeline for plan in plans}
    for record in records:
        if isinstance(record, PipelineRecord) and record.name in pipelines:
            found.setdefault(record.name, PipelineSource(record.source, record.config))
    return found


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _sides(text: str) -> Iterator[str]:
    """The text itself, or of a conflict both sides, each with a line for each line of the text."""
    lines = text.split("\n")
    if not any(line.startswith(_OURS) for line in lines):
        yield text
        return
    for wanted in (_OURS, _THEIRS):
        kept, now = [], ""
        for line in lines:
            marker = next((m for m in (_OURS, _BASE, _THEIRS, _END) if line.startswith(m)), "")
            if marker:
                now = "" if marker == _END else marker
            kept.append(line if not marker and now in ("", wanted) else "")
        yield "\n".join(kept)


def _blocks(text: str) -> Iterator[tuple[str, int, str]]:
    """Each record of a text: its kind, the number of its first line, and its text."""
    kind, start, block = "", 0, list[str]()
    for number, line in enumerate([*text.split("\n"), "[[stack]]"], start=1):
        if match := _START.fullmatch(line):
            if kind:
                yield kind, start, "\n".join(block)
            kind, start, block = match[1], number, []
        block.append(line)


def _pushed(records: dict[Record, None], dropped: dict[str, None]) -> tuple[Pushed, ...]:
    """Entries that say what they are; of two that contradict each other, neither."""
    found: dict[tuple[Digest, str], set[Pushed]] = {}
    for record in records:
        if isinstance(record, PushedRecord):
            try:
                entry = pushed_of(record, "pushed")
            except PlannerError as error:
                dropped |= {problem.found: None for problem in error.problems}
                continue
            found.setdefault((entry.image, entry.reference.name), set()).add(entry)
    kept = []
    for entries in found.values():
        digests = {entry.digest for entry in entries}
        if len(digests) == 1:
            kept.append(min(entries))
        else:
            entry = min(entries)
            dropped[f"{entry.name!r} as pushed: the two sides have different digests"] = None
    return tuple(kept)


def _take(
    found: dict[K, R], key: K, record: R, is_whole: Callable[[R], bool], dropped: dict[str, None]
) -> None:
    """Take in a record: of two of one key the first is kept, unless only the second is whole."""
    first = found.setdefault(key, record)
    if first == record:
        return
    which = "first"
    if not is_whole(first) and is_whole(record):
        found[key], which = record, "second"
    what = f"{KIND_OF[type(record)]} {record.name!r}"
    dropped[f"{what}: the two sides differ, the {which} side's is kept"] = None


def _says_its_hash(record: ImageRecord, among: Images) -> bool:
    """Whether an image is whole; of one that is built on another image, that cannot be told alone."""
    key = (record.pipeline, "", record.name)
    try:
        evolve(among, records={key: record}).spec(key, {})
    except PlannerError:
        return record.parent.image is not None
    return True


def _is_whole(record: ResolutionRecord, packages: Mapping[str, tuple[Package, ...]]) -> bool:
    """Whether a resolution has all its packages, and is what its hash says."""
    try:
        Images({}, {record.name: record}, packages).resolution(record.name, "")
    except PlannerError:
        return False
    return True


def _plans(records: dict[Record, None], dropped: dict[str, None]) -> tuple[PlanSpec, ...]:
    """The images whose hashes are those of their content; of two of one name, the first that is whole."""
    stacks = {record.name for record in records if isinstance(record, StackRecord)}
    packages = [record for record in records if isinstance(record, PackageRecord)]
    sound = []
    for package in packages:
        try:
            readings([package])
            sound.append(package)
        except PlannerError:
            dropped[f"package {package.name!r}: it cannot be read"] = None
    packages_by_name = readings(sound)
    resolutions: dict[str, ResolutionRecord] = {}
    for record in records:
        if isinstance(record, ResolutionRecord):
            _take(resolutions, record.name, record, lambda each: _is_whole(each, packages_by_name), dropped)
    among = Images({}, resolutions, packages_by_name)
    images: dict[tuple[str, str, str], ImageRecord] = {}
    for record in records:
        if isinstance(record, ImageRecord):
            for stack in record.stacks or sorted(stacks):
                key = (record.pipeline, stack, record.name)
                _take(images, key, record, lambda each: _says_its_hash(each, among), dropped)
    whole = evolve(among, records=images)
    known: dict[tuple[str, str, str], ImageSpec] = {}
    plans: dict[tuple[str, str], list[NamedSpec]] = {}
    for key, record in images.items():
        try:
            spec = whole.spec(key, known)
        except PlannerError as error:
            dropped |= {f"image {record.name!r}: {problem.found}": None for problem in error.problems}
            continue
        plans.setdefault(key[:2], []).append(NamedSpec(record.name, record.steps, spec))
    return tuple(PlanSpec(*pair, tuple(named)) for pair, named in plans.items())
