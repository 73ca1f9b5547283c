"""The exit code follows from what failed, and not from the command that found it out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from executor import limits
from executor.cli.main import run
from executor.records.store import Record, Records
from planner.lock.lock import LOCK_NAME
from tests.builders import image_of
from tests.torture.faults import INDEX_DIGEST, Fault, FaultyRegistry
from tests.web import Reply, Request, serving

COMMANDS: Final = (["lock", "--upgrade"], ["outdated"], ["apply"])
BASIC: Final = {"WWW-Authenticate": 'Basic realm="registry"'}
# What a registry does, and the code of the failure that this is.
FAULTS: Final[dict[str, tuple[Reply, int]]] = {
    "no login": (Reply(401, headers=BASIC), 1),
    "refused": (Reply(403), 1),
    "no registry": (Reply(200, b"<h1>log in</h1>", {"Content-Type": "text/html"}), 1),
    "asked too often": (Reply(429), 75),
    "broken": (Reply(500), 75),
    "down": (Reply(503), 75),
}


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for a project, and no engine."""
    assert home.is_dir()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(limits, "REGISTRY_SECONDS", 5.0)
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text("")
    monkeypatch.chdir(project)
    return project


def write(project: Path, address: str) -> None:
    (project / "stowplan.toml").write_text(
        '[pipeline.training]\nsteps = ["train"]\n[pipeline.training.settings.docker]\n'
        f'parent_image = "{address}/team/base:1"\n'
        f'[stack.default]\ncontainer_registry = {{ uri = "{address}/team" }}\n'
    )


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    """A registry that has an image until it fails."""
    registry = FaultyRegistry()
    registry.start()
    yield registry
    registry.close()


def failing(reply: Reply) -> Fault:
    """All requests get this reply."""
    lines = [f"HTTP/1.1 {reply.status} x", f"Content-Length: {len(reply.body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    words = "\r\n".join([*lines, "", ""]).encode() + reply.body
    return Fault("a reply", 0, 1000, lambda exchange: exchange.send(words))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_a_registry_does_decides(
    project: Path, registry: FaultyRegistry, command: list[str], fault: str
) -> None:
    write(project, f"localhost:{registry.port}")
    assert run(["lock"]) == 0
    before = (project / LOCK_NAME).read_text()
    assert INDEX_DIGEST in before
    reply, code = FAULTS[fault]
    registry.begin(failing(reply))
    assert run(command) == code
    assert (project / LOCK_NAME).read_text() == before
    # A plan says what could not be told, and goes on.
    assert run(["plan"]) == 0


@pytest.mark.parametrize("command", [["lock"], ["apply"]], ids=" ".join)
def test_a_registry_that_is_not_there_may_come(project: Path, command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    write(project, address)
    assert run(command) == 75


@pytest.mark.parametrize(
    ("host", "code"),
    [("unix://{}/none.sock", 75), ("tcp://127.0.0.1:1", 75), ("nonsense", 1), ("ssh://x", 1)],
)
@pytest.mark.parametrize("command", ["apply", "builds"])
def test_what_is_wrong_with_the_engine_decides(
    project: Path, monkeypatch: pytest.MonkeyPatch, command: str, host: str, code: int
) -> None:
    """`builds delete --image` asks the engine to remove an image."""
    monkeypatch.setenv("DOCKER_HOST", host.format(project))
    if command == "builds":
        write(project, "localhost:1")
        add_record(project)
        assert run(["builds", "delete", "--image", "1"]) == code
        return

    def missing(request: Request) -> Reply:
        body = b"" if request.method == "HEAD" else b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'
        return Reply(404, body)

    with serving(missing) as site:
        write(project, site.address)
        text = (project / "stowplan.toml").read_text()
        pinned = text.replace("/team/base:1", f"/team/base@sha256:{'0' * 64}")
        (project / "stowplan.toml").write_text(pinned)
        assert run(["apply"]) == code


def add_record(project: Path) -> None:
    image = image_of({})
    names = ("pipeline", "stack", "image", "hash", "status", "engine", "reference")
    given = ("training", "default", image.name, str(image.hash), "built", "docker", image.reference)
    values: dict[str, Any] = dict(zip(names, given, strict=True))
    record = Record(id=0, finished="2026-01-01T00:00:00+00:00", seconds=1.0, **values)
    Records(project).add(record, image)
