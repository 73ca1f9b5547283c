"""Pipelines in Python are described by the user's Python, in which stowplan need not be, and which may do
anything while it imports them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from executor import limits
from executor.bootstrap_file import bootstrap
from executor.cli.options import known_error
from executor.config.description import describe
from executor.errors import ExecutorError, Failure
from planner.errors import Place, Problem
from tests.bootstrap import PYTHONS

COMMAND_LINE: Final = Place(file="command line")
GOOD: Final = """\
from typing import Tuple
from stowplan import DockerSettings, pipeline, step

@step
def load() -> Tuple[int, str]:
    raise RuntimeError("a step ran")

@step(settings={"docker": DockerSettings(apt_packages=["git"])})
def train(n: int) -> int:
    return n + 1

@pipeline(settings={"docker": DockerSettings(parent_image="python:3.11-slim")})
def training(rate: float = 0.5) -> None:
    n, label = load()
    train(n)
"""
Describe = Callable[..., Mapping[str, Any]]


@pytest.fixture
def empty_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has nothing installed, stowplan least of all."""
    directory = tmp_path_factory.getbasetemp() / "empty-environment"
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    found = subprocess.run([python, "-c", "import stowplan"], check=False, capture_output=True, cwd=directory)
    assert found.returncode == 1
    return str(python)


@pytest.fixture
def described(tmp_path: Path, empty_python: str) -> Describe:
    """Write a module `pipe` and describe a pipeline of it, by default in a Python without stowplan."""

    def describe_it(
        text: str, source: str = "pipe:training", python: str = empty_python, **parameters: Any
    ) -> Mapping[str, Any]:
        (tmp_path / "pipe.py").write_text(text)
        environ = {"PATH": os.environ["PATH"], "STOWPLAN_PYTHON": python}
        return describe(tmp_path, source, COMMAND_LINE, environ=environ, **parameters)

    return describe_it


@pytest.fixture
def problem(described: Describe) -> Callable[..., Problem]:
    """The one problem of a description that fails."""

    def problem_of(*arguments: Any, **more: Any) -> Problem:
        with pytest.raises(ExecutorError) as raised:
            described(*arguments, **more)
        assert known_error(raised.value) is not None
        (found,) = raised.value.problems
        return found

    return problem_of


@pytest.mark.parametrize(("version", "python"), PYTHONS)
def test_every_python_describes_alike(version: str, python: str, described: Describe) -> None:
    found = described(GOOD, python=python)
    assert found == described(GOOD)
    assert version
    assert [each["name"] for each in found["steps"]] == ["load", "train"]
    assert found["steps"][1] == {
        "name": "train",
        "place": {"file": "pipe.py", "line": 15},
        "function": "pipe:train",
        "inputs": {"n": {"step": "load", "output": "output_0"}},
        "outputs": ["output"],
        "after": [],
        "step_operator": None,
        "settings": [
            {
                "settings": {"docker": {"apt_packages": ["git"]}},
                "place": {"file": "pipe.py", "line": 8},
                "how": "@step",
            }
        ],
    }


def test_a_python_that_has_stowplan_describes_alike(described: Describe) -> None:
    more = "from stowplan import Digest, make_plan\nassert Digest('0' * 64)\n"
    assert described(GOOD, python=sys.executable)["steps"] == described(GOOD)["steps"]
    steps = described(GOOD + more, python=sys.executable)["steps"]
    assert [each["name"] for each in steps] == ["load", "train"]


def test_a_name_that_only_an_installed_stowplan_has(problem: Callable[..., Problem]) -> None:
    found = problem("from stowplan import make_plan\n" + GOOD)
    assert found.where == Place(file="pipe.py", line=1)
    assert "ImportError: cannot import name 'make_plan' from 'stowplan'" in found.found


def test_nothing_is_left_in_the_project(described: Describe, tmp_path: Path) -> None:
    described(GOOD)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.py"]


def test_what_a_module_prints_and_reads_and_starts_is_not_the_answer(described: Describe) -> None:
    noise = (
        "import atexit, os, sys, subprocess, threading, time\n"
        "print('{\"version\": 1}'); sys.stdout.write('x'); os.write(1, b'y'); sys.stdout.flush()\n"
        "subprocess.run([sys.executable, '-c', 'print(1)'])\n"
        "assert sys.stdin.read() == ''\n"
        "assert len(sys.argv) == 1\n"
        "atexit.register(time.sleep, 600)\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
    )
    assert described(noise + GOOD)["name"] == "training"
    assert described("import os, sys\nsys.stdout = sys.stderr = None\nos.chdir('/')\n" + GOOD)["name"]


