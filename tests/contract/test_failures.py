"""What goes wrong is said in full, holds no secret, and leaves nothing that looks like an image."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from executor.context import context
from executor.engines.protocol import BuildJob, Engine
from executor.errors import BuildFailed, ExecutorError, FilesChanged
from executor.process import Command, run
from planner import BuildOptions
from planner.errors import Problem
from tests.contract.conftest import ENGINES
from tests.contract.images import EMPTY_CONTEXT, TEST_BASE, build, eventually, job, planned, quiet, told

ROOT = Path(__file__).parents[2]
# It takes longer than any test, and no other process sleeps for just so long.
SLEEP = f"sleep {100_000 + os.getpid()}"
# What the log shows once the command runs, and not before: the quotes are gone then.
WAITING = f"RUN echo 'up and 'running && {SLEEP}"


def failure(engine: Engine, made: BuildJob, lines: list[str] | None = None) -> Problem:
    """The one problem of a build that fails, after which there is no image."""
    with pytest.raises(BuildFailed) as caught:
        engine.build(made, quiet if lines is None else lines.append)
    assert engine.inspect(made.tag) is None
    (problem,) = caught.value.problems
    return problem


def test_a_failing_command(engine: Engine, tag: str) -> None:
    text = (
        f"# a comment\nFROM {TEST_BASE}\nENV A=1\n\n"
        "RUN for i in $(seq 40); do echo line $i; done && \\\n    # why not\n    exit 7\nENV B=2\n"
    )
    lines: list[str] = []
    problem = failure(engine, BuildJob(tag, text, EMPTY_CONTEXT), lines)
    assert problem.where.file == f"Dockerfile of {tag}"
    assert problem.where.line == 5
    assert "RUN for i in" in problem.found
    assert "exit code 7" in problem.found
    assert "line 40" in problem.fix
    assert "line 30" in problem.fix
    assert "line 20" not in problem.fix
    assert not any(line.startswith("Successfully") or "naming to" in line for line in lines)
    assert any("line 1" in line for line in lines)


def test_a_failing_command_of_a_plan(engine: Engine, tag: str, tmp_path: Path) -> None:
    settings = {"local_project_install_command": "echo cannot; exit 3"}
    problem = failure(engine, job(planned(tmp_path, settings), tmp_path, tag))
    assert "echo cannot; exit 3" in problem.found
    assert problem.fix.endswith("cannot") or "cannot\n" in problem.fix


def test_a_requirement_that_does_not_exist(engine: Engine, tag: str, tmp_path: Path) -> None:
    settings = {"requirements": ["six==0.0.0.dev999"]}
    problem = failure(engine, job(planned(tmp_path, settings), tmp_path, tag))
    assert "RUN python=" in problem.found
    assert "six==0.0.0.dev999" in problem.fix


def test_a_missing_parent(engine: Engine, tag: str, registry: str) -> None:
    made = BuildJob(tag, f"FROM {registry}/stowplan-test/nothing:1\nENV A=1\n", EMPTY_CONTEXT)
    problem = failure(engine, made)
    assert "stowplan-test/nothing" in problem.found
    assert problem.where.line in (None, 1)


def test_a_dockerfile_that_is_none(engine: Engine, tag: str) -> None:
    problem = failure(engine, BuildJob(tag, f"FROM {TEST_BASE}\nSAIL away\n", EMPTY_CONTEXT))
    assert "SAIL" in problem.found.upper()


def test_a_user_that_the_parent_does_not_have(engine: Engine, tag: str, tmp_path: Path) -> None:
    problem = failure(engine, job(planned(tmp_path, {"user": "captain"}), tmp_path, tag))
    assert "captain" in problem.found + problem.fix


def test_an_option_that_the_builder_does_not_have(engine: Engine, tag: str) -> None:
    options = BuildOptions.decode({"use_config_proxy": False, "no_cache_filter": "x", "jobs": 2})
    with pytest.raises(ExecutorError, match=r"has no (jobs|use_config_proxy)") as caught:
        engine.build(BuildJob(tag, f"FROM {TEST_BASE}\n", EMPTY_CONTEXT, options), quiet)
    assert len(caught.value.problems) == 2
    assert engine.inspect(tag) is None


@pytest.mark.parametrize("secret", ["hunter22", 'it\'s "a" $ecret\\', "  spaces  ", "p%40ss w\u00f6rd+/="])
def test_secrets_are_shown_nowhere(
    engine: Engine, tag: str, tmp_path: Path, secret: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even by commands that print them, one after the other, before they fail."""
    script = (
        "import os, json, shlex, sys, urllib.parse as u; s = os.environ['TOKEN']; "
        "print(s); print(json.dumps(s)); print(repr(s)); print(u.quote(s)); print(u.quote_plus(s)); "
        "print('https://user:' + s + '@example.com', file=sys.stderr)"
    )
    settings = {
        "environment": {"TOKEN": "${TOKEN}"},
        "local_project_install_command": f'python -c "{script}"; env; echo "<$TOKEN>"; exit 1',
    }
    made = job(planned(tmp_path, settings, {"TOKEN": secret}), tmp_path, tag, {"TOKEN": secret})
    lines: list[str] = []
    with pytest.raises(BuildFailed) as caught:
        engine.build(made, lines.append)
    seen = [*lines, *traceback.format_exception(caught.value), repr(caught.value), repr(made)]
    assert secret.strip() not in "\n".join(seen)
    assert any("<***>" in line or "< *** >" in line or "<  ***  >" in line for line in lines)
    captured = capfd.readouterr()
    assert secret.strip() not in captured.out + captured.err


