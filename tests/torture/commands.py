"""Commands of a case: stowplan as a process of its own, with limits of its own, and what it left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from executor import limits
from tests.e2e.command import PROCESSES, be_command
from tests.torture.campaign import CODES

__all__ = ["MARK", "Ran", "fault_of", "leftovers", "run"]

MARK: Final = "STOWPLAN_TORTURE_CASE"
"""The variable by which the processes of a case are known, what they started included."""

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


def _be(limits_of_it: Mapping[str, float], *command: Any) -> None:
    """Be stowplan, in a new process and a group of its own."""
    os.setsid()
    for name, value in limits_of_it.items():
        assert hasattr(limits, name)
        setattr(limits, name, value)
    be_command(*command)


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
        files = (DupFd(stdout.fileno()), DupFd(stderr.fileno()))
        process = PROCESSES.Process(
            target=_be, args=(dict(limits_of_it), tuple(argv), str(cwd), dict(environ), *files)
        )
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
    if "Traceback (most recent call last)" in ran.out + ran.err or ran.code not in CODES:
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
