"""What has no words yet: a short error, and a file that says where it happened and holds no value."""

from __future__ import annotations

import json
import os
import pwd
import stat
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

import executor
import planner
from executor.cli.main import run
from executor.defects import explained
from executor.errors import ExecutorError
from executor.state import STATE_DIRECTORY
from planner import Pipeline

# Whoever becomes nobody may not be able to import any more.
for name in (
    "tests.e2e.preloaded", "concurrent.futures.thread", "ctypes", "docker.auth", "docker.context",
    "docker.tls", "docker.transport", "encodings.idna", "rich.table", "rich.text", "statistics", "tempfile",
    "urllib.request",
):  # fmt: skip
    import_module(name)
for package in (executor, planner):
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)

SECRET = "hunter22-s3cret"
PINNED = f"python@sha256:{'0' * 64}"
GOOD = f"""
[pipeline.p]
steps = ["train"]
settings.docker = {{ parent_image = "{PINNED}" }}
"""


def raised(error: Exception) -> Exception:
    """The error, with a trace through this file."""
    try:
        local = SECRET
        if local:
            raise error
    except Exception as caught:
        return caught
    return error


def chained() -> Exception:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(SECRET) from error
    except ValueError as error:
        return error


def endless() -> Exception:
    def again(number: int) -> int:
        return again(number + 1) + 1

    try:
        again(0)
    except RecursionError as error:
        return error
    pytest.fail("it ends")


def reports(directory: Path) -> list[Path]:
    return sorted(directory.glob("*report-*.txt"))


DEFECTS: dict[str, Callable[[], Exception]] = {
    "plain": lambda: raised(TypeError(SECRET)),
    "chained": chained,
    "endless": endless,
    "of the system, without a number": lambda: raised(OSError(SECRET)),
}