def test_secrets_are_in_no_command_line(engine: Engine, tag: str, tmp_path: Path) -> None:
    secret = "planted-6f1c"
    settings = {"environment": {"TOKEN": "${TOKEN}"}, "local_project_install_command": "echo here"}
    made = job(planned(tmp_path, settings, {"TOKEN": secret}), tmp_path, tag, {"TOKEN": secret})
    seen: list[str] = []

    def look(_: str) -> None:
        seen.extend(command_lines())

    engine.build(made, look)
    assert seen
    assert not any(secret in line for line in seen)


def command_lines() -> Iterator[str]:
    """The command line of every process that this one may see."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue


def test_files_that_changed_since_the_plan(engine: Engine, tag: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "zz.py").write_text("print(1)\n")
    image = planned(tmp_path)
    (tmp_path / "train.py").write_text("print(2)\n")
    (tmp_path / "zz.py").unlink()
    with pytest.raises(FilesChanged) as caught:
        engine.build(job(image, tmp_path, tag), quiet)
    assert [str(problem.where) for problem in caught.value.problems] == ["train.py", "zz.py"]
    assert engine.inspect(tag) is None
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "zz.py").write_text("print(1)\n")
    engine.build(job(image, tmp_path, tag), quiet)
    assert engine.inspect(tag) is not None


def test_a_file_that_changes_while_it_is_streamed(engine: Engine, tag: str, tmp_path: Path) -> None:
    """The engine has had much of the context by then, and all that a Dockerfile needs to begin."""
    for name in "abcdefgh":
        (tmp_path / name).write_bytes(name.encode() * 3_000_000)
    image = planned(tmp_path)

    def changing() -> Iterator[bytes]:
        for number, chunk in enumerate(context(image, tmp_path)):
            if number == 10:
                (tmp_path / "h").write_bytes(b"H" * 3_000_000)
            yield chunk

    with pytest.raises(FilesChanged, match=r"^h: changed"):
        engine.build(evolve(job(image, tmp_path, tag), context=changing), quiet)
    assert engine.inspect(tag) is None


def test_an_exception_of_the_caller_ends_the_build(engine: Engine, tag: str) -> None:
    made = BuildJob(tag, f"FROM {TEST_BASE}\n{WAITING}\n", EMPTY_CONTEXT)

    def give_up(line: str) -> None:
        if "up and running" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.build(made, give_up)
    assert engine.inspect(tag) is None
    assert eventually(lambda: SLEEP not in command_lines())


def test_interruption(engine: Engine, tag: str, tmp_path: Path) -> None:
    running, errors = threading.Event(), list[BaseException]()

    def look(line: str) -> None:
        if "up and running" in line:
            running.set()

    def work() -> None:
        try:
            engine.build(BuildJob(tag, f"FROM {TEST_BASE}\n{WAITING}\n", EMPTY_CONTEXT), look)
        except BaseException as error:  # it is looked at below
            errors.append(error)
            running.set()

    thread = threading.Thread(target=work)
    thread.start()
    running.wait()
    engine.interrupt()
    thread.join()
    (error,) = errors
    assert isinstance(error, BuildFailed), error
    assert error.problems[0].found == "interrupted"
    assert engine.inspect(tag) is None
    assert eventually(lambda: SLEEP not in command_lines())
    build(engine, tag, tmp_path)
    assert engine.inspect(tag) is not None


def test_interruption_while_the_context_is_streamed(engine: Engine, tag: str, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        (tmp_path / "large").write_bytes(bytes(1 << 20))
        image = planned(tmp_path)
        yield from list(context(image, tmp_path))[:1]
        engine.interrupt()
        while True:
            yield bytes(1 << 20)

    with pytest.raises(BuildFailed, match="interrupted"):
        engine.build(BuildJob(tag, f"FROM {TEST_BASE}\nCOPY trees /app\n", endless), quiet)
    assert engine.inspect(tag) is None


def test_interrupting_nothing(engine: Engine, tag: str, tmp_path: Path) -> None:
    engine.interrupt()
    build(engine, tag, tmp_path)
    assert engine.inspect(tag) is not None


KILLED = """
import sys
from tests.contract.conftest import ENGINES
from tests.contract.images import EMPTY_CONTEXT
from executor.engines.protocol import BuildJob
name, tag, text = sys.argv[1:]
ENGINES[name]().build(BuildJob(tag, text, EMPTY_CONTEXT), lambda line: print(line, flush=True))
"""


def test_a_killed_process(
    request: pytest.FixtureRequest, engine: Engine, new_tag: Callable[[str], str], tmp_path: Path
) -> None:
    """Killed as a machine that stops kills: without a word, and the programs it had started with it."""
    name = next(name for name in ENGINES if name in request.node.name)
    tag, parent = new_tag("localhost"), new_tag("localhost")
    engine.build(BuildJob(parent, f"FROM {TEST_BASE}\nENV A=1\n", EMPTY_CONTEXT), quiet)
    (tmp_path / "train.py").write_text("")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, name, tag, f"FROM {parent}\n{WAITING}\n"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path.parent)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "up and running" in line:
                break
        for pid in (process.pid, *descendants(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert engine.inspect(tag) is None
    build(engine, tag, tmp_path, parent=parent)
    assert told(engine, tag, "import os, json; print(json.dumps(os.listdir('/app')))") == ["train.py"]
    assert eventually(lambda: SLEEP not in command_lines())
    if engine.name == "podman":
        remove_what_builds_left(parent)


def remove_what_builds_left(parent: str) -> None:
    """Podman keeps the container that a killed build worked in, and the image it is of."""
    listed = run(Command(("podman", "ps", "--all", "--external", "--format={{.ID}} {{.Image}}"))).text
    for line in listed.splitlines():
        container, _, image = line.partition(" ")
        if image == parent:
            run(Command(("podman", "rm", "--force", container)))


def descendants(parent: int) -> list[int]:
    """All processes that a process started, directly or not."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [parent]
    for above in found:
        found += [pid for pid, its in parents.items() if its == above]
    return found[1:]


def test_an_engine_that_does_not_answer(
    request: pytest.FixtureRequest, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: Callable[[], Engine] = ENGINES[next(name for name in ENGINES if name in request.node.name)]
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    other = made()
    assert other.unavailable()
    with pytest.raises(ExecutorError) as caught:
        other.inspect("localhost/stowplan-test/nothing:1")
    assert caught.value.exit_code == 75
    assert engine.unavailable()
