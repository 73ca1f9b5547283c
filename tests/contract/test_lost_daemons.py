"""A Docker daemon that goes, or hangs, while it builds: trying again may help, whichever builder it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import limits
from executor.engines.docker import DockerBuilder, DockerEngine
from executor.errors import EngineUnavailable
from tests.contract.conftest import absent, reason_against
from tests.contract.images import job, planned
from tests.torture.sockets import FaultySocket, SocketFault


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySocket]:
    """A socket in front of the real daemon, which is what DOCKER_HOST names."""
    if reason := reason_against("docker-buildkit"):
        absent(f"docker: {reason}")
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        absent("the daemon is on no socket of this machine")
    socket = FaultySocket(tmp_path / "docker.sock", host.removeprefix("unix://"))
    socket.start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket.path}")
    monkeypatch.setattr(limits, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(limits, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(limits, "GREETING_SECONDS", 1.0)
    yield socket
    socket.close()


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
@pytest.mark.parametrize("kind", ["is gone", "hangs"])
def test_a_daemon_that_is_lost_while_it_builds(
    faulty: FaultySocket, tmp_path: Path, builder: DockerBuilder, kind: str
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text("print(1)\n")
    image = planned(project)
    engine = DockerEngine(builder)

    def lose(_: str) -> None:
        if kind == "is gone":
            faulty.close()
        else:
            faulty.fault = SocketFault("hangs", 0, 1000)

    with pytest.raises(EngineUnavailable) as caught:
        engine.build(job(image, project), lose)
    assert caught.value.exit_code == 75
