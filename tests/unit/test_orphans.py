"""Programs that a killed stowplan left running are ended, and no others are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.orphans import SCRATCH_VARIABLE, end_orphans
from executor.scratch import held

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a program of a name that works for a directory, and waits until it ends."""
    sleep = shutil.which("sleep")
    assert sleep is not None
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, scratch: Path | None) -> subprocess.Popen[bytes]:
        program = tmp_path / str(len(started)) / name
        program.parent.mkdir()
        shutil.copy(os.path.realpath(sleep), program)
        env = {SCRATCH_VARIABLE: str(scratch)} if scratch else {}
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
        orphan, deleted = start("podman", dead), start("docker-buildx", dead)
        # Of an engine that is updated meanwhile.
        (tmp_path / "1/docker-buildx").unlink()
        others = [start("podman", alive), start("podman", None), start("gpg-agent", dead)]
        end_orphans()
        assert [orphan.wait(), deleted.wait()] == [-9, -9]
        assert [process.poll() for process in others] == [None] * 3
