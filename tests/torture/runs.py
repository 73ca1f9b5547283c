"""Kills of runs: `stowplan run` ends at any instant, in the active environment, with Docker and with Podman.

After each kill `run --rerun-failed` goes on: what had finished does not run again, which the outputs show,
since no two runs of a step give the same; and nothing stays behind, no container, no process, no temporary
file.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from executor.engines.protocol import RUN_LABEL
from executor.orphans import STEP_VARIABLE
from executor.records.runs import RunRecord, Runs
from executor.run.outcome import StepStatus
from tests.contract.images import TEST_BASE
from tests.e2e.command import Project
from tests.torture.campaign import Verdict

__all__ = ["CAMPAIGN", "PLACES", "RunKills"]

PLACES: Final = ("local", "docker", "podman")
_SIGNALS: Final = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_END_SECONDS: Final = 300.0
_STEPS: Final = """
    import os

    def first():
        return os.urandom(8).hex()

    def left(given):
        print("left of", given)
        return given + " " + os.urandom(8).hex(), os.urandom(200_000)

    def right(given):
        return given + " " + os.urandom(8).hex()

    def last(one, large, other):
        assert len(large) == 200_000
        return one + " " + other
"""
_PROJECT: Final = """
    [pipeline.p]
    steps = ["first", "left", "right", "last", "said"]
    {settings}
    [pipeline.p.step.first]
    function = "pipe:first"
    [pipeline.p.step.left]
    function = "pipe:left"
    inputs = {{ given = "first" }}
    outputs = ["text", "large"]
    [pipeline.p.step.right]
    function = "pipe:right"
    inputs = {{ given = "first" }}
    after = ["first"]
    [pipeline.p.step.last]
    function = "pipe:last"
    inputs = {{ one = "left.text", large = "left.large", other = "right" }}
    [pipeline.p.step.said]
    command = "sleep 0.1; echo said"
"""


@define
class RunKills:
    """Runs that are killed, with each place in turn."""

    name: str = "runs"
    count: int = 51
    _work: Path = Path()
    # How long a run takes that nobody kills.
    _seconds: dict[str, float] = field(factory=dict)

    def prepare(self, work: Path) -> None:
        """Where the projects are."""
        self._work = work

    def close(self) -> None:
        """Nothing stays."""

    def case(self, number: int, rng: random.Random) -> Verdict:
        """Kill a run up to three times, and have it end."""
        place = PLACES[number % len(PLACES)]
        root = Path(tempfile.mkdtemp(dir=self._work, prefix="run-"))
        try:
            return self._case(_Case(place, _project(root, place)), rng)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def _case(self, case: _Case, rng: random.Random) -> Verdict:
        if case.place not in self._seconds:
            # The first one has the images built.
            for _ in range(2):
                started = time.monotonic()
                case.project.ok("run", "p", *case.options)
                self._seconds[case.place] = time.monotonic() - started
        kills = [rng.uniform(0, 0.8 * self._seconds[case.place]) for _ in range(rng.randrange(1, 4))]
        said = []
        for attempt, seconds in enumerate(kills):
            number = rng.choice(_SIGNALS)
            before = case.newest() if attempt else None
            with (case.project.root.parent / f"said-{attempt}").open("w+") as out:
                more = ("--rerun-failed",) if attempt else ()
                process = case.project.start(
                    "run", "p", *case.options, *more, out=out.fileno(), err=out.fileno()
                )
                process.join(seconds)
                assert process.pid is not None
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
                process.join(_END_SECONDS)
                out.seek(0)
                text = out.read()
            said.append(f"{number.name} after {seconds:.2f} s: exit {process.exitcode}")
            if process.exitcode is None:
                process.kill()
                case.hung.append(said[-1])
            if "Traceback" in text:
                case.tracebacks.append(text[-1500:])
            case.compare(before)
        case.finish()
        return Verdict(
            f"{case.place}: {'; '.join(said)}",
            "; ".join(case.torn),
            "; ".join(case.leaks()),
            "; ".join(case.hung),
            "; ".join(case.tracebacks),
        )


@define
class _Case:
    """One project, where its steps run, and what went wrong."""

    place: str
    project: Project
    torn: list[str] = field(factory=list)
    hung: list[str] = field(factory=list)
    tracebacks: list[str] = field(factory=list)

    @property
    def options(self) -> tuple[str, ...]:
        """Where the steps run."""
        return ("--local",) if self.place == "local" else ("--engine", self.place)

    def newest(self) -> RunRecord | None:
        """The run as it is recorded."""
        return Runs(self.project.root).newest("p", "default")

    def compare(self, before: RunRecord | None) -> None:
        """See that no step that had finished before has another outcome now."""
        now = self.newest()
        if before is None or now is None:
            return
        if now.id != before.id:
            self.torn.append(f"run {before.id} was not the one that went on")
        steps = {each.step: each for each in now.steps}
        for step in before.steps:
            if step.status is StepStatus.SUCCEEDED and steps[step.step] != step:
                self.torn.append(f"{step.step} had finished, and ran again")

    def finish(self) -> None:
        """Have the run end, and see that its outputs are one from another."""
        before = self.newest()
        started = time.monotonic()
        ran = self.project.run("run", "p", *self.options, "--rerun-failed", "-o", "json")
        if time.monotonic() - started > _END_SECONDS:
            self.hung.append("the last run")
        if ran.code:
            self.torn.append(f"the last run ended with {ran.code}: {ran.err[-1500:]}")
            return
        self.compare(before)
        values = {
            (each["step"], output["name"]): output for each in ran.data["steps"] for output in each["outputs"]
        }
        texts = {key: self._text(output) for key, output in values.items() if output["name"] != "large"}
        first = texts["first", "output"]
        left, right = texts["left", "text"], texts["right", "output"]
        if not (left.startswith(first) and right.startswith(first)):
            self.torn.append("left and right do not come from first")
        if texts["last", "output"] != f"{left} {right}":
            self.torn.append("last does not come from left and right")

    def _text(self, output: dict[str, Any]) -> str:
        path = self.project.root / ".stowplan/artifacts" / output["object"]
        return str(path.read_text())

    def leaks(self) -> Iterator[str]:
        """What is left, after the run that went to its end."""
        yield from (f"file {path.name}" for path in (self.project.root / ".stowplan/tmp").iterdir())
        for path in (self.project.root / ".stowplan/artifacts").rglob(".*"):
            if path.name != ".gitignore":
                yield f"file {path.name} in the artifact store"
        root = str(self.project.root).encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                marked = [
                    each for each in path.read_bytes().split(b"\0") if each.startswith(STEP_VARIABLE.encode())
                ]
                yield from (f"process {path.parent.name}" for each in marked if root in each)
        if self.place != "local":
            runs = Runs(self.project.root).all()
            for run in runs:
                argv = (self.place, "ps", "--all", "--quiet", f"--filter=label={RUN_LABEL}={run.id}")
                done = subprocess.run(argv, check=True, capture_output=True, text=True)
                yield from (f"container {each}" for each in done.stdout.split())


def _project(root: Path, place: str) -> Project:
    env = {"STOWPLAN_CONTAINER_ENGINE": "", "ZENML_CONTAINER_ENGINE": "", "STOWPLAN_PYTHON": sys.executable}
    project = Project(root / "project", env)
    settings = f'settings.docker = {{ parent_image = "{TEST_BASE}" }}' if place != "local" else ""
    project.write({"stowplan.toml": _PROJECT.format(settings=settings), "pipe.py": _STEPS})
    return project


CAMPAIGN: Final = RunKills()
