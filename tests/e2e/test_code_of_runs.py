"""A pipeline of decorated steps, run from a clean clone: its code comes by each of the three ways."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.command import Project, Ran
from tests.e2e.test_running import containers, wait_for
from tests.git_server import GitServer, Repo, git_server, repo

STEPS: Final = """\
import os
import subprocess

from stowplan import DockerSettings, pipeline, step
from helpers.maths import twice


@step
def load() -> int:
    return 20


@step(settings={{"docker": DockerSettings(environment={{"WHO": "train"}})}})
def train(n: int) -> int:
    print("training as", os.environ["WHO"])
    return n + 1


@step(settings={{"docker": DockerSettings(user="1234")}})
def check(n: int) -> int:
    print("checking as", os.getuid(), "in", os.getcwd())
    return twice(n)


@step
def report(n: int, m: int) -> None:
    print("the answer is", n, "of", m)


@pipeline(settings={{"docker": DockerSettings(parent_image="{base}", environment={{"WHO": "all"}})}})
def training():
    n = load()
    m = train(n)
    report(check(m), m)
"""
HELPER: Final = "def twice(n):\n    return n * {factor}\n"
PROJECT: Final = '[pipeline.training]\nsource = "flow:training"\n'
LOGIN: Final = "x-access-token:hunter22-planted-token"


def address() -> str:
    """An address of this machine that containers reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the kernel says where it would go out.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture
def origin(tmp_path: Path, base: str) -> Repo:
    """What everybody clones."""
    made = repo(tmp_path / "served/o/r")
    made.commit(
        {
            "flow.py": STEPS.format(base=base),
            "helpers/maths.py": HELPER.format(factor=2),
            "stowplan.toml": PROJECT,
            ".gitignore": ".stowplan/\n__pycache__/\nstowplan.lock\n",
        }
    )
    made.git("config", "receive.denyCurrentBranch", "ignore")
    return made


@pytest.fixture
def server(origin: Repo, tmp_path: Path) -> Iterator[GitServer]:
    """The server that it is cloned from, for this machine and for containers."""
    del origin
    with git_server(tmp_path / "served", address()) as running:
        yield running


@pytest.fixture
def clone(project: Project, engine: str, origin: Repo) -> Project:
    """A clean clone, with its engine."""
    del engine
    project.root.rmdir()
    subprocess.run(["git", "clone", "--quiet", origin.directory, project.root], check=True)
    return project


def built(ran: Ran) -> bool:
    """Whether an image was built."""
    return any("] building" in line for line in ran.err.splitlines())


def answer(ran: Ran, factor: int) -> bool:
    """Whether all steps did what they should, with this code."""
    lines = ran.err.splitlines()
    assert "[train] training as train" in lines
    assert "[check] checking as 1234 in /app" in lines
    return f"[report] the answer is {21 * factor} of 21" in lines


def test_included_code_is_built_in(clone: Project) -> None:
    first = clone.ok("run", "training", "-o", "json")
    assert (answer(first, 2), built(first)) == (True, True)
    assert len({each["image"] for each in first.data["steps"]}) == 3
    assert not built(clone.ok("run", "training"))
    clone.write({"helpers/maths.py": HELPER.format(factor=3)})
    edited = clone.ok("run", "training")
    assert (answer(edited, 3), built(edited)) == (True, True)


def test_code_in_the_artifact_store_builds_nothing(clone: Project) -> None:
    text = (clone.root / "stowplan.toml").read_text()
    store = '[stack.default]\nartifact_store = { uri = ".stowplan/artifacts" }\n'
    clone.write({"stowplan.toml": text + store})
    first = clone.ok("run", "training", "-o", "json")
    assert answer(first, 2)
    clone.write({"helpers/maths.py": HELPER.format(factor=3)})
    edited = clone.ok("run", "training", "-o", "json")
    assert (answer(edited, 3), built(edited)) == (True, False)
    assert images(edited) == images(first)
    # One archive for all steps of a run, and one for each state of the code.
    assert len(list((clone.root / ".stowplan/artifacts/code").iterdir())) == 2
    clone.ok("run", "training")
    assert len(list((clone.root / ".stowplan/artifacts/code").iterdir())) == 2


def images(ran: Ran) -> dict[str, Any]:
    """The image of each step."""
    return {each["step"]: each["image"] for each in ran.data["steps"]}


