"""The database of the records, `.stowplan/records.sqlite3`: its schema, and how it is opened.

Owns transactions and what is done when one fails. What a killed process left half-done, SQLite undoes when
the database is next opened; that is why it is opened for writing wherever that is allowed. A file that is
damaged beyond that is moved to `records.sqlite3.broken-N`, with a warning that says so. A full disk, a
locked database and missing permissions are no damage: nothing is moved then, and the error says what it is.

The tables of schema 1, which was never released, are kept as `builds_version_1` and `trees_version_1`.
Nothing reads them: the hashes in them have no meaning any more.

Refuses to follow a link, and a database of a newer schema.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from executor.errors import ExecutorError, Failure
from executor.state import STATE_DIRECTORY, state_directory
from planner.errors import Place, Problem

__all__ = [
    "LARGEST_INTEGER",
    "PERMISSIONS",
    "Database",
    "OnWarning",
    "now",
    "show_warning",
    "storable",
    "storable_text",
]

LARGEST_INTEGER: Final = 2**63 - 1
"""The largest integer that SQLite takes."""
PERMISSIONS: Final = "records-permissions"
"""The code of a problem with what this user may read and write."""

_NAME: Final = "records.sqlite3"
_RESTORE: Final = "restore it from a copy"
_SCHEMA: Final = """
CREATE TABLE builds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    finished TEXT NOT NULL,
    seconds REAL NOT NULL,
    pipeline TEXT NOT NULL,
    stack TEXT NOT NULL,
    image TEXT NOT NULL,
    hash TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('built', 'pushed', 'reused', 'failed', 'interrupted')),
    engine TEXT NOT NULL,
    reference TEXT NOT NULL,
    digest TEXT,
    pushed INTEGER NOT NULL CHECK (pushed IN (0, 1)),
    error TEXT,
    plan TEXT NOT NULL
) STRICT;
CREATE INDEX builds_of_image ON builds (pipeline, stack, image, id, status);
CREATE INDEX builds_of_hash ON builds (hash, reference, id);
CREATE VIEW present_builds AS SELECT * FROM builds WHERE status IN ('built', 'pushed', 'reused');
CREATE TABLE trees (digest TEXT PRIMARY KEY, nodes BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE build_trees (
    build INTEGER NOT NULL REFERENCES builds (id),
    tree TEXT NOT NULL REFERENCES trees (digest),
    PRIMARY KEY (build, tree)
) STRICT, WITHOUT ROWID;
CREATE INDEX builds_of_tree ON build_trees (tree);
"""
# What each version after 2 added: tables, and nothing else. A database of an earlier one is read as if they
# were empty, and gets them when it is next written.
_ADDED: Final = (
    """
CREATE TABLE pipeline_builds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    used TEXT NOT NULL,
    seconds REAL NOT NULL,
    pipeline TEXT NOT NULL,
    stack TEXT NOT NULL,
    engine TEXT NOT NULL,
    contains_code INTEGER NOT NULL CHECK (contains_code IN (0, 1)),
    data TEXT NOT NULL,
    specs TEXT NOT NULL
) STRICT;
""",
    """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    pipeline TEXT NOT NULL,
    stack TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'interrupted')),
    started TEXT NOT NULL,
    seconds REAL NOT NULL,
    engine TEXT NOT NULL,
    plan TEXT,
    build TEXT,
    commit_id TEXT,
    store TEXT NOT NULL,
    owner TEXT NOT NULL
) STRICT;
CREATE TABLE run_steps (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('succeeded', 'failed', 'interrupted', 'skipped')),
    started TEXT NOT NULL,
    seconds REAL NOT NULL,
    image TEXT NOT NULL,
    code INTEGER,
    log TEXT NOT NULL,
    given TEXT NOT NULL,
    outputs TEXT NOT NULL,
    error TEXT,
    PRIMARY KEY (run, step)
) STRICT;
""",
)
_VERSION: Final = 2 + len(_ADDED)
_WHOLE_SCHEMA: Final = _SCHEMA + "".join(_ADDED)
_NAMED: Final = re.compile(r"^CREATE (?:TABLE|VIEW) (\w+)", re.MULTILINE)
_RENAME_VERSION_1: Final = """
ALTER TABLE builds RENAME TO builds_version_1;
ALTER TABLE trees RENAME TO trees_version_1;
"""
# What SQLite keeps beside a database belongs to that database: a journal must not be applied to another.
_COMPANIONS: Final = ("-journal", "-wal", "-shm")

T = TypeVar("T")
OnWarning = Callable[[Problem], None]


def show_warning(problem: Problem) -> None:
    """Say what went wrong and was put right, as Python warns."""
    warnings.warn(str(problem), RuntimeWarning, stacklevel=2)


class _Broken(ExecutorError):
    """The database is damaged in a way that SQLite does not mend."""


class _Gone(ExecutorError):
    """The database was moved aside, by another process, while it was open."""


class Database:
    """The database of one project. Each transaction opens it, and a first one that writes makes it.

    `wait_seconds` is how long to wait for another process that writes.
    """

    def __init__(self, root: Path, on_warning: OnWarning, wait_seconds: float) -> None:
        self._root, self._on_warning, self._wait_seconds = root, on_warning, wait_seconds

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._root / STATE_DIRECTORY / _NAME

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` finds in one transaction. Where there is no database it is given an empty one."""
        return self._healing(work, write=False)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction: all of it happens, or nothing does."""
        return self._healing(work, write=True)

    def _healing(self, work: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        with contextlib.suppress(_Broken, _Gone):
            return self._transaction(work, write=write)
        with self._alone():
            # Another process may have moved it aside while this one waited.
            try:
                return self._transaction(work, write=write)
            except _Broken as broken:
                self._move_aside(broken.problems[0])
        return self._transaction(work, write=write)

    def _transaction(self, work: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        if write:
            state_directory(self._root)
        exists = self._exists()
        if not exists and not write:
            return _on_nothing(work)
        try:
            with contextlib.closing(self._connect(write=write)) as database:
                # Whoever is going to write says so at once: later, another process may be first.
                database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                if not self._is_current(database, write=write):
                    return _on_nothing(work)
                result = work(database)
                database.execute("COMMIT")
                return result
        except sqlite3.Error as error:
            moved = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED
            if moved or (exists and not self._exists()):
                found = "was moved while it was open"
                raise _Gone([Problem(Place(file=str(self.path)), found, "run this again")]) from error
            raise self._problem(error, write=write) from error

    def _exists(self) -> bool:
        """Whether there is a database. ExecutorError if what is there is something else."""
        directory = self.path.parent
        try:
            for path, is_kind, kind in (
                (directory, stat.S_ISDIR, "directory"),
                (self.path, stat.S_ISREG, "regular file"),
            ):
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    raise ExecutorError.of(
                        str(path), "is a link: it could lead out of the project", "remove it"
                    )
                if not is_kind(mode):
                    raise ExecutorError.of(str(path), f"is not a {kind}", "give it another name")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._forbidden(f"cannot be read: {error.strerror}") from None
        return True

    def _connect(self, *, write: bool) -> sqlite3.Connection:
        # SQLite takes a file that may not be written for reading only, but does not make one with mode=rw.
        address = f"{self.path.absolute().as_uri()}?mode={'rwc' if write else 'rw'}"
        return sqlite3.connect(address, uri=True, timeout=self._wait_seconds, isolation_level=None)

    def _is_current(self, database: sqlite3.Connection, *, write: bool) -> bool:
        """Whether its schema is ours. Writing brings it there; reading leaves it, and finds no records."""
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        names = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        tables = {name for (name,) in names}
        ours = _SCHEMA + "".join(_ADDED[: max(0, version - 2)])
        if 2 <= version <= _VERSION and tables.issuperset(_NAMED.findall(ours)):
            for added in _ADDED[version - 2 :]:
                # Others go on reading while one reads: what is missing is this connection's alone then.
                _run(database, added if write else added.replace("CREATE TABLE", "CREATE TEMP TABLE"))
            if write and version < _VERSION:
                database.execute(f"PRAGMA user_version = {_VERSION}")
            return True
        if version > _VERSION:
            raise ExecutorError.of(
                str(self.path),
                f"of a newer stowplan (schema {version}; this one reads up to {_VERSION})",
                "upgrade stowplan",
            )
        is_version_1 = version == 1 and tables >= {"builds", "trees"}
        if not is_version_1 and (version or tables):
            found = "does not have the tables of records"
            raise _Broken([Problem(Place(file=str(self.path)), found, _RESTORE)])
        if write:
            if is_version_1:
                _run(database, _RENAME_VERSION_1)
            _run(database, _WHOLE_SCHEMA)
            database.execute(f"PRAGMA user_version = {_VERSION}")
        return write

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process at a time moves files aside."""
        try:
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._forbidden(f"cannot be read: {error.strerror}") from None
        try:
            # The directory itself is locked, until it is closed: a lock file would have to be made first.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _move_aside(self, why: Problem) -> None:
        paths = [self.path.with_name(f"{_NAME}{suffix}") for suffix in (*_COMPANIONS, "")]
        number = 1
        while any(os.path.lexists(_aside(path, number)) for path in paths):
            number += 1
        try:
            for path in paths:
                if os.path.lexists(path):
                    path.rename(_aside(path, number))
        except OSError as error:
            found = f"{why.found}, and cannot be moved aside: {error.strerror}"
            raise self._forbidden(found) from None
        name = _aside(self.path, number).name
        found = f"{why.found}; the file is {name} now, and new records are made"
        fix = f"nothing has to be done; `sqlite3 {name} .recover` shows what can be saved"
        self._on_warning(Problem(Place(file=str(self.path)), found, fix, "records-broken"))

    def _forbidden(self, found: str) -> ExecutorError:
        fix = f"check the owner and the permissions of {STATE_DIRECTORY} and of what is in it"
        return ExecutorError([Problem(Place(file=str(self.path)), found, fix, PERMISSIONS)])

    def _problem(self, error: sqlite3.Error, *, write: bool) -> ExecutorError:
        """What an error of SQLite comes down to, by its primary code (sqlite.org/rescode.html)."""
        where = Place(file=str(self.path))
        code = getattr(error, "sqlite_errorcode", 0)
        match code & 0xFF:
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return _Broken([Problem(where, f"is damaged: {error}", _RESTORE)])
            case (
                sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH
            ):
                return self._forbidden(f"cannot be {'written' if write else 'read'}: {error}")
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
                found = f"another process has kept it locked for {self._wait_seconds:g} s"
                busy = Problem(where, found, "wait for it, or stop it", "records-locked")
                return ExecutorError([busy], Failure.BUSY)
            case sqlite3.SQLITE_FULL:
                fix = "free disk space, and run this again"
                return ExecutorError([Problem(where, "the disk is full", fix, "records-full")])
            case sqlite3.SQLITE_IOERR:
                found = f"the disk does not do what it is asked: {getattr(error, 'sqlite_errorname', error)}"
                fix = "check the disk's room, its quota and its health, and run this again"
                return ExecutorError([Problem(where, found, fix, "records-disk")])
            case _:
                return ExecutorError.of(str(self.path), f"cannot be used: {error}", "run this again")


def now() -> str:
    """The time, in UTC as ISO 8601 by seconds: as all records have it, which are compared as text."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def storable(values: Mapping[str, object]) -> dict[str, object]:
    """Values for a query, without what has no UTF-8, which is in no record."""
    return {name: storable_text(each) if isinstance(each, str) else each for name, each in values.items()}


def storable_text(text: str | None) -> str | None:
    """Text without what has no UTF-8, such as half of a file name that is not Unicode."""
    return None if text is None else text.encode(errors="backslashreplace").decode()


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{_NAME}.broken-{number}{path.name.removeprefix(_NAME)}")


def _on_nothing(work: Callable[[sqlite3.Connection], T]) -> T:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        _run(database, _WHOLE_SCHEMA)
        return work(database)


def _run(database: sqlite3.Connection, script: str) -> None:
    """Run statements inside the transaction; `executescript` would commit it first."""
    for statement in script.split(";\n"):
        database.execute(statement)
