from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from executor.engines.docker import DockerEngine
from executor.engines.podman import PodmanEngine
from executor.engines.select import choose
from executor.errors import EngineUnavailable, ExecutorError, UsageError


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any engine: an empty PATH, and a daemon's socket that nobody made."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    return path


def install(programs: Path, name: str, script: str) -> None:
    """A real program, which does little."""
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def test_no_engine(programs: Path) -> None:
    assert programs.is_dir()
    with pytest.raises(EngineUnavailable) as caught:
        choose(environ={})
    everything, docker, podman = caught.value.problems
    assert everything.found == "no container engine can be used"
    assert "STOWPLAN_CONTAINER_ENGINE" in everything.fix
    assert (docker.where.file, podman.where.file) == ("docker", "podman")
    assert "docker.sock: No such file or directory" in docker.found
    assert podman.found == "no such program"
    assert "DOCKER_HOST" in docker.fix
    assert "install Podman" in podman.fix
    assert caught.value.exit_code == 75


def test_the_first_that_works(programs: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    assert isinstance(choose(environ={}), PodmanEngine)


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_podman_does_not_stand_in_for_a_daemon_that_is_named(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    install(programs, "podman", "echo 4.3.1")
    value = f"unix://{tmp_path}/none.sock" if variable == "DOCKER_HOST" else "ship"
    monkeypatch.setenv(variable, value)
    with pytest.raises(EngineUnavailable) as caught:
        choose()
    (problem,) = caught.value.problems
    assert problem.where.file == "docker"
    assert problem.fix == f"see that the daemon runs that {variable} names ({value}), or unset it"
    assert choose("podman").name == "podman"


def test_docker_is_to_be_installed_where_nothing_names_a_daemon(
    programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert programs.is_dir()
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr("executor.engines.daemon._SOCKET", tmp_path / "docker.sock")
    with pytest.raises(EngineUnavailable, match="install Docker"):
        choose("docker")


def test_an_old_podman(programs: Path) -> None:
    install(programs, "podman", "echo 3.4.4")
    with pytest.raises(EngineUnavailable, match=r"version 3\.4\.4, and 4\.0 is the first"):
        choose("podman", {})


def test_one_that_is_there_and_does_not_work(programs: Path) -> None:
    install(programs, "podman", "echo Error: no storage >&2; exit 125")
    with pytest.raises(EngineUnavailable, match="`podman info` fails: no storage"):
        choose("podman", {})


def test_an_image_that_comes_while_podman_looks_for_it(programs: Path) -> None:
    """Another build pulls it between two questions."""
    asked = programs.parent / "asked"
    answer = '[{"Id": "1", "Os": "linux", "Architecture": "amd64"}]'
    install(
        programs,
        "podman",
        f'[ "$2" = exists ] && exit 0\n'
        f"[ -e {asked} ] && echo '{answer}' && exit 0\n"
        f": > {asked}; echo Error: image not known >&2; exit 125",
    )
    info = PodmanEngine().inspect("localhost/x:1")
    assert info is not None
    assert info.id == "1"


def test_an_image_that_podman_cannot_read(programs: Path) -> None:
    install(programs, "podman", '[ "$2" = exists ] && exit 0; echo Error: layer not known >&2; exit 125')
    with pytest.raises(ExecutorError, match="layer not known"):
        PodmanEngine().inspect("localhost/x:1")


def test_an_image_that_podman_does_not_have(programs: Path) -> None:
    install(programs, "podman", '[ "$2" = exists ] && exit 1; echo Error: image not known >&2; exit 125')
    assert PodmanEngine().inspect("localhost/x:1") is None


@pytest.mark.parametrize("variable", ["STOWPLAN_CONTAINER_ENGINE", "ZENML_CONTAINER_ENGINE"])
def test_an_engine_named_by_a_variable(programs: Path, variable: str) -> None:
    install(programs, "podman", "echo 4.3.1")
    assert choose(environ={variable: "podman"}).name == "podman"
    with pytest.raises(EngineUnavailable) as caught:
        choose(environ={variable: "docker"})
    assert [problem.where.file for problem in caught.value.problems] == ["docker"]


def test_our_variable_goes_before_the_old_one(programs: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    environ = {"STOWPLAN_CONTAINER_ENGINE": "podman", "ZENML_CONTAINER_ENGINE": "docker"}
    assert choose(environ=environ).name == "podman"
    assert choose("podman", {"STOWPLAN_CONTAINER_ENGINE": "docker"}).name == "podman"
    assert choose(environ={**environ, "STOWPLAN_CONTAINER_ENGINE": "podman"}).name == "podman"


def test_an_empty_variable_names_nothing(programs: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    assert choose(environ={"STOWPLAN_CONTAINER_ENGINE": ""}).name == "podman"


@pytest.mark.parametrize(
    ("name", "advice"), [("dokcer", "did you mean 'docker'?"), ("x", "known names: docker, podman")]
)
def test_an_unknown_engine(name: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(environ={"STOWPLAN_CONTAINER_ENGINE": name})
    (problem,) = caught.value.problems
    assert problem.where.file == "STOWPLAN_CONTAINER_ENGINE"
    assert problem.fix == advice
    assert caught.value.exit_code == 64
    with pytest.raises(UsageError, match="engine: no container engine is called"):
        choose(name)


def test_an_unknown_builder() -> None:
    with pytest.raises(UsageError, match="did you mean 'buildkit'"):
        choose("docker", {"STOWPLAN_DOCKER_BUILDER": "buildkitt"})


@pytest.mark.parametrize("reached", ["host", "context", "missing context"])
def test_docker_that_does_not_answer(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: str
) -> None:
    assert programs.is_dir()
    config = tmp_path / "config"
    config.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    if reached != "host":
        monkeypatch.delenv("DOCKER_HOST")
        (config / "config.json").write_text('{"currentContext": "ship"}')
    if reached == "context":
        meta = config / "contexts/meta" / hashlib.sha256(b"ship").hexdigest() / "meta.json"
        meta.parent.mkdir(parents=True)
        endpoint = {"Host": f"unix://{tmp_path}/ship.sock", "SkipTLSVerify": False}
        meta.write_text(json.dumps({"Name": "ship", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    reason = DockerEngine().unavailable()
    assert reason is not None
    expected = {
        "host": "docker.sock: No such",
        "context": "ship.sock: No such",
        "missing context": "context 'ship'",
    }
    assert expected[reached] in reason
