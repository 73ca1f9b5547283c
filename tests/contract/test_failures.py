"""What goes wrong is said in full, holds no secret, and leaves nothing that looks like an image."""

from __future__ import annotations

import contextlib
import json
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

from executor.context import files
from executor.engines.protocol import BuildJob, Engine
from executor.errors import BuildFailed, ExecutorError, FilesChanged
from executor.process import Command, run
from planner.errors import Place, Problem
from tests.contract.conftest import ENGINES, absent, reason_against
from tests.contract.images import (
    TEST_BASE,
    build,
    build_text,
    eventually,
    images_of,
    job,
    planned,
    quiet,
    told,
)

ROOT = Path(__file__).parents[2]
# It takes longer than any test, and no other process sleeps for just so long.
SLEEP = f"sleep {100_000 + os.getpid()}"
# What the log shows once the command runs, and not before: the quotes are gone then.
WAITING = {"local_project_install_command": f"echo 'up and 'running && {SLEEP}"}


def failure(engine: Engine, made: BuildJob, lines: list[str] | None = None) -> Problem:
    """The one problem of a build that fails, after which there is no image."""
    with pytest.raises(BuildFailed) as caught:
        engine.build(made, quiet if lines is None else lines.append)
    assert images_of(engine, made.image) == set()
    (problem,) = caught.value.problems
    return problem


def test_a_failing_command(engine: Engine, tmp_path: Path) -> None:
    command = "for i in $(seq 40); do echo line $i; done && exit 7"
    settings = {"environment": {"A": "1", "B": "2"}, "local_project_install_command": command}
    image = planned(tmp_path, settings)
    lines: list[str] = []
    problem = failure(engine, job(image, tmp_path), lines)
    assert problem.where == Place(("local_project_install_command",), image.name)
    assert problem.found == f"`{command}` failed: exit code 7"
    assert "line 40" in problem.fix
    assert "line 30" in problem.fix
    assert "line 20" not in problem.fix
    assert any("line 1" in line for line in lines)
    assert image.hash.hex not in str(problem)


def test_a_package_that_does_not_exist(engine: Engine, tmp_path: Path) -> None:
    problem = failure(engine, job(planned(tmp_path, {"apt_packages": ["no-such-package"]}), tmp_path))
    assert problem.found == "cannot be installed: exit code 100"
    assert "no-such-package" in problem.fix


def test_a_missing_parent(engine: Engine, registry: str, tmp_path: Path) -> None:
    image = planned(tmp_path, parent=f"{registry}/stowplan-test/nothing:1")
    problem = failure(engine, job(image, tmp_path))
    assert "stowplan-test/nothing" in problem.found
    assert problem.where.line in (None, 1, 2)


def test_a_parent_whose_registry_is_not_there_may_come(engine: Engine, tmp_path: Path) -> None:
    image = planned(tmp_path, parent="localhost:1/nothing:1")
    with pytest.raises(BuildFailed) as caught:
        engine.build(job(image, tmp_path), lambda _: None)
    assert "connection refused" in str(caught.value)
    assert caught.value.exit_code == 75


@pytest.mark.parametrize(
    "script", ["", f'echo sha256:{"1" * 64} > "${{4#--iidfile=}}"'], ids=["nothing", "an ID"]
)
def test_a_builder_that_only_says_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    if reason := reason_against("docker-buildkit"):
        absent(reason)
    plugin = tmp_path / "cli-plugins/docker-buildx"
    plugin.parent.mkdir()
    plugin.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    plugin.chmod(0o755)
    project = tmp_path / "project"
    project.mkdir()
    made = job(planned(project), project)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(BuildFailed) as caught:
        ENGINES["docker-buildkit"]().build(made, quiet)
    assert caught.value.problems[0].found == "the builder says that it is done, and there is no image"


def test_a_user_that_the_parent_does_not_have(engine: Engine, tmp_path: Path) -> None:
    problem = failure(engine, job(planned(tmp_path, {"user": "captain"}), tmp_path))
    assert "captain" in problem.found + problem.fix


