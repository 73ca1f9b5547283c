"""Every command that takes a pipeline takes one in Python, with a run configuration over it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.command import PINNED, Project

PIPE: Final = """
    from stowplan import DockerSettings, pipeline, step

    @step
    def load() -> int:
        return 20

    @step(settings={"docker": DockerSettings(environment={"A": "1"})})
    def train(n: int) -> int:
        return n + 1

    @step
    def report(n: int) -> None:
        print("the answer is", n * 2)

    @pipeline(settings={"docker": DockerSettings(parent_image="BASE")})
    def training():
        report(train(load()))

    other = training.with_options(name="other")
"""
CONFIG: Final = """
    settings:
      docker: {user: "1000"}
    steps:
      train:
        settings:
          docker: {environment: {A: two}}
"""


@pytest.fixture
def python_project(project: Project) -> Project:
    """A project whose pipelines are all in Python, which its project file does not know."""
    write(project, PINNED)
    project.env["STOWPLAN_PYTHON"] = sys.executable
    return project


def write(project: Project, base: str) -> None:
    project.write({
        "pyproject.toml": "[tool.stowplan]\n",
        "pipe.py": PIPE.replace("BASE", base),
        "run.yaml": CONFIG,
        ".dockerignore": ".stowplan\n*.yaml\n*.toml\n*.lock\n",
    })  # fmt: skip


@pytest.mark.parametrize("source", ["pipe:training", "pipe.training"])
def test_plan(python_project: Project, source: str) -> None:
    ran = python_project.ok("plan", source, "-o", "json")
    assert ran.data["pipeline"] == "training"
    assert {each["name"]: each["steps"] for each in ran.data["images"]} == {
        "training": ["load", "report"],
        "training/train": ["train"],
    }
    configured = python_project.ok("plan", source, "--config", "run.yaml", "-o", "json")
    assert "USER 1000" in configured.image("training")["dockerfile"]
    assert 'A="two"' in configured.image("training/train")["dockerfile"].replace("A=two", 'A="two"')


def test_a_command_without_a_source_says_what_to_name(python_project: Project) -> None:
    for command in (["plan"], ["lock"], ["diff"], ["apply"], ["build"], ["run"], ["show", "train"]):
        ran = python_project.run(*command)
        assert (ran.code, ran.out) == (64, ""), command
        assert "pyproject.toml names no pipeline" in ran.err
        assert "module:pipeline, like training.pipelines:train" in ran.err


def test_lock_and_what_it_keeps(python_project: Project) -> None:
    assert "new image" in python_project.ok("lock", "pipe:training").out
    assert python_project.ok("lock").out.startswith("stowplan.lock is up to date: 1 plan")
    python_project.ok("lock", "--check")
    python_project.ok("lock", "pipe:other", "--config", "run.yaml")
    assert python_project.ok("lock", "--check").out.startswith("stowplan.lock is up to date: 2 plans")
    python_project.ok("plan", "pipe:training", "--locked")
    python_project.ok("plan", "pipe:training", "--frozen")
    stale = python_project.run("plan", "pipe:other", "--locked")
    assert stale.code == 1
    assert "stowplan.lock: stale: other" in stale.err
    python_project.ok("plan", "pipe:other", "--locked", "--config", "run.yaml")


def test_diff(python_project: Project) -> None:
    python_project.ok("lock", "pipe:training")
    assert python_project.ok("diff").out == "no changes\n"
    ran = python_project.run(
        "diff", "--pipeline", "pipe:training", "--config", "run.yaml", "--detailed-exitcode"
    )
    assert ran.code == 2
    assert "user" in ran.out
    assert python_project.ok("diff", "--pipeline", "pipe:training").out == "no changes\n"


def test_show(python_project: Project) -> None:
    show = ("show", "train", "--pipeline", "pipe:training")
    assert 'ENV A="1"' in python_project.ok(*show, "--dockerfile").out.replace("A=1", 'A="1"')
    assert python_project.ok(*show, "--context").out == "pipe.py\n"
    said = json.loads(python_project.ok(*show, "--settings", "--config", "run.yaml", "-o", "json").out)
    places = {
        each["setting"]: (each["value"], each["file"], each["line"], each["how"])
        for each in said["settings"]
        if each["origin"] != "default"
    }
    assert places == {
        "user": ("1000", "run.yaml", 2, None),
        "environment.A": ("two", "run.yaml", 6, None),
        "parent_image": (PINNED, "pipe.py", 15, "@pipeline"),
    }
    assert python_project.ok(*show, "-o", "json").data["steps"] == ["train"]


def test_export_why_and_outdated(python_project: Project) -> None:
    python_project.ok("lock", "pipe:training")
    assert python_project.ok("export", "train", "--pipeline", "pipe:training").out == ""
    ran = python_project.run("why", "train", "numpy", "--pipeline", "pipe:training")
    assert ran.code == 64
    assert "train has no package 'numpy'" in ran.err
    python_project.ok("outdated")


def test_run_in_the_active_environment(python_project: Project) -> None:
    ran = python_project.ok("run", "pipe.training", "--local")
    assert "the answer is 42" in ran.out + ran.err


def test_apply_build_and_run(project: Project, engine: str, base: str) -> None:
    write(project, base)
    project.env["STOWPLAN_PYTHON"] = sys.executable
    assert engine
    made = project.ok("build", "pipe:training", "--config", "run.yaml", "-o", "json")
    assert made.data["pipeline"] == "training"
    again = project.ok("apply", "pipe:training", "--config", "run.yaml")
    assert "Built 0" in again.out
    listed = project.ok("builds", "list", "--pipeline", "training", "-o", "json")
    assert [each["id"] for each in listed.data["builds"]] == [made.data["id"]]
    ran = project.ok("run", "pipe:training", "--config", "run.yaml")
    assert "the answer is 42" in ran.out + ran.err
    # What was applied is what the next lock has.
    assert project.ok("lock").out.startswith("stowplan.lock is up to date: 1 plan")


def test_errors_are_data_too(python_project: Project) -> None:
    ran = python_project.run("plan", "pipe:trainin", "-o", "json")
    assert ran.code == 64
    assert [each["code"] for each in ran.data["problems"]] == ["no-such-pipeline"]
    (python_project.root / "pipe.py").write_text("import nothing_like_it\n")
    ran = python_project.run("plan", "pipe:training", "-o", "json")
    assert ran.code == 1
    (problem,) = ran.data["problems"]
    assert (problem["code"], problem["file"], problem["line"]) == ("invalid-pipeline", "pipe.py", 1)


def test_hostile_text_of_a_module_reaches_no_terminal(python_project: Project) -> None:
    (python_project.root / "pipe.py").write_text("raise ValueError('\\x1b]0;pwned\\x07\\u202e')\n")
    ran = python_project.run("plan", "pipe:training")
    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "\\x1b]0;pwned" in ran.err


def test_a_project_is_found_from_below(python_project: Project) -> None:
    below = python_project.root / "jobs"
    below.mkdir()
    (below / "__init__.py").write_text("")
    (below / "daily.py").write_text("from pipe import training\n")
    ran = python_project.run("plan", "jobs.daily.training", cwd=below)
    assert ran.code == 0, ran.err
    assert not list(Path(python_project.root).rglob("__pycache__"))
