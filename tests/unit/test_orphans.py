"""Programs that a killed stowplan left running are ended, and no others are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.orphans import SCRATCH_VARIABLE, end_orphans
from executor.scratch import held, name_of

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a program of a name that works for a directory, and waits until it ends."""
    sleep = shutil.which("sleep")
    assert sleep is not None
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, scratch: str) -> subprocess.Popen[bytes]:
        program = tmp_path / str(len(started)) / name
        program.parent.mkdir()
        shutil.copy(os.path.realpath(sleep), program)
        env = {SCRATCH_VARIABLE: scratch} if scratch else {}
        started.append(subprocess.Popen([program, "1000"], env=env))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_only_what_builds_for_a_dead_owner_is_ended(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with held(place) as alive:
        with held(place) as dead:
            pass
        orphan, deleted = start("podman", name_of(dead)), start("docker-buildx", name_of(dead))
        # Of an engine that is updated meanwhile.
        (tmp_path / "1/docker-buildx").unlink()
        others = [
            start("podman", name_of(alive)),
            start("podman", ""),
            start("gpg-agent", name_of(dead)),
            # In a container, with a directory of its own below the same path.
            start("podman", f"1:{dead}"),
            start("podman", name_of(tmp_path / "precious")),
        ]
        end_orphans()
        assert [orphan.wait(), deleted.wait()] == [-9, -9]
        assert [process.poll() for process in others] == [None] * 5
