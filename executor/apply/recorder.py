"""Writes down what came of an image: a record for every end, and the ledger for what was pushed.

Refuses to lose one outcome for the sake of another: what cannot be written is part of the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from attrs import evolve

from executor.apply.outcome import Outcome, Result
from executor.defects import explained
from executor.errors import ExecutorError
from executor.records.database import now
from executor.records.store import Record, Records
from executor.state import prepare_state, update_lock
from planner.compare.actions import NOT_NEEDED
from planner.errors import StowplanError
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen
from planner.lock.lock import Lock, Pushed
from planner.values import ImageRef

__all__ = ["Recorder", "failing"]


@frozen
class Recorder:
    """Records the outcomes of one plan. `lock` is the lock as it was when the work began."""

    plan: BuildPlan
    root: Path
    records: Records
    lock: Lock

    def prepare(self) -> None:
        """Make sure that all can be written, before anything is built. ExecutorError if it cannot."""
        errors = []
        pushes = any(image.destination.push for image in self.plan.images if image.builds)
        for check in (self.records.prepare, partial(prepare_state, self.root, lock=pushes)):
            try:
                check()
            except StowplanError as error:
                errors.append(error)
        if errors:
            raise ExecutorError.joined(errors)

    def record(self, image: ImagePlan, outcome: Outcome) -> Outcome:
        """Write an outcome down; the outcome, with what could not be written."""
        errors: list[StowplanError] = []
        for write in (
            partial(self._record, image, outcome),
            partial(self._ledger, image, outcome),
        ):
            try:
                write()
            except StowplanError as error:
                errors.append(error)
            except Exception as error:  # whatever it is, the other outcomes are not lost to it
                errors.append(explained(error, self.root))
        return failing(outcome, errors)

    def _record(self, image: ImagePlan, outcome: Outcome) -> None:
        if outcome.result is Result.PARENT or outcome.code == NOT_NEEDED.code:
            return
        if outcome.result is Result.REUSED:
            # What is known already needs no further record.
            earlier = self.records.recorded(image.hash, image.reference)
            if earlier is not None and earlier.pushed >= (outcome.digest is not None):
                return
        record = Record(
            id=0,
            finished=now(),
            seconds=outcome.seconds,
            pipeline=self.plan.pipeline,
            stack=self.plan.stack,
            image=image.name,
            hash=str(image.hash),
            status=outcome.result,
            engine=outcome.engine,
            reference=outcome.reference,
            digest=str(outcome.digest) if outcome.digest else None,
            error=str(outcome.error) if outcome.error else None,
        )
        self.records.add(record, image)

    def _ledger(self, image: ImagePlan, outcome: Outcome) -> None:
        if outcome.digest is None or not image.builds or outcome.failed or not outcome.verified:
            return
        reference = ImageRef.parse(image.destination.repository).pinned(outcome.digest)
        entry = Pushed(image.hash, reference, image.name, self.plan.stack)
        if entry not in self.lock.pushed:
            update_lock(self.root, lambda lock: lock.with_pushed([entry]))


def failing(outcome: Outcome, errors: Iterable[StowplanError]) -> Outcome:
    """The outcome with more that went wrong."""
    if not (more := tuple(errors)):
        return outcome
    return evolve(outcome, error=ExecutorError.joined([outcome.error, *more] if outcome.error else more))
