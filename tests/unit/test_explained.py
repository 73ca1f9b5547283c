"""What each setting is and where it was said, in text, JSON and Markdown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from attrs import evolve

from executor.cli.main import run
from executor.cli.render.settings import settings_data, settings_lines
from planner import DockerSettings, Place
from planner.settings.explained import Said, explained
from planner.settings.written import WrittenSettings

PROJECT = """\
[secret.pypi]
env = "PYPI_TOKEN"
[pipeline.training]
steps = ["load", "train"]
[pipeline.training.settings.docker]
parent_image = "python:3.11-slim"
apt_packages = ["git"]
environment.A = 1
environment.B = ""
[pipeline.training.step.train.settings.docker]
apt_packages = ["curl"]
environment.B = "${HOME}"
build_config.build_options = { platform = "linux/amd64", network = "host" }
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stowplan.toml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["show", *words, "--settings"]) == 0
    return capsys.readouterr().out


def test_a_step_has_its_own_settings_over_those_of_its_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    title, empty, *lines = shown(capsys, "train").splitlines()
    assert (title, empty) == ("step train of training", "")
    rows = [tuple(line.split("  ")) for line in map(collapsed, lines)]
    assert rows[:7] == [
        ("parent_image", "python:3.11-slim", "stowplan.toml:6"),
        ("apt_packages", '["curl"]', "stowplan.toml:11"),
        ("environment.A", "1", "stowplan.toml:8"),
        ("environment.B", "${HOME}", "stowplan.toml:12"),
        ("secrets.pypi", '{"env": "PYPI_TOKEN", "version": 1}', "stowplan.toml:2"),
        ("build_config.build_options.platform", "linux/amd64", "stowplan.toml:13"),
        ("build_config.build_options.network", "host", "stowplan.toml:13"),
    ]
    assert {where for _, _, where in rows[7:]} == {"default"}
    assert ("user", "none", "default") in rows
    # The places are in line.
    assert len({line.index(where) for line, (_, _, where) in zip(lines, rows, strict=True)}) == 1


def collapsed(line: str) -> str:
    """A line of a table with two spaces between its columns."""
    return re.sub(" {2,}", "  ", line.strip())


def test_a_pipeline_has_settings_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [collapsed(line) for line in shown(capsys, "training").splitlines()]
    assert lines[0] == "pipeline training"
    assert '["git"]' in lines[3]
    assert 'environment.B  ""  stowplan.toml:9' in lines


def test_the_image_of_a_step_names_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "training/load").startswith("step load of training\n")


def test_settings_as_json_have_codes(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(shown(capsys, "train", "-o", "json"))
    assert (data["schema"], data["pipeline"], data["step"]) == ("stowplan/settings/1", "training", "train")
    by_name = {each.pop("setting"): each for each in data["settings"]}
    assert by_name["apt_packages"] == {
        "value": ["curl"], "origin": "project", "file": "stowplan.toml", "line": 11, "how": None,
    }  # fmt: skip
    assert by_name["user"] == {"value": None, "origin": "default", "file": None, "line": None, "how": None}


def test_settings_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "train", "-o", "markdown").splitlines()
    assert lines[:5] == [
        "### step train of training",
        "",
        "| setting | value | from |",
        "| --- | --- | --- |",
        "| `parent_image` | `python:3.11-slim` | stowplan.toml:6 |",
    ]


def test_a_step_that_there_is_not_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "trian", "--settings"]) == 64
    said = capsys.readouterr().err
    assert "no step 'trian' in training" in said
    assert "did you mean 'train'?" in said


CODE, OPTIONS = Place(file="pipe.py", line=12), Place(file="pipe.py", line=30)
LINES: dict[tuple[str | int, ...], int] = {("environment", "A"): 4, ("user",): 5}


def test_code_and_a_configuration_say_where_they_do() -> None:
    layers = [
        WrittenSettings(DockerSettings(user="1", environment={"A": "1", "B": "1"}), CODE, how="@step"),
        WrittenSettings(DockerSettings(apt_packages=[]), OPTIONS, how="with_options"),
        WrittenSettings(DockerSettings(environment={"A": "2"}), Place(file="run.yaml"), lines=LINES),
    ]
    rows = [collapsed(line) for line in settings_lines("x", explained(layers)) if "default" not in line]
    assert rows[2:] == [
        "apt_packages  []  pipe.py:30 (with_options)",
        "environment.A  2  run.yaml:4",
        "environment.B  1  pipe.py:12 (@step)",
        "user  1  pipe.py:12 (@step)",
    ]
    found = {
        each["setting"]: each["origin"] for each in settings_data("p", "a", explained(layers))["settings"]
    }
    assert (found["user"], found["environment.A"]) == ("code", "configuration")


def test_what_is_dropped_is_said_by_whoever_drops_it() -> None:
    where = Place(file="run.yaml", line=2)
    lower = WrittenSettings(
        DockerSettings(environment={"A": "1"}, parent_image_build_config={"dockerignore": "x"}), CODE
    )
    upper = WrittenSettings(DockerSettings(environment={}, parent_image_build_config=None), where)
    found = {said.path: said for said in explained([lower, upper])}
    assert found["environment",] == Said(
        ("environment",), {}, evolve(where, path=("environment",)), "configuration"
    )
    assert found["parent_image_build_config",].value is None
    assert ("environment", "A") not in found
    # What comes after is not over what was dropped.
    last = WrittenSettings(DockerSettings(environment={"B": "2"}), CODE)
    found = {said.path: said for said in explained([lower, upper, last])}
    assert [path for path in found if path[0] == "environment"] == [("environment", "B")]
