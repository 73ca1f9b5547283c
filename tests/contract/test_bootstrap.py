"""The bootstrap in real containers: users without a name, file systems that may not be written, signals."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from pathlib import Path
from typing import Any, Final

import pytest

from executor.artifacts.code import archive_code
from executor.bootstrap_file import bootstrap
from executor.engines.exchange import OUTPUTS, RESULT, empty_exchange
from executor.engines.protocol import EXCHANGE, ContainerJob, Engine
from tests.contract.images import TEST_BASE, build_text

# Where each is nobody that the image has heard of.
NOBODY: Final = "1234:1234"
STEP: Final = """
import os, sys
def who(data):
    print("é", flush=True)
    return [os.getuid(), os.getcwd(), sys.path[0], data, os.path.exists("lib/x.txt")]
def wait():
    try:
        print("ready", flush=True)
        while True:
            __import__("time").sleep(60)
    finally:
        print("cleaned", flush=True)
"""


TRAPPING: Final = "trap 'echo cleaned; exit 7' TERM; echo ready; sleep 600 & wait"


class Step:
    """A step in a container: its exchange directory, its job, and what it wrote."""

    def __init__(self, directory: Path) -> None:
        self.exchange = empty_exchange(directory / "exchange")
        (self.exchange / "bootstrap.pyz").write_bytes(bootstrap())
        (self.exchange / "bootstrap.pyz").chmod(0o644)
        self.root = directory / "project"
        (self.root / "lib").mkdir(parents=True)
        (self.root / "train.py").write_text(STEP)
        (self.root / "lib/x.txt").write_text("x")
        self.lines: list[str] = []
        self.argv = ("python", f"{EXCHANGE}/bootstrap.pyz", "run", EXCHANGE)

    def job(self, entrypoint: dict[str, Any], **more: Any) -> bytes:
        """A job whose code is an archive in the exchange directory."""
        made = archive_code(self.root, self.exchange / "code.tar.gz")
        made.path.chmod(0o644)
        job = {
            "version": 1,
            "run": "r1",
            "step": "train",
            "directory": "/app",
            "code": {"kind": "archive", "file": "code.tar.gz", "sha256": made.digest.hex},
            "entrypoint": entrypoint,
            "inputs": {},
            "outputs": [],
            **more,
        }
        return json.dumps(job).encode()

    def run(self, engine: Engine, image: str, job: bytes) -> int:
        """Run it to its end: its exit code."""
        given = ContainerJob(image, self.argv, stdin=job, exchange=self.exchange)
        return engine.run_container(given, lambda line, _: self.lines.append(line)).code

    @property
    def result(self) -> Any:
        """What it left."""
        return json.loads((self.exchange / RESULT).read_bytes())


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


WHO: Final[dict[str, Any]] = {
    "entrypoint": {"function": "train:who"},
    "inputs": {"data": {"value": {"a": 1}}},
    "outputs": ["output"],
}


def test_a_user_without_a_name_or_a_home(engine: Engine, tag: str, step: Step) -> None:
    build_text(engine, tag, f"FROM {TEST_BASE}\nRUN mkdir /app && chown {NOBODY} /app\nUSER {NOBODY}\n")
    assert step.run(engine, tag, step.job(**WHO)) == 0, (step.lines, step.result)
    assert step.lines == ["é"]
    assert json.loads((step.exchange / OUTPUTS / "output").read_bytes()) == [
        1234, "/app", "/app", {"a": 1}, True
    ]  # fmt: skip
    assert step.result["outputs"]["output"]["serializer"] == "json"


def test_a_language_that_has_no_letter_for_it(engine: Engine, tag: str, step: Step) -> None:
    """A step does not fail for what it prints."""
    build_text(
        engine, tag, f"FROM {TEST_BASE}\nENV LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0\nRUN mkdir /app\n"
    )
    assert step.run(engine, tag, step.job(**WHO)) == 0, (step.lines, step.result)
    assert step.lines == ["\\xe9"]


def test_a_directory_of_the_code_that_may_not_be_written(engine: Engine, tag: str, step: Step) -> None:
    build_text(engine, tag, f"FROM {TEST_BASE}\nRUN mkdir /app\nUSER {NOBODY}\n")
    assert step.run(engine, tag, step.job(**WHO)) == 78
    error = step.result["error"]
    assert (error["kind"], error["type"]) == ("bootstrap", "code-not-written")
    assert error["message"] == "the code cannot be written to /app: Permission denied"
    assert error["fix"] == "let the user of the image write there, or include the code in the image"


def test_a_directory_of_the_code_that_is_not_there(engine: Engine, tag: str, step: Step) -> None:
    """Who may make it, makes it."""
    build_text(engine, tag, f"FROM {TEST_BASE}\nUSER {NOBODY}\n")
    assert step.run(engine, tag, step.job(**WHO)) == 78
    assert step.result["error"]["message"] == "the code cannot be written to /app: Permission denied"
    assert step.run(engine, TEST_BASE, step.job(**WHO)) == 0, step.result
    assert step.lines == ["é"]


def test_a_volume_in_the_directory_of_the_code(engine: Engine, tag: str, step: Step) -> None:
    """It is another file system, to which nothing can be moved."""
    (step.root / "lib/link").symlink_to("x.txt")
    (step.root / "lib/deep").mkdir()
    (step.root / "lib/deep/y").write_text("y")
    build_text(
        engine,
        tag,
        f"FROM {TEST_BASE}\nRUN mkdir -p /app/lib && touch /app/lib/kept\n"
        "RUN ln -s /etc/passwd /app/lib/x.txt\nVOLUME /app/lib\n",
    )
    listing = (
        "import os; print(sorted(os.listdir('lib')), open('lib/link').read(), open('lib/deep/y').read())"
    )
    job = step.job({"command": ["python", "-c", listing]})
    assert step.run(engine, tag, job) == 0, (step.lines, step.result)
    assert step.lines == ["['deep', 'kept', 'link', 'x.txt'] x y"]


def _with_code(text: str) -> str:
    """An image that has its code."""
    encoded = base64.b64encode(text.encode()).decode()
    return (
        f"FROM {TEST_BASE}\nRUN mkdir -p /app/lib && touch /app/lib/x.txt\n"
        f"RUN echo {encoded} | base64 -d > /app/train.py\n"
    )


def _read_only(engine: Engine, image: str, step: Step, job: bytes) -> int:
    """Run a step where nothing but the exchange directory can be written."""
    mount = f"--volume={step.exchange}:{EXCHANGE}"
    command = [engine.name, "run", "--rm", "--interactive", "--read-only", "--read-only-tmpfs=false", mount]
    if engine.name == "docker":
        command.remove("--read-only-tmpfs=false")
    done = subprocess.run([*command, image, *step.argv], input=job, check=False, capture_output=True)
    step.lines += done.stdout.decode().splitlines()
    return done.returncode


def test_a_file_system_that_may_only_be_read(engine: Engine, tag: str, step: Step) -> None:
    """Code that is in the image runs; where it has to be downloaded, it says what is wrong."""
    build_text(engine, tag, _with_code(STEP))
    assert _read_only(engine, tag, step, step.job(**WHO)) == 78
    assert step.result["error"]["message"] == "the code cannot be written to /app: Read-only file system"
    assert _read_only(engine, tag, step, step.job(**WHO, code=None)) == 0, (step.lines, step.result)
    assert step.lines == ["é"]


def test_an_input_that_is_a_path_has_a_place_where_nothing_else_can_be_written(
    engine: Engine, tag: str, step: Step
) -> None:
    build_text(engine, tag, f"FROM {TEST_BASE}\nRUN mkdir /app\n")
    (step.root / "train.py").write_text(
        "from pathlib import Path\n"
        "def write():\n    Path('model').mkdir()\n    Path('model/w').write_text('7')\n"
        "    return Path('model')\n"
    )
    job = step.job({"function": "train:write"}, outputs=["output"])
    assert step.run(engine, tag, job) == 0, step.result
    written = step.result["outputs"]["output"]
    (step.exchange / "inputs").mkdir()
    (step.exchange / OUTPUTS / "output").rename(step.exchange / "inputs/0")
    given = {
        "file": "inputs/0",
        "serializer": written["serializer"],
        "sha256": written["sha256"],
        "run": "r1",
    }
    build_text(engine, tag, _with_code("def read(model):\n    return (model / 'w').read_text()\n"))
    job = step.job({"function": "train:read"}, inputs={"model": given}, outputs=["output"], code=None)
    assert _read_only(engine, tag, step, job) == 0, step.result
    assert (step.exchange / OUTPUTS / "output").read_text() == "7"


def test_an_image_without_git_says_what_to_install(engine: Engine, tag: str, step: Step) -> None:
    build_text(engine, tag, f"FROM {TEST_BASE}\nRUN mkdir /app && ! command -v git\n")
    code = {"kind": "repository", "type": "git", "url": "https://localhost/o/r", "commit": "0" * 40}
    job = step.job(**WHO, code={**code, "tree": "0" * 40, "subdirectory": "", "login": "me:planted"})
    assert step.run(engine, tag, job) == 78
    assert step.result["error"]["type"] == "git-missing"
    assert step.result["error"]["fix"] == "add git to apt_packages"
    assert "planted" not in f"{step.result}{step.lines}"


@pytest.mark.parametrize(
    ("entrypoint", "code", "last"),
    [
        ({"function": "train:wait"}, 143, "cleaned"),
        # A shell that knows nothing of being the first process.
        ({"command": ["/bin/sh", "-c", "echo ready; sleep 600; echo never"]}, 143, "ready"),
        (
            {"command": ["/bin/sh", "-c", "trap 'echo cleaned; exit 7' TERM; echo ready; sleep 600 & wait"]},
            7,
            "cleaned",
        ),
    ],
    ids=["function", "command", "command that cleans up"],
)
def test_a_step_that_is_asked_to_end_ends(
    engine: Engine, tag: str, step: Step, *, entrypoint: dict[str, Any], code: int, last: str
) -> None:
    """It is the first process of its container, to which the kernel passes no signal without a handler."""
    build_text(engine, tag, f"FROM {TEST_BASE}\nRUN mkdir /app\n")
    name = f"stowplan-test-{uuid.uuid4().hex}"
    mount = f"--volume={step.exchange}:{EXCHANGE}"
    command = [engine.name, "run", "--rm", "--interactive", f"--name={name}", mount, tag, *step.argv]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(step.job(entrypoint).decode())
        process.stdin.close()
        assert process.stdout.readline() == "ready\n"
        subprocess.run([engine.name, "kill", "--signal=TERM", name], check=True, capture_output=True)
        lines = ["ready", *process.stdout.read().splitlines()]
    assert (process.returncode, lines[-1]) == (code, last)
    assert step.result["error"]["kind"] == "step"
