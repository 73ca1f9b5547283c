"""Containers that run steps: what they are given, what they leave, and that none stays."""

from __future__ import annotations

import fcntl
import json
import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from executor import limits
from executor.engines.exchange import OUTPUTS, RESULT, empty_exchange
from executor.engines.protocol import (
    EXCHANGE,
    OWNER_LABEL,
    RUN_LABEL,
    STEP_LABEL,
    ContainerJob,
    Ended,
    Engine,
    Stream,
)
from executor.errors import ExecutorError
from executor.scratch import name_of
from tests.contract.images import TEST_BASE, build_text

COPY = f"""
set -e
cat > {EXCHANGE}/outputs/stdin
cat {EXCHANGE}/inputs/0 > {EXCHANGE}/outputs/copy
id -u > {EXCHANGE}/outputs/user
ln -s /etc/passwd {EXCHANGE}/outputs/link
mkfifo {EXCHANGE}/outputs/fifo || true
printf '{{}}' > {EXCHANGE}/result.json.new
mv {EXCHANGE}/result.json.new {EXCHANGE}/result.json
"""


class Lines:
    """What a container wrote."""

    def __init__(self) -> None:
        self.of: dict[Stream, list[str]] = {each: [] for each in Stream}

    def __call__(self, line: str, stream: Stream) -> None:
        self.of[stream].append(line)


def shell(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)


def listed(engine: Engine, label: str) -> list[str]:
    """The containers of an engine that have a label."""
    filters = ("--all", "--quiet", f"--filter=label={label}")
    done = subprocess.run([engine.name, "ps", *filters], capture_output=True, check=True, text=True)
    return done.stdout.split()


def test_streams_are_told_apart(engine: Engine) -> None:
    lines = Lines()
    text = "echo out; echo err >&2; printf 'a\\rb\\nno end'; exit 3"
    ended = engine.run_container(ContainerJob(TEST_BASE, shell(text)), lines)
    assert (ended.code, ended.out_of_memory) == (3, False)
    assert lines.of == {Stream.STDOUT: ["out", "b", "no end"], Stream.STDERR: ["err"]}


def test_much_output_and_much_input(engine: Engine) -> None:
    """Neither waits for the other."""
    lines = Lines()
    given = b"x" * 79 + b"\n"
    job = ContainerJob(TEST_BASE, ("cat",), stdin=given * 50_000)
    assert engine.run_container(job, lines).code == 0
    assert lines.of[Stream.STDOUT] == ["x" * 79] * 50_000


@pytest.mark.parametrize("user", ["root", "1234:1234"])
def test_exchange(engine: Engine, tag: str, tmp_path: Path, user: str) -> None:
    """A container of any user reads what it is given, and leaves what comes of it."""
    build_text(engine, tag, f"FROM {TEST_BASE}\nUSER {user}\n")
    # What would end a path, or divide a list, in an engine's options.
    above = tmp_path / "a:b,c d"
    above.mkdir(mode=0o700)
    exchange = empty_exchange(above / "exchange")
    (exchange / "inputs").mkdir()
    (exchange / "inputs" / "0").write_bytes(bytes(range(256)) * 5000)
    lines = Lines()
    ended = engine.run_container(ContainerJob(tag, shell(COPY), stdin=b"secret", exchange=exchange), lines)
    assert (ended.code, lines.of[Stream.STDERR]) == (0, [])
    left = exchange / OUTPUTS
    assert (left / "stdin").read_bytes() == b"secret"
    assert (left / "copy").read_bytes() == (exchange / "inputs" / "0").read_bytes()
    assert (left / "user").read_text().strip() == ("0" if user == "root" else "1234")
    assert json.loads((exchange / RESULT).read_bytes()) == {}


