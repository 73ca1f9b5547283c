"""What came of applying a plan: events while it goes on, and one outcome for each image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from executor import errors
from executor.errors import ExecutorError, Failure
from planner.compare.actions import Action
from planner.errors import StowplanError
from planner.immutable import frozen
from planner.values import Digest

__all__ = ["Event", "EventKind", "OnEvent", "Outcome", "Result", "exit_code"]


class Result(StrEnum):
    """How one image of a plan ended up. Records use the same words."""

    BUILT = "built"
    PUSHED = "pushed"
    """It was there, and was pushed."""
    REUSED = "reused"
    PARENT = "parent"
    """The parent is used as it is."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class EventKind(StrEnum):
    """What an event says."""

    WAITING = "waiting"
    """Another stowplan works on the image."""
    BUILDING = "building"
    LAYER = "layer"
    """A layer begins: its number and its name, `[3/6] requirements`."""
    PUSHING = "pushing"
    LINE = "line"
    """A line of the engine's output."""
    ENDED = "ended"


@frozen
class Event:
    """Something that happened to an image; `result` is there when it ended."""

    image: str
    kind: EventKind
    text: str = ""
    result: Result | None = None


OnEvent = Callable[[Event], None]


@frozen
class Outcome:
    """What came of one image.

    `action` is what was decided and `code` and `reason` why. `digest` is the registry's, None for a local
    image; `pushed` says whether it was pushed now, and `verified` whether the registry was asked about an
    image that is reused. `seconds` is wall time. `engine` is the engine's name; empty as long as none was
    needed. `error` is why it failed, and what could not be recorded.
    """

    name: str
    hash: Digest
    action: Action
    result: Result
    reference: str
    code: str = ""
    reason: str = ""
    digest: Digest | None = None
    pushed: bool = False
    verified: bool = True
    seconds: float = 0.0
    engine: str = ""
    error: StowplanError | None = None

    @property
    def failed(self) -> bool:
        """Whether the image is not there."""
        return self.result in (Result.FAILED, Result.INTERRUPTED)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0 if every image is there, and recorded; 75 if trying again may help every one that is not; else 1."""
    return errors.exit_code(
        outcome.error.failure if isinstance(outcome.error, ExecutorError) else Failure.FAILED
        for outcome in outcomes
        if outcome.error is not None
    )
