"""Where steps run: in containers of an engine, or in the active environment of this machine.

Both take the same job and leave the same result. Refuses to know what a step is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from attrs import field

from executor.engines.interrupts import Tasks
from executor.engines.protocol import (
    EXCHANGE,
    OWNER_LABEL,
    RUN_LABEL,
    STEP_LABEL,
    ContainerJob,
    Ended,
    Stream,
)
from executor.orphans import STEP_VARIABLE
from executor.process import Command, run
from executor.scratch import name_of
from planner.image.instructions import APP_DIRECTORY
from planner.immutable import frozen
from planner.values import FrozenMapping

if TYPE_CHECKING:
    from executor.engines.protocol import Engine, OnOutput

__all__ = [
    "BOOTSTRAP",
    "LOCAL",
    "PYTHON_VARIABLES",
    "Containers",
    "Environment",
    "Place",
    "StepImage",
    "container_python",
    "place_words",
]

LOCAL: Final = "local"
"""What stands for an engine where there is none."""
BOOTSTRAP: Final = "bootstrap.pyz"
# Ours, and the reference's.
PYTHON_VARIABLES: Final = (
    "STOWPLAN_CONTAINER_PYTHON_EXECUTABLE",
    "ZENML_CONTAINER_PYTHON_EXECUTABLE",
)


def container_python(environ: Mapping[str, str] = os.environ) -> str:
    """The Python that runs steps in containers."""
    return next(filter(None, (environ.get(name) for name in PYTHON_VARIABLES)), "python")


def place_words(name: str) -> str:
    """Where steps run, by the name of the place, in words."""
    return "in the active environment" if name == LOCAL else f"on {name}"


class Place(Protocol):
    """Where steps run."""

    @property
    def name(self) -> str:
        """The engine, or `local`."""

    def directory(self, step: str) -> str:
        """The source root of a step, as the step sees it."""

    def image(self, step: str) -> str:
        """The image that a step runs in; empty for none."""

    def needs_bootstrap(self, step: str) -> bool:
        """Whether a step has to be given the bootstrap."""

    def run_command(self, step: str, argv: tuple[str, ...], on_output: OnOutput) -> Ended:
        """Run a command to its end."""

    def run_job(self, step: str, job: bytes, exchange: Path, on_output: OnOutput) -> Ended:
        """Run the bootstrap to its end."""

    def interrupt(self) -> None:
        """Stop all that runs, from another thread."""


@frozen
class StepImage:
    """The image that a step runs in, and where the bootstrap is in it; None where it has none."""

    reference: str
    bootstrap: str | None = None


@frozen
class Containers:
    """Containers of an engine, each of the image of its step.

    `run` and `scratch`, which is the temporary directory of the run, mark them as ours.
    """

    engine: Engine
    images: Mapping[str, StepImage]
    run: str
    scratch: Path
    python: str

    @property
    def name(self) -> str:
        """The engine."""
        return self.engine.name

    def directory(self, step: str) -> str:
        """Where images have the code."""
        del step
        return APP_DIRECTORY

    def image(self, step: str) -> str:
        """The reference of its image."""
        return self.images[step].reference

    def needs_bootstrap(self, step: str) -> bool:
        """Whether its image has none."""
        return self.images[step].bootstrap is None

    def run_command(self, step: str, argv: tuple[str, ...], on_output: OnOutput) -> Ended:
        """Run a command in a container."""
        return self.engine.run_container(self._job(step, argv, None, None), on_output)

    def run_job(self, step: str, job: bytes, exchange: Path, on_output: OnOutput) -> Ended:
        """Run the bootstrap in a container."""
        bootstrap = self.images[step].bootstrap or f"{EXCHANGE}/{BOOTSTRAP}"
        argv = (self.python, bootstrap, "run", EXCHANGE)
        return self.engine.run_container(self._job(step, argv, job, exchange), on_output)

    def _job(
        self, step: str, argv: tuple[str, ...], stdin: bytes | None, exchange: Path | None
    ) -> ContainerJob:
        labels = {RUN_LABEL: self.run, STEP_LABEL: step, OWNER_LABEL: name_of(self.scratch)}
        return ContainerJob(self.images[step].reference, argv, stdin, exchange, FrozenMapping(labels))

    def interrupt(self) -> None:
        """Stop the containers."""
        self.engine.interrupt()


@frozen
class Environment:
    """The active environment: the user's Python, in the source root. `python` is asked for it when needed."""

    root: Path
    scratch: Path
    python: Callable[[], Path]
    name: str = LOCAL
    _tasks: Tasks = field(init=False, factory=Tasks, repr=False, eq=False)

    def directory(self, step: str) -> str:
        """The source root."""
        del step
        return str(self.root)

    def image(self, step: str) -> str:
        """None."""
        del step
        return ""

    def needs_bootstrap(self, step: str) -> bool:
        """It does."""
        del step
        return True

    def run_command(self, step: str, argv: tuple[str, ...], on_output: OnOutput) -> Ended:
        """Run a command."""
        return self._run(step, argv, None, on_output)

    def run_job(self, step: str, job: bytes, exchange: Path, on_output: OnOutput) -> Ended:
        """Run the bootstrap."""
        argv = (str(self.python()), str(exchange / BOOTSTRAP), "run", str(exchange))
        return self._run(step, argv, job, on_output)

    def _run(self, step: str, argv: tuple[str, ...], stdin: bytes | None, on_output: OnOutput) -> Ended:
        with self._tasks.begun(step) as task:
            task.check()
            done = run(
                Command(argv, FrozenMapping({STEP_VARIABLE: name_of(self.scratch)}), str(self.root)),
                stdin=None if stdin is None else iter([stdin]),
                on_line=lambda line: on_output(line, Stream.STDOUT),
                on_error_line=lambda line: on_output(line, Stream.STDERR),
                stoppable=task.stoppable,
            )
            task.check()
        # As a shell and as engines count: what a signal ended.
        return Ended(done.code if done.code >= 0 else 128 - done.code)

    def interrupt(self) -> None:
        """Stop the processes."""
        self._tasks.interrupt()
