"""From a pipeline whose images are there, or that needs none, to a run and its record.

Owns where the steps run, and what is left of runs that were killed. Refuses to build, and to print.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from executor.apply.outcome import Outcome, Result
from executor.artifacts.store import ArtifactStore
from executor.config.project import Project
from executor.engines.select import choose
from executor.errors import ExecutorError
from executor.orphans import end_steps_of
from executor.reading import NotRead
from executor.records.database import now
from executor.records.runs import RunRecord, Runs, new_run_id
from executor.run.code import codes
from executor.run.outcome import OnStepEvent, RunStatus, StepOutcome, run_status
from executor.run.places import (
    LOCAL,
    Containers,
    Environment,
    Place,
    StepImage,
    container_python,
    place_words,
)
from executor.run.resume import kept_steps
from executor.run.scheduler import run_steps
from executor.run.step import Runner
from executor.secrets import hidden_parts, secret_value
from executor.state import scratch_directory, scratch_of
from executor.workflow.builds import Made
from planner.errors import Place as Where
from planner.errors import PlannerError, Problem
from planner.facts.needs import Variable
from planner.image.delivery import Delivery
from planner.image.instructions import BOOTSTRAP
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen
from planner.mask import Mask
from planner.pipeline import Pipeline
from planner.stack import Stack
from planner.values import ImageRef

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["Images", "Ran", "check_runnable", "run_pipeline", "runs_locally"]

OnNote = Callable[[str], None]


@frozen
class Images:
    """The images that steps run in, all of which are there, and the engine that has them, or pulls them."""

    made: Made
    engine: Engine

    @property
    def plan(self) -> BuildPlan:
        """What they are."""
        return self.made.planned.plan


@frozen
class Ran:
    """What came of a run: its record, without its steps, and their outcomes."""

    record: RunRecord
    outcomes: tuple[StepOutcome, ...]
    interrupted: bool = False


def runs_locally(pipeline: Pipeline, stack: Stack) -> bool:
    """Whether steps run in the active environment: nothing is said of images, and nothing asks for any."""
    if pipeline.settings.given or pipeline.overrides or stack.container_registry is not None:
        return False
    orchestrator = stack.components.get("orchestrator")
    others = stack.components.keys() & {"image_builder", "step_operator", "deployer"}
    local = orchestrator is None or orchestrator.flavor in (None, LOCAL)
    return local and not others and not any(step.own for step in pipeline.steps)


def check_runnable(project: Project, pipeline: Pipeline) -> None:
    """PlannerError with each step of which nobody says what it runs."""
    fix = 'write command = ["python", "train.py"], or function = "train:main"'
    problems = [
        Problem(
            Where(path=("pipeline", pipeline.name, "step", step.name)),
            "does not say what it runs",
            fix,
            "no-entrypoint",
        )
        for step in pipeline.steps
        if step.entrypoint is None
    ]
    if problems:
        raise PlannerError(evolve(each, where=project.located(each.where)) for each in problems)


def run_pipeline(
    project: Project,
    pipeline: Pipeline,
    stack: Stack,
    images: Images | None,
    *,
    jobs: int,
    rerun: bool,
    on_event: OnStepEvent,
    on_note: OnNote,
) -> Ran:
    """Run the steps of a pipeline in their images, or in the active environment where there are none.

    With `rerun` the newest run of the pipeline on the stack is carried on. What goes wrong with a step is an
    outcome. KeyboardInterrupt stops all steps, and what had finished is kept.
    """
    root, runs = project.root, Runs(project.root)
    _tidy(root, runs, images)
    earlier = runs.newest(pipeline.name, stack.name) if rerun else None
    if rerun and earlier is None:
        on_note(f"there is no earlier run of {pipeline.name} on {stack.name}: all steps run")
    named = stack.artifact_store
    store = ArtifactStore(root, named.uri if named else None)
    deliveries = _deliveries(images)
    logins = _logins(pipeline, deliveries.values(), root)
    with scratch_directory(root) as scratch:
        record = RunRecord(
            id=earlier.id if earlier else new_run_id(),
            pipeline=pipeline.name,
            stack=stack.name,
            status=RunStatus.RUNNING,
            started=earlier.started if earlier else now(),
            seconds=earlier.seconds if earlier else 0.0,
            engine=images.engine.name if images else LOCAL,
            plan=str(images.plan.hash) if images else None,
            build=images.made.build.id if images and images.made.build else None,
            commit=images.plan.commit if images else None,
            store=store.shown,
            owner=scratch.name,
        )
        runs.begin(record)
        started = time.monotonic()
        kept: Mapping[str, StepOutcome] = {}
        if earlier is not None:
            kept, notes = kept_steps(pipeline, earlier, store, scratch)
            for note in (*notes, *_moved(earlier, record)):
                on_note(note)
        runner = Runner(
            record.id,
            root,
            scratch,
            _place(root, record.id, scratch, images),
            store,
            codes(deliveries, root=root, scratch=scratch, store=store, logins=logins),
            Mask((*_hidden(pipeline, images, root), *hidden_parts(map(os.fsencode, logins.values())))),
        )
        outcomes, interrupted = run_steps(
            pipeline,
            runner,
            root=root,
            jobs=jobs,
            kept=kept,
            record=lambda outcome: runs.step_ended(record.id, outcome),
            on_event=on_event,
        )
        status = run_status(outcomes)
        seconds = round(record.seconds + time.monotonic() - started, 3)
        runs.ended(record.id, status, seconds)
    return Ran(evolve(record, status=status, seconds=seconds, owner=""), outcomes, interrupted)


def _deliveries(images: Images | None) -> Mapping[str, Delivery | None]:
    """How the code gets to each step."""
    planned = images.plan.images if images is not None else ()
    return {step: image.delivery for image in reversed(planned) for step in image.steps}


def _logins(pipeline: Pipeline, deliveries: Iterable[Delivery | None], root: Path) -> Mapping[str, str]:
    """The values of the secrets that code repositories name. ExecutorError if one is not there."""
    names = {each.repository.secret for each in deliveries if each and each.repository}
    found: dict[str, str] = {}
    for name in sorted(filter(None, names)):
        where = Where(path=("secret", name))
        if name not in pipeline.secrets:
            fix = f"write [secret.{name}] with env or file"
            raise ExecutorError([Problem(where, "is not there, and a code repository names it", fix)])
        try:
            value = secret_value(pipeline.secrets[name], root, os.environ)
        except NotRead as error:
            raise ExecutorError([Problem(where, error.found, error.fix, "secret-missing")]) from None
        found[name] = os.fsdecode(value).strip()
    return found


def _moved(earlier: RunRecord, record: RunRecord) -> Iterable[str]:
    """What of an earlier attempt is not as it was, and does not count."""
    if earlier.engine != record.engine:
        began, goes_on = place_words(earlier.engine), place_words(record.engine)
        yield f"run {record.id} began {began}, and goes on {goes_on}"
    elif earlier.plan != record.plan:
        yield (
            f"the images or the code have changed since run {record.id} began: steps that had finished are "
            "taken as they are"
        )


def _place(root: Path, run: str, scratch: Path, images: Images | None) -> Place:
    if images is None:
        from executor.observe.programs import user_python  # noqa: PLC0415  # containers have their own

        return Environment(root, scratch, lambda: user_python(os.environ))
    return Containers(images.engine, _step_images(images), run, scratch, container_python())


def _step_images(images: Images) -> Mapping[str, StepImage]:
    """The image of each step, in the engine. ExecutorError if one can neither be found nor pulled."""
    found: dict[str, StepImage] = {}
    for image, outcome in zip(images.plan.images, images.made.outcomes, strict=True):
        if not image.steps:
            continue
        reference = _held(images.engine, image, outcome)
        for step in image.steps:
            found.setdefault(step, StepImage(reference, BOOTSTRAP if image.checkout.bootstrap else None))
    return found


def _held(engine: Engine, image: ImagePlan, outcome: Outcome) -> str:
    """The reference of an image in the engine, which pulls what a registry alone has."""
    reference = outcome.reference
    if outcome.result in (Result.BUILT, Result.PUSHED):
        return reference
    if outcome.result is Result.REUSED and not image.destination.push:
        return reference
    found = engine.inspect(reference)
    if found is not None and (found.mark == image.hash or not image.builds):
        return reference
    if image.builds and outcome.digest is not None:
        # The tag may have moved since it was looked at.
        reference = str(ImageRef.parse(reference).pinned(outcome.digest))
    engine.pull(reference)
    return reference


def _hidden(pipeline: Pipeline, images: Images | None, root: Path) -> list[str]:
    """What is hidden in what steps write: values of variables of their images, and secrets that are there."""
    hidden: list[str] = []
    secrets = set(pipeline.secrets.values())
    if images is not None:
        names = {name for image in images.plan.images for name in image.checkout.variables}
        values = (images.made.planned.facts.ask(Variable(name)) for name in names)
        hidden += [value.reveal() for value in values if value is not None]
        secrets |= {source.secret for image in images.plan.images for source in image.secrets.values()}
    for secret in secrets:
        with contextlib.suppress(NotRead):
            hidden += hidden_parts([secret_value(secret, root, os.environ)])
    return hidden


def _tidy(root: Path, runs: Runs, images: Images | None) -> None:
    """Remove what runs that were killed have left: containers, and processes of steps."""
    for run in runs.lost():
        if run.engine == LOCAL:
            end_steps_of(scratch_of(root, run.owner))
        else:
            engine = images.engine if images is not None and images.engine.name == run.engine else None
            with contextlib.suppress(ExecutorError):
                (engine or choose(run.engine)).remove_orphans()
        runs.ended(run.id, RunStatus.INTERRUPTED, run.seconds)
