"""What a run that is carried on takes from its earlier attempts.

Owns what counts: a step that had finished is taken as it is unless what it is to do, where its inputs come
from, or a step before it has changed, or an output of it is not there any more. That the code of a step has
changed does not count: it is mended because another step failed, and a run that began anew whenever it is
would never carry on. Refuses to run anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from executor.artifacts.store import ArtifactStore
from executor.errors import ExecutorError
from executor.records.runs import RunRecord, StepRecord
from executor.run.outcome import StepOutcome, StepStatus, StoredOutput
from executor.run.results import sha256_of
from executor.run.work import data_inputs, given_digest
from planner.pipeline import Pipeline, Step

__all__ = ["kept_steps"]


def kept_steps(
    pipeline: Pipeline, record: RunRecord, store: ArtifactStore, scratch: Path
) -> tuple[Mapping[str, StepOutcome], tuple[str, ...]]:
    """The outcomes of the steps that a run keeps, by name, and why others that had finished run again."""
    finished = {each.step: each for each in record.steps if each.status is StepStatus.SUCCEEDED}
    steps = {step.name: step for step in pipeline.steps}
    lost: dict[str, str] = {}
    while True:
        kept: dict[str, StepOutcome] = {}
        why: dict[str, str] = {}
        for name in pipeline.order:
            if name not in finished:
                continue
            if reason := lost.get(name) or _changed(steps[name], finished[name], pipeline.after[name], kept):
                why[name] = reason
            else:
                kept[name] = finished[name].kept
        found = dict(_lost(pipeline, kept, store, scratch))
        if not found:
            return kept, tuple(f"{name} runs again: {reason}" for name, reason in why.items())
        lost |= found


def _changed(step: Step, record: StepRecord, after: tuple[str, ...], kept: Mapping[str, StepOutcome]) -> str:
    """Why a step that had finished, and comes after some, runs again; empty if it does not."""
    if step.entrypoint is None or given_digest(step.entrypoint) != record.given:
        return "what it runs, or what it takes, is not what it was"
    again = [each for each in after if each not in kept]
    return f"it comes after {', '.join(again)}" if again else ""


def _lost(
    pipeline: Pipeline, kept: Mapping[str, StepOutcome], store: ArtifactStore, scratch: Path
) -> Iterator[tuple[str, str]]:
    """The kept steps of which another step needs an output that is not what it was, and why."""
    needed: dict[tuple[str, str], StoredOutput | None] = {}
    for step in pipeline.steps:
        if step.name not in kept:
            for item in data_inputs(step.entrypoint).values():
                if item.step in kept:
                    outputs = {each.name: each for each in kept[item.step].outputs}
                    needed[item.step, item.name] = outputs.get(item.name)
    for (of, name), output in needed.items():
        if output is None:
            yield of, f"it has left no output {name}"
            continue
        copy = scratch / "kept"
        try:
            store.get(output.object, copy)
            if sha256_of(copy) != output.sha256:
                yield of, f"its output {name} is not what it was"
        except ExecutorError as error:
            yield of, f"its output {name} cannot be read: {error.problems[0].found}"
        finally:
            copy.unlink(missing_ok=True)
