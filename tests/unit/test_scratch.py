"""Temporary directories: what a killed owner leaves is swept, and what a living one uses is not."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from executor.errors import ExecutorError
from executor.observe.cache import Cache
from executor.observe.trees import read_tree
from executor.scratch import held, owned, sweep
from executor.state import STATE_DIRECTORY, scratch_directory, state_directory, sweep_scratch, update_lock
from planner import Lock
from planner.facts.needs import FileTree
from planner.files.defaults import OWN_FILES
from planner.files.ignore import IgnoreRules

PROCESSES = multiprocessing.get_context("fork")
# A name of a directory that is made here.
LEFT = "0123456789abcdef"


def own(place: Path, end: Connection) -> None:
    """Be the owner of a directory with a file in it, until the end."""
    with held(place) as directory:
        (directory / "below").mkdir()
        (directory / "below/file").touch()
        end.send(directory.name)
        end.recv()


@contextmanager
def owner(place: Path) -> Iterator[tuple[multiprocessing.process.BaseProcess, Path]]:
    """Another process that owns a directory, and that directory."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=own, args=(place, there))
    process.start()
    try:
        yield process, place / here.recv()
    finally:
        process.kill()
        process.join()


def names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_directory_is_there_for_this_user_and_then_gone(tmp_path: Path) -> None:
    with held(tmp_path) as directory:
        assert directory.parent == tmp_path
        assert directory.stat().st_mode & 0o777 == 0o700
        (directory / "a/b").mkdir(parents=True)
    assert names(tmp_path) == []


def test_whether_a_directory_is_used_is_told_by_its_owner(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, used):
        assert owned(used)
        process.kill()
        process.join()
        assert used.exists()
        assert not owned(used)
    with held(tmp_path) as mine:
        assert owned(mine)
    assert not owned(mine)
    (tmp_path / "file").touch()
    # Nothing is told of what is not a directory of ours.
    assert owned(tmp_path / "file")


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "file").touch()
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"), held(tmp_path) as directory:
        fail(directory)
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    with owner(tmp_path) as (_, used), owner(tmp_path) as (killed, left), held(tmp_path) as mine:
        sweep(tmp_path)
        assert names(tmp_path) == sorted([used.name, left.name, mine.name])
        assert killed.pid is not None
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        assert (left / "below/file").exists()
        sweep(tmp_path)
        assert names(tmp_path) == sorted([used.name, mine.name])
        assert (used / "below/file").exists()


def test_who_makes_one_sweeps(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, left):
        process.kill()
        process.join()
    with held(tmp_path) as mine:
        assert left.name not in names(tmp_path)
        assert names(tmp_path) == [mine.name]


