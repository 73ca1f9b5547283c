"""`stowplan init` in folders as people have them: what it writes plans, and nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import field, frozen

from planner import toml
from tests.e2e.command import Project

_RUN: Final = "print(1)\n"
_OURS: Final = """\
from stowplan import DockerSettings, pipeline, step

@step
def load() -> int:
    return 1

@step(settings={"docker": DockerSettings(requirements=["six==1.16.0"])})
def train(n: int) -> int:
    return n

@pipeline(settings={"docker": DockerSettings(parent_image="python:3.11-slim")})
def training() -> None:
    train(load())
"""
_THEIRS: Final = """\
from zenml import pipeline, step

@step
def load() -> int:
    return 1

@step
def train(n: int) -> int:
    return n

@pipeline(enable_cache=False)
def training() -> None:
    n = load()
    train.with_options(parameters={"rate": 0.1})(n)
"""


@frozen
class Shape:
    """A folder, and what init makes of it."""

    files: Mapping[str, str]
    steps: tuple[str, ...] = ("run",)
    docker: Mapping[str, Any] = field(factory=dict)
    """Settings of the pipeline, beside the parent image."""
    source: str = ""
    """Where the pipeline is in Python."""
    says: str = ""
    """What is printed, among other things."""
    has: str = ""
    """What the project file has, among other things."""
    arguments: tuple[str, ...] = ()
    """Of init."""
    plan: tuple[str, ...] = ()
    """What plan is given."""
    git: tuple[str, ...] = ()
    """Remotes of the checkout that it is."""


_SIX: Final = {"requirements": "requirements.txt"}
_PROJECT: Final = {"pyproject_path": "pyproject.toml"}
SHAPES: Final[Mapping[str, Shape]] = {
    "empty": Shape({}, says="note: what the steps run is not known: say it in stowplan.toml\n"),
    "one script": Shape({"train.py": _RUN}, ("train",)),
    "scripts in the order of their stages": Shape(
        {"train.py": _RUN, "evaluate.py": _RUN, "prepare_data.py": _RUN, "report.py": _RUN},
        ("prepare_data", "train", "evaluate", "report"),
    ),
    "scripts with numbers": Shape(
        {"10_report.py": _RUN, "2_train.py": _RUN, "1_load.py": _RUN}, ("1_load", "2_train", "10_report")
    ),
    "scripts in a directory": Shape({"scripts/fit.py": _RUN, "lib/tool.py": _RUN}, ("fit",)),
    "modules and tests are no programs": Shape(
        {
            "train.py": "def f():\n    pass\n\nif __name__ == '__main__':\n    f()\n",
            "model.py": "def g():\n    pass\n",
            "test_train.py": _RUN,
            "conftest.py": _RUN,
            "setup.py": "from setuptools import setup\nsetup()\n",
        },
        ("train",),
        has='# local_project_install_command = "pip install . --no-deps"',
    ),
    "a script that is no Python": Shape({"old.py": "print 1\n", "new.py": _RUN}, ("new",)),
    "names that TOML has to encode": Shape(
        {'train "it" \\ é.py': _RUN, "two\nlines.py": _RUN, "-x.py": _RUN},
        ("train-it", "x", "two-lines"),
    ),
    "requirements.txt": Shape({"requirements.txt": "six==1.16.0\n", "train.py": _RUN}, ("train",), _SIX),
    "requirements.txt with nothing in it": Shape(
        {"requirements.txt": "", "train.py": _RUN}, ("train",), _SIX
    ),
    "requirements in a directory, and those of developers": Shape(
        {
            "requirements/base.txt": "six==1.16.0\n",
            "requirements/dev.txt": "x y\n",
            "requirements/constraints.txt": "",
        },
        docker={"requirements": "requirements/base.txt"},
    ),
    "requirements of developers alone": Shape({"requirements-dev.txt": "no-such-package==1\n"}),
    "requirements that include others": Shape(
        {"requirements.txt": "-r base.txt\n", "base.txt": "six==1.16.0\n"}, docker=_SIX
    ),
    "requirements that no image can have": Shape(
        {"requirements.txt": "-e .\nsix==1.16.0\n", "setup.py": "from setuptools import setup\nsetup()\n"},
        says="requirements.txt is left out: requirements.txt:1: the local package '-e .'",
        has='# requirements = "requirements.txt"\n#   is not taken: "requirements.txt:1: ',
    ),
    "requirements with a login": Shape(
        {"requirements.txt": "--index-url https://me:s3cret@pypi.example.com/simple\nsix==1.16.0\n"},
        says="note: requirements.txt is left out: ",
    ),
    "requirements that are broken, and a project": Shape(
        {
            "requirements.txt": "six = 1.16\n",
            "pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = ["six==1.16.0"]\n',
        },
        docker=_PROJECT,
    ),
    "a project": Shape(
        {
            "pyproject.toml": """\
                [project]
                name = "forecast"
                version = "1"
                requires-python = ">=3.11,<3.12"
                dependencies = ["six==1.16.0"]
                [build-system]
                requires = ["hatchling"]
                """,
            "src/forecast/__init__.py": "",
        },
        docker=_PROJECT,
        has='parent_image = "python:3.11-slim"   # as requires-python of pyproject.toml says',
    ),
    "a project of groups alone": Shape(
        {"pyproject.toml": '[dependency-groups]\ntrain = ["six==1.16.0"]\ndev = ["no-such-package"]\n'},
        docker={**_PROJECT, "pyproject_groups": ["train"]},
    ),
    "a project of Poetry": Shape(
        {
            "pyproject.toml": """\
                [tool.poetry]
                name = "forecast"
                version = "1"
                description = ""
                authors = []
                [tool.poetry.dependencies]
                python = "^3.11"
                six = "1.16.0"
                """,
            "requirements-lock.txt": "six==1.16.0\n",
        },
        docker={"requirements": "requirements-lock.txt"},
    ),
    "a project that nothing can read": Shape(
        {
            "pyproject.toml": """\
                [project]
                name = "forecast"
                version = "1"
                dynamic = ["dependencies"]
                [build-system]
                requires = []
                build-backend = "nowhere"
                """,
            "train.py": _RUN,
        },
        ("train",),
        says="note: pyproject.toml is left out: ",
        has='# pyproject_path = "pyproject.toml"\n#   is not taken: ',
    ),
    "a pyproject.toml for tools": Shape(
        {"pyproject.toml": "[tool.ruff]\nline-length = 100\n", "train.py": _RUN}, ("train",)
    ),
    "a broken pyproject.toml": Shape(
        {"pyproject.toml": "[project\n", "train.py": _RUN},
        ("train",),
        says="not read: pyproject.toml is not TOML",
    ),
    "into pyproject.toml": Shape(
        {
            "pyproject.toml": '# mine\n[project]\nname="a"\nversion = "1"\ndependencies = ["six==1.16.0"]',
            "train.py": _RUN,
        },
        ("train",),
        _PROJECT,
        arguments=("--pyproject",),
    ),
    "a version of Python": Shape(
        {".python-version": "3.12.4\n", "train.py": _RUN},
        ("train",),
        has='parent_image = "python:3.12-slim"   # as .python-version says',
    ),
    "a Dockerfile of Python": Shape(
        {"Dockerfile": "FROM python:3.11-bookworm AS base\nFROM base\nCOPY . .\n", "train.py": _RUN},
        ("train",),
        has='parent_image = "python:3.11-bookworm"   # as "Dockerfile" says',
    ),
    "a Dockerfile of something else": Shape(
        {"docker/Dockerfile": "FROM nginx:1\n", "train.py": _RUN},
        ("train",),
        has='# dockerfile = "docker/Dockerfile"\n# build_context_root = "."\n',
    ),
    "a Dockerfile of a service": Shape(
        {"api/Dockerfile": "FROM python:2.7\n", "train.py": _RUN, ".python-version": "3.11\n"},
        ("train",),
        has='parent_image = "python:3.11-slim"   # as .python-version says',
    ),
    "a Dockerfile that is broken": Shape({"Dockerfile": "FORM python\n", "train.py": _RUN}, ("train",)),
    "an ignore file": Shape({".dockerignore": "*.csv\n", "train.py": _RUN}, ("train",)),
    "a pipeline in Python": Shape(
        {"pipe.py": _OURS, "run.py": "import pipe\npipe.training()\n", "requirements.txt": "six==1.16.0\n"},
        ("load", "train"),
        source="pipe:training",
        has='''# To install what this folder asks for: "DockerSettings(requirements='requirements.txt')"''',
    ),
    "a pipeline in a package, under another name": Shape(
        {
            "jobs/__init__.py": "",
            "jobs/daily.py": _OURS.replace("pipeline, step", "pipeline as p, step").replace(
                "@pipeline(", '@p(name="daily", '
            ),
        },
        ("load", "train"),
        source="jobs.daily:training",
    ),
    "two pipelines in Python": Shape(
        {"a.py": _OURS, "b.py": _OURS.replace("training", "other")},
        ("load", "train"),
        source="a:training",
        says="\n  stowplan plan training\n  stowplan plan other\n",
        plan=("training",),
    ),
    "a pipeline in Python that takes parameters": Shape(
        {
            "pipe.py": _OURS.replace("def training()", "def training(rate: float, *, n: int = 1)"),
            "configs/run.yaml": "parameters: {rate: 0.1}\nsettings: {docker: {apt_packages: [git]}}\n",
        },
        ("load", "train"),
        source="pipe:training",
        says="stowplan plan --config configs/run.yaml",
        plan=("--config", "configs/run.yaml"),
    ),
    "a pipeline for ZenML": Shape(
        {"pipe.py": _THEIRS, "requirements.txt": "six==1.16.0\n"},
        ("load", "train"),
        _SIX,
        says="note: what the steps run is not known: say it in stowplan.toml\n",
        has='# "pipe.py" has it, written for zenml.\n',
    ),
    "several pipelines for ZenML": Shape(
        {
            "pipelines/a.py": _THEIRS.replace("def training", "def first").replace("    n = load()\n", ""),
            "pipelines/b.py": _THEIRS,
            "run.py": "from pipelines.b import training\ntraining()\n",
            "requirements.txt": "six==1.16.0\n",
        },
        ("train",),
        _SIX,
        says="\n  stowplan plan first\n  stowplan plan training\n",
        has="""\n
