"""What was found of one thing, and looks that are made side by side, each within a time.

A look that hangs or fails is an answer about what it looks at, and hides no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from enum import StrEnum

from executor import limits
from executor.process import kill_children_of
from planner.errors import StowplanError
from planner.immutable import frozen

__all__ = ["Check", "Look", "State", "look_at_all"]


class State(StrEnum):
    """How something is: `failed` is needed and does not work, and `skipped` is neither there nor needed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen
class Check:
    """What was found of one thing: a stable `code`, what it is about, and how it is.

    `fix` is a command, or what to do; empty where all is well.
    """

    code: str
    subject: str
    state: State
    found: str
    fix: str = ""


@frozen
class Look:
    """Something to look at. `run` may raise ExecutorError or PlannerError, and may hang.

    `needed` says whether the project cannot do without it: what fails is a warning otherwise.
    """

    code: str
    subject: str
    run: Callable[[], Iterable[Check]]
    needed: bool = True
    hangs: str = "see what it waits for"
    """What to do if it does not answer."""

    def checks(self) -> tuple[Check, ...]:
        """What it finds, or why that fails."""
        try:
            return tuple(self.run())
        except StowplanError as error:
            first, *others = error.problems
            where = "" if str(first.where) in ("", self.subject) else f"{first.where}: "
            more = f" (and {len(others)} more)" if others else ""
            return (self.bad(f"{where}{first.found}{more}", first.fix),)
        except Exception as error:  # any library may raise anything, and the other looks are worth having
            return (self.bad(f"cannot be looked at ({type(error).__name__})", "report it as a defect"),)

    def bad(self, found: str, fix: str) -> Check:
        """That it does not work."""
        return Check(self.code, self.subject, State.FAILED if self.needed else State.WARNING, found, fix)


def look_at_all(looks: Iterable[Look]) -> tuple[Check, ...]:
    """What all of them find, in their order, within limits.DOCTOR_SECONDS. What they leave is ended."""
    looks = tuple(looks)
    found: dict[int, tuple[Check, ...]] = {}

    def run(index: int) -> None:
        found[index] = looks[index].checks()

    end = time.monotonic() + limits.DOCTOR_SECONDS
    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(looks))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))
        late = {index: thread for index, thread in enumerate(threads) if index not in found}
        silent = f"does not answer within {limits.DOCTOR_SECONDS:g} s"
        return tuple(
            check
            for index, look in enumerate(looks)
            for check in ((look.bad(silent, look.hangs),) if index in late else found[index])
        )
    finally:
        # Programs that a look waits for would outlive this process.
        kill_children_of(threads)
