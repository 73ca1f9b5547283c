"""The builds of a project, asked of a database that is open: what is noted, found, listed and forgotten."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from enum import StrEnum
from typing import Final

from attrs import evolve

from executor.records.database import LARGEST_INTEGER, storable
from executor.records.documents import UnreadableBuild, build_data, build_of, specs_data
from planner.build import BUILD_ID, Build
from planner.immutable import frozen

__all__ = ["SORTS", "BuildPage", "BuildQuery", "Match", "NamePattern", "forgotten", "found", "listed", "note"]

# As many digits as an id has: a beginning of one becomes one with the last of them.
_ANY: Final = "g000000000"
SHORTEST_PREFIX: Final = 4
SORTS: Final = ("created", "used", "pipeline", "stack", "engine", "seconds")
"""What builds are sorted by."""


class Match(StrEnum):
    """How a name is compared."""

    IS = "is"
    STARTS = "startswith"
    CONTAINS = "contains"
    ENDS = "endswith"


@frozen
class NamePattern:
    """Which names are meant: `training`, `startswith:train`, `contains:ain`, `endswith:ing`."""

    match: Match
    text: str

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """The pattern of a text. No name has a colon, so a text without a known word is a name."""
        word, colon, rest = text.partition(":")
        if colon and word in {each.value for each in Match} - {Match.IS}:
            return cls(Match(word), rest)
        return cls(Match.IS, text)

    @property
    def condition(self) -> str:
        """SQL about the column `pipeline` and the value `:pipeline`."""
        match self.match:
            case Match.IS:
                return "pipeline = :pipeline"
            case Match.STARTS:
                return "substr(pipeline, 1, length(:pipeline)) = :pipeline"
            case Match.CONTAINS:
                return "instr(pipeline, :pipeline) > 0"
            case Match.ENDS:
                return "substr(pipeline, length(pipeline) + 1 - length(:pipeline)) = :pipeline"


@frozen
class BuildQuery:
    """Which builds are asked for: what is None does not matter.

    `since` is a time in UTC as ISO 8601. `sort` is one of SORTS, with `-` before it for the largest first.
    `limit` is how many at most, after the first `skip`.
    """

    pipeline: NamePattern | None = None
    stack: str | None = None
    engine: str | None = None
    since: str | None = None
    contains_code: bool | None = None
    sort: str = "-created"
    limit: int | None = None
    skip: int = 0


@frozen
class BuildPage:
    """Builds without their specs, and how many there are in all. `unreadable` are ids that cannot be read."""

    builds: tuple[Build, ...] = ()
    total: int = 0
    unreadable: tuple[str, ...] = ()


def note(database: sqlite3.Connection, build: Build, *, again: bool) -> Build:
    """Note a build, or that it was used: `again` says that its images were made anew. What is noted now."""
    assert build.specs is not None  # noqa: S101  # whoever made a build knows them
    if not again:
        known = database.execute("SELECT data FROM pipeline_builds WHERE id = ?", (build.id,)).fetchone()
        # One that cannot be read is written anew.
        with contextlib.suppress(ValueError):
            if known is not None:
                earlier = build_of({**json.loads(known[0]), "used": build.used})
                database.execute(
                    "UPDATE pipeline_builds SET used = ?, data = ? WHERE id = ?",
                    (earlier.used, json.dumps(build_data(earlier)), build.id),
                )
                return evolve(earlier, specs=build.specs)
    database.execute(
        "INSERT OR REPLACE INTO pipeline_builds"
        " (id, created, used, seconds, pipeline, stack, engine, contains_code, data, specs)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            build.id, build.created, build.used, build.seconds, build.pipeline, build.stack, build.engine,
            build.contains_code, json.dumps(build_data(build)),
            json.dumps(specs_data(build.specs), separators=(",", ":")),
        ),
    )  # fmt: skip
    return build


def listed(database: sqlite3.Connection, query: BuildQuery) -> BuildPage:
    """The builds that a query asks for."""
    values = {
        "pipeline": query.pipeline.text if query.pipeline else None,
        "stack": query.stack,
        "engine": query.engine,
        "since": query.since,
        "contains_code": query.contains_code,
    }
    conditions = {
        "pipeline": query.pipeline.condition if query.pipeline else "",
        "stack": "stack = :stack",
        "engine": "engine = :engine",
        "since": "created >= :since",
        "contains_code": "contains_code = :contains_code",
    }
    given = storable({name: value for name, value in values.items() if value is not None})
    where = " AND ".join(conditions[name] for name in given) or "1"
    column, falling = query.sort.removeprefix("-"), query.sort.startswith("-")
    if column not in SORTS:
        raise ValueError(f"builds are not sorted by {column!r}")
    order = f"{column} {'DESC' if falling else 'ASC'}, number {'DESC' if falling else 'ASC'}"
    (total,) = database.execute(f"SELECT count(*) FROM pipeline_builds WHERE {where}", given).fetchone()
    most = LARGEST_INTEGER if query.limit is None else min(query.limit, LARGEST_INTEGER)
    rows = database.execute(
        f"SELECT id, data FROM pipeline_builds WHERE {where} ORDER BY {order} LIMIT :most OFFSET :skip",
        {**given, "most": most, "skip": min(query.skip, LARGEST_INTEGER)},
    ).fetchall()
    builds, unreadable = [], []
    for name, data in rows:
        try:
            builds.append(build_of(json.loads(data)))
        except ValueError:
            unreadable.append(name)
    return BuildPage(tuple(builds), total, tuple(unreadable))


def found(database: sqlite3.Connection, name: str) -> tuple[Build, ...]:
    """The builds whose ids begin so, with their specs. UnreadableBuild if one cannot be read."""
    if len(name) < SHORTEST_PREFIX or not BUILD_ID.match(name + _ANY[len(name) :]):
        return ()
    rows = database.execute(
        "SELECT data, specs FROM pipeline_builds WHERE substr(id, 1, length(?1)) = ?1 ORDER BY number",
        (name,),
    )
    try:
        return tuple(build_of(json.loads(data), json.loads(specs)) for data, specs in rows)
    except ValueError as error:
        raise UnreadableBuild(str(error)) from error


def forgotten(database: sqlite3.Connection, name: str) -> bool:
    """Forget the build of an id; whether there was one."""
    return database.execute("DELETE FROM pipeline_builds WHERE id = ?", (name,)).rowcount > 0
