"""What is known of where an image is: the ledger, the records, the registry, the engine.

Each of them says yes, no, something wrong, or that it could not tell; None says that nobody asked.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from planner.immutable import frozen
from planner.values import Digest

__all__ = [
    "Absent",
    "Foreign",
    "Held",
    "History",
    "InEngine",
    "InRegistry",
    "Presence",
    "Recorded",
    "Registered",
    "Untold",
]


@frozen
class Registered:
    """It is there, under this digest, and carries the mark of the image."""

    digest: Digest


@frozen
class Foreign:
    """Something else is there: under the image's tag, but not this image. `found` says what it is."""

    found: str
    digest: Digest | None = None


@frozen
class Absent:
    """It is not there."""

    reason: str = ""


@frozen
class Untold:
    """It cannot be told. `transient` says whether asking again later may help."""

    reason: str
    transient: bool = True


@frozen
class Held:
    """An engine has it, under some reference."""


InRegistry: TypeAlias = Registered | Foreign | Absent | Untold
InEngine: TypeAlias = Held | Foreign | Absent


@frozen
class Recorded:
    """The newest record that says that the image was there: its number, when, and in which engine.

    `pushed` says whether it was in the registry under this reference.
    """

    number: int
    finished: str
    engine: str
    pushed: bool = False


class History(StrEnum):
    """What the records say of earlier builds of an image of this name."""

    NEVER = "never"
    CHANGED = "changed"
    ELSEWHERE = "elsewhere"


@frozen
class Presence:
    """All that is known of one image.

    `engine_name` is that of the engine that would be used, if it is known.
    """

    ledger: Digest | None = None
    record: Recorded | None = None
    history: History = History.NEVER
    registry: InRegistry | None = None
    engine: InEngine | None = None
    engine_name: str = ""
