"""Variables that stand for options: what they do, and what is said of wrong ones."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from executor.cli.main import cli, run

ROOT = Path(__file__).parents[2]
# What stowplan says to processes that it starts, and what messages begin with.
_OWN = {"STOWPLAN_STEP_OF", "STOWPLAN_TOKEN", "STOWPLAN_WORKS_FOR"}
_PROJECT = """
[pipeline.report]
steps = ["write"]

[pipeline.report.settings.docker]
parent_image = "localhost/none:1"
apt_packages = ["git"]
allow_including_files_in_images = false
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "stowplan.toml").write_text(_PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STOWPLAN_PROJECT", "project")
    monkeypatch.setenv("STOWPLAN_OFFLINE", "true")
    monkeypatch.setenv("STOWPLAN_CONTAINER_ENGINE", "podman")
    return root


@pytest.mark.usefixtures("project")
def test_variables_stand_for_options(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOWPLAN_OUTPUT", "json")
    monkeypatch.setenv("STOWPLAN_DETAILED_EXITCODE", "1")
    assert run(["plan"]) == 2
    assert json.loads(capfd.readouterr().out)["pipeline"] == "report"
    monkeypatch.setenv("STOWPLAN_OUTPUT", "text")
    monkeypatch.setenv("STOWPLAN_COLOR", "always")
    assert run(["plan"]) == 2
    assert "\x1b[" in capfd.readouterr().out
    monkeypatch.setenv("STOWPLAN_COLOR", "never")
    monkeypatch.setenv("STOWPLAN_OUTPUT", "json")
    monkeypatch.setenv("STOWPLAN_LOCKED", "yes")
    assert run(["plan"]) == 1
    assert "no-lock" in capfd.readouterr().out


def test_the_command_line_goes_before_a_variable(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOWPLAN_OUTPUT", "json")
    monkeypatch.setenv("STOWPLAN_PROJECT", "nowhere")
    assert run(["plan", "--project", str(project), "-o", "text"]) == 0
    assert "report on default" in capfd.readouterr().out


@pytest.mark.usefixtures("project")
def test_an_empty_variable_and_one_that_says_no_are_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOWPLAN_OUTPUT", "")
    monkeypatch.setenv("STOWPLAN_LOCKED", "0")
    monkeypatch.setenv("STOWPLAN_JOBS", "")
    assert run(["plan"]) == 0
    assert "report on default" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("command", "given", "said"),
    [
        ("plan", "STOWPLAN_LOCKED=maybe", "'maybe' is neither true nor false"),
        ("plan", "STOWPLAN_OUTPUT=xml", "there is no 'xml'"),
        ("build", "STOWPLAN_OUTPUT=xml", "'xml' is not a format"),
        ("plan", "STOWPLAN_PROJECT=nowhere", "nowhere does not exist"),
        ("plan", "STOWPLAN_CONFIG=run.yaml", "run.yaml does not exist"),
        ("apply", "STOWPLAN_JOBS=0", "0 is not a number from 1 to 64"),
        ("run", "STOWPLAN_JOBS=many", "'many' is not a number from 1 to 64"),
        ("lock", "STOWPLAN_ALLOW_UNPINNED=2", "'2' is neither"),
        ("plan", "STOWPLAN_COLOR=pink", "there is no 'pink'"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_wrong_value_is_said_of_its_variable(
    command: str, given: str, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    variable, _, value = given.partition("=")
    monkeypatch.setenv(variable, value)
    assert run([command]) == 64
    error = capfd.readouterr().err
    assert f"{variable}: {said}" in error
    assert "--" not in error.partition("\n")[0]


def test_a_wrong_option_is_not_said_of_its_variable(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--jobs", "0"]) == 64
    error = capfd.readouterr().err
    assert "--jobs: 0 is not a number from 1 to 64" in error
    assert "STOWPLAN_JOBS" not in error


def _options(command: click.Command) -> Iterator[click.Option]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _options(below)
    yield from (each for each in command.params if isinstance(each, click.Option))


def test_an_option_of_several_commands_has_the_same_variable_in_all() -> None:
    said: dict[str, set[str | None]] = {}
    for option in _options(cli):
        said.setdefault(option.opts[-1], set()).add(option.envvar if isinstance(option.envvar, str) else None)
    assert {name: found for name, found in said.items() if len(found) > 1} == {}
    assert {name for name, found in said.items() if found != {None}} >= {
        *("--project", "--config", "--output", "--jobs", "--locked", "--frozen", "--offline"),
        *("--detailed-exitcode", "--allow-unpinned", "--color"),
    }


def test_the_reference_has_each_variable_that_is_read() -> None:
    read = {
        node.value
        for path in (ROOT / "executor").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"STOWPLAN_[A-Z_]*[A-Z]", node.value)
    } - _OWN
    read |= {option.envvar for option in _options(cli) if isinstance(option.envvar, str)}
    text = (ROOT / "docs/reference.md").read_text("utf-8")
    section = text.partition("\n## Environment variables\n")[2].partition("\n## ")[0]
    named = " ".join(line.split(" | ")[0] for line in section.splitlines())
    assert set(re.findall(r"`(STOWPLAN_[A-Z_]+)`", named)) == read
