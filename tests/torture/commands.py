"""Commands of a case: stowplan as a process of its own, with limits of its own, and what it left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from executor import limits
from executor.cli.main import main

__all__ = ["MARK", "Ran", "fault_of", "leftovers", "run"]

# Forked where everything is imported: most of the time of a command is that of its imports.
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.e2e.preloaded"])

MARK: Final = "STOWPLAN_TORTURE_CASE"
"""The variable by which the processes of a case are known, what they started included."""

_CODES: Final = frozenset({0, 1, 2, 64, 75})
# For processes that were killed to be gone from the list of processes.
_LEAVE_SECONDS: Final = 3.0


@frozen
class Ran:
    """How a command ended: None as its code if it did not, and was killed. `seconds` are wall time."""

    argv: tuple[str, ...]
    code: int | None
    out: str = field(repr=False)
    err: str = field(repr=False)
    seconds: float = 0.0


@frozen
class _Task:
    argv: tuple[str, ...]
    cwd: str
    environ: Mapping[str, str]
    limits: Mapping[str, float]


def _be(task: _Task, out: Any, err: Any) -> None:
    """Be stowplan, in a new process and a group of its own."""
    os.setsid()
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out.detach(), err.detach())):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = map(os.fdopen, range(3), "rww")
    os.chdir(task.cwd)
    os.environ.clear()
    os.environ.update(task.environ)
    for name, value in task.limits.items():
        assert hasattr(limits, name)
        setattr(limits, name, value)
    main(list(task.argv))


def run(
    argv: Sequence[str],
    cwd: Path,
    environ: Mapping[str, str],
    *,
    limits_of_it: Mapping[str, float],
    deadline: float,
) -> Ran:
    """Run a command with other limits (constants of `executor.limits`); killed after `deadline` seconds."""
    out, err = cwd.parent / f"{cwd.name}.out", cwd.parent / f"{cwd.name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        task = _Task(tuple(argv), str(cwd), dict(environ), dict(limits_of_it))
        pipes = (DupFd(stdout.fileno()), DupFd(stderr.fileno()))
        process = _PROCESSES.Process(target=_be, args=(task, *pipes))
        started = time.monotonic()
        process.start()
        process.join(deadline)
        seconds = time.monotonic() - started
        code = process.exitcode
        if code is None and process.pid is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
    said, noted = (path.read_text("utf-8", errors="replace") for path in (out, err))
    for path in (out, err):
        path.unlink()
    return Ran(tuple(argv), code, said, noted, seconds)


def fault_of(ran: Ran) -> dict[str, str]:
    """What is wrong with how a command ended, by the kinds of a verdict."""
    said = f"{ran.argv} after {ran.seconds:.1f} s: {ran.err[-2000:]}"
    if ran.code is None:
        return {"hung": said}
    if "Traceback (most recent call last)" in ran.out + ran.err or ran.code not in _CODES:
        return {"traceback": f"exit code {ran.code}: {said}"}
    return {}


def leftovers(case: str) -> list[str]:
    """The processes that a case left, by their command lines; they are killed."""
    end = time.monotonic() + _LEAVE_SECONDS
    while (found := _processes(case)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid, _ in found:
        os.kill(pid, signal.SIGKILL)
    return [line for _, line in found]


def _processes(case: str) -> list[tuple[int, str]]:
    wanted = f"{MARK}={case}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes().split(b"\0"):
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(path.name), line.strip()))
        except OSError:
            continue
    return [item for item in found if item[1]]
