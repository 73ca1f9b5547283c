"""One lock for one piece of work: who comes second waits, and who is killed keeps nobody waiting."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from executor.apply.exclusive import alone, tidy
from executor.engines.docker import DockerEngine
from executor.errors import BuildFailed
from planner.values import Digest
from tests.builders import digest

PROCESSES = multiprocessing.get_context("fork")
IMAGE = digest("an image")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a user, and an engine that nobody asks anything."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    return tmp_path / "cache/stowplan/building"


def never() -> None:
    pytest.fail("there is nobody to wait for")


def unfinished(place: Path) -> list[str]:
    return [path.stem.rpartition("-")[2] for path in place.glob("*.unfinished")]


def hold(end: Connection) -> None:
    """Work on the image until the end."""
    with alone(DockerEngine(), IMAGE, check=never, on_wait=never):
        end.send(True)
        end.recv()


def test_it_is_taken_and_given_back(place: Path) -> None:
    for _ in range(2):
        with alone(DockerEngine(), IMAGE, check=never, on_wait=never) as waited:
            assert not waited
            assert unfinished(place) == [IMAGE.hex]
        assert unfinished(place) == []


def test_who_comes_second_waits_until_the_first_has_ended(place: Path) -> None:
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=hold, args=(there,))
    process.start()
    here.recv()
    looks: list[str] = []

    def look() -> None:
        looks.append("look")
        if looks.count("look") == 2:
            here.send(True)

    with alone(DockerEngine(), IMAGE, check=look, on_wait=lambda: looks.append("wait")) as waited:
        assert waited
        process.join()
    assert looks[:3] == ["wait", "look", "look"]
    assert unfinished(place) == []


def test_who_is_killed_keeps_nobody_waiting_and_is_known(place: Path) -> None:
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=hold, args=(there,))
    process.start()
    here.recv()
    process.kill()
    process.join()
    assert unfinished(place) == [IMAGE.hex]
    with alone(DockerEngine(), IMAGE, check=never, on_wait=never) as waited:
        assert not waited
    assert unfinished(place) == []


def test_waiting_is_interrupted(place: Path) -> None:
    def stop() -> None:
        raise BuildFailed.of("apply", "interrupted", "run again")

    def second() -> None:
        with (
            pytest.raises(BuildFailed, match="interrupted"),
            alone(DockerEngine(), IMAGE, check=stop, on_wait=lambda: None),
        ):
            pytest.fail("the first has not ended")

    with alone(DockerEngine(), IMAGE, check=never, on_wait=never):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        assert unfinished(place) == [IMAGE.hex]


def test_what_failed_is_looked_after_by_the_next_one(place: Path) -> None:
    with (
        pytest.raises(BuildFailed),
        alone(DockerEngine(), IMAGE, check=never, on_wait=never),
    ):
        raise BuildFailed.of("image", "failed", "see above")
    assert unfinished(place) == [IMAGE.hex]


def test_engines_and_images_do_not_keep_each_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    first = DockerEngine()
    with alone(first, IMAGE, check=never, on_wait=never):
        with alone(first, digest("another image"), check=never, on_wait=never) as waited:
            assert not waited
        monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere")
        with alone(DockerEngine(), IMAGE, check=never, on_wait=never) as waited:
            assert not waited


def test_there_are_no_more_locks_than_256(place: Path) -> None:
    for number in range(600):
        with alone(DockerEngine(), digest(str(number)), check=never, on_wait=never):
            pass
    assert len(list(place.iterdir())) <= 256


@pytest.mark.parametrize("obstacle", ["file", "directory"])
def test_without_a_place_for_locks_work_goes_on(place: Path, obstacle: str) -> None:
    if obstacle == "file":
        place.parent.parent.mkdir()
        place.parent.touch()
    else:
        engine = lock_name()
        for number in range(256):
            (place / f"{engine}-{number:02x}.lock").mkdir()
    with (
        pytest.warns(UserWarning, match="cannot be written to"),
        alone(DockerEngine(), IMAGE, check=never, on_wait=never) as waited,
    ):
        assert not waited


def test_a_file_that_is_none_of_ours_is_left_alone(place: Path) -> None:
    """A copy, say, that somebody made: its name says of no image that it is unfinished."""
    strays = [place / f"{lock_name()}-{name}.unfinished" for name in ("", "copy", "A" * 64, "0" * 65)]
    for stray in strays:
        stray.touch()
    tidy(DockerEngine())
    assert all(stray.exists() for stray in strays)


def lock_name() -> str:
    """The part of a lock's name that stands for the engine."""
    with alone(DockerEngine(), Digest("0" * 64), check=never, on_wait=never):
        (lock,) = Path(os.environ["XDG_CACHE_HOME"], "stowplan/building").glob("*.lock")
    lock.unlink()
    return lock.stem.rpartition("-")[0]
