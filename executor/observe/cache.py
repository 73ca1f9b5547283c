"""What was hashed before, so that files that did not change are not read again.

Owns `.stowplan/cache.sqlite3`. Of a checkout `hashes` holds what the files of a directory held, by name and
stat; `nodes` what a directory came to under some ignore rules, by a signature of the stats of all that is in
it. Of commits `blobs` holds the SHA-256 of what git has under an ID, and `trees` what a tree of git came to
under some ignore rules: both never go stale. Each can be lost at any time at the cost of reading files again,
so nothing here raises: a cache that cannot be read or written is no cache. Refuses to decide whether a file
changed: that is up to the walk (`files`), which also leaves out what is too young to be trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from executor.errors import ExecutorError
from executor.state import state_directory

__all__ = ["CACHE_NAME", "Cache", "Hashed", "Row", "Stamp", "SubDirectory"]

CACHE_NAME: Final = "cache.sqlite3"
_VERSION: Final = 3
# Ignore rules that are remembered at once: one project rarely has more ignore files in use.
_RULES_KEPT: Final = 16
# Trees of commits: two that are compared, with a few images of other rules, and those compared before.
_TREES_KEPT: Final = 16
# Above this many it is faster to read all IDs than to look each of them up.
_LOOKED_UP: Final = 500
_BUSY_SECONDS: Final = 1.0
# No foreign keys, no joins: each row stands for itself. `saved` orders the rules by their last use.
_SCHEMA: Final = f"""
DROP TABLE IF EXISTS hashes;
DROP TABLE IF EXISTS nodes;
DROP TABLE IF EXISTS rules;
CREATE TABLE hashes (path TEXT PRIMARY KEY, files TEXT NOT NULL);
CREATE TABLE nodes (rules BLOB, path TEXT, signature BLOB NOT NULL, node BLOB NOT NULL,
    below TEXT NOT NULL, PRIMARY KEY (rules, path));
