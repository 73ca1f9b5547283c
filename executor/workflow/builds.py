"""From a plan to a build: the lock brought up to date, images built or reused, and the build noted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from executor.apply.outcome import OnEvent, Outcome, Result
from executor.apply.scheduler import apply
from executor.config.project import Project
from executor.errors import BuildFailed, ExecutorError
from executor.records.database import now
from executor.records.store import Records
from executor.workflow.locks import renew
from executor.workflow.named import compared, take_build
from executor.workflow.plans import Planned
from executor.workflow.reports import MISSED, closest_to
from executor.workflow.settings import settings_of
from planner.build import Build, BuiltImage, build_id, included_code
from planner.compare.actions import Action
from planner.compare.changes import Change
from planner.compare.nearest import Nearest
from planner.errors import Problem
from planner.image.plan import BuildPlan, Note
from planner.immutable import frozen
from planner.values import FrozenMapping

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["Made", "build_from", "make_build"]

OnRenewed = Callable[[tuple[Change, ...]], None]


@frozen
class Made:
    """What came of a plan: its outcomes, and the build, if all of its images are there.

    `renewed` is what was brought up to date in the lock before. `notes` are about a build that was named.
    `error` is why the build could not be noted.
    """

    planned: Planned
    outcomes: tuple[Outcome, ...]
    build: Build | None = None
    renewed: tuple[Change, ...] = ()
    notes: tuple[Note, ...] = ()
    error: ExecutorError | None = None
    closest: Mapping[str, Nearest] = FrozenMapping()
    """What had been there and was closest to an image that was built, by the image's name."""


def make_build(
    project: Project,
    planned: Planned,
    *,
    engine: Engine | Callable[[], Engine] | None = None,
    jobs: int = 2,
    renews: bool = True,
    named: Build | None = None,
    on_event: OnEvent = lambda _: None,
    on_renewed: OnRenewed = lambda _: None,
) -> Made:
    """Have all images of a plan where they are needed, and note the build that they are.

    Unless it `renews`, a stale lock is left as it is; `on_renewed` is told what was changed in it, before
    anything is built. The build is noted in one transaction, after the last image: an interruption before
    that loses nothing but the note, which the next call writes. For the rest see `apply`.

    A build that is `named` is taken as it is: nothing is built, and the lock is left alone. ExecutorError if
    it cannot be taken.
    """
    if named is not None:
        taken = compared(named, planned)
        build, outcomes = take_build(project, taken, engine)
        plan = evolve(taken.plan, notes=(*taken.plan.notes, *taken.notes))
        return Made(evolve(planned, plan=plan), outcomes, build, notes=taken.notes)
    renewed = renew(project, planned.lock, planned.plan, planned.source) if renews else ()
    if renewed:
        on_renewed(renewed)
    records = Records(project.root)
    last = records.last_number()
    started = time.monotonic()
    outcomes = apply(
        planned.plan, planned.facts, root=project.root, engine=engine, jobs=jobs, on_event=on_event
    )
    outcomes = tuple(_located(project, planned, item) for item in outcomes)
    seconds = round(time.monotonic() - started, 3)
    missed = {item.name for item in outcomes if item.action is Action.BUILD and item.code in MISSED}
    images = [image for image in planned.plan.images if image.name in missed]
    # Where nothing was missed, nothing is looked up.
    closest = closest_to(images, records.candidates(last)) if images else {}
    made = Made(planned, outcomes, renewed=renewed, closest=closest)
    if any(item.error is not None for item in outcomes):
        return made
    build = build_from(planned.plan, outcomes, seconds=seconds)
    try:
        again = any(item.result is Result.BUILT for item in outcomes)
        return evolve(made, build=records.note_build(build, again=again))
    except ExecutorError as error:
        return evolve(made, error=error)


def _located(project: Project, planned: Planned, outcome: Outcome) -> Outcome:
    """An outcome whose error names file and line of the setting that it is about."""
    error, image = outcome.error, planned.plan.image(outcome.name)
    if not isinstance(error, BuildFailed) or image is None or planned.pipeline is None:
        return outcome
    name = image.steps[0] if image.steps else planned.pipeline.name
    _, said = settings_of(project, planned.pipeline, name)

    def located(problem: Problem) -> Problem:
        where = problem.where
        if where.file != image.name or not where.path:
            return problem
        found = (each.where for each in said if each.where is not None and each.path[:1] == where.path)
        return evolve(problem, where=next(found, where))

    return evolve(outcome, error=BuildFailed(map(located, error.problems), error.failure))


def build_from(plan: BuildPlan, outcomes: Sequence[Outcome], *, seconds: float) -> Build:
    """The build that the outcomes of a plan are, made just now. None of them has failed."""
    images = tuple(
        BuiltImage(
            image.name,
            image.steps,
            image.hash,
            image.spec.hash,
            outcome.reference,
            image.builds,
            outcome.digest,
            image.platform,
            included_code(image),
            image.checkout.bootstrap is not None,
            outcome.result.value,
            outcome.seconds,
        )
        for image, outcome in zip(plan.images, outcomes, strict=True)
        # An image that others are built on need not be there once they are.
        if image.runs
    )
    engine = next(filter(None, (item.engine for item in outcomes)), "")
    made = now()
    return Build(
        build_id(plan.pipeline, plan.stack, plan.hash, engine, images),
        made,
        made,
        seconds,
        plan.pipeline,
        plan.stack,
        plan.hash,
        engine,
        images,
        plan.commit,
        specs=plan.spec,
    )
