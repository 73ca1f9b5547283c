"""Build records: what was built of a project, when, by what, and where it was put.

Owns what a record says and what is asked of records. A record is written when its build has ended, in one
transaction: nothing is recorded that did not happen. Plans are compared with what was there, so a failed
build never stands in the way of an earlier or a later good one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from attrs import Factory, field

from executor import limits
from executor.apply.outcome import Result
from executor.errors import ExecutorError
from executor.records.builds import BuildPage, BuildQuery, NamePattern, forgotten, listed, note
from executor.records.builds import found as found_builds
from executor.records.database import (
    LARGEST_INTEGER,
    PERMISSIONS,
    Database,
    OnWarning,
    show_warning,
    storable,
    storable_text,
)
from executor.records.documents import UnreadableBuild
from executor.records.history import (
    Known,
    candidates,
    known,
    newest,
    plan_of,
    recorded,
    references,
    spec_hashes,
)
from executor.records.images import UnreadableImage, image_text, pack, trees_of
from planner.build import Build
from planner.compare.nearest import Candidate
from planner.compare.presence import History, Recorded
from planner.errors import Place, Problem
from planner.files.tree import Tree
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.values import Digest

__all__ = ["Known", "Record", "Records", "Survey"]

_COLUMNS: Final = (
    "id, finished, seconds, pipeline, stack, image, hash, status, engine, reference, digest, pushed, error"
)
_SHORTEST_PREFIX: Final = 4
# Of so many the closest to an image is looked for: reading and comparing one takes about a millisecond.
CANDIDATES: Final = 20

T = TypeVar("T")


@frozen
class Record:
    """One build that ended, one way or the other. `finished` is UTC in ISO 8601; `seconds` wall time.

    `hash` is the image hash and `digest` the registry's, both as `sha256:…`. `pushed` says whether the
    registry has the image under the reference: by default, whether its digest is known. A record that is
    added gets its `id` then. A status of `parent` is no build.
    """

    id: int
    finished: str
    seconds: float
    pipeline: str
    stack: str
    image: str
    hash: str
    status: Result = field(converter=Result)
    engine: str
    reference: str
    digest: str | None = None
    pushed: bool = field(
        default=Factory(lambda record: record.digest is not None, takes_self=True), converter=bool
    )
    error: str | None = None


@frozen
class Survey:
    """What the records say at one moment: `known` of planned images, `last` what was planned before.

    `candidates` are the images that were there last, where one that is planned has no record.
    """

    known: Mapping[str, Known]
    last: Mapping[str, ImagePlan]
    candidates: tuple[Candidate, ...] = ()


class Records:
    """The records of one project. Made when first written; reading where there are none makes nothing.

    `on_warning` is told what was put right, and what a plan could not look at. `wait_seconds` is how long to
    wait for another process that writes, by default `limits.WRITER_SECONDS`. ExecutorError if the records
    cannot be used; planning, which can do without, finds none where permissions are what is missing.
    """

    def __init__(
        self, root: Path, *, on_warning: OnWarning = show_warning, wait_seconds: float | None = None
    ) -> None:
        seconds = limits.WRITER_SECONDS if wait_seconds is None else wait_seconds
        self._database = Database(root, on_warning, seconds)
        self._on_warning = on_warning

    @property
    def path(self) -> Path:
        """Where the records are."""
        return self._database.path

    def prepare(self) -> None:
        """Make sure that records can be written, before something is built. ExecutorError if not."""

        def touch(database: sqlite3.Connection) -> None:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            # Writes a page, which takes what a record takes: a journal, locks, and room on the disk.
            database.execute(f"PRAGMA user_version = {version}")

        self._database.write(touch)

    def add(self, record: Record, image: ImagePlan) -> int:
        """Record a build of an image that has ended. Returns its number."""
        text, trees = image_text(image), trees_of(image)
        values = (
            record.finished, record.seconds, record.pipeline, record.stack, record.image, record.hash,
            record.status.value, record.engine, record.reference, record.digest, record.pushed,
            storable_text(record.error), text,
        )  # fmt: skip

        def insert(database: sqlite3.Connection) -> int:
            cursor = database.execute(
                "INSERT INTO builds (finished, seconds, pipeline, stack, image, hash, status, engine,"
                " reference, digest, pushed, error, plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = cursor.lastrowid or 0
            for digest, tree in trees.items():
                if not database.execute("SELECT 1 FROM trees WHERE digest = ?", (digest.hex,)).fetchone():
                    database.execute("INSERT INTO trees VALUES (?, ?)", (digest.hex, pack(tree)))
                database.execute("INSERT INTO build_trees VALUES (?, ?)", (number, digest.hex))
            return number

        return self._database.write(insert)

    def all(
        self, pattern: NamePattern | None = None, limit: int | None = None, skip: int = 0
    ) -> tuple[Record, ...]:
        """The records, newest first, of some pipelines or of all: `limit` at most, after the first `skip`."""
        where = "" if pattern is None else f"WHERE {pattern.condition}"
        values = {
            "pipeline": pattern.text if pattern else None,
            "most": LARGEST_INTEGER if limit is None else min(limit, LARGEST_INTEGER),
            "skip": min(skip, LARGEST_INTEGER),
        }
        return self._select(
            f"SELECT {_COLUMNS} FROM builds {where} ORDER BY id DESC LIMIT :most OFFSET :skip", values
        )

    def find(self, name: str) -> tuple[Record, ...]:
        """The records of a number, or of the start of a hash, newest first."""
        number = _number(name)
        if number is not None:
            found = self._select(f"SELECT {_COLUMNS} FROM builds WHERE id = :id", {"id": number})
            if found:
                return found
        prefix = name.removeprefix("sha256:")
        if len(prefix) < _SHORTEST_PREFIX or not set(prefix) <= set("0123456789abcdef"):
            return ()
        # All that starts with the prefix, and that an index has together: `g` comes after every digit.
        query = f"SELECT {_COLUMNS} FROM builds WHERE hash >= :first AND hash < :after ORDER BY id DESC"
        return self._select(query, {"first": f"sha256:{prefix}", "after": f"sha256:{prefix}g"})

    def recorded(self, image: Digest, reference: str, engine: str | None = None) -> Recorded | None:
        """The newest record that says that an image was there under a reference, in this engine or in any.

        `pushed` is true if any record says that the registry has it there. A registry is the same for all
        engines: where only another one pushed the image, the record of that is returned without an engine.
        """
        return self._planning(lambda database: recorded(database, image, reference, engine), None)

    def references(self, image: Digest) -> tuple[str, ...]:
        """All references under which an image was there, newest first."""
        return self._planning(lambda database: references(database, image), ())

    def known(
        self, pipeline: str, stack: str, images: Iterable[ImagePlan], engine: str | None = None
    ) -> dict[str, Known]:
        """What the records say of each of these images, by its name. Opens the database once for all."""
        planned = tuple(images)
        return self._planning(
            lambda database: _known(database, pipeline, stack, planned, engine), _unknown(planned)
        )

    def survey(
        self, pipeline: str, stack: str, images: Iterable[ImagePlan], engine: str | None = None
    ) -> Survey:
        """What `known` and `last_plans` say, both at one moment: another process may be recording builds."""
        planned = tuple(images)

        def look(database: sqlite3.Connection) -> Survey:
            told = _known(database, pipeline, stack, planned, engine)
            missed = any(
                each.history is not History.ELSEWHERE and each.recorded is None for each in told.values()
            )
            others = candidates(database, CANDIDATES, None) if missed else ()
            return Survey(told, _last_plans(database, pipeline, stack, None), others)

        return self._planning(look, Survey(_unknown(planned), {}))

    def last(self, pipeline: str, stack: str, image: str) -> ImagePlan | None:
        """What an image was planned as when it was last there; None too where that cannot be read."""
        return self.last_plans(pipeline, stack, (image,)).get(image)

    def last_plans(
        self, pipeline: str, stack: str, images: Iterable[str] | None = None
    ) -> Mapping[str, ImagePlan]:
        """What images were planned as when they were last there, by their names: all images, or these.

        One that cannot be read, because another version wrote it, is left out: nothing can be compared then.
        """
        names = None if images is None else frozenset(images)
        return self._planning(lambda database: _last_plans(database, pipeline, stack, names), {})

    def candidates(self, before: int) -> tuple[Candidate, ...]:
        """The images that were there last, each once: `CANDIDATES` at most, up to the record of a number.

        One that cannot be read is left out.
        """
        return self._planning(lambda database: candidates(database, CANDIDATES, before), ())

    def last_number(self) -> int:
        """The number of the newest record; 0 without any."""

        def look(database: sqlite3.Connection) -> int:
            (number,) = database.execute("SELECT ifnull(max(id), 0) FROM builds").fetchone()
            return int(number)

        return self._planning(look, 0)

    def build_seconds(self, image: str, most: int) -> tuple[float, ...]:
        """How long the last builds of an image of this name took, newest first."""
        query = "SELECT seconds FROM builds WHERE image = ? AND status = ? ORDER BY id DESC LIMIT ?"
        return self._seconds(query, (image, Result.BUILT.value, most))

    def seconds_of(self, records: Iterable[int]) -> tuple[float, ...]:
        """How long the builds of these records took; of those that are records of a build."""
        numbers = tuple(records)
        marks = ", ".join("?" * len(numbers))
        query = f"SELECT seconds FROM builds WHERE status = ? AND id IN ({marks})"  # only marks
        return self._seconds(query, (Result.BUILT.value, *numbers))

    def _seconds(self, query: str, values: Sequence[object]) -> tuple[float, ...]:
        return self._planning(
            lambda database: tuple(float(number) for (number,) in database.execute(query, values)), ()
        )

    def delete(self, number: int) -> bool:
        """Forget one build; whether there was one. Trees that no other record needs go with it.

        Nothing else is touched: other records of the same image and reference say what they said.
        """
        if not 0 < number <= LARGEST_INTEGER:
            return False

        return self._database.write(lambda database: _forget(database, number))

    def forget(self, records: Iterable[int], builds: Iterable[str]) -> None:
        """Forget records by their numbers and builds by their ids, in one transaction."""
        numbers, names = tuple(records), tuple(builds)

        def work(database: sqlite3.Connection) -> None:
            for number in numbers:
                _forget(database, number)
            for name in names:
                forgotten(database, name)

        self._database.write(work)

    def spec_hashes(self) -> dict[int, str]:
        """The spec hashes of the images of all records, by their numbers, as they were written."""
        return self._database.read(spec_hashes)

    def note_build(self, build: Build, *, again: bool = False) -> Build:
        """Note a build, in one transaction; what is noted. One that is known stays, and was used now.

        `again` says that its images were made anew: then it says what is said of it now.
        """
        return self._database.write(lambda database: note(database, build, again=again))

    def builds(self, query: BuildQuery | None = None) -> BuildPage:
        """Builds, without their specs. What cannot be read is left out, with a warning."""
        page = self._database.read(lambda database: listed(database, query or BuildQuery()))
        for name in page.unreadable:
            found, fix = f"build {name} cannot be read", f"forget it with `stowplan builds delete {name}`"
            self._on_warning(Problem(Place(file=str(self.path)), found, fix, "build-unreadable"))
        return page

    def find_builds(self, name: str) -> tuple[Build, ...]:
        """The builds whose ids begin so, from four characters on, with their specs.

        ExecutorError if one of them cannot be read.
        """
        try:
            return self._database.read(lambda database: found_builds(database, name))
        except UnreadableBuild as error:
            what, fix = f"build {name} cannot be read: {error}", "make it again with `stowplan build`"
            raise ExecutorError(
                [Problem(Place(file=str(self.path)), what, fix, "build-unreadable")]
            ) from None

    def builds_of_runs(self) -> frozenset[str]:
        """The ids of the builds that runs name."""
        query = "SELECT DISTINCT build FROM runs WHERE build IS NOT NULL"
        return self._database.read(lambda database: frozenset(name for (name,) in database.execute(query)))

    def delete_build(self, name: str) -> bool:
        """Forget the build of an id; whether there was one. The records of its images stay."""
        return self._database.write(lambda database: forgotten(database, name))

    def _select(self, query: str, values: Mapping[str, object]) -> tuple[Record, ...]:
        given = storable(values)
        return self._database.read(
            lambda database: tuple(Record(*row) for row in database.execute(query, given))
        )

    def _planning(self, look: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What planning finds: a project that this user may not read or heal has no records."""
        try:
            return self._database.read(look)
        except ExecutorError as error:
            if any(problem.code != PERMISSIONS for problem in error.problems):
                raise
            for problem in error.problems:
                self._on_warning(problem)
            return otherwise


