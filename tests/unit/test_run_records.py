"""The records of runs: what a run leaves, and who may carry it on."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from attrs import evolve

from executor.errors import ExecutorError
from executor.records.runs import RunRecord, Runs, new_run_id
from executor.records.store import Records
from executor.run.outcome import RunStatus, StepOutcome, StepStatus, StoredOutput
from executor.state import scratch_directory

OUTPUT = StoredOutput("output", "runs/r1/a/output", "json", "int", "0" * 64, 2)
STARTED = "2026-11-29T20:00:00+00:00"


def record(run: str = "r1", owner: str = "", pipeline: str = "p") -> RunRecord:
    return RunRecord(run, pipeline, "default", RunStatus.RUNNING, STARTED, engine="docker", owner=owner)


def outcome(step: str, status: StepStatus = StepStatus.SUCCEEDED) -> StepOutcome:
    return StepOutcome(step, status, STARTED, 1.5, "image:1", 0, (OUTPUT,), "log", "given")


def test_a_run_and_its_steps(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    assert runs.all() == ()
    assert runs.newest("p", "default") is None
    runs.begin(record())
    runs.step_ended("r1", outcome("b", StepStatus.FAILED))
    runs.step_ended("r1", outcome("a"))
    runs.step_ended("r1", outcome("b"))
    runs.ended("r1", RunStatus.SUCCEEDED, 3.5)
    found = runs.newest("p", "default")
    assert found == runs.find("r1")
    assert found is not None
    assert (found.status, found.seconds) == (RunStatus.SUCCEEDED, 3.5)
    assert sorted((each.step, each.status) for each in found.steps) == [
        ("a", StepStatus.SUCCEEDED),
        ("b", StepStatus.SUCCEEDED),
    ]
    assert found.steps[0].outputs == (OUTPUT,)
    assert evolve(found.steps[0].kept, kept=False) == outcome(found.steps[0].step)


def test_the_newest_run_is_the_one_that_began_last(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for run in ("r1", "r2"):
        runs.begin(record(run))
        runs.ended(run, RunStatus.FAILED, 1.0)
    runs.begin(record("r3", pipeline="q"))
    # Carried on, it is still the run that it was.
    runs.begin(record("r1"))
    assert [each.id for each in runs.all("p")] == ["r2", "r1"]
    newest = runs.newest("p", "default")
    assert newest is not None
    assert newest.id == "r2"
    assert len(runs.all(limit=2)) == 2


def test_a_run_belongs_to_one_process(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with scratch_directory(tmp_path) as scratch:
        mine = record(owner=scratch.name)
        runs.begin(mine)
        assert runs.lost() == ()
        with pytest.raises(ExecutorError, match="still goes on") as caught:
            runs.begin(record(owner="0" * 16))
        assert caught.value.exit_code == 75
        assert runs.find("r1") == mine
    # Its directory is gone, as that of a process that was killed.
    (lost,) = runs.lost()
    assert (lost.id, lost.status) == ("r1", RunStatus.INTERRUPTED)
    with scratch_directory(tmp_path) as scratch:
        runs.begin(record(owner=scratch.name))
        runs.ended("r1", RunStatus.SUCCEEDED, 1.0)
    assert runs.lost() == ()


def test_a_database_of_an_earlier_stowplan_gets_the_tables(tmp_path: Path) -> None:
    Records(tmp_path).prepare()
    path = tmp_path / ".stowplan/records.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table in ("pipeline_builds", "runs", "run_steps"):
            database.execute(f"DROP TABLE {table}")
        database.execute("PRAGMA user_version = 2")
        database.commit()
    before = path.read_bytes()
    runs = Runs(tmp_path)
    assert runs.all() == ()
    assert path.read_bytes() == before
    runs.begin(record())
    assert [each.id for each in runs.all()] == ["r1"]


def test_ids() -> None:
    assert len({new_run_id() for _ in range(1000)}) == 1000
