"""What came of runs, as text and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from executor.cli.render.data import error_data
from executor.cli.render.line import Line, Part, Style, cells, padded
from executor.records.runs import RunRecord
from executor.run.outcome import StepOutcome, StepStatus, StoredOutput
from executor.run.places import place_words
from executor.workflow.runs import Ran

if TYPE_CHECKING:
    from executor.schemas.printed import AnyRunObject, OutputObject, RecordedRunObject, RunObject

__all__ = ["ran_data", "ran_lines", "record_data", "record_lines", "status_part"]


_STATUSES: Final[Mapping[StepStatus, Style]] = {
    StepStatus.SUCCEEDED: Style.GOOD,
    StepStatus.FAILED: Style.BAD,
    StepStatus.INTERRUPTED: Style.BAD,
    StepStatus.SKIPPED: Style.TODO,
}


def ran_lines(ran: Ran) -> Iterator[Line]:
    """What `stowplan run` says: a line for each step, then the counts."""
    width = max(cells(item.step) for item in ran.outcomes)
    for item in ran.outcomes:
        time = "before" if item.kept else f"{item.seconds:.1f} s" if item.started else ""
        status = padded(status_part(item.status), 12)
        yield *status, *(padded(item.step, width + 2) if time else (item.step,)), time
    record = ran.record
    where = place_words(record.engine)
    yield f"Run {record.id} {where}: {_counts(ran.outcomes)} in {record.seconds:.1f} s."


def status_part(status: StepStatus) -> Part:
    """How a step ended, in its style."""
    return Part(status.value, _STATUSES[status])


def _counts(outcomes: Sequence[StepOutcome]) -> str:
    counts = Counter(item.status for item in outcomes)
    shown = [StepStatus.SUCCEEDED, StepStatus.FAILED]
    shown += [each for each in (StepStatus.SKIPPED, StepStatus.INTERRUPTED) if counts[each]]
    return ", ".join(f"{counts[each]} {each}" for each in shown)


def ran_data(ran: Ran) -> RunObject:
    """The object that `stowplan run -o json` prints, schema `stowplan/run/1`."""
    return {
        "schema": "stowplan/run/1",
        **_head(ran.record),
        "steps": [
            {
                "step": item.step,
                "status": item.status.value,
                "kept": item.kept,
                "started": item.started or None,
                "seconds": item.seconds,
                "image": item.image or None,
                "exit_code": item.code,
                "outputs": list(map(_output_data, item.outputs)),
                "log": item.log or None,
                "notes": list(item.notes),
                "error": error_data(item.error),
                "traceback": item.traceback or None,
            }
            for item in ran.outcomes
        ],
    }


def record_data(record: RunRecord) -> RecordedRunObject:
    """One run, as `stowplan runs list -o json` and `runs show -o json` have it."""
    return {
        **_head(record),
        "steps": [
            {
                "step": item.step,
                "status": item.status.value,
                "started": item.started or None,
                "seconds": item.seconds,
                "image": item.image or None,
                "exit_code": item.code,
                "outputs": list(map(_output_data, item.outputs)),
                "log": item.log or None,
                "error": item.error,
            }
            for item in record.steps
        ],
    }


def record_lines(record: RunRecord) -> Iterator[Line]:
    """What `stowplan runs show` says."""
    facts = {
        "run": record.id,
        "pipeline": record.pipeline,
        "stack": record.stack,
        "status": record.status.value,
        "started": record.started,
        "seconds": f"{record.seconds:.1f}",
        "engine": record.engine,
        "plan": record.plan,
        "build": record.build,
        "commit": record.commit,
    }
    yield from (f"{name:<9} {value}" for name, value in facts.items() if value)
    for item in record.steps:
        yield ""
        yield status_part(item.status), f" {item.step}  {item.seconds:.1f} s"
        if item.image:
            yield f"  image   {item.image}"
        yield from (
            f"  output  {each.name}: {each.type}, {each.bytes} bytes, {each.object}" for each in item.outputs
        )
        if item.error:
            yield from (f"  error   {line}" for line in item.error.split("\n")[:1])
        if item.log:
            yield f"  log     {item.log}"


def _output_data(output: StoredOutput) -> OutputObject:
    return {
        "name": output.name,
        "object": output.object,
        "serializer": output.serializer,
        "type": output.type,
        "sha256": output.sha256,
        "bytes": output.bytes,
    }


def _head(record: RunRecord) -> AnyRunObject:
    return {
        "run": record.id,
        "pipeline": record.pipeline,
        "stack": record.stack,
        "status": record.status.value,
        "started": record.started,
        "seconds": record.seconds,
        "engine": record.engine,
        "plan": record.plan,
        "build": record.build,
        "commit": record.commit,
    }
