"""1,000 hostile projects, each in processes of its own: see `tests.property.hostile`."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.e2e.command import PROCESSES, ROOT, be_command
from tests.property.hostile import Case, cases
from tests.property.playing import Ran, play
from tests.torture.campaign import Verdict

__all__ = ["CAMPAIGN"]

# The longest wait for something that does not answer is a minute, and each command has one of them at most.
_SECONDS: Final = 180


class Hostile:
    """Files, state, environment and arguments that are hostile: an answer in words."""

    name = "hostile"
    count = 1000

    def prepare(self, work: Path) -> None:
        """Set up nothing but a place."""
        self._work = work
        work.mkdir(parents=True, exist_ok=True)

    def case(self, number: int, rng: random.Random) -> Verdict:
        """Draw one case and play it."""
        return play(_drawn(rng.getrandbits(64)), self._work / str(number), run)

    def close(self) -> None:
        """Take down nothing: what a good case has made is gone."""


def _drawn(number: int) -> Case:
    """One case that Hypothesis draws from a seed."""
    found: list[Case] = []

    # The first that is drawn is always the simplest.
    @settings(
        max_examples=2,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @seed(number)
    @given(cases())
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return found[-1]


def run(root: Path, argv: tuple[str, ...], environment: Mapping[str, str]) -> Ran:
    """Run stowplan in a process, which has its time."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = _new if environment.keys() & _AT_THE_START else _forked
        code = start(root, argv, environment, out, err)
        for file in (out, err):
            file.seek(0)
        return Ran(code, out.read(), err.read())


# What a Python reads once, at its start.
_AT_THE_START: Final = {"LC_ALL", "PYTHONWARNINGS", "PYTHONIOENCODING"}


def _forked(
    root: Path, argv: tuple[str, ...], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> int | None:
    process = PROCESSES.Process(
        target=be_command, args=(argv, str(root), environment, DupFd(out.fileno()), DupFd(err.fileno()))
    )
    process.start()
    process.join(_SECONDS)
    if process.exitcode is not None:
        return process.exitcode
    process.kill()
    process.join()
    return None


def _new(
    root: Path, argv: tuple[str, ...], environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> int | None:
    try:
        return subprocess.run(
            [sys.executable, "-m", "executor.cli", *argv],
            cwd=root,
            env={"PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            check=False,
            timeout=_SECONDS,
        ).returncode
    except subprocess.TimeoutExpired:
        return None


CAMPAIGN: Final = Hostile()
