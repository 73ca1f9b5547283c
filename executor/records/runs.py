"""Records of runs: what ran, when, where, and what each step has left in the artifact store.

A step is recorded when it has ended, in one transaction: a run that is killed loses no step that had ended.
Owns who carries a run on: one process at a time, the one whose temporary directory the record names.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import evolve, field

from executor import limits
from executor.errors import ExecutorError, Failure
from executor.records.database import LARGEST_INTEGER, Database, OnWarning, show_warning, storable_text
from executor.run.outcome import RunStatus, StepOutcome, StepStatus, StoredOutput
from executor.scratch import owned
from executor.state import scratch_of
from planner.build import ALPHABET
from planner.errors import Place, Problem
from planner.immutable import frozen

__all__ = ["RunRecord", "Runs", "StepRecord", "new_run_id"]

_ID_LENGTH: Final = 9
_COLUMNS: Final = (
    "id, pipeline, stack, status, started, seconds, engine, plan, build, commit_id, store, owner"
)
_STEP_COLUMNS: Final = "step, status, started, seconds, image, code, log, given, outputs, error"


def new_run_id() -> str:
    """An id that no other run has: `r` and nine characters."""
    number = int.from_bytes(os.urandom(_ID_LENGTH), "big")
    return "r" + "".join(ALPHABET[number >> 5 * index & 31] for index in range(_ID_LENGTH))


@frozen
class StepRecord:
    """One step that ended; as `StepOutcome`, and `error` in words."""

    step: str
    status: StepStatus = field(converter=StepStatus)
    started: str = ""
    seconds: float = 0.0
    image: str = ""
    code: int | None = None
    log: str = ""
    given: str = ""
    outputs: tuple[StoredOutput, ...] = ()
    error: str | None = None

    @property
    def kept(self) -> StepOutcome:
        """The outcome of a step that had succeeded."""
        return StepOutcome(
            self.step,
            self.status,
            self.started,
            self.seconds,
            self.image,
            self.code,
            self.outputs,
            self.log,
            self.given,
            kept=True,
        )


@frozen
class RunRecord:
    """One run. `started` is UTC in ISO 8601; `seconds` wall time, of all attempts.

    `plan` is the hash of the plan and `build` the id of the build, where there are images; `commit` is that
    of the code, where it is known; `store` is the address of the artifact store. `owner` is the name of the
    temporary directory of the process that carries it on.
    """

    id: str
    pipeline: str
    stack: str
    status: RunStatus = field(converter=RunStatus)
    started: str
    seconds: float = 0.0
    engine: str = ""
    plan: str | None = None
    build: str | None = None
    commit: str | None = None
    store: str = ""
    owner: str = ""
    steps: tuple[StepRecord, ...] = ()


class Runs:
    """The records of the runs of one project. See `Records` about where they are, and what goes wrong."""

    def __init__(self, root: Path, *, on_warning: OnWarning = show_warning) -> None:
        self._root = root
        self._database = Database(root, on_warning, limits.WRITER_SECONDS)

    def begin(self, record: RunRecord) -> None:
        """Record that a run goes on: a new one, or one that is carried on, which nobody else may do now."""
        values = (
            record.id, record.pipeline, record.stack, record.status.value, record.started, record.seconds,
            record.engine, record.plan, record.build, record.commit, record.store, record.owner,
        )  # fmt: skip

        def insert(database: sqlite3.Connection) -> None:
            row = database.execute("SELECT status, owner FROM runs WHERE id = ?", (record.id,)).fetchone()
            if row is not None and self._goes_on(*row):
                found, fix = f"run {record.id} still goes on", "wait for it, or stop it"
                raise ExecutorError([Problem(Place(), found, fix, "run-goes-on")], Failure.BUSY)
            names = _COLUMNS.split(", ")
            updates = ", ".join(f"{name} = excluded.{name}" for name in names)
            marks = ", ".join("?" * len(names))
            database.execute(
                f"INSERT INTO runs ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}",
                values,
            )

        self._database.write(insert)

    def step_ended(self, run: str, outcome: StepOutcome) -> None:
        """Record a step that has ended."""
        outputs = json.dumps([attrs.asdict(each) for each in outcome.outputs])
        error = str(outcome.error) if outcome.error is not None else None
        values = (
            run, outcome.step, outcome.status.value, outcome.started, outcome.seconds, outcome.image,
            outcome.code, outcome.log, outcome.given, outputs, error,
        )  # fmt: skip
        marks = ", ".join("?" * len(values))
        text = f"INSERT OR REPLACE INTO run_steps (run, {_STEP_COLUMNS}) VALUES ({marks})"
        self._database.write(lambda database: database.execute(text, _storable(values)))

    def ended(self, run: str, status: RunStatus, seconds: float) -> None:
        """Record that a run has ended."""
        text = "UPDATE runs SET status = ?, seconds = ?, owner = '' WHERE id = ?"
        self._database.write(lambda database: database.execute(text, (status.value, seconds, run)))

    def all(self, pipeline: str | None = None, limit: int | None = None) -> tuple[RunRecord, ...]:
        """The runs, newest first, of one pipeline or of all."""
        where = "" if pipeline is None else "WHERE pipeline = ?"
        most = LARGEST_INTEGER if limit is None else min(limit, LARGEST_INTEGER)
        query = f"SELECT {_COLUMNS} FROM runs {where} ORDER BY number DESC LIMIT ?"
        return self._select(query, (most,) if pipeline is None else (pipeline, most))

    def find(self, run: str) -> RunRecord | None:
        """The run of an id, with its steps."""
        return next(iter(self._select(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (run,))), None)

    def newest(self, pipeline: str, stack: str) -> RunRecord | None:
        """The newest run of a pipeline on a stack."""
        query = f"SELECT {_COLUMNS} FROM runs WHERE pipeline = ? AND stack = ? ORDER BY number DESC LIMIT 1"
        return next(iter(self._select(query, (pipeline, stack))), None)

    def lost(self) -> tuple[RunRecord, ...]:
        """The runs whose processes were killed: what these have left may still be there."""
        query = f"SELECT {_COLUMNS} FROM runs WHERE owner <> ''"
        return tuple(each for each in self._select(query, ()) if each.status is RunStatus.INTERRUPTED)

    def _select(self, query: str, values: tuple[object, ...]) -> tuple[RunRecord, ...]:
        def look(database: sqlite3.Connection) -> tuple[RunRecord, ...]:
            runs = [RunRecord(*row) for row in database.execute(query, _storable(values)).fetchall()]
            return tuple(evolve(run, steps=tuple(_steps(database, run.id))) for run in runs)

        return tuple(self._standing(run) for run in self._database.read(look))

    def _standing(self, run: RunRecord) -> RunRecord:
        """A run as it stands: nobody could record that it was killed."""
        if run.status is RunStatus.RUNNING and not self._goes_on(run.status, run.owner):
            return evolve(run, status=RunStatus.INTERRUPTED)
        return run

    def _goes_on(self, status: str, owner: str) -> bool:
        return status == RunStatus.RUNNING and owned(scratch_of(self._root, owner))


def _steps(database: sqlite3.Connection, run: str) -> Iterator[StepRecord]:
    rows = database.execute(f"SELECT {_STEP_COLUMNS} FROM run_steps WHERE run = ? ORDER BY rowid", (run,))
    for row in rows.fetchall():
        values = dict(zip(_STEP_COLUMNS.split(", "), row, strict=True))
        outputs = tuple(StoredOutput(**each) for each in json.loads(values.pop("outputs")))
        yield StepRecord(**values, outputs=outputs)


def _storable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(storable_text(each) if isinstance(each, str) else each for each in values)
