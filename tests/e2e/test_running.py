"""Runs in containers, on real engines: each step in its image, and what comes of what goes wrong there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from executor.engines.protocol import RUN_LABEL
from tests.contract.images import TEST_BASE
from tests.e2e.command import Project, Ran
from tests.e2e.images import Tags

STEPS = """
    import os
    import sys

    UNIQUE = "{unique}"


    def load():
        print("loading as", os.getuid())
        return {{"n": 20, "who": os.environ.get("WHO")}}


    def train(data, more):
        print("training as", os.environ.get("WHO"), file=sys.stderr)
        return data["n"] + more, b"model"


    def show(n, model):
        assert model == b"model"
        print("the answer is", n)
"""
PIPELINE = """
    [pipeline.training]
    steps = ["load", "train", "show", "report"]
    settings.docker = {{ parent_image = "{base}", environment = {{ WHO = "all" }} }}
    [pipeline.training.step.load]
    function = "pipe:load"
    settings.docker = {{ user = "1234" }}
    [pipeline.training.step.train]
    function = "pipe:train"
    inputs = {{ data = "load", more = 22 }}
    outputs = ["number", "model"]
    settings.docker = {{ environment = {{ WHO = "train" }} }}
    [pipeline.training.step.show]
    function = "pipe:show"
    inputs = {{ n = "train.number", model = "train.model" }}
    [pipeline.training.step.report]
    command = "echo reported by $WHO in $PWD; ls pipe.py"
    after = []