def _forget(database: sqlite3.Connection, number: int) -> bool:
    """Forget one record, and the trees that no other needs; whether there was one."""
    trees = database.execute("SELECT tree FROM build_trees WHERE build = ?", (number,)).fetchall()
    database.execute("DELETE FROM build_trees WHERE build = ?", (number,))
    gone = database.execute("DELETE FROM builds WHERE id = ?", (number,)).rowcount
    database.executemany(
        "DELETE FROM trees WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM build_trees WHERE tree = ?1)",
        trees,
    )
    return gone > 0


def _known(
    database: sqlite3.Connection,
    pipeline: str,
    stack: str,
    images: tuple[ImagePlan, ...],
    engine: str | None,
) -> dict[str, Known]:
    built = newest(database, pipeline, stack)
    return {image.name: known(database, image, engine, built=image.name in built) for image in images}


def _unknown(images: tuple[ImagePlan, ...]) -> dict[str, Known]:
    return {image.name: Known() for image in images}


def _last_plans(
    database: sqlite3.Connection, pipeline: str, stack: str, names: frozenset[str] | None
) -> dict[str, ImagePlan]:
    plans: dict[str, ImagePlan] = {}
    trees: dict[Digest, Tree] = {}
    for name, number in newest(database, pipeline, stack).items():
        if names is None or name in names:
            with contextlib.suppress(UnreadableImage):
                plans[name] = plan_of(database, number, trees)
    return plans


def _number(name: str) -> int | None:
    """The number of a build; None for what is none, or more than SQLite can count."""
    if not (name.isascii() and name.isdecimal()) or len(name) > len(str(LARGEST_INTEGER)):
        return None
    return number if (number := int(name)) <= LARGEST_INTEGER else None