def test_what_a_module_starts_ends_with_it(described: Describe) -> None:
    """It has the pipes too, and as long as it has them, the answer has no end."""
    text = (
        "import os, subprocess, time\n"
        "if os.fork() == 0:\n"
        "    time.sleep(600)\n"
        "subprocess.Popen(['sleep', '600'])\n"
    )
    assert described(text + GOOD)["name"] == "training"


def test_a_copy_of_the_process_says_nothing(described: Describe) -> None:
    assert described("import os\nos.fork()\n" + GOOD)["name"] == "training"


def test_parameters_are_given(described: Describe) -> None:
    text = GOOD.replace("train(n)", "train(n=rate)")
    found = described(text, parameters={"rate": 0.7})
    assert found["steps"][1]["inputs"] == {"n": {"value": 0.7}}
    found = described(text, steps={"train": {"n": 3}})
    assert found["steps"][1]["inputs"] == {"n": {"value": 3}}


def test_modules_of_packages_and_classes_are_found(described: Describe, tmp_path: Path) -> None:
    (tmp_path / "team" / "jobs").mkdir(parents=True)
    (tmp_path / "team" / "jobs" / "daily.py").write_text(
        "from pipe import training\nclass A:\n    p = training\n"
    )
    found = described(GOOD, "team.jobs.daily:A.p")
    assert found["steps"][0]["function"] == "pipe:load"


MISSES: Final = {
    "pip3:training": ("there is no module 'pip3' in the project or in", "did you mean 'pipe'?"),
    "pipe.x:training": ("there is no module 'pipe.x' in the project", "did you mean 'pipe'?"),
    "pipe:trainin": ("pipe has no trainin", "did you mean 'training'?"),
    "pipe:train": (
        "pipe:train is a step, not a pipeline",
        "name a function that has the decorator @pipeline",
    ),
    "pipe:DockerSettings": ("pipe:DockerSettings is a type, not a pipeline", "name a function"),
    "json:training": ("json (/", "decorate a function of json with @pipeline"),
}


@pytest.mark.parametrize("source", MISSES)
def test_a_pipeline_that_is_not_there(source: str, problem: Callable[..., Problem]) -> None:
    found, fix = MISSES[source]
    told = problem(GOOD, source)
    assert told.where == COMMAND_LINE
    assert told.found.startswith(found)
    assert fix in told.fix
    assert told.code == "no-such-pipeline"


def test_a_miss_on_the_command_line_is_a_wrong_command_line(described: Describe) -> None:
    with pytest.raises(ExecutorError) as raised:
        described(GOOD, "pipe:x")
    assert raised.value.failure is Failure.USAGE


def test_a_module_that_shadows_the_standard_library(
    problem: Callable[..., Problem], described: Describe, tmp_path: Path
) -> None:
    for name in ("json", "linecache", "tokenize", "types", "typing", "traceback", "inspect", "random"):
        (tmp_path / f"{name}.py").write_text(GOOD)
    # Python has loaded it long before.
    told = problem(GOOD, "json:training")
    assert told.found.endswith("json/__init__.py, not json.py of the project")
    assert told.fix == "give json.py another name"
    told = problem(f"1 / 0\n{GOOD}")
    assert (str(told.where), told.fix.split("\n")[0]) == ("pipe.py:1", "pipe.py:1: 1 / 0")
    # One that Python loads later is the project's, as when Python runs a script of it.
    assert described(GOOD, "random:training")["steps"][0]["function"] == "random:load"


def test_a_python_that_is_too_old(problem: Callable[..., Problem]) -> None:
    kept = sorted((Path.home() / ".pyenv/versions").glob("2.7*/bin/python"))
    places = [*kept, shutil.which("python2.7")]
    old = next(filter(None, places), None)
    if old is None:
        pytest.skip("there is no old Python here")
    told = problem(GOOD, python=str(old))
    assert told.found == f"{old} is too old to describe a pipeline"
    assert told.fix == "name a Python of 3.8 or newer with --python"


@pytest.mark.parametrize("program", ["true", "false", "cat"])
def test_a_program_that_is_no_python(program: str, problem: Callable[..., Problem]) -> None:
    assert "while it imported pipe" in problem(GOOD, python=program).found


def raised_in(problem: Problem) -> tuple[str, str]:
    return str(problem.where), problem.found


def test_what_a_module_raises_is_shown_with_its_own_lines(
    problem: Callable[..., Problem], tmp_path: Path
) -> None:
    (tmp_path / "helper.py").write_text("def read():\n    return {}['key']\n")
    told = problem("import helper\nimport os\n\nrows = helper.read()\n" + GOOD)
    assert raised_in(told) == ("helper.py:2", "KeyError: 'key', while describing pipe:training")
    assert told.fix.split("\n")[:2] == [
        "pipe.py:4: rows = helper.read()",
        "helper.py:2: return {}['key'] in read",
    ]


