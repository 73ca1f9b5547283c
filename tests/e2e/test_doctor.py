"""`stowplan doctor` on real engines and registries, and on what hangs, refuses or is not there."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import variable
from tests.e2e.command import ROOT, Project, Ran
from tests.e2e.conftest import chosen_engine

_PIPELINE = '[pipeline.a]\nsteps = ["a"]\nsettings.docker = { parent_image = "python:3.11-slim" }\n'


_QUICK = """\
from stowplan import pipeline, step

@step
def s() -> None: ...

@pipeline
def a() -> None:
    s()
"""

_REFERENCE = (ROOT / "docs/reference.md").read_text()
_SECTION = _REFERENCE.partition("### `stowplan doctor`")[2].partition("\n### ")[0]
_CELLS = re.findall(r"^\| (`[a-z-]+`[^|]*)\|", _SECTION, re.MULTILINE)
_CODES = set(re.findall(r"`([a-z-]+)`", " ".join(_CELLS)))


def _checks(ran: Ran) -> dict[str, dict[str, Any]]:
    """What was found, by what it is about."""
    assert ran.data["schema"] == "stowplan/doctor/1"
    assert ran.data["works"] == (ran.code == 0)
    assert {check["code"] for check in ran.data["checks"]} <= _CODES
    return {check["subject"]: check for check in ran.data["checks"]}


def _stack(registry: str) -> str:
    return f'[stack.default]\ncontainer_registry = {{ uri = "{registry}" }}\n'


def _program(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@contextmanager
def _silent(family: socket.AddressFamily, address: Any) -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        yield server


@pytest.fixture(autouse=True)
def nothing_of_the_user(project: Project, tmp_path: Path) -> None:
    project.env |= {"DOCKER_CONFIG": str(tmp_path / "docker"), "REGISTRY_AUTH_FILE": str(tmp_path / "none")}


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_that_works(project: Project, name: str) -> None:
    chosen_engine(name)
    project.write({"stowplan.toml": _PIPELINE})
    project.env["STOWPLAN_CONTAINER_ENGINE"] = name
    checks = _checks(project.ok("doctor", "-o", "json"))
    found = checks[name.capitalize()]
    assert (found["code"], found["state"], found["fix"]) == (name, "ok", None)
    version = variable(f"STOWPLAN_TEST_{name.upper()}")
    assert found["found"].startswith(f"{version}; ") or found["found"].startswith(f"{version}, rootless; ")
    assert " GiB free at /" in found["found"]
    if name == "docker":
        assert checks["Docker buildx"]["found"] == variable("STOWPLAN_TEST_BUILDX")


def test_it_changes_nothing_and_says_what_to_do_next(project: Project) -> None:
    nothing = project.run("doctor")
    assert "! warning  project " in nothing.out
    assert "\n           fix: stowplan init\n" in nothing.out
    assert list(project.root.iterdir()) == []
    project.write({"stowplan.toml": _PIPELINE})
    assert _checks(project.run("doctor", "-o", "json"))["stowplan.lock"]["fix"] == "stowplan lock"
    project.ok("lock", "--allow-unpinned")
    before = {path: path.lstat().st_mtime_ns for path in project.root.rglob("*")}
    assert _checks(project.run("doctor", "-o", "json"))["stowplan.lock"]["state"] == "ok"
    assert {path: path.lstat().st_mtime_ns for path in project.root.rglob("*")} == before
    project.write({"stowplan.toml": _PIPELINE.replace('"a"]', '"a", "b"]')})
    assert _checks(project.run("doctor", "-o", "json"))["stowplan.lock"]["found"] == "stale"
    project.write({"stowplan.lock": "<<<<<<< mine\n"})
    assert _checks(project.run("doctor", "-o", "json"))["stowplan.lock"]["state"] == "failed"
    project.write({"stowplan.toml": "[pipelin.a]\n[stack.a]\nb = 1\n"})
    broken = project.run("doctor", "-o", "json")
    assert broken.code == 1
    assert _checks(broken)["project"]["found"] == "stowplan.toml: pipelin: unknown name (and 1 more)"


def test_an_engine_that_is_asked_for_and_not_there(project: Project, tmp_path: Path) -> None:
    project.env |= {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    ran = project.run("doctor", "-o", "json")
    docker = _checks(ran)["Docker"]
    assert (ran.code, docker["state"]) == (1, "failed")
    assert docker["found"] == f"{tmp_path}/none.sock: No such file or directory"
    assert f"unix://{tmp_path}/none.sock" in docker["fix"]
    # Another one is asked for: that of DOCKER_HOST is not needed.
    chosen_engine("podman")
    other = project.run("doctor", "-o", "json", env={"STOWPLAN_CONTAINER_ENGINE": "podman"})
    assert _checks(other)["Docker"]["state"] == "skipped"
    assert other.code == 0
    wrong = project.run("doctor", env={"STOWPLAN_CONTAINER_ENGINE": "dokcer"})
    assert wrong.code == 64


def test_no_engine_at_all(project: Project, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "python3", f'exec {shutil.which("python3")} "$@"')
    project.env |= {"PATH": str(tmp_path / "bin"), "DOCKER_HOST": "", "DOCKER_CONTEXT": "gone"}
    project.env["DOCKER_CONTEXT"] = ""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text('{"currentContext": "gone"}')
    ran = project.run("doctor", "-o", "json")
    checks = _checks(ran)
    assert ran.code == 1
    assert (checks["Docker"]["state"], checks["Podman"]["state"]) == ("failed", "failed")
    assert checks["Podman"]["fix"] == "install Podman (podman.io/docs/installation)"
    # There is no git either, which nothing needs until code is downloaded.
    assert (checks["git"]["state"], checks["git"]["found"]) == ("warning", "no such program")
    repository = '[code_repository.a]\ntype = "git"\nurl = "https://example.com/a.git"\n'
    project.write({"stowplan.toml": _PIPELINE + repository})
    checks = _checks(project.run("doctor", "-o", "json"))
    assert checks["git"]["state"] == "failed"
    assert (checks["checkout"]["state"], checks["checkout"]["found"]) == ("warning", "git is not installed")


def test_registries_with_and_without_a_login(project: Project, tmp_path: Path, registry: str) -> None:
    chosen_engine("docker")
    host = registry.partition("/")[0]
    private = variable("STOWPLAN_TEST_AUTH_REGISTRY")
    user, password = variable("STOWPLAN_TEST_AUTH_USER"), variable("STOWPLAN_TEST_AUTH_PASSWORD")
    project.write(
        {"stowplan.toml": f"{_PIPELINE}{_stack(registry)}{_stack(private + '/x').replace('default', 'b', 1)}"}
    )
    ran = project.run("doctor", "-o", "json")
    checks = _checks(ran)
    assert ran.code == 1
    assert checks[f"registry {host}"]["state"] == "ok"
    assert checks[f"registry {host}"]["found"].startswith("answers without a login; ")
    assert checks[f"registry {private}"]["state"] == "failed"
    assert checks[f"registry {private}"]["fix"] == f"docker login {private}"
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {private: {"auth": login}}}))
    ran = project.run("doctor", "-o", "json")
    assert ran.code == 0
    found = _checks(ran)[f"registry {private}"]
    assert found["found"] == (
        "answers, and there is a login for it; whether it takes a push shows only when something is pushed"
    )
    assert password not in ran.out + ran.err
    assert login not in ran.out + ran.err


def test_parent_images(project: Project, registry: str, base: str) -> None:
    chosen_engine("docker")
    host = registry.partition("/")[0]
    for command in (("tag", base, f"{registry}/base:1"), ("push", "-q", f"{registry}/base:1")):
        subprocess.run(("docker", *command), check=True, capture_output=True)
    subprocess.run(("docker", "rmi", f"{registry}/base:1"), check=True, capture_output=True)
    settings = 'settings.docker = {{ parent_image = "{}" }}\n'
    project.write(
        {
            "stowplan.toml": "".join(
                (
                    '[pipeline.a]\nsteps = ["a", "b", "c"]\n',
                    settings.format(f"{registry}/base:1"),
                    f"[pipeline.a.step.b]\n{settings.format(f'{host}/no/such:1')}",
                    f"[pipeline.a.step.c]\n{settings.format('localhost:1/x:1')}",
                )
            )
        }
    )
    ran = project.ok("doctor", "-o", "json")
    checks = _checks(ran)
    assert checks[f"parent image {registry}/base:1"]["found"] == f"{host} has it"
    missing = checks[f"parent image {host}/no/such:1"]
    assert missing["state"] == "warning"
    assert missing["found"].startswith(f"{host} has no ")
    silent = checks["parent image localhost:1/x:1"]
    assert (silent["state"], silent["found"]) == ("warning", "localhost:1 cannot be reached")
    assert silent["fix"] == "see why: curl -v http://localhost:1/v2/"


def test_what_hangs_hides_nothing_and_outlives_nothing(project: Project, tmp_path: Path) -> None:
    """A daemon, a registry, a credential helper, an artifact store and a module that never answer."""
    with (
        _silent(socket.AF_UNIX, str(tmp_path / "docker.sock")),
        _silent(socket.AF_INET, ("127.0.0.1", 0)) as server,
    ):
        address = f"localhost:{server.getsockname()[1]}"
        mark = f"{os.getpid()}.5"
        _program(tmp_path / "bin", "docker-credential-slow", f"exec sleep 9{mark}")
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker/config.json").write_text('{"credsStore": "slow"}')
        project.write(
            {"stowplan.toml": f'[pipeline.a]\nsource = "slow:a"\n{_stack(address)}', "slow.py": _QUICK}
        )
        project.ok("lock", "--allow-unpinned")
        project.write({"slow.py": f"import subprocess\nsubprocess.run(['sleep', '8{mark}'])\n"})
        project.env |= {
            "DOCKER_HOST": f"unix://{tmp_path}/docker.sock",
            "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}",
        }
        begin = time.monotonic()
        ran = project.run("doctor", "-o", "json")
        # Far from any limit of a test: only that it does not wait for what hangs for minutes.
        assert time.monotonic() - begin < 100
    checks = _checks(ran)
    assert ran.code == 1
    late = {subject for subject, check in checks.items() if " within " in check["found"]}
    assert late >= {"Docker", f"registry {address}", "docker-credential-slow", "stowplan.lock"}
    assert checks["docker-credential-slow"]["state"] == "warning"
    assert checks["stowplan.lock"]["found"] == "does not answer within 15 s"
    assert all(checks[subject]["fix"] for subject in late)
    assert {checks[subject]["state"] for subject in ("stowplan", "uv", "git", "project")} == {"ok"}
    commands = subprocess.run(("ps", "-eo", "args"), capture_output=True, text=True, check=True).stdout
    assert mark not in commands


def test_code_repositories_and_artifact_stores(project: Project, tmp_path: Path) -> None:
    git = ("git", "-C", str(project.root))
    subprocess.run((*git, "init", "-q", "-b", "main"), check=True)
    subprocess.run((*git, "remote", "add", "origin", "git@github.com:owner/name.git"), check=True)
    (tmp_path / "file").touch()
    project.write(
        {
            "stowplan.toml": f"""\
                [pipeline.a]
                steps = ["a"]
                [code_repository.ours]
                type = "github"
                url = "https://github.com/owner/name"
                [code_repository.theirs]
                type = "gitlab"
                url = "https://gitlab.com/owner/name"
                [stack.default]
                artifact_store = {{ uri = "outputs" }}
                [stack.broken]
                artifact_store = {{ uri = "{tmp_path}/file" }}
                [stack.other]
                artifact_store = {{ uri = "nowhere://bucket" }}
                """
        }
    )
    checks = _checks(project.run("doctor", "-o", "json"))
    assert checks["checkout"]["found"] == "no commit yet on main, 1 untracked"
    assert checks["code repository ours"]["found"] == "the checkout is of it, by the remote origin"
    assert checks["code repository theirs"]["state"] == "warning"
    assert checks["artifact store outputs"]["found"] == (
        "a folder that can be written to; the first run makes it"
    )
    assert checks[f"artifact store {tmp_path}/file"]["state"] == "failed"
    assert checks["artifact store nowhere://bucket"]["state"] == "failed"
    assert not (project.root / "outputs").exists()


def test_a_place_that_cannot_be_written_to(project: Project) -> None:
    project.env["TMPDIR"] = "/proc/self/fdinfo"
    checks = _checks(project.run("doctor", "-o", "json"))
    assert checks["disk at /proc/self/fdinfo"]["state"] == "failed"


def test_as_markdown_and_in_words(project: Project) -> None:
    project.write({"stowplan.toml": _PIPELINE})
    text = project.run("doctor").out
    assert text.startswith("✓ ok       stowplan ")
    assert "\n! warning  stowplan.lock " in text
    assert project.run("doctor", "-o", "markdown").out.startswith("| state | what | found | fix |\n")