"""


@pytest.fixture
def training(project: Project, engine: str, base: str) -> Project:
    """Four steps in three images: functions that take what others have made, and a command."""
    del engine
    text = STEPS.format(unique=uuid.uuid4())
    project.write({"stowplan.toml": PIPELINE.format(base=base), "pipe.py": text})
    return project


def step(ran: Ran, name: str) -> Any:
    """One step of what a run printed as JSON."""
    return next(each for each in ran.data["steps"] if each["step"] == name)


def containers(engine: str, run: str) -> list[str]:
    """The containers of a run that are left."""
    argv = [engine, "ps", "--all", "--quiet", f"--filter=label={RUN_LABEL}={run}"]
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout.split()


def clean(project: Project, engine: str, run: str) -> bool:
    """Whether a run has left no container and no temporary file."""
    return containers(engine, run) == [] and not list((project.root / ".stowplan/tmp").iterdir())


def test_each_step_runs_in_its_image(training: Project, engine: str) -> None:
    ran = training.ok("run", "training", "-o", "json")
    lines = ran.err.splitlines()
    assert "[load] loading as 1234" in lines
    assert "[train] training as train" in lines
    assert "[show] the answer is 42" in lines
    assert {"[report] reported by all in /app", "[report] pipe.py"} <= set(lines)
    assert (ran.data["status"], ran.data["engine"]) == ("succeeded", engine)
    assert [each["name"] for each in step(ran, "train")["outputs"]] == ["number", "model"]
    images = {each["step"]: each["image"] for each in ran.data["steps"]}
    assert images["show"] == images["report"]
    assert len(set(images.values())) == 3
    assert ran.data["plan"] in training.ok("builds", "show", ran.data["build"], "-o", "json").out
    assert clean(training, engine, ran.data["run"])
    # All images are there by now.
    again = training.ok("run", "training", "-o", "json")
    assert again.data["build"] == ran.data["build"]
    assert again.data["run"] != ran.data["run"]
    assert not any("building" in line for line in again.err.splitlines())


@pytest.mark.parametrize(
    ("body", "code", "found"),
    [
        ("raise ValueError('no ' + UNIQUE[:0] + 'way')", 1, "ValueError: no way"),
        ("os._exit(9)", 9, "ended with exit code 9"),
        ("import ctypes; ctypes.string_at(0)", 139, "was ended by SIGSEGV (exit code 139)"),
    ],
)
def test_failures(training: Project, engine: str, body: str, code: int, found: str) -> None:
    text = (training.root / "pipe.py").read_text()
    training.write({"pipe.py": text.replace('return data["n"] + more, b"model"', body)})
    ran = training.run("run", "training", "-o", "json")
    assert ran.code == 1
    assert {each["step"]: each["status"] for each in ran.data["steps"]} == {
        "load": "succeeded", "train": "failed", "show": "skipped", "report": "succeeded",
    }  # fmt: skip
    failed = step(ran, "train")
    assert (failed["exit_code"], failed["error"][0]["found"]) == (code, found)
    if code == 1:
        assert 'File "/app/pipe.py"' in failed["traceback"]
        assert "_stowplan" not in failed["traceback"]
    assert clean(training, engine, ran.data["run"])


def test_rerun_failed_in_mended_images(training: Project) -> None:
    text = (training.root / "pipe.py").read_text()
    training.write({"pipe.py": text.replace("assert model", "assert not model")})
    first = training.run("run", "training", "-o", "json")
    assert first.code == 1
    training.write({"pipe.py": text})
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert [each["kept"] for each in ran.data["steps"]] == [True, True, False, True]
    assert ran.data["run"] == first.data["run"]
    assert "the images or the code have changed since run" in ran.err
    assert "[show] the answer is 42" in ran.err


def test_an_image_that_vanishes_is_built_again(training: Project, engine: str) -> None:
    ran = training.ok("run", "training", "-o", "json")
    image = step(ran, "train")["image"]
    subprocess.run([engine, "rmi", "--force", image], check=True, capture_output=True)
    again = training.ok("run", "training", "-o", "json")
    assert step(again, "train")["image"] == image


def test_what_a_registry_alone_has_is_pulled(training: Project, tags: Tags, registry: str) -> None:
    """By the digest that was looked at, and whatever the engine has under its tag is not taken for it."""
    text = (training.root / "stowplan.toml").read_text()
    training.write({"stowplan.toml": f'{text}[stack.team]\ncontainer_registry = {{ uri = "{registry}" }}\n'})
    first = training.ok("run", "training", "--stack", "team", "-o", "json")
    for image in {each["image"] for each in first.data["steps"]}:
        tags.engine.remove(image)
    # Another image under one of the tags.
    taken = step(first, "load")["image"]
    tags.tag(TEST_BASE, taken)
    again = training.ok("run", "training", "--stack", "team", "-o", "json")
    assert "[load] loading as 1234" in again.err.splitlines()
    assert not any("building" in line for line in again.err.splitlines())
    for each in again.data["steps"]:
        tags.made(each["image"])
    assert step(again, "load")["image"].startswith(f"{registry}/stowplan@sha256:")


def test_secrets_are_nowhere(training: Project) -> None:
    """A value of a variable is in the image that asks for it, and in nothing that is written or shown."""
    training.env["STOWPLAN_TEST_TOKEN"] = "hunter22-planted-token"
    text = (training.root / "stowplan.toml").read_text()
    training.write({"stowplan.toml": text.replace('WHO = "train"', 'WHO = "${STOWPLAN_TEST_TOKEN}"')})
    ran = training.ok("run", "training", "-o", "json")
    assert "[train] training as ***" in ran.err.splitlines()
    told = ran.out + ran.err + training.ok("runs", "list", "-o", "json").out
    kept = b"".join(training.state().values())
    assert ("hunter22" in told, b"hunter22" in kept) == (False, False)


def wait_for(project: Project, line: str, process: Any, said: Path) -> None:
    """Wait until a step has written a line."""
    until = time.monotonic() + 120
    while not any(line in path.read_text() for path in project.root.glob(".stowplan/logs/*/*.log")):
        assert process.is_alive(), said.read_text()
        assert time.monotonic() < until
        process.join(0.05)


def slow(project: Project) -> str:
    """Make the second step one that does not end; the text that ends."""
    text = (project.root / "pipe.py").read_text()
    project.write({"pipe.py": text.replace('return data["n"] + more', "import time; time.sleep(600)")})
    return text


def test_a_container_that_is_killed(training: Project, engine: str, tmp_path: Path) -> None:
    """As the kernel does where memory runs out."""
    slow(training)
    with (tmp_path / "out").open("w+") as out, (tmp_path / "err").open("w+") as err:
        process = training.start("run", "training", "-o", "json", out=out.fileno(), err=err.fileno())
        wait_for(training, "training as train", process, tmp_path / "err")
        (record,) = training.ok("runs", "list", "-o", "json").data["runs"]
        (container,) = containers(engine, record["run"])
        subprocess.run([engine, "kill", "--signal=KILL", container], check=True, capture_output=True)
        process.join(60)
        out.seek(0)
        ran = Ran(process.exitcode or 0, out.read(), "")
    assert ran.code == 1
    assert (
        step(ran, "train")["error"][0]["found"] == "was killed (SIGKILL): if nobody did that, memory ran out"
    )
    assert clean(training, engine, record["run"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_ends_early_goes_on(
    training: Project, engine: str, tmp_path: Path, number: signal.Signals
) -> None:
    """Interrupted, it removes its containers; killed, it cannot, and the next one does."""
    text = slow(training)
    with (tmp_path / "out").open("w+") as out:
        process = training.start("run", "training", out=out.fileno(), err=out.fileno())
        wait_for(training, "training as train", process, tmp_path / "out")
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(60)
    assert process.exitcode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    (record,) = training.ok("runs", "list", "-o", "json").data["runs"]
    assert record["status"] == "interrupted"
    if number == signal.SIGINT:
        assert clean(training, engine, record["run"])
    else:
        assert len(containers(engine, record["run"])) == 1
    training.write({"pipe.py": text})
    ran = training.ok("run", "training", "--rerun-failed", "-o", "json")
    assert ran.data["run"] == record["run"]
    finished = {each["step"] for each in record["steps"] if each["status"] == "succeeded"}
    assert {"load"} <= finished <= {"load", "report"}
    assert {each["step"] for each in ran.data["steps"] if each["kept"]} == finished
    assert clean(training, engine, record["run"])
    (loaded,) = (each for each in record["steps"] if each["step"] == "load")
    assert step(ran, "load")["outputs"] == loaded["outputs"]