def test_what_was_killed_before_it_was_owned_is_swept(tmp_path: Path) -> None:
    (tmp_path / LEFT).mkdir()
    (tmp_path / f"{LEFT[::-1]}.dead").mkdir()
    (tmp_path / f"{LEFT[::-1]}.dead/file").touch()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_new_directory_that_is_swept_before_it_is_owned_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each moment between the two, another process sweeps."""
    opened = os.open
    lost: list[Path] = []

    def meanwhile(path: Path, *arguments: int, after: bool) -> int:
        descriptor = opened(path, *arguments) if after else -1
        if not lost:
            lost.append(path.parent)
            monkeypatch.setattr(os, "open", opened)
            sweep(tmp_path)
        return descriptor if after else opened(path, *arguments)

    for after in (False, True):
        lost.clear()
        monkeypatch.setattr(os, "open", partial(meanwhile, after=after))
        with held(tmp_path) as directory:
            assert directory != lost[0]
            assert names(tmp_path) == [directory.name]
            assert (directory / "owner").exists()


def test_many_that_make_and_sweep_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                with held(tmp_path) as directory:
                    (directory / "file").write_text("mine")
                    sweep(tmp_path)
                    assert (directory / "file").read_text() == "mine"
        except BaseException as error:  # to fail in the main thread
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert names(tmp_path) == []


def test_nothing_is_swept_where_nothing_can_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with held(tmp_path) as directory:
        sweep(tmp_path)
        assert names(tmp_path) == [directory.name]
    assert names(tmp_path) == []


def test_what_is_not_ours_is_not_swept(tmp_path: Path) -> None:
    """Files, links, names that only begin like ours: in TMPDIR others have theirs."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    place = tmp_path / "place"
    place.mkdir()
    (place / "stowplan-link").symlink_to("../precious")
    (place / "stowplan-file").touch()
    (place / "other").mkdir()
    for name in ("stowplan-work", "stowplan-demo.dead", f"stowplan-{LEFT}-copy", f"my-stowplan-{LEFT}"):
        (place / name).mkdir()
        (place / name / "file").touch()
    before = names(place)
    sweep(place, "stowplan-")
    assert names(place) == before
    assert names(tmp_path / "precious") == ["file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_left_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / LEFT).mkdir()
    os.chown(tmp_path / LEFT, 65534, 65534)
    sweep(tmp_path)
    assert names(tmp_path / LEFT) == []


# --- of a project


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the user names as TMPDIR."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def test_temporary_directories_are_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    for large in (False, True):
        with scratch_directory(tmp_path, large=large) as directory:
            assert directory.parent == tmp_path / STATE_DIRECTORY / "tmp"
    assert names(tmp_path) == [STATE_DIRECTORY]


def test_what_is_large_is_where_the_user_says(tmp_path: Path, elsewhere: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    with scratch_directory(root) as small, scratch_directory(root, large=True) as large:
        assert small.is_relative_to(root)
        assert large.parent == elsewhere
        sweep_scratch(root)
        assert large.exists()
        assert small.exists()
    (elsewhere / f"stowplan-{LEFT}").mkdir()
    (root / STATE_DIRECTORY / "tmp" / LEFT).mkdir()
    sweep_scratch(root)
    assert names(elsewhere) == names(root / STATE_DIRECTORY / "tmp") == []


@pytest.mark.parametrize("place", [".", "tmp", "link"])
def test_what_is_large_is_no_file_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A plan that is made meanwhile would count it, even where TMPDIR is in the project."""
    root = tmp_path / "project"
    (root / "tmp").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root / "tmp")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "link" if place == "link" else root / place))
    with scratch_directory(root, large=True) as large:
        assert large.parent == root / STATE_DIRECTORY / "tmp"


def test_a_place_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    with (
        pytest.raises(ExecutorError, match=r"nowhere \(TMPDIR\): cannot be written: No such file.*: make it"),
        scratch_directory(root, large=True),
    ):
        pytest.fail("there is no such directory")


def test_a_link_is_not_followed_to_other_files(tmp_path: Path) -> None:
    root, precious = tmp_path / "project", tmp_path / "precious"
    root.mkdir()
    (precious / "0123").mkdir(parents=True)
    state_directory(root)
    (root / STATE_DIRECTORY / "tmp").rmdir()
    (root / STATE_DIRECTORY / "tmp").symlink_to(precious)
    sweep_scratch(root)
    with pytest.raises(ExecutorError, match="tmp: is a link"), scratch_directory(root):
        pytest.fail("it is a link")
    with pytest.raises(ExecutorError, match="tmp: is a link"):
        update_lock(root, lambda _: Lock())
    assert names(precious) == ["0123"]
    (root / STATE_DIRECTORY / "tmp").unlink()
    (root / STATE_DIRECTORY).rename(tmp_path / "state")
    (root / STATE_DIRECTORY).symlink_to(tmp_path / "state")
    (tmp_path / "state/tmp/0123").mkdir(parents=True)
    sweep_scratch(root)
    assert names(tmp_path / "state/tmp") == ["0123"]


def test_a_killed_writer_of_the_lock_leaves_nothing_for_ever(tmp_path: Path) -> None:
    def write(end: Connection) -> None:
        def stop(_: object) -> None:
            end.send(True)
            end.recv()

        setattr(os, "fsync", stop)  # noqa: B010  # of this process, which is killed
        update_lock(tmp_path, lambda _: Lock())

    state_directory(tmp_path)
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=write, args=(there,))
    process.start()
    here.recv()
    process.kill()
    process.join()
    place = tmp_path / STATE_DIRECTORY / "tmp"
    assert names(place)
    update_lock(tmp_path, lambda _: Lock())
    assert names(place) == []
    assert names(tmp_path) == [STATE_DIRECTORY, "stowplan.lock"]


@pytest.mark.parametrize("ignore", ["", "!**/.stowplan\n!.stowplan/**\n", "*\n!sub\n!.stowplan\n"])
def test_state_is_in_no_tree_whatever_the_rules_say(tmp_path: Path, ignore: str) -> None:
    for root in (tmp_path, tmp_path / "sub"):
        root.mkdir(exist_ok=True)
        (root / "code.py").touch()
        state_directory(root)
        (root / STATE_DIRECTORY / "tmp/0123").mkdir(parents=True)
        (root / STATE_DIRECTORY / "tmp/0123/file").touch()
    need = FileTree(IgnoreRules.parse(ignore, file=".dockerignore"), OWN_FILES)
    with Cache(tmp_path) as cache:
        tree = read_tree(tmp_path, need, cache)
    assert {path for path in tree.paths() if STATE_DIRECTORY in path} == set()
    assert "sub/code.py" in tree.paths()