@pytest.mark.parametrize("secret", ["hunter22", 'it\'s "a" $ecret\\', "  spaces  ", "p%40ss w\u00f6rd+/="])
def test_secrets_are_shown_nowhere(
    engine: Engine, tmp_path: Path, secret: str, capfd: pytest.CaptureFixture[str]
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
    made = job(planned(tmp_path, settings, {"TOKEN": secret}), tmp_path, {"TOKEN": secret})
    lines: list[str] = []
    with pytest.raises(BuildFailed) as caught:
        engine.build(made, lines.append)
    seen = [*lines, *traceback.format_exception(caught.value), repr(caught.value), repr(made)]
    assert secret.strip() not in "\n".join(seen)
    assert any("<***>" in line or "< *** >" in line or "<  ***  >" in line for line in lines)
    captured = capfd.readouterr()
    assert secret.strip() not in captured.out + captured.err


def test_secrets_are_in_no_command_line(engine: Engine, tmp_path: Path) -> None:
    secret = "planted-6f1c"
    settings = {"environment": {"TOKEN": "${TOKEN}"}, "local_project_install_command": "echo here"}
    made = job(planned(tmp_path, settings, {"TOKEN": secret}), tmp_path, {"TOKEN": secret})
    seen: list[str] = []

    def look(_: str) -> None:
        seen.extend(command_lines())

    engine.remove(engine.build(made, look).id)
    assert seen
    assert not any(secret in line for line in seen)


def command_lines() -> Iterator[str]:
    """The command line of every process that this one may see."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue


def test_files_that_changed_since_the_plan(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('one of this test')\n")
    (tmp_path / "zz.py").write_text("print(1)\n")
    image = planned(tmp_path)
    (tmp_path / "train.py").write_text("print(2)\n")
    (tmp_path / "zz.py").unlink()
    with pytest.raises(FilesChanged) as caught:
        engine.build(job(image, tmp_path), quiet)
    assert [str(problem.where) for problem in caught.value.problems] == ["train.py", "zz.py"]
    assert images_of(engine, image) == set()
    (tmp_path / "train.py").write_text("print('one of this test')\n")
    (tmp_path / "zz.py").write_text("print(1)\n")
    made = engine.build(job(image, tmp_path), quiet).id
    assert images_of(engine, image)
    assert engine.remove(made)
    assert images_of(engine, image) == set()


def test_a_file_that_changes_while_it_is_streamed(engine: Engine, tmp_path: Path) -> None:
    """The engine has had much of the context by then."""
    for name in "abcdefgh":
        (tmp_path / name).write_bytes(name.encode() * 3_000_000)
    image = planned(tmp_path)

    def changing() -> Iterator[bytes]:
        for number, chunk in enumerate(files(image, tmp_path)):
            if number == 10:
                (tmp_path / "h").write_bytes(b"H" * 3_000_000)
            yield chunk

    with pytest.raises(FilesChanged, match=r"^h: changed"):
        engine.build(evolve(job(image, tmp_path), files=changing), quiet)
    assert images_of(engine, image) == set()


def test_an_exception_of_the_caller_ends_the_build(engine: Engine, tmp_path: Path) -> None:
    image = planned(tmp_path, WAITING)

    def give_up(line: str) -> None:
        if "up and running" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.build(job(image, tmp_path), give_up)
    assert images_of(engine, image) == set()
    assert eventually(lambda: not is_running(SLEEP))


def test_interruption(engine: Engine, tag: str, tmp_path: Path) -> None:
    running, errors = threading.Event(), list[BaseException]()
    image = planned(tmp_path, WAITING)

    def look(line: str) -> None:
        if "up and running" in line:
            running.set()

    def work() -> None:
        try:
            engine.build(job(image, tmp_path), look)
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
    assert images_of(engine, image) == set()
    assert eventually(lambda: not is_running(SLEEP))
    build(engine, tag, tmp_path)
    assert engine.inspect(tag) is not None


def test_interruption_while_the_context_is_streamed(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    image = planned(tmp_path)

    def endless() -> Iterator[bytes]:
        yield from list(files(image, tmp_path))[:1]
        engine.interrupt()
        while True:
            yield bytes(1 << 20)

    with pytest.raises(BuildFailed, match="interrupted"):
        engine.build(BuildJob(image, endless), quiet)
    assert images_of(engine, image) == set()


def test_interrupting_nothing(engine: Engine, tag: str, tmp_path: Path) -> None:
    engine.interrupt()
    build(engine, tag, tmp_path)
    assert engine.inspect(tag) is not None


KILLED = """
import sys
from pathlib import Path
from tests.contract.conftest import ENGINES, absent, reason_against
from tests.contract.images import job, planned
name, parent, sleep = sys.argv[1:]
settings = {"local_project_install_command": "echo 'up and 'running && " + sleep}
image = planned(Path.cwd(), settings, parent=parent)
ENGINES[name]().build(job(image, Path.cwd()), lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("victims", ["all", "ours"])
def test_a_killed_process(
    request: pytest.FixtureRequest,
    engine: Engine,
    new_tag: Callable[[str], str],
    tmp_path: Path,
    victims: str,
) -> None:
    """Killed without a word, as a machine that stops kills; with the programs it had started, or alone."""
    name = next(name for name in ENGINES if name in request.node.name)
    tag, parent = new_tag("localhost"), new_tag("localhost")
    # A layer of its own tells what comes of this parent from all else.
    build_text(engine, parent, f"FROM {TEST_BASE}\nRUN echo {parent} > /parent\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text("")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, name, parent, SLEEP],
        stdout=subprocess.PIPE,
        text=True,
        cwd=project,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "up and running" in line:
                break
        started = descendants(process.pid) if victims == "all" else []
        for pid in (process.pid, *started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    image = planned(
        project, {"local_project_install_command": f"echo 'up and 'running && {SLEEP}"}, parent=parent
    )
    # Podman ends without the command that it runs, and keeps the container that it ran in.
    engine.tidy(image.hash)
    assert eventually(lambda: not is_running(SLEEP))
    assert eventually(lambda: not is_running("build", "--iidfile", str(tmp_path)))
    assert images_of(engine, image) == set()
    build(engine, tag, project, parent=parent)
    assert told(engine, tag, "import os, json; print(json.dumps(os.listdir('/app')))") == ["train.py"]
    if engine.name == "podman":
        assert containers_on(parent) == []


def is_running(*words: str) -> bool:
    """Whether any process has all of these words in its command line."""
    return any(all(word in line for word in words) for line in command_lines())


def containers_on(parent: str) -> list[str]:
    """Podman's containers that builds work in, of the parent and of what they made of it."""
    above = layers(parent)
    listed = run(Command(("podman", "ps", "--all", "--external", "--format={{.ID}} {{.ImageID}}"))).text
    found = [line.split() for line in listed.splitlines()]
    return [container for container, image in found if above and layers(image)[: len(above)] == above]


def layers(image: str) -> list[str]:
    """The layers of a local image of Podman; none if there is no such image."""
    done = run(Command(("podman", "image", "inspect", "--format={{json .RootFS.Layers}}", image)))
    found: list[str] = json.loads(done.text) if done.code == 0 else []
    return found


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