@pytest.mark.parametrize("make", DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_is_short_and_its_details_are_in_a_file(
    tmp_path: Path, make: Callable[[], Exception]
) -> None:
    error = explained(make(), tmp_path)
    (problem,) = error.problems
    assert (error.exit_code, problem.code) == (70, "defect")
    assert "which is a defect of stowplan" in problem.found
    assert SECRET not in str(error)
    assert len(str(error)) < 400
    (report,) = reports(tmp_path / STATE_DIRECTORY)
    assert str(report) in problem.fix
    text = report.read_text()
    assert SECRET not in text
    assert "test_defects.py:" in text
    assert len(text) < 20_000
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_a_report_names_all_that_led_to_the_error(tmp_path: Path) -> None:
    explained(chained(), tmp_path)
    text = reports(tmp_path / STATE_DIRECTORY)[0].read_text()
    assert text.index("KeyError") < text.index("because of it") < text.index("ValueError")


def test_the_same_defect_makes_one_file(tmp_path: Path) -> None:
    error = raised(TypeError())
    texts = {str(explained(error, tmp_path)) for _ in range(3)}
    assert len(texts) == 1
    assert len(reports(tmp_path / STATE_DIRECTORY)) == 1


def test_what_the_system_refuses_is_no_defect(tmp_path: Path) -> None:
    error = explained(raised(OSError(28, "No space left on device", "/some/file")), tmp_path)
    assert error.exit_code == 1
    assert str(error).startswith("/some/file: No space left on device: free disk space")
    assert "the details are in" in str(error)
    assert str(explained(MemoryError(), tmp_path)) == "there is not enough memory: close some programs"


def test_a_project_that_cannot_be_written_has_its_reports_elsewhere(
    unprivileged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = unprivileged / "project", unprivileged / "elsewhere"
    project.mkdir(0o555)
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    error = explained(raised(TypeError()), project)
    (report,) = reports(elsewhere)
    assert str(report) in str(error)
    # A link that somebody else has put there is not written through.
    report.unlink()
    report.symlink_to(elsewhere / "precious")
    error = explained(raised(TypeError()), project)
    assert "no file could be written for the details" in str(error)
    assert not (elsewhere / "precious").exists()
    elsewhere.chmod(0o555)
    assert "no file could be written for the details" in str(explained(raised(ValueError()), project))
    assert "report-" in str(explained(raised(ValueError()), elsewhere.parent))


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_command_line_reports_a_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], output: str
) -> None:
    (tmp_path / "stowplan.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)

    def fail(*_: object, **__: object) -> Any:
        raise AttributeError(SECRET)

    monkeypatch.setattr(Pipeline, "decode", fail)
    assert run(["plan", "-o", output]) == 70
    out, err = capfd.readouterr()
    assert SECRET not in out + err
    (report,) = reports(tmp_path / STATE_DIRECTORY)
    if output == "json":
        (problem,) = json.loads(out)["problems"]
        assert problem["code"] == "defect"
        assert str(report) in problem["fix"]
        assert err == ""
    else:
        assert out == ""
        first, second = err.splitlines()
        assert first.startswith("error: AttributeError in ")
        assert str(report) in second


# --- what a user's machine can be like


@pytest.fixture
def project(unprivileged: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of somebody whom permissions stop."""
    (unprivileged / "stowplan.toml").write_text(GOOD)
    (unprivileged / "train.py").touch()
    monkeypatch.chdir(unprivileged)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{unprivileged}/no.sock")
    return unprivileged


COMMANDS = (
    ["plan"],
    ["lock"],
    ["lock", "--check"],
    ["builds", "list"],
    ["builds", "delete", "1"],
    ["apply"],
    ["outdated"],
)


def answers(capfd: pytest.CaptureFixture[str]) -> dict[str, tuple[int, str]]:
    """What each command says: its code and its errors. None is a traceback or a defect."""
    found = {}
    for argv in COMMANDS:
        capfd.readouterr()
        with warnings.catch_warnings(record=True, action="always"):
            code = run(argv)
        out, err = capfd.readouterr()
        name = " ".join(argv)
        assert code in {0, 1, 64, 75}, f"{name}: {err}"
        assert "Traceback" not in out + err
        assert "the details are in" not in err, f"{name}: {err}"
        assert code == 0 or "error: " in err or name == "lock --check", f"{name}: {err}"
        found[name] = (code, err)
    return found


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444, 0o555], ids=oct)
def test_a_state_directory_that_another_user_left(
    project: Path, capfd: pytest.CaptureFixture[str], mode: int
) -> None:
    """As after `sudo stowplan apply`: whatever may still be done is done, and the rest says why not."""
    for name in ("records.sqlite3", "cache.sqlite3", "writer", ".gitignore"):
        (project / STATE_DIRECTORY).mkdir(exist_ok=True)
        (project / STATE_DIRECTORY / name).touch(0o000)
    (project / STATE_DIRECTORY).chmod(mode)
    found = answers(capfd)
    assert found["plan"][0] == 0
    assert found["lock"][0] == 1
    assert STATE_DIRECTORY in found["lock"][1]
    assert "check" in found["lock"][1]
    assert "permissions" in found["lock"][1]


@pytest.mark.parametrize("name", ["writer", "records.sqlite3", "cache.sqlite3", "tmp", ".gitignore"])
@pytest.mark.parametrize("kind", ["directory", "link", "loop", "fifo"])
def test_state_that_is_something_else(
    project: Path, capfd: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    (project / STATE_DIRECTORY).mkdir()
    (project / "precious").write_text("x")
    path = project / STATE_DIRECTORY / name
    match kind:
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to("../precious")
        case "loop":
            path.symlink_to(name)
        case _:
            os.mkfifo(path)
    assert answers(capfd)["plan"][0] == (name == "records.sqlite3")
    assert (project / "precious").read_text() == "x"


def test_project_files_that_may_not_be_read(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project / "below"
    below.mkdir()
    (below / "stowplan.toml").write_text(GOOD)
    (project / "pyproject.toml").touch(0o000)
    (project / "stowplan.toml").unlink()
    monkeypatch.chdir(below)
    assert answers(capfd)["plan"][0] == 0
    (below / "stowplan.toml").chmod(0o000)
    assert "stowplan.toml: cannot be read: Permission denied" in answers(capfd)["plan"][1]
    (below / "stowplan.toml").unlink()
    assert "no stowplan.toml" in answers(capfd)["plan"][1]
    project.chmod(0o111)
    assert answers(capfd)["plan"][0] == 1


def test_no_home(project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has a number and no name."""

    def nobody(_: int) -> Any:
        raise KeyError("no such user")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setenv("STOWPLAN_CONTAINER_ENGINE", "docker")
    (project / "stowplan.toml").write_text(GOOD.replace(PINNED, "localhost:1/base:1"))
    assert answers(capfd)["plan"][0] == 0


CONFIGS = {
    "list": "[]", "number": "7", "broken": "{", "empty": "", "deep": "[" * 100_000, "not text": "\udcff",
    "wrong inside": '{"auths": 7, "credHelpers": [], "HttpHeaders": 3, "currentContext": 5}',
    "context that is not there": '{"currentContext": "nowhere"}',
    "proxies": '{"proxies": []}',
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(
    "host", ["", "tcp://127.0.0.1:1", "unix:///nowhere.sock", "nonsense", "ssh://127.0.0.1:1"]
)
def test_a_configuration_of_docker_that_is_none(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, host: str
) -> None:
    (project / "docker").mkdir()
    (project / "docker/config.json").write_bytes(CONFIGS[kind].encode(errors="surrogateescape"))
    monkeypatch.setenv("DOCKER_CONFIG", str(project / "docker"))
    monkeypatch.setenv("DOCKER_HOST", host or f"unix://{project}/no.sock")
    monkeypatch.setenv("STOWPLAN_CONTAINER_ENGINE", "docker")
    (project / "stowplan.toml").write_text(GOOD.replace(PINNED, "localhost:1/base:1"))
    assert answers(capfd)["plan"][0] == 0


def test_an_error_of_ours_stays_what_it_is() -> None:
    assert not isinstance(explained(raised(KeyError()), None), UnboundLocalError)
    assert isinstance(explained(raised(KeyError()), None), ExecutorError)