def test_a_module_that_another_wants(problem: Callable[..., Problem], empty_python: str) -> None:
    told = problem("import pandas\n" + GOOD)
    assert raised_in(told)[0] == "pipe.py:1"
    assert "No module named 'pandas'" in told.found
    assert f"install it for {empty_python}, or name another Python with --python" in told.fix


def test_a_circular_import(problem: Callable[..., Problem], tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text("from pipe import training\n")
    told = problem("from steps import nothing\n" + GOOD)
    assert raised_in(told)[0] == "steps.py:1"
    assert "partially initialized module 'pipe'" in told.found


def test_a_syntax_error(problem: Callable[..., Problem]) -> None:
    told = problem(GOOD + "\n\ndef x(:\n")
    assert raised_in(told)[0] == "pipe.py:18"
    assert told.found.startswith("SyntaxError: invalid syntax")


@pytest.mark.parametrize(
    ("end", "found"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit('that is all')", "SystemExit: that is all"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(BaseException):\n    def __str__(self): raise self\nraise E", "E"),
    ],
)
def test_a_module_that_ends_python(end: str, found: str, problem: Callable[..., Problem]) -> None:
    told = problem(f"{end}\n{GOOD}")
    assert told.found == f"{found}, while describing pipe:training"
    if found.startswith("SystemExit"):
        assert told.fix.endswith('put what is not to run then under if __name__ == "__main__":')


@pytest.mark.parametrize(
    ("end", "how"), [("os._exit(7)", "exit code 7"), ("os.kill(os.getpid(), 9)", "signal 9")]
)
def test_a_module_that_ends_the_process(end: str, how: str, problem: Callable[..., Problem]) -> None:
    told = problem(f"import os, sys\nprint('on my way', file=sys.stderr, flush=True)\n{end}\n{GOOD}")
    assert f"ended with {how} while it imported pipe" in told.found
    assert "on my way" in told.fix


def test_a_module_that_does_not_end(problem: Callable[..., Problem], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DESCRIBE_SECONDS", 2.0)
    text = "def wait():\n    while True:\n        try: pass\n        except BaseException: pass\nwait()\n"
    told = problem(text + GOOD)
    assert told.found == "pipe is not imported within 2 s"
    assert told.where.file == "pipe.py"
    assert told.where.line is not None
    assert 2 <= told.where.line <= 4
    assert told.fix.startswith("pipe.py:5: wait()\npipe.py:")


def test_a_module_that_does_not_end_when_asked(
    problem: Callable[..., Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DESCRIBE_SECONDS", 2.0)
    monkeypatch.setattr(limits, "ENDING_SECONDS", 0.1)
    # Where no other thread of Python runs, nobody can say where it hangs.
    text = "import signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsys.setswitchinterval(1e6)\n"
    told = problem(text + "while True: pass\n" + GOOD)
    assert (told.where, told.found) == (COMMAND_LINE, "pipe is not imported within 2 s")


def test_what_a_pipeline_says_wrong_is_placed_in_its_file(problem: Callable[..., Problem]) -> None:
    told = problem(GOOD.replace("train(n)", "train(n + 1)"))
    assert raised_in(told) == (
        "pipe.py:15",
        "the output output_0 of load is calculated with, and is known only when the pipeline runs",
    )


def test_what_a_pipeline_raises_is_shown_with_its_lines(problem: Callable[..., Problem]) -> None:
    told = problem(GOOD.replace("train(n)", "train(1 / 0)"))
    assert raised_in(told)[0] == "pipe.py:15"
    assert told.found.startswith("ZeroDivisionError")


def test_nothing_in_the_file_of_the_bootstrap_is_in_the_way_of_a_module(
    described: Describe, tmp_path: Path
) -> None:
    """Not even where the user has modules of the names that ours have."""
    for name in ("decorators", "trace", "describe", "_stowplan", "executor", "planner", "recorders"):
        (tmp_path / f"{name}.py").write_text(f"MINE = {name!r}\n")
    text = "import decorators, trace, describe, executor, planner, recorders\nassert executor.MINE\n"
    assert described(text + GOOD)["name"] == "training"
    assert b"_stowplan/describe.py" in bootstrap()


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("training()", "a pipeline is called while its module is imported: it would run"),
        ("train(1)", "step train is called while a module is imported: it would run"),
        ("training.run()", "training.run() is called while its module is imported"),
        ("training.build(stack='x')", "training.build() is called while its module is imported"),
    ],
)
def test_nothing_runs_because_a_module_is_imported(
    call: str, found: str, problem: Callable[..., Problem], described: Describe
) -> None:
    told = problem(f"{GOOD}\n{call}\n")
    assert raised_in(told) == ("pipe.py:17", found)
    assert told.fix == 'put it under if __name__ == "__main__":'
    assert described(f'{GOOD}\nif __name__ == "__main__":\n    {call}\n')["name"] == "training"
