"""The order of a run: each step after those that it comes after, the others side by side.

Owns what a failure stops: the steps that come after it, and nothing else. An outcome is recorded as soon as
there is one, before anything goes on from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from attrs import evolve

from executor.defects import explained
from executor.run.outcome import OnStepEvent, StepEvent, StepEventKind, StepOutcome, StepStatus
from executor.run.step import Runner
from planner.pipeline import Pipeline, Step

__all__ = ["run_steps"]


def run_steps(
    pipeline: Pipeline,
    runner: Runner,
    *,
    root: Path,
    jobs: int,
    kept: Mapping[str, StepOutcome],
    record: Callable[[StepOutcome], None],
    on_event: OnStepEvent,
) -> tuple[tuple[StepOutcome, ...], bool]:
    """Run the steps of a pipeline that are not `kept`, at most `jobs` at once; the outcomes in its order.

    `record` is called with each outcome in the thread of its step. KeyboardInterrupt stops all steps; whether
    there was one comes second, when they have ended. A second one is raised at once.
    """
    return _Run(pipeline, runner, root, record, on_event).all(jobs, kept)


class _Run:
    def __init__(
        self,
        pipeline: Pipeline,
        runner: Runner,
        root: Path,
        record: Callable[[StepOutcome], None],
        on_event: OnStepEvent,
    ) -> None:
        self._pipeline, self._runner, self._root = pipeline, runner, root
        self._record, self._on_event = record, on_event
        self._steps = {step.name: step for step in pipeline.steps}
        self._outcomes: dict[str, StepOutcome] = {}
        self._interrupted = threading.Event()

    def all(self, jobs: int, kept: Mapping[str, StepOutcome]) -> tuple[tuple[StepOutcome, ...], bool]:
        self._outcomes.update(kept)
        for outcome in kept.values():
            self._ended(outcome)
        running: dict[Future[StepOutcome], str] = {}
        pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="stowplan-step")
        try:
            try:
                self._through(pool, running)
            except KeyboardInterrupt:
                self._interrupt()
                self._through(pool, running)
        except Exception:
            # What cannot be recorded is not gone on from, and what runs uses what is about to be removed.
            self._interrupt()
            wait(running)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        missing = (name for name in self._steps if name not in self._outcomes)
        for name in missing:
            self._outcomes[name] = StepOutcome(name, StepStatus.SKIPPED, notes=("the run was interrupted",))
        return tuple(self._outcomes[step.name] for step in self._pipeline.steps), self._interrupted.is_set()

    def _interrupt(self) -> None:
        self._interrupted.set()
        self._runner.place.interrupt()

    def _through(self, pool: ThreadPoolExecutor, running: dict[Future[StepOutcome], str]) -> None:
        """Go on until nothing runs, and nothing may begin."""
        while True:
            if not self._interrupted.is_set():
                self._begin(pool, running)
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                self._outcomes[running.pop(future)] = future.result()

    def _begin(self, pool: ThreadPoolExecutor, running: dict[Future[StepOutcome], str]) -> None:
        """Begin all steps that may begin now, and be done with those that never will."""
        begun = set(running.values())
        for name in self._pipeline.order:
            if name in self._outcomes or name in begun:
                continue
            before = [self._outcomes.get(each) for each in self._pipeline.after[name]]
            failed = [each.step for each in before if each is not None and not each.succeeded]
            if failed:
                self._outcomes[name] = self._done(
                    StepOutcome(name, StepStatus.SKIPPED, notes=(f"it comes after {', '.join(failed)}",))
                )
            elif all(before):
                running[pool.submit(self._one, self._steps[name], dict(self._outcomes))] = name

    def _one(self, step: Step, finished: Mapping[str, StepOutcome]) -> StepOutcome:
        self._on_event(StepEvent(step.name, StepEventKind.STARTED))

        def on_line(line: str) -> None:
            self._on_event(StepEvent(step.name, StepEventKind.LINE, line))

        try:
            outcome = self._runner.carry_out(step, finished, on_line)
        except Exception as error:  # whatever it is, the other steps are not lost to it
            outcome = StepOutcome(step.name, StepStatus.FAILED, error=explained(error, self._root))
        if self._interrupted.is_set() and not outcome.succeeded:
            outcome = evolve(outcome, status=StepStatus.INTERRUPTED, error=None, traceback="")
        return self._done(outcome)

    def _done(self, outcome: StepOutcome) -> StepOutcome:
        self._record(outcome)
        self._ended(outcome)
        return outcome

    def _ended(self, outcome: StepOutcome) -> None:
        self._on_event(StepEvent(outcome.step, StepEventKind.ENDED, outcome=outcome))
