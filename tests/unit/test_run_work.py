"""Where a pipeline runs, and what the job of a step says."""

from __future__ import annotations

import io
import json

import pytest

from executor.bootstrap import job as bootstrap_job
from executor.run.outcome import RunStatus, StepOutcome, StepStatus, StoredOutput, run_status
from executor.run.work import given_digest, job_bytes
from executor.workflow.runs import runs_locally
from planner import Pipeline, Stack, Step
from planner.entrypoint import Command, Entrypoint, Function, Output
from planner.values import FrozenMapping

STORED = StoredOutput("output", "runs/r1/load/output", "json", "int", "0" * 64, 2)


@pytest.mark.parametrize(
    ("pipeline", "stack", "local"),
    [
        ({}, {}, True),
        ({}, {"orchestrator": {"flavor": "local"}}, True),
        ({}, {"artifact_store": {"uri": "store"}}, True),
        ({}, {"orchestrator": {"flavor": "kubernetes"}}, False),
        ({}, {"container_registry": {"uri": "localhost:5000"}}, False),
        ({}, {"image_builder": {"flavor": "local"}}, False),
        ({"settings": {"docker": {"apt_packages": ["git"]}}}, {}, False),
        ({"steps": [Step(name="a", settings={"docker": {"user": "1"}})]}, {}, False),
    ],
)
def test_where_a_pipeline_runs(pipeline: dict[str, object], stack: dict[str, object], local: bool) -> None:
    made = Pipeline(**{"name": "p", "steps": ["a"], **pipeline})  # type: ignore[arg-type]  # any of its fields
    assert runs_locally(made, Stack.decode({"name": "s", **stack})) is local


def test_a_job_is_read_by_the_bootstrap() -> None:
    inputs = {"n": Output("load"), "k": 3, "more": FrozenMapping({"a": (1, None)})}
    function = Function(source="pipe:train", inputs=inputs, outputs=("x", "y"))
    data = job_bytes("r1", "train", function, directory="/app", code=None, stored={"n": STORED})
    read = bootstrap_job.read(io.BytesIO(data))
    assert (read.run, read.step, read.directory, read.function) == ("r1", "train", "/app", "pipe:train")
    assert read.inputs["n"].file == "inputs/0"
    assert (read.inputs["k"].value, read.inputs["more"].value) == (3, {"a": [1, None]})
    assert read.outputs == ["x", "y"]
    assert json.loads(data)["inputs"]["n"]["run"] == "r1"


def test_what_tells_one_job_from_another() -> None:
    """The source, each input and its place, and the outputs; no order of inputs."""
    jobs: list[Entrypoint] = [
        Command(argv=("a", "b")),
        Command(argv=("a b",)),
        Function(source="p:f"),
        Function(source="p:g"),
        Function(source="p:f", inputs={"n": Output("a")}),
        Function(source="p:f", inputs={"n": Output("a", "x")}),
        Function(source="p:f", inputs={"n": "a"}),
        Function(source="p:f", inputs={"n": 1}),
        Function(source="p:f", inputs={"n": True}),
        Function(source="p:f", inputs={"n": 1.0}),
        Function(source="p:f", outputs=("a",)),
    ]
    assert len({given_digest(job) for job in jobs}) == len(jobs)
    one = Function(source="p:f", inputs={"n": 1, "m": 2})
    assert given_digest(one) == given_digest(Function(source="p:f", inputs={"m": 2, "n": 1}))


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([StepStatus.SUCCEEDED], RunStatus.SUCCEEDED),
        ([StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED], RunStatus.FAILED),
        ([StepStatus.INTERRUPTED, StepStatus.FAILED], RunStatus.FAILED),
        ([StepStatus.SUCCEEDED, StepStatus.INTERRUPTED, StepStatus.SKIPPED], RunStatus.INTERRUPTED),
        ([StepStatus.SUCCEEDED, StepStatus.SKIPPED], RunStatus.INTERRUPTED),
    ],
)
def test_what_steps_come_to(steps: list[StepStatus], status: RunStatus) -> None:
    outcomes = [StepOutcome(str(number), each) for number, each in enumerate(steps)]
    assert run_status(outcomes) is status
