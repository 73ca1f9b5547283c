"""Build records: what was built of a project, when, by what, in `.stowplan/records.sqlite3`.

Owns the tables and their one schema. A record is written when its build has ended, in one
transaction: nothing is recorded that did not happen. Refuses to hold the values of variables: a
record has their fingerprints.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from planner.lock.lockfile import dumps, loads

from executor.errors import ExecutorError
from executor.state import STATE_DIRECTORY, state_directory
from planner.files.tree import Tree
from planner.image.instructions import FILES
from planner.image.plan import BuildPlan, Here, ImagePlan
from planner.values import Digest

__all__ = ["Record", "Records"]

_NAME: Final = "records.sqlite3"
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE builds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    finished TEXT NOT NULL,
    seconds REAL NOT NULL,
    pipeline TEXT NOT NULL,
    stack TEXT NOT NULL,
    image TEXT NOT NULL,
    hash TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('built', 'reused', 'failed', 'interrupted')),
    engine TEXT NOT NULL,
    reference TEXT NOT NULL,
    digest TEXT,
    error TEXT,
    plan TEXT NOT NULL,
    here TEXT NOT NULL,
    tree TEXT REFERENCES trees (digest)
) STRICT;
CREATE INDEX builds_by_image ON builds (pipeline, stack, image, id);
CREATE INDEX builds_by_hash ON builds (hash, reference);
CREATE TABLE trees (digest TEXT PRIMARY KEY, nodes BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
_COLUMNS: Final = (
    "id, finished, seconds, pipeline, stack, image, hash, status, engine, reference, digest, error"
)


@frozen
class Record:
    """One build that ended, one way or the other. `finished` is UTC in ISO 8601; `seconds` wall time.

    `status` is `built`, `reused` (the image was there already), `failed` or `interrupted`.
    """

    id: int
    finished: str
    seconds: float
    pipeline: str
    stack: str
    image: str
    hash: str
    status: str
    engine: str
    reference: str
    digest: str | None = None
    error: str | None = None


class Records:
    """The records of one project. Made anew when first written; reading where there are none finds none."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def path(self) -> Path:
        """Where the records are."""
        return self._root / STATE_DIRECTORY / _NAME

    def add(self, record: Record, plan: BuildPlan, image: ImagePlan) -> int:
        """Record a build that has ended. Returns its number."""
        tree = image.tree
        with self._open(write=True) as database:
            if tree is not None:
                database.execute("INSERT OR IGNORE INTO trees VALUES (?, ?)", (tree.digest.hex, _pack(tree)))
            cursor = database.execute(
                "INSERT INTO builds (finished, seconds, pipeline, stack, image, hash, status, engine,"
                " reference, digest, error, plan, here, tree)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.finished, record.seconds, record.pipeline, record.stack, record.image, record.hash,
                    record.status, record.engine, record.reference, record.digest, record.error,
                    dumps(BuildPlan(plan.pipeline, plan.stack, (image,))), _here_text(image),
                    tree.digest.hex if tree is not None else None,
                ),
            )  # fmt: skip
            return cursor.lastrowid or 0

    def all(self, *, pipeline: str | None = None, limit: int | None = None) -> tuple[Record, ...]:
        """The records, newest first."""
        where = "WHERE pipeline = ?" if pipeline else ""
        query = f"SELECT {_COLUMNS} FROM builds {where} ORDER BY id DESC LIMIT ?"
        return self._select(query, (*([pipeline] if pipeline else []), -1 if limit is None else limit))

    def find(self, name: str) -> tuple[Record, ...]:
        """The records of a number, or of the start of a hash, newest first."""
        prefix = name.removeprefix("sha256:")
        if name.isdecimal() and (
            found := self._select(f"SELECT {_COLUMNS} FROM builds WHERE id = ?", (int(name),))
        ):
            return found
        if len(prefix) < 4 or not set(prefix) <= set("0123456789abcdef"):
            return ()
        query = f"SELECT {_COLUMNS} FROM builds WHERE substr(hash, 8, ?) = ? ORDER BY id DESC"
        return self._select(query, (len(prefix), prefix))

    def existing(self, image: Digest, reference: str, engine: str | None = None) -> Record | None:
        """The newest record that an image is there under a reference, in any engine or in this one."""
        query = (
            f"SELECT {_COLUMNS} FROM builds WHERE hash = ? AND reference = ?"
            " AND status IN ('built', 'reused') AND engine = ifnull(?, engine) ORDER BY id DESC LIMIT 1"
        )
        return next(iter(self._select(query, (str(image), reference, engine))), None)

    def last_plan(self, pipeline: str, stack: str, image: str) -> ImagePlan | None:
        """What an image was planned as when it was last there, with its files and fingerprints."""
        with self._open() as database:
            row = database.execute(
                "SELECT plan, here, trees.nodes FROM builds LEFT JOIN trees ON trees.digest = builds.tree"
                " WHERE pipeline = ? AND stack = ? AND image = ? AND status IN ('built', 'reused')"
                " ORDER BY id DESC LIMIT 1",
                (pipeline, stack, image),
            ).fetchone()
        if not row:
            return None
        plan = loads(row[0]).plans[0].images[0]
        here = json.loads(row[1])
        trees = {FILES: _unpack(row[2])} if row[2] is not None else {}
        fingerprints = {name: Digest(value) for name, value in here["variables"].items()}
        return evolve(plan, here=Here(here["platform"], trees, fingerprints))

    def delete(self, number: int) -> bool:
        """Forget a build; whether there was one. Trees that no record needs any more go with it."""
        with self._open(write=True) as database:
            gone = database.execute("DELETE FROM builds WHERE id = ?", (number,)).rowcount
            database.execute(
                "DELETE FROM trees WHERE digest NOT IN (SELECT tree FROM builds WHERE tree IS NOT NULL)"
            )
            return gone > 0

    def _select(self, query: str, values: tuple[object, ...]) -> tuple[Record, ...]:
        with self._open() as database:
            return tuple(Record(*row) for row in database.execute(query, values))

    @contextlib.contextmanager
    def _open(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction, committed at its end. Reading what is not there reads an empty database."""
        try:
            with contextlib.closing(self._connect(write)) as database:
                database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                self._migrate(database)
                yield database
                database.commit()
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _connect(self, write: bool) -> sqlite3.Connection:
        if write:
            state_directory(self._root)
            return sqlite3.connect(self.path, timeout=60, isolation_level=None)
        if self.path.exists():
            address = f"{self.path.resolve().as_uri()}?mode=ro"
            database = sqlite3.connect(address, uri=True, timeout=60, isolation_level=None)
            if database.execute("PRAGMA user_version").fetchone()[0]:
                return database
            # Another process is just making it.
            database.close()
        return sqlite3.connect(":memory:", isolation_level=None)

    def _migrate(self, database: sqlite3.Connection) -> None:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise ExecutorError.of(
                str(self.path),
                f"of a newer stowplan (schema {version}; this one reads up to {_VERSION})",
                "upgrade",
            )
        if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in _SCHEMA.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {_VERSION}")

    def _broken(self, error: sqlite3.Error) -> ExecutorError:
        return ExecutorError.of(str(self.path), f"cannot be used: {error}", "move it away; it is made anew")


def _here_text(image: ImagePlan) -> str:
    here = image.here or Here()
    return json.dumps({
        "platform": here.platform,
        "variables": {name: digest.hex for name, digest in here.variables.items()},
    })  # fmt: skip


def _pack(tree: Tree) -> bytes:
    """The nodes of a tree: paths and nodes, each with its length in front."""
    parts = []
    for path, node in tree.nodes.items():
        name = path.encode()
        parts.append(b"%d:%d:%s%s" % (len(name), len(node), name, node))
    return zlib.compress(b"".join(parts), level=1)


def _unpack(data: bytes) -> Tree:
    rest = zlib.decompress(data)
    nodes, position = {}, 0
    while position < len(rest):
        first = rest.index(b":", position)
        second = rest.index(b":", first + 1)
        name_end = second + 1 + int(rest[position:first])
        node_end = name_end + int(rest[first + 1 : second])
        nodes[rest[second + 1 : name_end].decode()] = rest[name_end:node_end]
        position = node_end
    return Tree(nodes)
