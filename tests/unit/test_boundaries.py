"""Whatever touches the world can fail, at any time: the answer is words and an exit code, never a traceback.

An audit hook sees each open, connect, rename and the like, and makes the n-th of a command fail. Every
command is run once for each of them.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from executor.cli.main import run
from executor.state import read_lock
from tests.audit import watched

SECRET: Final = "hunter22-s3cret"
EVENTS: Final = frozenset({
    "ctypes.dlopen", "fcntl.flock", "fcntl.lockf", "glob.glob", "open", "os.chmod", "os.fork", "os.link",
    "os.listdir", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.scandir",
    "os.truncate", "os.utime", "shutil.rmtree", "socket.__new__", "socket.bind", "socket.connect",
    "socket.getaddrinfo", "socket.gethostbyname", "sqlite3.connect", "subprocess.Popen", "tempfile.mkdtemp",
    "tempfile.mkstemp",
})  # fmt: skip

FAULTS: Final[dict[str, Callable[[], BaseException]]] = {
    "denied": lambda: PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/denied"),
    "full": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "broken": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    "too many": lambda: OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    "gone": lambda: FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/gone"),
    "no memory": MemoryError,
    "defect": lambda: RuntimeError(SECRET),
    "defect of text": lambda: UnicodeEncodeError("utf-8", SECRET, 0, 1, "a reason"),
}

COMMANDS: Final = {
    "plan": ["plan"],
    "lock": ["lock"],
    "check": ["lock", "--check"],
    "diff": ["diff", "-o", "markdown"],
    "show": ["show", "train", "-o", "json"],
    "apply": ["apply", "--engine", "docker"],
    "builds": ["builds", "list"],
    "delete": ["builds", "delete", "1"],
    "prune": ["builds", "prune", "--yes"],
    "outdated": ["outdated"],
}


class World:
    """Fails once, at the event of a number, from 1; at none for 0."""

    def __init__(self, fails_at: int, fault: Callable[[], BaseException] = MemoryError) -> None:
        self.seen = 0
        self._fails_at = fails_at
        self._fault = fault

    def __call__(self, event: str, _: tuple[object, ...]) -> None:
        if event in EVENTS:
            self.seen += 1
            if self.seen == self._fails_at:
                raise self._fault()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a lock, whose parent is in a registry that nobody runs, and no engine."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # a port on which nothing listens
        root = tmp_path / "project"
        root.mkdir()
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        (root / "stowplan.toml").write_text(
            f'[pipeline.p]\nsteps = ["train", "load"]\n[pipeline.p.settings.docker]\n'
            f'parent_image = "{address}/base:1"\nrequirements = "requirements.txt"\n'
            f'environment = {{ TOKEN = "${{STOWPLAN_SECRET}}" }}\n'
            '[pipeline.p.step.load.settings.docker]\napt_packages = ["git"]\n'
        )
        (root / "requirements.txt").write_text("six==1.16.0\n")
        (root / "train.py").write_text("print()\n")
        monkeypatch.chdir(root)
        monkeypatch.setenv("STOWPLAN_SECRET", SECRET)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        yield root


def test_the_hook_is_not_blind(project: Path) -> None:
    world = World(0)
    with watched(world):
        assert run(["lock", "--allow-unpinned"]) == 0
    assert world.seen > 10
    assert (project / "stowplan.lock").exists()


# Where connecting fails in a way that no socket does, Python's own library leaves the socket to be collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_in_words_wherever_the_world_fails(
    project: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    argv = COMMANDS[name]
    run(["lock", "--allow-unpinned"])
    usual = run(argv)
    if name == "lock":
        argv = [*argv, "--allow-unpinned"]
        usual = 0
    lock = read_lock(project)
    faults = list(FAULTS)
    for number in range(1, 1000):
        fault = faults[number % len(faults)]
        if name == "lock":
            (project / "stowplan.lock").unlink(missing_ok=True)
        capfd.readouterr()
        world = World(number, FAULTS[fault])
        with watched(world):
            code = run(argv)
        happened = world.seen >= number
        out, err = capfd.readouterr()
        told = f"{fault} at {number}: {code}\n{out}\n{err}"
        assert "Traceback" not in out + err, told
        assert SECRET not in out + err, told
        if fault.startswith("defect"):
            assert code in {usual, 1, 70, 75}, told
        else:
            assert code in {usual, 0, 1, 75}, told
        if code not in {0, 2}:
            assert "error: " in err or json.loads(out)["schema"] == "stowplan/error/2" or name == "check", (
                told
            )
        if code == 70:
            assert "a defect of stowplan" in err + out
        for report in [*project.glob(".stowplan/report-*"), *project.parent.glob("stowplan-report-*")]:
            text = report.read_text()
            assert SECRET not in text
            assert "stowplan" in text
            report.unlink()
        if not happened:
            break
        assert run(argv) == usual, told
        assert read_lock(project) == lock, told
        left = [path.name for path in project.glob(".stowplan/tmp/*")]
        assert left == [], told
    else:
        pytest.fail("it never ends")
    assert number > 3
