"""What the records say of one image, asked of a database that is open.

Owns the queries that planning needs. `present_builds` are the records that say that the image was there: a
failed build says nothing of what can be reused.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3

from attrs import evolve

from executor.records.images import UnreadableImage, image_of_text, unpack
from planner.compare.nearest import Candidate
from planner.compare.presence import History, Recorded
from planner.files.tree import Tree
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.values import Digest

__all__ = ["Known", "candidates", "known", "newest", "plan_of", "recorded", "references", "spec_hashes"]


@frozen
class Known:
    """What the records say of one image that is planned.

    `recorded` and `references` are as `Records` has them. `history` says why there is no such record, and
    means nothing where there is one. `elsewhere` is then the record of an image that an engine had under
    another reference: that it was pushed under that says nothing of where it goes now.
    """

    recorded: Recorded | None = None
    elsewhere: Recorded | None = None
    history: History = History.NEVER
    references: tuple[str, ...] = ()


def known(database: sqlite3.Connection, image: ImagePlan, engine: str | None, *, built: bool) -> Known:
    """All that is known of an image; `built` says whether one of its name was there."""
    under = references(database, image.hash)
    history = History.ELSEWHERE if under else History.CHANGED if built else History.NEVER
    found = recorded(database, image.hash, image.reference, engine)
    elsewhere = _elsewhere(database, image.hash, under, engine) if found is None else None
    return Known(found, elsewhere, history, under)


def _elsewhere(
    database: sqlite3.Connection, image: Digest, under: tuple[str, ...], engine: str | None
) -> Recorded | None:
    for reference in under:
        found = recorded(database, image, reference, engine)
        if found is not None and found.engine:
            return evolve(found, pushed=False)
    return None


def recorded(
    database: sqlite3.Connection, image: Digest, reference: str, engine: str | None
) -> Recorded | None:
    """See `Records.recorded`."""
    key = (str(image), reference)
    rows = database.execute(
        "SELECT id, finished, engine, pushed FROM present_builds WHERE hash = ? AND reference = ?"
        " ORDER BY id DESC",
        key,
    ).fetchall()
    # A build that failed after it was pushed says so too.
    (is_pushed,) = database.execute(
        "SELECT ifnull(max(pushed), 0) FROM builds WHERE hash = ? AND reference = ?", key
    ).fetchone()
    for number, finished, used, _ in rows:
        if engine in (None, used):
            return Recorded(number, finished, used, bool(is_pushed))
    for number, finished, _, pushed in rows:
        if pushed:
            return Recorded(number, finished, "", pushed=True)
    return None


def references(database: sqlite3.Connection, image: Digest) -> tuple[str, ...]:
    """See `Records.references`."""
    rows = database.execute(
        "SELECT reference FROM present_builds WHERE hash = ? GROUP BY reference ORDER BY max(id) DESC",
        (str(image),),
    )
    return tuple(reference for (reference,) in rows)


def newest(database: sqlite3.Connection, pipeline: str, stack: str) -> dict[str, int]:
    """The images that were there, and for each the number of the newest record that says so."""
    rows = database.execute(
        "SELECT image, max(id) FROM present_builds WHERE pipeline = ? AND stack = ? GROUP BY image",
        (pipeline, stack),
    )
    return dict(rows.fetchall())


def plan_of(database: sqlite3.Connection, number: int, trees: dict[Digest, Tree]) -> ImagePlan:
    """The image of a record. UnreadableImage if it cannot be read.

    `trees` are those that were read before, and its own after.
    """
    text, of = database.execute("SELECT plan, hash FROM builds WHERE id = ?", (number,)).fetchone()
    for (name,) in database.execute("SELECT tree FROM build_trees WHERE build = ?", (number,)).fetchall():
        if Digest(name) not in trees:
            row = database.execute("SELECT nodes FROM trees WHERE digest = ?", (name,)).fetchone()
            if row:
                trees[Digest(name)] = unpack(row[0])
    image = image_of_text(text, trees)
    if str(image.hash) != of:
        raise UnreadableImage("its hash is not that of its content")
    return image


def candidates(database: sqlite3.Connection, most: int, before: int | None) -> tuple[Candidate, ...]:
    """See `Records.candidates`."""
    rows = database.execute(
        "SELECT max(id), pipeline, stack FROM present_builds WHERE ?1 IS NULL OR id <= ?1"
        " GROUP BY hash ORDER BY max(id) DESC LIMIT ?2",
        (before, most),
    ).fetchall()
    trees: dict[Digest, Tree] = {}
    found = []
    for number, pipeline, stack in rows:
        with contextlib.suppress(UnreadableImage):
            found.append(Candidate(number, pipeline, stack, plan_of(database, number, trees)))
    return tuple(found)


def spec_hashes(database: sqlite3.Connection) -> dict[int, str]:
    """See `Records.spec_hashes`. A record that cannot be read has none."""
    found = {}
    for number, name, text in database.execute("SELECT id, image, plan FROM builds"):
        with contextlib.suppress(LookupError, TypeError, ValueError):
            specs = {
                data["name"]: data["hash"] for kind, data in json.loads(text)["specs"] if kind == "image"
            }
            found[number] = str(Digest.parse(specs[name]))
    return found
