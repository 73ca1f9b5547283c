"""Runs in the active environment: no engine is needed, and nothing is built."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import Project, Ran

STEPS = """
    import os
    import pathlib
    import sys
    import time


    def load():
        print("loading")
        return 20


    def train(n, more):
        print("training on", n, file=sys.stderr)
        pathlib.Path("trained").open("a").write("x")
        return n + more


    def show(n):
        if pathlib.Path("broken").exists():
            raise ValueError(f"cannot show {n}")
        print("the answer is", n)
"""
PIPELINE = """
    [pipeline.training]
    steps = ["load", "train", "show", "report"]
    [pipeline.training.step.load]
    function = "pipe:load"
    [pipeline.training.step.train]
    function = "pipe:train"
    inputs = { n = "load", more = 22 }
    [pipeline.training.step.show]
    function = "pipe:show"
    inputs = { n = "train" }
    [pipeline.training.step.report]
    command = "echo reported; echo to stderr >&2"
    after = []
"""


@pytest.fixture
def training(project: Project) -> Project:
    """Three functions, each of which takes what the one before it has made, and a command beside them."""
    project.write({"stowplan.toml": PIPELINE, "pipe.py": STEPS})
    project.env["STOWPLAN_PYTHON"] = sys.executable
    # Whoever asks for an engine here is refused.
    project.env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    project.env["STOWPLAN_CONTAINER_ENGINE"] = "docker"
    return project


def statuses(ran: Ran) -> dict[str, str]:
    """How each step ended."""
    return {step["step"]: step["status"] for step in ran.data["steps"]}


def step(ran: Ran, name: str) -> Any:
    """One step of what it printed as JSON."""
    return next(each for each in ran.data["steps"] if each["step"] == name)


def test_a_pipeline_without_image_settings_runs_in_the_active_environment(training: Project) -> None:
    ran = training.ok("run", "training")
    assert "[show] the answer is 42" in ran.err.splitlines()
    assert "[train] training on 20" in ran.err.splitlines()
    assert "[report] to stderr" in ran.err.splitlines()
    assert ran.out.splitlines()[-1].split(":")[1].startswith(" 4 succeeded, 0 failed")
    assert not (training.root / "stowplan.lock").exists()


def test_what_is_recorded_of_a_run(training: Project) -> None:
    ran = training.ok("run", "training", "-o", "json")
    run = ran.data["run"]
    assert (ran.data["status"], ran.data["engine"]) == ("succeeded", "local")
    (output,) = step(ran, "train")["outputs"]
    assert (output["name"], output["type"], output["object"]) == ("output", "int", f"runs/{run}/train/output")
    assert (training.root / ".stowplan/artifacts" / output["object"]).stat().st_size == output["bytes"]
    log = training.root / step(ran, "report")["log"]
    assert sorted(log.read_text().splitlines()) == ["reported", "to stderr"]
    (listed,) = training.ok("runs", "list", "-o", "json").data["runs"]
    (shown,) = training.ok("runs", "show", run, "-o", "json").data["runs"]
    assert listed == shown
    assert {each["step"]: each["outputs"] for each in shown["steps"]} == {
        each["step"]: each["outputs"] for each in ran.data["steps"]
    }
    assert run in training.ok("runs", "list").out
    assert f"runs/{run}/train/output" in training.ok("runs", "show", run).out
    assert training.ok("runs", "show").out == training.ok("runs", "show", run).out
    assert training.run("runs", "show", "none").code == 64
    assert list((training.root / ".stowplan/tmp").iterdir()) == []


def test_where_nothing_ran_no_run_can_be_shown(training: Project) -> None:
    ran = training.run("runs", "show")
    assert (ran.code, ran.err) == (
        64,
        "error: command line: nothing ran yet\n       run a pipeline with `stowplan run`\n",
    )


def test_a_failure_stops_what_comes_after_it_and_nothing_else(training: Project) -> None:
    training.write({"pipe.py": STEPS.replace("return n + more", "raise KeyError(n)")})
    ran = training.run("run", "training", "-o", "json")
    assert ran.code == 1
    assert statuses(ran) == {
        "load": "succeeded", "train": "failed", "show": "skipped", "report": "succeeded",
    }  # fmt: skip
    (problem,) = step(ran, "train")["error"]
    assert problem["found"] == "KeyError: 20"
    assert problem["fix"] == f"see {step(ran, 'train')['log']}"
    assert (
        step(ran, "train")["traceback"].splitlines()[1].startswith(f'  File "{training.root}/pipe.py", line')
    )


def test_the_traceback_comes_last(training: Project) -> None:
    training.write({"broken": ""})
    ran = training.run("run", "training")
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert lines[-1] == "ValueError: cannot show 42"
    begin = lines.index("error: show: ValueError: cannot show 42")
    assert not any(line.startswith("[") for line in lines[begin:])
    assert "failed" in ran.out


@pytest.mark.parametrize("mended", [True, False])
def test_rerun_failed_keeps_what_had_finished(training: Project, mended: bool) -> None:
    training.write({"broken": ""})
    first = training.run("run", "training", "-o", "json")
    if mended:
        (training.root / "broken").unlink()
    # The code of what had finished may change: it is mended because something failed.
    training.write({"pipe.py": STEPS.replace('print("loading")', "raise ValueError")})
    again = training.run("run", "training", "--rerun-failed", "-o", "json")
    assert again.code == (0 if mended else 1)
    assert again.data["run"] == first.data["run"]
    assert [each["kept"] for each in again.data["steps"]] == [True, True, False, True]
    assert step(again, "train")["outputs"] == step(first, "train")["outputs"]
    assert (training.root / "trained").read_text() == "x"
    (record,) = training.ok("runs", "list", "-o", "json").data["runs"]
    assert record["status"] == ("succeeded" if mended else "failed")


def test_rerun_failed_runs_again_what_is_to_do_something_else(training: Project) -> None:
    training.write({"broken": ""})
    training.run("run", "training")
    training.write({"stowplan.toml": PIPELINE.replace("more = 22", "more = 23")})
    (training.root / "broken").unlink()
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert [each["kept"] for each in ran.data["steps"]] == [True, False, False, True]
    assert "note: train runs again: what it runs, or what it takes, is not what it was" in ran.err
    assert "[show] the answer is 43" in ran.err


@pytest.mark.parametrize("damage", ["gone", "other"])
def test_rerun_failed_takes_no_output_that_is_not_what_it_was(training: Project, damage: str) -> None:
    training.write({"broken": ""})
    first = training.run("run", "training", "-o", "json")
    (training.root / "broken").unlink()
    (output,) = step(first, "train")["outputs"]
    path = training.root / ".stowplan/artifacts" / output["object"]
    path.unlink()
    if damage == "other":
        path.write_text("43")
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert [each["kept"] for each in ran.data["steps"]] == [True, False, False, True]
    assert "note: train runs again: its output output" in ran.err
    assert "[show] the answer is 42" in ran.err


def test_rerun_failed_without_an_earlier_run_runs_all(training: Project) -> None:
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert not any(each["kept"] for each in ran.data["steps"])
    assert "note: there is no earlier run of training on default: all steps run" in ran.err


def test_steps_that_do_not_depend_on_each_other_run_side_by_side(project: Project) -> None:
    """Each waits until the other has begun: one after the other would never end."""
    wait = "mkfifo {0} 2>/dev/null; echo begun > {0} & read line < {1}; wait"
    project.write(
        {
            "stowplan.toml": f"""
                [pipeline.p]
                steps = ["make", "a", "b"]
                [pipeline.p.step.make]
                command = "mkfifo x y"
                [pipeline.p.step.a]
                command = "{wait.format("x", "y")}"
                after = ["make"]
                [pipeline.p.step.b]
                command = "{wait.format("y", "x")}"
                after = ["make"]
                """
        }
    )
    assert set(statuses(project.ok("run", "p", "-o", "json")).values()) == {"succeeded"}


def test_a_step_that_does_not_say_what_it_runs(project: Project) -> None:
    project.write({"stowplan.toml": '[pipeline.p]\nsteps = ["a", "b"]\n[pipeline.p.step.b]\nafter = ["a"]\n'})
    ran = project.run("run", "p", "-o", "json")
    assert ran.code == 1
    assert [(each["code"], each["file"]) for each in ran.data["problems"]] == [
        ("no-entrypoint", "stowplan.toml")
    ] * 2
    assert ran.data["problems"][1]["line"] == 4


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("exit 7", "ended with exit code 7"),
        ("no-such-program-anywhere", "ended with exit code 127: there is no such program"),
        ("kill -9 $$", "was killed (SIGKILL): if nobody did that, memory ran out"),
        ("kill -SEGV $$", "was ended by SIGSEGV (exit code 139)"),
    ],
)
def test_how_commands_fail(project: Project, command: str, found: str) -> None:
    project.write(
        {"stowplan.toml": f'[pipeline.p]\nsteps = ["a"]\n[pipeline.p.step.a]\ncommand = "{command}"\n'}
    )
    ran = project.run("run", "p", "-o", "json")
    assert ran.code == 1
    assert step(ran, "a")["error"][0]["found"] == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("os._exit(0)", "ended without a result: it ended Python by itself"),
        ("os._exit(3)", "ended with exit code 3"),
        ("raise SystemExit(0)", "the step ended Python (SystemExit: 0)"),
        ("os.kill(os.getpid(), 9)", "was killed (SIGKILL): if nobody did that, memory ran out"),
    ],
)
def test_how_functions_fail(training: Project, body: str, found: str) -> None:
    training.write({"pipe.py": STEPS.replace('print("loading")', body)})
    ran = training.run("run", "training", "-o", "json")
    assert ran.code == 1
    assert step(ran, "load")["error"][0]["found"] == found


@pytest.mark.parametrize(
    "body",
    [
        # A result that names another file, a link in its place, another file than it says, and no result.
        "r.write_text(json.dumps({**fine, 'outputs': {'output': {**out, 'file': '/etc/passwd'}}}))",
        "o.unlink(missing_ok=True); o.symlink_to('/etc/passwd'); r.write_text(json.dumps(fine))",
        "o.write_text('other'); r.write_text(json.dumps(fine))",
        "r.symlink_to('/etc/passwd')",
        "r.write_text('[')",
        "r.write_text('{}')",
        "os.mkfifo(o); r.write_text(json.dumps(fine))",
        "x.rename(e / 'y'); x.symlink_to(e / 'y'); o.write_text('1'); r.write_text(json.dumps(fine))",
    ],
)
def test_what_a_step_leaves_is_data_of_somebody_else(training: Project, body: str) -> None:
    """Nothing that it says leads to a file that it did not write."""
    hostile = f"""
    import hashlib, json, os, pathlib, sys

    def load():
        e = pathlib.Path(sys.argv[-1])
        x = e / "outputs"
        o, r = x / "output", e / "result.json"
        digest = hashlib.sha256(b"1").hexdigest()
        out = {{"file": "outputs/output", "serializer": "json", "type": "int", "sha256": digest, "bytes": 1}}
        fine = {{"version": 1, "outputs": {{"output": out}}, "notes": [], "error": None}}
        {body}
        os._exit(0)
    """
    training.write({"pipe.py": hostile})
    ran = training.run("run", "training", "-o", "json")
    assert ran.code == 1
    assert step(ran, "load")["error"][0]["code"] == "result-invalid"
    assert not (training.root / ".stowplan/artifacts").exists()


def test_steps_may_have_any_name(project: Project) -> None:
    """Those of files that a run has beside what steps are given, too."""
    names = ["owner", "kept", "exchanges", "code.tar.gz", "inputs"]
    tables = "".join(f'[pipeline.p.step."{name}"]\nfunction = "pipe:f"\n' for name in names)
    project.write({"stowplan.toml": f"[pipeline.p]\nsteps = {json.dumps(names)}\n{tables}"})
    project.write({"pipe.py": "def f(): return 1\n"})
    ran = project.ok("run", "p", "-o", "json", env={"STOWPLAN_PYTHON": sys.executable})
    assert set(statuses(ran).values()) == {"succeeded"}


def test_outputs_that_cannot_be_kept(training: Project) -> None:
    """The step that made them fails, and says which file cannot be written, and why."""
    (training.root / ".stowplan").mkdir()
    (training.root / ".stowplan/artifacts").write_text("no directory")
    ran = training.run("run", "training", "-o", "json")
    assert ran.code == 1
    assert statuses(ran) == {
        "load": "failed", "train": "skipped", "show": "skipped", "report": "succeeded",
    }  # fmt: skip
    (problem,) = step(ran, "load")["error"]
    assert problem["file"].startswith(str(training.root / ".stowplan/artifacts"))
    assert "cannot be written" in problem["found"]


def test_a_log_that_cannot_be_kept_is_a_note(training: Project) -> None:
    (training.root / ".stowplan").mkdir()
    (training.root / ".stowplan/logs").write_text("no directory")
    ran = training.ok("run", "training", "-o", "json")
    assert {each["log"] for each in ran.data["steps"]} == {None}
    assert all("logs" in each["notes"][0] for each in ran.data["steps"])
    assert "[show] the answer is 42" in ran.err.splitlines()


def test_a_run_that_cannot_be_recorded_stops(training: Project) -> None:
    """What is not recorded is not gone on from."""
    body = "db = pathlib.Path('.stowplan/records.sqlite3'); db.unlink(); db.mkdir()"
    training.write({"pipe.py": STEPS.replace('print("loading")', body)})
    ran = training.run("run", "training", "-o", "json")
    assert ran.code == 1
    assert "is not a regular file" in ran.data["problems"][0]["found"]
    assert "[train] started" not in ran.err


def test_secrets_are_hidden_in_what_steps_write(project: Project) -> None:
    project.write(
        {
            "stowplan.toml": """
                [secret.token]
                env = "STOWPLAN_TEST_TOKEN"
                [pipeline.p]
                steps = ["a", "b"]
                [pipeline.p.step.a]
                command = "echo my $STOWPLAN_TEST_TOKEN"
                [pipeline.p.step.b]
                function = "pipe:fail"
                """,
            "pipe.py": "import os\ndef fail(): raise ValueError(os.environ['STOWPLAN_TEST_TOKEN'])\n",
        }
    )
    env = {"STOWPLAN_TEST_TOKEN": "hunter22-planted", "STOWPLAN_PYTHON": sys.executable}
    ran = project.run("run", "p", env=env)
    assert "[a] my ***" in ran.err
    assert "ValueError: ***" in ran.err.splitlines()[-1]
    told = ran.out + ran.err + project.ok("runs", "list", "-o", "json").out
    kept = b"".join(project.state().values())
    assert ("hunter22" in told, b"hunter22" in kept) == (False, False)


def test_what_steps_write_is_shown_and_not_obeyed(project: Project) -> None:
    command = r"printf '\\033]0;title\\007 \\033[31mred\\n'"
    project.write(
        {"stowplan.toml": f'[pipeline.p]\nsteps = ["a"]\n[pipeline.p.step.a]\ncommand = "{command}"\n'}
    )
    ran = project.ok("run", "p")
    assert "\x1b" not in ran.err
    assert r"[a] \x1b]0;title\x07 \x1b[31mred" in ran.err.splitlines()


def wait_for(path: Path, process: Any) -> None:
    """Wait until a file is there, which a step makes when it has begun."""
    while not path.exists():
        assert process.is_alive(), "it ended before its step had begun"
        process.join(0.05)


def on_terminal(project: Project, *argv: str) -> str:
    """What a terminal of 100 columns gets on standard error."""
    ours, theirs = pty.openpty()
    environ = {**project.environment({"TERM": "xterm", "COLUMNS": "100"})}
    del environ["NO_COLOR"]
    process = subprocess.Popen(
        [*project.command(*argv)],
        cwd=project.root,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    told = b""
    # Linux: reading fails when the other end is closed.
    with contextlib.suppress(OSError):
        while data := os.read(ours, 1 << 16):
            told += data
    os.close(ours)
    assert process.wait(60) == 0
    return told.decode()


def test_on_a_terminal(training: Project) -> None:
    """Each line has the name of its step in the colour of the step, and each step a line of its own."""
    hostile = PIPELINE.replace("echo reported;", r"printf '\\033]0;title\\007[bold]red[/]\\n'; sleep 0.5;")
    training.write({"stowplan.toml": hostile})
    told = on_terminal(training, "run", "training")
    assert "\x1b[36m[load] \x1b[0mloading\r\n" in told
    assert "\x1b[35m[train] \x1b[0mtraining on 20\r\n" in told
    assert r"\x1b]0;title\x07[bold]red[/]" in told
    assert "\x1b]0;" not in told
    for word in ("waiting", "running", "succeeded"):
        assert word in told


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_stops_steps_and_says_how_to_go_on(
    training: Project, tmp_path: Path, number: signal.Signals
) -> None:
    slow = STEPS.replace("return n + more", "pathlib.Path('begun').touch(); time.sleep(600)")
    training.write({"pipe.py": slow})
    with (tmp_path / "out").open("w+") as out, (tmp_path / "err").open("w+") as err:
        process = training.start("run", "training", "-o", "json", out=out.fileno(), err=err.fileno())
        wait_for(training.root / "begun", process)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(60)
        out.seek(0)
        err.seek(0)
        data = json.load(out)
        said = err.read()
    assert process.exitcode == 130
    assert "what had finished is kept, go on with `stowplan run training --rerun-failed`" in said
    found = {each["step"]: each["status"] for each in data["steps"]}
    assert found == {"load": "succeeded", "train": "interrupted", "show": "skipped", "report": "succeeded"}
    training.write({"pipe.py": STEPS})
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert [each["kept"] for each in ran.data["steps"]] == [True, False, False, True]


def test_a_run_that_was_killed_goes_on(training: Project, tmp_path: Path) -> None:
    """What it had finished is kept, and what it had begun, and still goes on, is ended first."""
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path('begun').write_text(str(os.getpid()))"
    slow = STEPS.replace("return n + more", f"import signal; {deaf}; time.sleep(600)")
    training.write({"pipe.py": slow})
    with (tmp_path / "out").open("w+") as out:
        process = training.start("run", "training", out=out.fileno(), err=out.fileno())
        wait_for(training.root / "begun", process)
        (other,) = training.ok("runs", "list", "-o", "json").data["runs"]
        assert other["status"] == "running"
        busy = training.run("run", "training", "--rerun-failed")
        assert (busy.code, "still goes on" in busy.err) == (75, True)
        process.kill()
        process.join()
    (lost,) = training.ok("runs", "list", "-o", "json").data["runs"]
    assert lost["status"] == "interrupted"
    training.write({"pipe.py": STEPS})
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert [each["kept"] for each in ran.data["steps"]] == [True, False, False, True]
    assert not alive(int((training.root / "begun").read_text()))
    assert list((training.root / ".stowplan/tmp").iterdir()) == []