def registered(clone: Project, origin: Repo, server: GitServer, kind: str) -> Repo:
    """The clone, once the project names the repository that it was cloned from, and has pushed that."""
    host = f"http://{address()}:{server.port}/o/r"
    project = f'{PROJECT}[code_repository.team]\ntype = "{kind}"\nurl = "{host}"\nsecret = "login"\n'
    local = Repo(clone.root)
    local.commit({"stowplan.toml": f'{project}[secret.login]\nenv = "STOWPLAN_TEST_LOGIN"\n'})
    local.git("remote", "set-url", "origin", host)
    local.git("remote", "set-url", "--push", "origin", str(origin.directory))
    local.git("push", "--quiet", "origin", "HEAD")
    local.git("fetch", "--quiet")
    return local


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_code_from_a_repository_builds_nothing(
    clone: Project, origin: Repo, server: GitServer, kind: str
) -> None:
    local = registered(clone, origin, server, kind)
    clone.env["STOWPLAN_TEST_LOGIN"] = LOGIN
    first = clone.ok("run", "training", "-o", "json")
    assert answer(first, 2)
    assert first.data["commit"] == local.git("rev-parse", "HEAD")
    assert any("/tarball" in path or "/archive" in path for path in server.asked)
    # An edit that nobody has pushed is in no repository: it goes into the image.
    clone.write({"helpers/maths.py": HELPER.format(factor=3)})
    dirty = clone.ok("run", "training", "-o", "json")
    assert (answer(dirty, 3), built(dirty), dirty.data["commit"]) == (True, True, None)
    local.git("commit", "--quiet", "--all", "--message", "x")
    local.git("push", "--quiet", "origin", "HEAD")
    pushed = clone.ok("run", "training", "-o", "json")
    assert (answer(pushed, 3), built(pushed)) == (True, False)
    assert images(pushed) == images(first)
    assert pushed.data["commit"] == local.git("rev-parse", "HEAD")
    said = [ran.out + ran.err for ran in (first, dirty, pushed)]
    kept = b"".join(clone.state().values())
    assert ("hunter22" in "".join(said), b"hunter22" in kept) == (False, False)


def test_a_login_that_is_not_there_is_said_before_anything_runs(
    clone: Project, origin: Repo, server: GitServer
) -> None:
    registered(clone, origin, server, "github")
    ran = clone.run("run", "training", "-o", "json")
    assert ran.code == 1
    (problem,) = ran.data["problems"]
    assert problem["code"] == "secret-missing"
    assert "STOWPLAN_TEST_LOGIN is not set" in problem["found"]
    assert "[load] started" not in ran.err


def test_a_login_is_in_no_argument_and_no_variable(
    clone: Project, origin: Repo, server: GitServer, engine: str, tmp_path: Path
) -> None:
    """While a step runs with code that was downloaded: neither of a process nor of the container."""
    local = registered(clone, origin, server, "github")
    text = (clone.root / "flow.py").read_text()
    slow = text.replace("return 20", "import time; print('ready'); time.sleep(600)")
    local.commit({"flow.py": slow})
    local.git("push", "--quiet", "origin", "HEAD")
    local.git("fetch", "--quiet")
    clone.env["STOWPLAN_TEST_LOGIN"] = LOGIN
    with (tmp_path / "said").open("w+") as out:
        process = clone.start("run", "training", out=out.fileno(), err=out.fileno())
        wait_for(clone, "ready", process, tmp_path / "said")
        (record,) = clone.ok("runs", "list", "-o", "json").data["runs"]
        (container,) = containers(engine, record["run"])
        told = subprocess.run([engine, "inspect", container], check=True, capture_output=True).stdout
        arguments = b"".join(read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
        inside = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true"
        argv = [engine, "exec", "--user=0", container, "/bin/sh", "-c", inside]
        told += subprocess.run(argv, check=True, capture_output=True).stdout
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        process.join(60)
    assert process.exitcode == 130
    assert b"hunter22" not in told + arguments
    # Neither is blind: the labels of the container, and the command of its first process.
    assert record["run"].encode() in told
    assert b"/stowplan/bootstrap.pyz" in arguments


def read(path: Path) -> bytes:
    """What is in a file of a process, which may end meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
