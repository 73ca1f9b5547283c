"""What came of an image is recorded, or the outcome says why not; and that is found before a build begins."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from executor.apply.outcome import Outcome, Result, exit_code
from executor.apply.recorder import Recorder
from executor.errors import ExecutorError
from executor.records.store import Records
from executor.state import STATE_DIRECTORY, read_lock, state_directory, update_lock
from planner import Action, ImagePlan, Lock, Stack
from tests.builders import digest, plan_of

PROD: Final = Stack.decode(
    {"name": "prod", "container_registry": {"uri": "localhost:1", "default_repository": "p"}}
)
PLAN: Final = plan_of({}, {"a": {"apt_packages": ["git"]}, "b": {"apt_packages": ["vim"]}}, stack=PROD)


def recorder(root: Path) -> Recorder:
    return Recorder(PLAN, root, Records(root, wait_seconds=0.0), Lock())


def built(image: ImagePlan, error: ExecutorError | None = None) -> Outcome:
    """What comes of an image that was built and pushed, or that failed."""
    result = Result.FAILED if error else Result.BUILT
    pushed = None if error else digest(image.name)
    return Outcome(
        image.name,
        image.hash,
        Action.BUILD,
        result,
        image.reference,
        digest=pushed,
        pushed=not error,
        error=error,
    )


@contextmanager
def small_files(most: int = 0) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a full disk; it stops root, too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def locked(root: Path) -> Any:
    connection = sqlite3.connect(root / STATE_DIRECTORY / "records.sqlite3", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return closing(connection)


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], Any]:
    """Something else in the place of a file."""

    @contextmanager
    def replace(root: Path) -> Iterator[None]:
        path = root / name
        kept = root / "kept"
        if path.exists():
            path.rename(kept)
        make(path)
        yield
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        if kept.exists():
            kept.rename(path)

    return replace


# What goes wrong, and what of the two cannot be written then: records, lock.
WRONG: Final[dict[str, tuple[Callable[[Path], Any], bool, bool]]] = {
    "no room": (lambda _: small_files(), True, True),
    "records are locked": (locked, True, False),
    "records are a directory": (replaced(".stowplan/records.sqlite3", Path.mkdir), True, False),
    "records are a link": (
        replaced(".stowplan/records.sqlite3", lambda path: path.symlink_to("../kept")), True, False,
    ),
    "writer is a directory": (replaced(".stowplan/writer", Path.mkdir), False, True),
    "writer is a link": (replaced(".stowplan/writer", lambda path: path.symlink_to("../kept")), False, True),
    "the lock is a directory": (replaced("stowplan.lock", Path.mkdir), False, True),
    "the lock is a fifo": (replaced("stowplan.lock", os.mkfifo), False, True),
    "the lock is broken": (replaced("stowplan.lock", lambda path: path.write_text("[[")), False, True),
    "the lock leads out": (replaced("stowplan.lock", lambda path: path.symlink_to("/dev/null")), False, True),
    "state is a file": (replaced(".stowplan", Path.touch), True, True),
    "state is a link": (replaced(".stowplan", lambda path: path.symlink_to("kept")), True, True),
    "temporary files are nowhere": (replaced(".stowplan/tmp", Path.touch), False, True),
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    update_lock(tmp_path, lambda _: Lock((PLAN.spec,)))
    recorder(tmp_path).prepare()
    return tmp_path


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_recorded_is_part_of_the_outcome_and_loses_no_other(root: Path, kind: str) -> None:
    wrong, records, lock = WRONG[kind]
    first, second = PLAN.images
    made = recorder(root)
    with wrong(root):
        outcome = made.record(first, built(first))
        failed = made.record(second, built(second, ExecutorError.of("b", "does not build", "mend it")))
    assert outcome.result is Result.BUILT
    assert outcome.error is not None
    # What is wrong with both is said once.
    assert len(outcome.error.problems) == (records + lock if "state" not in kind else 1), outcome.error
    assert exit_code([outcome]) in {1, 75}, outcome.error
    # A failure stays the first that is said.
    assert failed.error is not None
    assert failed.error.problems[0].found == "does not build"
    assert len(failed.error.problems) == 1 + records
    assert exit_code([outcome, failed]) == 1
    # What could be written was: and now all can be.
    assert len(Records(root).all()) == (0 if records else 2)
    assert len((read_lock(root) or Lock()).pushed) == (0 if lock else 1)
    assert made.record(second, built(second)).error is None
    assert len((read_lock(root) or Lock()).pushed) == (1 if lock else 2)


def files(root: Path) -> dict[Path, bytes]:
    """All files but the database, which counts how often it was written."""
    return {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".sqlite3"
    }


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_written_is_found_before_a_build(root: Path, kind: str) -> None:
    wrong, _, _ = WRONG[kind]
    before = files(root)
    with wrong(root), pytest.raises(ExecutorError) as caught:
        recorder(root).prepare()
    assert all(problem.fix for problem in caught.value.problems)
    recorder(root).prepare()
    assert files(root) == before


def test_a_defect_in_recording_loses_no_outcome(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise TypeError("hunter22")

    (first, _) = PLAN.images
    made = recorder(root)
    monkeypatch.setattr(Records, "add", fail)
    outcome = made.record(first, built(first))
    assert outcome.error is not None
    assert "TypeError in recorder.py" in str(outcome.error)
    assert "hunter22" not in str(outcome.error)
    assert exit_code([outcome]) == 70
    assert len((read_lock(root) or Lock()).pushed) == 1


def test_too_little_room_is_found_before_a_build(root: Path) -> None:
    with small_files(64 * 1024), pytest.raises(ExecutorError, match=r"File too large.*ulimit -f"):
        recorder(root).prepare()


@pytest.mark.parametrize("path", [".", ".stowplan", ".stowplan/tmp"])
def test_directories_that_may_not_be_written_are_found_before_a_build(unprivileged: Path, path: str) -> None:
    update_lock(unprivileged, lambda _: Lock())
    recorder(unprivileged).prepare()
    (unprivileged / path).chmod(0o555)
    with pytest.raises(ExecutorError, match=r"cannot be (written|locked)"):
        recorder(unprivileged).prepare()


def test_a_lock_that_may_only_be_read_can_be_replaced(unprivileged: Path) -> None:
    update_lock(unprivileged, lambda _: Lock())
    (unprivileged / "stowplan.lock").chmod(0o444)
    recorder(unprivileged).prepare()
    assert update_lock(unprivileged, lambda _: Lock((PLAN.spec,)))


def test_nothing_is_left_of_looking(root: Path) -> None:
    recorder(root).prepare()
    assert list((state_directory(root) / "tmp").iterdir()) == []
