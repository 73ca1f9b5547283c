"""Writes down what came of an image: a record for every end, and the ledger for what was pushed.

Refuses to lose one outcome for the sake of another: what cannot be written is part of the outcome.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from executor.apply.outcome import Outcome, Result
from executor.errors import ExecutorError
from executor.records.store import Record, Records
from executor.state import update_lock
from planner.errors import PlannerError
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen
from planner.lock.lock import Lock, Pushed
from planner.values import ImageRef

__all__ = ["Recorder"]


@frozen
class Recorder:
    """Records the outcomes of one plan. `lock` is the lock as it was when the work began."""

    plan: BuildPlan
    root: Path
    records: Records
    lock: Lock

    def record(self, image: ImagePlan, outcome: Outcome, engine_name: str) -> Outcome:
        """Write an outcome down; the outcome, with what could not be written."""
        try:
            self._record(image, outcome, engine_name)
            self._ledger(image, outcome)
        except (ExecutorError, PlannerError) as error:
            return evolve(outcome, error=outcome.error or error)
        return outcome

    def _record(self, image: ImagePlan, outcome: Outcome, engine_name: str) -> None:
        if outcome.result is Result.PARENT or outcome.code == "not-needed":
            return
        if outcome.result is Result.REUSED:
            # What is known already needs no further record.
            earlier = self.records.recorded(image.hash, image.reference)
            if earlier is not None and earlier.pushed >= (outcome.digest is not None):
                return
        record = Record(
            id=0,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=outcome.seconds,
            pipeline=self.plan.pipeline,
            stack=self.plan.stack,
            image=image.name,
            hash=str(image.hash),
            status=outcome.result,
            engine=engine_name,
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