def test_a_daemon_that_the_sdk_speaks_to(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is named by a context, as one elsewhere is."""
    if engine.name != "docker":
        pytest.skip("Podman is always on this machine")
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    exchange = empty_exchange(tmp_path / "exchange")
    (exchange / "inputs").mkdir()
    (exchange / "inputs" / "0").write_bytes(b"x" * 100_000)
    lines = Lines()
    ended = engine.run_container(
        ContainerJob(TEST_BASE, shell(COPY), stdin=b"secret", exchange=exchange), lines
    )
    assert (ended.code, lines.of[Stream.STDERR]) == (0, [])
    assert sorted(path.name for path in (exchange / OUTPUTS).iterdir()) == ["copy", "stdin", "user"]
    assert (exchange / OUTPUTS / "copy").read_bytes() == b"x" * 100_000
    assert (exchange / OUTPUTS / "stdin").read_bytes() == b"secret"
    with pytest.raises(ExecutorError):
        engine.run_container(ContainerJob("localhost/stowplan-test/none:1", ("true",)), lines)
    assert interrupted(engine, "trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.1; done", {})[
        1:
    ]
    engine.remove_orphans()


def test_no_such_program(engine: Engine) -> None:
    lines = Lines()
    assert engine.run_container(ContainerJob(TEST_BASE, ("no-such-program",)), lines).code == 127
    assert "no-such-program" in "".join(lines.of[Stream.STDERR])


def test_no_such_image(engine: Engine) -> None:
    image = f"localhost/stowplan-test/{uuid.uuid4().hex}:1"
    with pytest.raises(ExecutorError) as caught:
        engine.run_container(ContainerJob(image, ("true",)), Lines())
    (problem,) = caught.value.problems
    assert (problem.code, problem.where.file) == ("image-gone", image)


def test_killed(engine: Engine) -> None:
    ended = engine.run_container(
        ContainerJob(TEST_BASE, shell("kill -9 $$; sleep 60 & kill -9 $!; exit 137")), Lines()
    )
    assert (ended.code, ended.out_of_memory) == (137, False)


def test_memory_runs_out(engine: Engine) -> None:
    """A container is given as much as there is; this one, less while it runs."""
    if engine.name != "docker":
        pytest.skip("Podman does not tell of a container that it has removed")
    run = uuid.uuid4().hex
    text = """
import pathlib, time
names = ("memory/memory.limit_in_bytes", "memory.max")
limit = next(path for path in (pathlib.Path("/sys/fs/cgroup", name) for name in names) if path.exists())
print("ready", flush=True)
while not limit.read_text().strip().isdigit() or int(limit.read_text()) > 64 << 20:
    time.sleep(0.01)
kept = [bytes(range(256)) * 4096 for _ in range(1000)]
"""

    def on_output(line: str, _: Stream) -> None:
        assert line == "ready"
        (container,) = listed(engine, f"{RUN_LABEL}={run}")
        limits = ("--memory=48m", "--memory-swap=48m")
        subprocess.run(["docker", "update", *limits, container], check=True, capture_output=True)

    job = ContainerJob(TEST_BASE, ("python", "-c", text), labels={RUN_LABEL: run})
    assert engine.run_container(job, on_output) == Ended(137, out_of_memory=True)


def interrupted(engine: Engine, text: str, labels: dict[str, str]) -> list[str]:
    """What a container writes that is interrupted once it has said that it is ready."""
    lines: list[str] = []
    ready = threading.Event()

    def on_output(line: str, _: Stream) -> None:
        lines.append(line)
        if line == "ready":
            ready.set()

    def interrupt() -> None:
        ready.wait()
        engine.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(ExecutorError, match="interrupted"):
        engine.run_container(ContainerJob(TEST_BASE, shell(text), labels=labels), on_output)
    thread.join()
    return lines


def test_interrupted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to end, and ended if it does not."""
    label = f"dev.stowplan.test={uuid.uuid4().hex}"
    labels = dict([label.split("=")])
    polite = "trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    assert interrupted(engine, polite, labels) == ["ready", "ended"]
    monkeypatch.setattr(limits, "STOP_SECONDS", 1.0)
    deaf = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    assert interrupted(engine, deaf, labels) == ["ready"]
    assert listed(engine, label) == []


def test_orphans_are_removed(engine: Engine, tmp_path: Path, new_container: Callable[..., str]) -> None:
    """What a killed stowplan left is removed, and what a living one runs is not."""
    dead, alive = tmp_path / f"{1:016x}", tmp_path / f"{2:016x}"
    alive.mkdir()
    with (alive / "owner").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        run = uuid.uuid4().hex
        gone = new_container(run, dead)
        stays = new_container(run, alive)
        engine.remove_orphans()
        left = listed(engine, f"{RUN_LABEL}={run}")
    assert (gone[:12] in left, stays[:12] in left) == (False, True)


@pytest.fixture
def new_container(engine: Engine, request: pytest.FixtureRequest) -> Callable[[str, Path], str]:
    """Starts containers as a run does, and leaves them."""

    def start(run: str, scratch: Path) -> str:
        labels = {RUN_LABEL: run, STEP_LABEL: "a", OWNER_LABEL: name_of(scratch)}
        options = [f"--label={key}={value}" for key, value in labels.items()]
        argv = [engine.name, "run", "--detach", *options, TEST_BASE, "sleep", "600"]
        made = subprocess.run(argv, capture_output=True, check=True, text=True)
        container = made.stdout.strip()
        request.addfinalizer(
            lambda: subprocess.run(
                [engine.name, "rm", "--force", container], capture_output=True, check=False
            )
        )
        return container

    return start