DROP TABLE IF EXISTS blobs;
DROP TABLE IF EXISTS trees;
CREATE TABLE blobs (blob BLOB PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE trees (rules BLOB, tree BLOB, packed BLOB NOT NULL, saved INTEGER NOT NULL,
    PRIMARY KEY (rules, tree));
CREATE TABLE rules (rules BLOB PRIMARY KEY, saved INTEGER NOT NULL);
PRAGMA user_version = {_VERSION};
"""


class Stamp(NamedTuple):
    """What tells two states of a file apart: size, times of content and status in ns, inode."""

    size: int
    mtime: int
    ctime: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The stamp in the status of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Hashed(NamedTuple):
    """What a file held when it had this stamp: the SHA-256 of its bytes."""

    stamp: Stamp
    digest: bytes


class SubDirectory(NamedTuple):
    """A directory below another: where in the node of the one above its part belongs, as a byte offset."""

    offset: int
    name: str


class Row(NamedTuple):
    """What a directory came to when it had this signature: its node but for the directories below."""

    signature: bytes
    node: bytes
    below: tuple[SubDirectory, ...]


class Cache:
    """The hash cache of one project. Belongs to one thread; `close` it, or use it in a `with`."""

    def __init__(self, root: Path) -> None:
        self._path: Path | None = None
        self._database: sqlite3.Connection | None = None
        with contextlib.suppress(OSError, ExecutorError):
            path = state_directory(root) / CACHE_NAME
            # A link could lead to a database that is not ours to write.
            if not path.is_symlink():
                self._path = path
        self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def now(self) -> int:
        """The time that a file which is written now gets, in ns: a file server has its own clock."""
        now = time.time_ns()
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.utime(self._path.parent)
                now = min(now, self._path.parent.stat().st_mtime_ns)
        return now

    def rows(self, rules: bytes) -> dict[str, Row]:
        """What is remembered of all directories under some rules, by path."""
        found: dict[str, Row] = {}
        query = "SELECT path, signature, node, below FROM nodes WHERE rules = ?"
        for path, signature, node, below in self._select(query, rules):
            with contextlib.suppress(ValueError, TypeError):
                found[path] = Row(
                    signature, node, tuple(SubDirectory(*each) for each in json.loads(below)) if below else ()
                )
        return found

    def hashes(self, path: str) -> dict[str, Hashed]:
        """What is remembered of the files of a directory, by name."""
        found: dict[str, Hashed] = {}
        for (files,) in self._select("SELECT files FROM hashes WHERE path = ?", path):
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                for name, (digest, *stamp) in json.loads(files).items():
                    found[name] = Hashed(Stamp(*stamp), bytes.fromhex(digest))
        return found

    def digests(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """The SHA-256 of what git has under these IDs, as far as it is known."""
        wanted = set(blobs)
        if len(wanted) > _LOOKED_UP:
            rows = self._select("SELECT blob, digest FROM blobs")
        else:
            query = "SELECT blob, digest FROM blobs WHERE blob = ?"
            rows = [row for blob in wanted for row in self._select(query, bytes.fromhex(blob))]
        return {name: digest for blob, digest in rows if (name := blob.hex()) in wanted}

    def save_digests(self, digests: Mapping[str, bytes]) -> None:
        """Remember the SHA-256 of what git has under these IDs."""
        rows = [(bytes.fromhex(blob), digest) for blob, digest in digests.items()]
        if rows:
            self._change(lambda each: each.executemany("INSERT OR REPLACE INTO blobs VALUES (?, ?)", rows))

    def tree(self, rules: bytes, tree: str) -> bytes | None:
        """What `save_tree` was given for a tree of git under some rules."""
        query = "SELECT packed FROM trees WHERE rules = ? AND tree = ?"
        return next((packed for (packed,) in self._select(query, rules, bytes.fromhex(tree))), None)

    def save_tree(self, rules: bytes, tree: str, packed: bytes) -> None:
        """Remember what a tree of git came to under some rules, and forget those of long ago."""

        def write(database: sqlite3.Connection) -> None:
            row = (rules, bytes.fromhex(tree), packed, time.time_ns())
            database.execute("INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?)", row)
            kept = "SELECT saved FROM trees ORDER BY saved DESC LIMIT ?"
            database.execute(f"DELETE FROM trees WHERE saved NOT IN ({kept})", (_TREES_KEPT,))  # noqa: S608  # names of ours

        self._change(write)

    def save(
        self,
        rules: bytes,
        rows: Mapping[str, Row | None],
        hashes: Mapping[str, Mapping[str, Hashed]],
        gone: Iterable[str],
    ) -> None:
        """Remember rows (None forgets one) and hashes, and forget the directories that are gone."""
        forgotten = list(gone)
        self._change(lambda database: _write(database, rules, rows, hashes, forgotten))

    def forget(self, paths: Iterable[str]) -> None:
        """Forget the directories that these files are in: what was remembered of one proved wrong.

        Each file in them is read again, under any rules.
        """
        database = self._database
        if database is None:
            return
        directories = [(directory,) for directory in {path.rpartition("/")[0] for path in paths}]
        with contextlib.suppress(sqlite3.Error), _transaction(database):
            for table in ("nodes", "hashes"):
                database.executemany(f"DELETE FROM {table} WHERE path = ?", directories)  # noqa: S608  # two names of ours

    def _change(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Change what is remembered, all or nothing. What another version remembered is forgotten."""
        try:
            self._transact(change)
        except sqlite3.OperationalError:
            pass  # busy, full, read-only: not worth a word
        except sqlite3.DatabaseError:
            self._discard()
            with contextlib.suppress(sqlite3.Error):
                self._transact(change)

    def _transact(self, change: Callable[[sqlite3.Connection], object]) -> None:
        database = self._database
        if database is None:
            return
        with _transaction(database):
            if database.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                for statement in _SCHEMA.strip().split(";\n"):
                    database.execute(statement)
            change(database)

    def _connect(self) -> None:
        if self._path is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)

    def _select(self, query: str, *values: bytes | str) -> list[tuple[Any, ...]]:
        """The rows of a query; none if the cache cannot be read, or is of another version."""
        if self._database is None:
            return []
        try:
            if self._database.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                return []
            return self._database.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            self.close()  # busy: waiting again for each directory would take longer than reading its files
            return []
        except sqlite3.DatabaseError:
            self._discard()
            return []

    def _discard(self) -> None:
        """Start anew where the file is no database: the journal goes first, or it would be played back."""
        self.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.with_name(f"{CACHE_NAME}-journal").unlink(missing_ok=True)
                self._path.unlink(missing_ok=True)
                self._connect()


def _write(
    database: sqlite3.Connection,
    rules: bytes,
    rows: Mapping[str, Row | None],
    hashes: Mapping[str, Mapping[str, Hashed]],
    gone: list[str],
) -> None:
    database.executemany(
        "DELETE FROM nodes WHERE rules = ? AND path = ?",
        [(rules, path) for path in [*gone, *(path for path, row in rows.items() if row is None)]],
    )
    database.executemany("DELETE FROM hashes WHERE path = ?", [(path,) for path in gone])
    database.executemany(
        "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?)",
        (
            (rules, path, row.signature, row.node, json.dumps(row.below) if row.below else "")
            for path, row in rows.items()
            if row is not None
        ),
    )
    database.executemany(
        "INSERT OR REPLACE INTO hashes VALUES (?, ?)",
        ((path, _dump(files)) for path, files in hashes.items()),
    )
    database.execute("INSERT OR REPLACE INTO rules VALUES (?, ?)", (rules, time.time_ns()))
    kept = "SELECT rules FROM rules ORDER BY saved DESC LIMIT ?"
    for table in ("nodes", "rules"):
        database.execute(f"DELETE FROM {table} WHERE rules NOT IN ({kept})", (_RULES_KEPT,))  # noqa: S608  # two names of ours


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; readers see what was there before until it is done."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _dump(files: Mapping[str, Hashed]) -> str:
    return json.dumps({name: (digest.hex(), *stamp) for name, (stamp, digest) in files.items()})
