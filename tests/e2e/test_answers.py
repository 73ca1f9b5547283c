"""What a user's machine can do to the command line: streams that are closed or full, Ctrl-C, a home that is
not there. The answer is words and an exit code, and never a traceback.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys

import pytest

from tests.e2e.command import PINNED, Project

GOOD = f"""
[pipeline.training]
steps = ["load", "train"]
settings.docker = {{ parent_image = "{PINNED}", environment = {{ GREETING = "\U0001f6a2 日本" }} }}
"""
FULL = "standard output: cannot be written: No space left on device"
CLOSED = "standard output: cannot be written: Bad file descriptor"


def shell(project: Project, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line in which `stowplan` is the command line, started as its console script starts it."""
    start = "import sys; sys.argv[0] = 'stowplan'; from executor.cli.start import main; main()"
    words = f"{shlex.quote(sys.executable)} -c {shlex.quote(start)}"
    return subprocess.run(
        ["bash", "-c", line.replace("stowplan ", f"{words} ")],
        cwd=project.root,
        env=project.environment(env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=120,
    )


def python(project: Project, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that begins the command line itself."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


STREAMS = {
    "full": ("stowplan plan > /dev/full", 74, FULL),
    "closed": ("stowplan plan >&-", 74, CLOSED),
    "closed, with changes": ("stowplan plan --detailed-exitcode >&-", 74, CLOSED),
    "full help": ("stowplan --help > /dev/full", 74, FULL),
    "full version": ("stowplan --version > /dev/full", 74, FULL),
    "full and failed": ("stowplan plan -o json --stack nothing > /dev/full", 64, FULL),
    "reader that is gone": ("stowplan plan | true; exit ${PIPESTATUS[0]}", 0, ""),
    "errors that are full": ("stowplan plan --stack nothing 2> /dev/full", 64, ""),
    "errors that are closed": ("stowplan plan --stack nothing 2>&-", 64, ""),
    "all closed": ("stowplan plan <&- >&- 2>&-", 74, ""),
    "all full": ("stowplan plan > /dev/full 2>&1", 74, ""),
    "no input": ("stowplan plan <&-", 0, ""),
}


@pytest.mark.parametrize(("line", "code", "words"), STREAMS.values(), ids=STREAMS.keys())
def test_streams_that_cannot_be_written(project: Project, line: str, code: int, words: str) -> None:
    project.write({"stowplan.toml": GOOD})
    ran = shell(project, line)
    assert ran.returncode == code
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_what_is_done_without_any_stream_is_done_well(project: Project) -> None:
    """No file of ours gets the number that a stream leaves free: words would end up in it."""
    project.write({"stowplan.toml": GOOD})
    assert shell(project, "stowplan lock <&- >&- 2>&-").returncode == 74
    assert shell(project, "stowplan lock --check").returncode == 0
    assert shell(project, "stowplan builds list <&- >&- 2>&-").returncode == 74
    assert shell(project, "stowplan plan <&- >&- 2>&-").returncode == 74
    assert project.ok("plan", "--locked").err.count("Traceback") == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-16"])
@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_terminals_that_have_few_characters(project: Project, encoding: str, form: str) -> None:
    project.write({"stowplan.toml": GOOD, "dépôt/日本.py": "", "\U0001f6a2.py": ""})
    for line in (
        f"stowplan plan -o {form}",
        "stowplan show train --context",
        "stowplan show train --dockerfile",
    ):
        ran = shell(project, line, PYTHONIOENCODING=encoding)
        assert ran.returncode == 0, ran.stderr
        assert "Traceback" not in ran.stderr
    if form == "json" and encoding != "utf-16":
        ran = shell(project, "stowplan show train -o json", PYTHONIOENCODING=encoding)
        assert json.loads(ran.stdout)["name"] == "training"
    ran = shell(project, "stowplan plan nöne", PYTHONIOENCODING=encoding)
    assert ran.returncode == 64


INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIG{signal})

sys.meta_path.insert(0, Interrupting())
sys.argv = ["stowplan", "plan"]
from executor.cli.start import main
main()
"""


@pytest.mark.parametrize("signal", ["INT", "TERM"])
@pytest.mark.parametrize(
    "name", ["executor.cli.main", "click", "executor.cli.group", "planner.errors", "planner.stack", "tomllib"]
)
def test_ctrl_c_while_the_command_is_being_imported(project: Project, name: str, signal: str) -> None:
    project.write({"stowplan.toml": GOOD})
    ran = python(project, INTERRUPTED.format(name=name, signal=signal))
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "interrupted\n")


def test_ctrl_c_while_the_process_ends(project: Project) -> None:
    """Whoever interrupts a command that is done gets its result, and no words of Python's."""
    program = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['stowplan', 'plan']\n"
        "from executor.cli.start import main\n"
        "main()\n"
    )
    project.write({"stowplan.toml": GOOD})
    ran = python(project, program)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Plan: " in ran.stdout


def test_a_terminal_that_goes_away(project: Project) -> None:
    project.write({"stowplan.toml": GOOD})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*project.command("plan")],
        cwd=project.root,
        env=project.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.close(ours)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 74
    assert err.startswith("error: standard output: cannot be written: Input/output error")


def test_the_working_directory_is_gone(project: Project) -> None:
    project.write({"stowplan.toml": GOOD})
    for command in ("plan", "builds list", "plan --project .", "diff a.lock"):
        ran = shell(project, f"mkdir gone && cd gone && rmdir ../gone && stowplan {command}")
        assert ran.returncode in {1, 64}, command
        assert ran.stderr.startswith("error: "), command
        assert "Traceback" not in ran.stderr


UNLOADABLE = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name == "executor.cli.main":
            raise OSError(24, "Too many open files")

sys.meta_path.insert(0, Missing())
from executor.cli.start import main
main()
"""


def test_a_command_line_that_cannot_be_loaded(project: Project) -> None:
    ran = python(project, UNLOADABLE)
    assert ran.returncode == 70
    assert ran.stderr.startswith("error: stowplan cannot be loaded (OSError)\n")


@pytest.mark.parametrize("limit", ["-n 6", "-f 0"])
def test_a_process_that_may_have_little(project: Project, limit: str) -> None:
    project.write({"stowplan.toml": GOOD})
    for command in ("plan", "lock", "builds list"):
        ran = shell(project, f"ulimit {limit}; stowplan {command}")
        assert ran.returncode in {0, 1}, ran.stderr
        assert "Traceback" not in ran.stderr
        assert ran.returncode == 0 or ran.stderr.startswith("error: "), ran.stderr