[pipeline.training.settings.docker]
parent_image = """,
        plan=("first",),
    ),
    "a run configuration": Shape(
        {
            "config.yaml": "settings:\n  docker:\n    apt_packages: [git]\nsteps:\n  load: {}\n  train:\n",
            ".github/workflows/ci.yml": "jobs: {}\n",
            "cloudbuild.yaml": "steps:\n- name: x\n",
            "broken.yaml": "steps: [\n",
        },
        ("load", "train"),
        has='#   stowplan plan --config "config.yaml"\n',
        plan=("--config", "config.yaml"),
    ),
    "a checkout": Shape(
        {"train.py": _RUN},
        ("train",),
        git=("https://me:s3cret@github.com/owner/name.git",),
        has='# [code_repository.origin]\n# type = "github"\n# url = "https://github.com/owner/name.git"\n',
    ),
    "a checkout of a path": Shape({"train.py": _RUN}, ("train",), git=("../elsewhere",)),
    "an environment of conda": Shape(
        {"environment.yml": "dependencies: [python=3.11, numpy]\n", "train.py": _RUN},
        ("train",),
        says="note: not read: environment.yml is for conda: `pip freeze > requirements.txt` says",
    ),
    "a notebook, data and an environment": Shape(
        {
            "explore.ipynb": "{}",
            "data/orders.csv": "1\n",
            ".venv/lib/x.py": _RUN,
            "env2/pyvenv.cfg": "",
            "env2/bad.py": _OURS,
        }
    ),
}  # fmt: skip


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) >= 30


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_it_writes_plans_and_nothing_else_changes(project: Project, shape: Shape) -> None:
    project.write(shape.files)
    if shape.git:
        git = ("git", "-C", str(project.root))
        subprocess.run((*git, "init", "-q"), check=True)
        subprocess.run((*git, "remote", "add", "origin", *shape.git), check=True)
    before = project.state()
    ran = project.ok("init", *shape.arguments)
    after = project.state()
    name = "pyproject.toml" if shape.arguments else "stowplan.toml"
    assert set(after) == {*before, name, ".dockerignore"}
    assert {path: after[path] for path in before if path != name} == {
        path: data for path, data in before.items() if path != name
    }
    assert after[name].startswith(before.get(name, b""))
    text = after[name].decode()
    assert shape.says in ran.out + ran.err
    assert shape.has in text
    assert "s3cret" not in ran.out + ran.err + text
    data = toml.parse(text)
    (pipeline, *_) = (data["tool"]["stowplan"] if shape.arguments else data)["pipeline"].values()
    if shape.source:
        assert pipeline == {"source": shape.source}
    else:
        assert tuple(pipeline["steps"]) == shape.steps
        docker = pipeline["settings"]["docker"]
        assert docker.pop("parent_image").startswith("python:3.")
        assert docker == shape.docker

    planned = project.ok("plan", *shape.plan, "-o", "json").data
    assert {step for image in planned["images"] for step in image["steps"]} == set(shape.steps)
    # All pipelines of the project, but for one that needs a configuration.
    chosen = shape.plan if "--config" in shape.plan else ()
    stale = project.run("lock", "--check", *chosen)
    assert (stale.code, "stowplan.lock is stale: " in stale.out) == (1, True)
    project.ok("lock", "--allow-unpinned", *chosen)
    fresh = project.run("lock", "--check", *chosen)
    assert (fresh.code, "stowplan.lock is up to date: " in fresh.out) == (0, True)
    assert {path for path in project.state() if not path.startswith(".stowplan/")} == {
        *after,
        "stowplan.lock",
    }


def test_commands_run_the_scripts_whatever_they_are_called(project: Project) -> None:
    names = ['train "it" \\ é.py', "two\nlines.py", "-x.py"]
    project.write(dict.fromkeys(names, _RUN))
    project.ok("init")
    (pipeline,) = toml.parse((project.root / "stowplan.toml").read_text())["pipeline"].values()
    commands = [step["command"] for step in pipeline["step"].values()]
    assert sorted(commands) == sorted([["python", names[0]], ["python", names[1]], ["python", "./-x.py"]])
    for command in commands:
        done = subprocess.run(
            (sys.executable, *command[1:]), cwd=project.root, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, "1\n")


def test_the_ignore_file_leaves_out_what_is_left_out_without_one(project: Project) -> None:
    project.write(
        {"train.py": _RUN, ".env": "A=1", ".venv/x.py": _RUN, "a/__pycache__/x.pyc": "", "a/b.py": ""}
    )
    project.write({"stowplan.toml": '[pipeline.a]\nsteps = ["a"]\n'})
    without = project.ok("show", "a", "--context").out
    (project.root / "stowplan.toml").unlink()
    project.ok("init")
    project.write({"stowplan.toml": '[pipeline.a]\nsteps = ["a"]\n'})
    assert (project.root / ".dockerignore").exists()
    assert project.ok("show", "a", "--context").out == without


def test_a_dry_run_prints_the_project_file_and_writes_nothing(project: Project) -> None:
    project.write({"train.py": _RUN})
    dry = project.ok("init", "--dry-run")
    assert set(project.state()) == {"train.py"}
    project.ok("init")
    assert (project.root / "stowplan.toml").read_text() == dry.out


# --- what is there already, and what cannot be written


def _link(path: Path) -> None:
    path.symlink_to("nowhere.toml")


def _file(path: Path) -> None:
    path.write_text("# mine\n")


@pytest.mark.parametrize("make", [_link, _file, Path.mkdir, os.mkfifo], ids=lambda make: make.__name__)
def test_nothing_is_written_where_something_is_called_stowplan_toml(
    project: Project, make: Callable[[Path], None]
) -> None:
    project.write({"train.py": _RUN})
    path = project.root / "stowplan.toml"
    make(path)
    kind = path.lstat()
    ran = project.run("init")
    assert ran.code == 1
    assert ran.err == (
        "error: stowplan.toml: exists already\n"
        "       nothing was written: take what you need from what is printed\n"
    )
    assert toml.parse(ran.out)["pipeline"]["project"]["steps"] == ["train"]
    assert (path.lstat().st_ino, path.lstat().st_size) == (kind.st_ino, kind.st_size)
    assert {each.name for each in project.root.iterdir()} == {"train.py", "stowplan.toml"}


@pytest.mark.parametrize("arguments", [(), ("--pyproject",)])
def test_a_table_in_pyproject_toml_is_a_project(project: Project, arguments: tuple[str, ...]) -> None:
    text = '[tool.stowplan.pipeline.a]\nsteps = ["a"]\n'
    project.write({"pyproject.toml": text})
    ran = project.run("init", *arguments)
    assert (ran.code, ran.err.splitlines()[0]) == (
        1,
        "error: pyproject.toml: has [tool.stowplan] already",
    )
    assert project.state() == {"pyproject.toml": text.encode()}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "pyproject.toml: does not exist"),
        ("[project\n", "pyproject.toml: nothing can be added to it: not TOML"),
        ("tool = { ruff = {} }\n", "pyproject.toml: nothing can be added to it: not TOML"),
        (b"\xff\xfe", "pyproject.toml: is not UTF-8"),
    ],
    ids=["none", "broken", "inline", "binary"],
)
def test_what_cannot_be_added_to_is_left_alone(
    project: Project, content: str | bytes | None, found: str
) -> None:
    if content is not None:
        data = content.encode() if isinstance(content, str) else content
        (project.root / "pyproject.toml").write_bytes(data)
    before = project.state()
    ran = project.run("init", "--pyproject")
    assert ran.code in (1, 64)
    assert found in ran.err
    assert project.state() == before


def test_files_that_nobody_should_read_whole_are_not(project: Project) -> None:
    project.write({"train.py": _RUN})
    with (project.root / "big.yaml").open("wb") as file:
        file.truncate(50 << 20)
    with (project.root / "requirements.txt").open("wb") as file:
        file.truncate(50 << 20)
    os.mkfifo(project.root / "pipe.yaml")
    os.mkfifo(project.root / "pyproject.toml")
    (project.root / "outside.py").symlink_to("/etc/passwd")
    (project.root / "loop").symlink_to(".")
    ran = project.ok("init")
    assert "note: not read: big.yaml is larger than 64 KiB, the most that is read\n" in ran.err
    (pipeline,) = toml.parse((project.root / "stowplan.toml").read_text())["pipeline"].values()
    assert pipeline["steps"] == ["train"]
    assert "requirements" not in pipeline["settings"]["docker"]


def test_a_file_system_that_may_only_be_read(project: Project) -> None:
    """A directory without permissions stops nobody who is root; /proc does."""
    ran = project.run("init", "--project", "/proc/self/fdinfo")
    assert ran.code == 1
    assert "stowplan.toml: cannot be written: " in ran.err


def test_a_project_above_is_named(project: Project) -> None:
    project.write({"stowplan.toml": "", "below/train.py": _RUN})
    ran = project.ok("init", "--project", "below")
    below = project.root / "below"
    assert f"note: {project.root} is a project too: commands in {below} will be about this one\n" in ran.err
    assert "\n  stowplan plan --project below\n" in ran.out


@pytest.mark.parametrize("name", ["nowhere", "train.py"])
def test_what_is_no_directory(project: Project, name: str) -> None:
    project.write({"train.py": _RUN})
    assert project.run("init", "--project", name).code == 64
