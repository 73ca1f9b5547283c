"""`training.run()` and `training.build()` in a script of the user, which Python calls `__main__`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.command import ROOT, Project

SCRIPT: Final = """
    import sys

    from stowplan import DockerSettings, ExecutorError, pipeline, step

    @step
    def load(n: int = 20) -> int:
        return n

    @step(settings={"docker": DockerSettings(environment={"A": 1})})
    def train(n: int) -> int:
        if n > 100:
            raise ValueError("too large")
        return n + 1

    @step
    def report(n: int) -> None:
        print("the answer is", n * 2)

    @pipeline(settings={"docker": DockerSettings(parent_image="BASE")})
    def training(n: int = 20):
        report(train(load(n)))

    if __name__ == "__main__":
        DO
"""


@pytest.fixture
def script(project: Project) -> Project:
    """A project with a script."""
    project.write({
        "pyproject.toml": "[tool.stowplan]\n",
        "run.yaml": "parameters: {n: 30}\nsettings: {docker: {user: '1000'}}\n",
        ".dockerignore": ".stowplan\n*.yaml\n*.toml\n*.lock\n",
    })  # fmt: skip
    return project


def do(
    project: Project, statement: str, *, base: str = "python:3.11-slim", python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run the script by its path, from a directory that is not the project's."""
    project.write({"jobs/pipe.py": SCRIPT.replace("DO", statement).replace("BASE", base)})
    return subprocess.run(
        [python, str(project.root / "jobs" / "pipe.py")],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path("/"),
        env=project.environment({"PYTHONPATH": str(ROOT)}),
    )


def test_run_in_the_active_environment(script: Project) -> None:
    done = do(script, "training.run(local=True); training.run(local=True, config='/nowhere.yaml')")
    assert "[report] the answer is 42" in done.stderr
    assert "/nowhere.yaml: does not exist" in done.stderr
    done = do(script, f"training.run(local=True, config={str(script.root / 'run.yaml')!r})")
    assert done.returncode == 0, done.stderr
    assert "the answer is 62" in done.stderr
    # What was run is as it is for the command.
    listed = script.ok("runs", "list", "-o", "json")
    assert len(listed.data["runs"]) == 2


def test_a_pipeline_that_no_name_leads_to(script: Project) -> None:
    done = do(script, "training.with_options(name='odd', parameters={'n': 1}).run(local=True)")
    assert done.returncode == 0, done.stderr
    assert "the answer is 4" in done.stderr


def test_what_fails_is_raised(script: Project) -> None:
    fails = "training.with_options(parameters={'n': 101}).run(local=True)"
    done = do(script, f"try: {fails}\n        except ExecutorError as error: print('raised', error)")
    assert done.returncode == 0, done.stderr
    assert "ValueError: too large" in done.stderr
    assert "run of training failed: what failed is printed above" in done.stdout
    done = do(script, "training.run(locl=1)")
    assert "TypeError: run() has no option 'locl': did you mean 'local'?" in done.stderr


def test_build_and_run_in_images(script: Project, engine: str, base: str) -> None:
    done = do(script, f"training.build(engine={engine!r}); training.run(engine={engine!r})", base=base)
    assert done.returncode == 0, done.stderr
    assert "Built 2" in done.stdout
    assert "the answer is 42" in done.stderr
    assert "[report] the answer is 42" in done.stderr
    # The lock knows the module, as it is imported from the root of the project.
    assert 'source = "jobs.pipe:training"' in (script.root / "stowplan.lock").read_text()
    script.env["STOWPLAN_PYTHON"] = sys.executable
    assert script.ok("lock", "--check").out.startswith("stowplan.lock is up to date: 1 plan")


def test_a_build_is_named(script: Project, engine: str, base: str) -> None:
    """Its code is what runs."""
    done = do(script, f"training.build(engine={engine!r})", base=base)
    assert done.returncode == 0, done.stderr
    name = script.ok("builds", "show", "-o", "json").data["id"]
    edited = f"print('edited'); training.run(engine={engine!r}, build={name!r})"
    done = do(script, edited, base=base)
    assert done.returncode == 0, done.stderr
    assert "the answer is 42" in done.stderr
    assert f"note: build {name} contains code that is not the local code" in done.stderr
    (run, *_) = script.ok("runs", "list", "-o", "json").data["runs"]
    assert run["build"] == name
