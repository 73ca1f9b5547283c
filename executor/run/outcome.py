"""What came of a run: events while it goes on, one outcome for each step, and what steps have left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from attrs import field

from executor import errors
from executor.errors import ExecutorError
from planner.immutable import frozen

__all__ = [
    "OnStepEvent",
    "RunStatus",
    "StepEvent",
    "StepEventKind",
    "StepOutcome",
    "StepStatus",
    "StoredOutput",
    "exit_code",
    "run_status",
]


class StepStatus(StrEnum):
    """How one step of a run ended. Records use the same words."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    """A step that it comes after did not succeed."""


class RunStatus(StrEnum):
    """How a run stands. Records use the same words."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StepEventKind(StrEnum):
    """What an event says."""

    STARTED = "started"
    LINE = "line"
    """A line that the step wrote."""
    ENDED = "ended"


@frozen
class StepEvent:
    """Something that happened to a step; `outcome` is there when it ended."""

    step: str
    kind: StepEventKind
    text: str = ""
    outcome: StepOutcome | None = None


OnStepEvent = Callable[[StepEvent], None]
"""Takes events, from several threads."""


@frozen
class StoredOutput:
    """An output of a step in the artifact store: the name of the object, and what it has to be.

    `type` is the Python type that was written, `sha256` the digest of the object in hexadecimal digits, and
    `bytes` its size.
    """

    name: str
    object: str
    serializer: str
    type: str
    sha256: str
    bytes: int


@frozen
class StepOutcome:
    """What came of one step.

    `started` is UTC in ISO 8601, empty for one that did not run, and `seconds` wall time. `image` is the
    reference that ran, empty without a container. `code` is the exit code, if it ended with one. `log` is
    the file with all that it wrote, from the root of the project. `given` is a digest of what it was to do.
    `kept` says that an earlier attempt of the run had finished it. `traceback` is that of the step's error.
    """

    step: str
    status: StepStatus
    started: str = ""
    seconds: float = 0.0
    image: str = ""
    code: int | None = None
    outputs: tuple[StoredOutput, ...] = ()
    log: str = ""
    given: str = ""
    kept: bool = False
    notes: tuple[str, ...] = ()
    error: ExecutorError | None = None
    traceback: str = field(default="", repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether its outputs are there."""
        return self.status is StepStatus.SUCCEEDED


def run_status(outcomes: Iterable[StepOutcome]) -> RunStatus:
    """What the steps of a run come to."""
    found = {outcome.status for outcome in outcomes}
    if StepStatus.FAILED in found:
        return RunStatus.FAILED
    return RunStatus.SUCCEEDED if found <= {StepStatus.SUCCEEDED} else RunStatus.INTERRUPTED


def exit_code(outcomes: Iterable[StepOutcome]) -> int:
    """0 if every step succeeded; 75 if trying again may help every one that failed; else 1."""
    return errors.exit_code(outcome.error.failure for outcome in outcomes if outcome.error is not None)
