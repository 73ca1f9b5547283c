"""From a project to a plan, with the pins of its lock.

Owns what `--locked`, `--frozen` and `--offline` mean. Refuses to print.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from attrs import evolve

from executor.config.project import Project
from executor.config.source import Chosen, chosen
from executor.errors import ExecutorError, Failure, UsageError
from executor.observe.facts import answered
from executor.observe.images import ChooseEngine
from executor.state import read_lock
from planner.compare.changes import Change, diff
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.facts.facts import Facts
from planner.image.plan import BuildPlan, ImagePlan, NamedSpec, PlanSpec
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME, Lock, Pins, PipelineSource
from planner.pipeline import Pipeline
from planner.planning import Planning
from planner.settings.option_table import BUILDERS
from planner.stack import Stack

__all__ = [
    "Planned",
    "image_spec",
    "located",
    "locating",
    "plan",
    "refuse_unresolved",
    "required_lock",
    "spec",
    "stale",
    "unknown_image",
]

WRITE_IT: Final = "write it with `stowplan lock`"


@frozen
class Planned:
    """A plan, the facts it was made from, the lock as it was, the pipeline, and how it was named."""

    plan: BuildPlan
    facts: Facts
    lock: Lock | None
    source: PipelineSource = PipelineSource()
    pipeline: Pipeline | None = None


def plan(
    project: Project,
    pipeline: Pipeline | Chosen,
    stack: Stack,
    *,
    engine: ChooseEngine | None = None,
    frozen: bool = False,
    locked: bool = False,
    offline: bool = False,
    prevent_reuse: bool = False,
    builders: frozenset[str] = frozenset(BUILDERS),
) -> Planned:
    """Observe and plan one pipeline on one stack, with the pins of the project's lock.

    With `frozen` the specs of the lock are taken as they are; with `locked` a lock that is not what was
    planned is refused. Both need a lock. With `offline`, and with `locked`, no registry is asked for what
    the lock does not pin. With `prevent_reuse` each image is to be built anew. `builders` are those that may
    build the images.
    """
    lock = required_lock(project) if frozen or locked else read_lock(project.root)
    pins = Pins(lock or Lock())
    given = pipeline if isinstance(pipeline, Chosen) else Chosen(pipeline)
    planning = Planning(given.pipeline, stack, pins=pins, frozen=frozen, builders=builders)
    try:
        facts = answered(planning, root=project.root, asks=not (offline or locked), engine=engine)
        made = planning.plan(facts)
    except PlannerError as error:
        raise located(project, error) from None
    if locked and (changes := stale(lock, made.spec)):
        raise ExecutorError(
            Problem(Place(file=LOCK_NAME), f"stale: {change.image}: {change.text}", WRITE_IT, "stale-lock")
            for change in changes
        )
    refuse_unresolved([made.spec])
    notes = tuple(evolve(note, where=project.located(note.where)) for note in made.notes)
    images = map(_built_anew, made.images) if prevent_reuse else made.images
    return Planned(
        evolve(made, images=tuple(images), notes=(*given.notes, *notes)),
        facts,
        lock,
        given.source,
        given.pipeline,
    )


def _built_anew(image: ImagePlan) -> ImagePlan:
    """The image with `prevent_build_reuse`, which says nothing of what it is."""
    parent = None if image.parent is None else _built_anew(image.parent)
    return evolve(image, parent=parent, destination=evolve(image.destination, prevent_reuse=True))


def spec(
    project: Project,
    pipeline: Pipeline,
    stack: Stack,
    pins: Pins,
    facts: Facts,
    *,
    asks: bool,
    engine: ChooseEngine | None,
) -> tuple[PlanSpec, Facts]:
    """What a lock should hold of one pipeline on one stack, and the facts with what that took.

    No variable has to be set, and no file that is only copied is looked at.
    """
    planning = Planning(pipeline, stack, pins=pins, checkout=False)
    try:
        facts = answered(planning, facts, root=project.root, asks=asks, engine=engine)
        return planning.spec(facts), facts
    except PlannerError as error:
        raise located(project, error) from None


def image_spec(
    project: Project,
    name: str,
    pipeline: str | None,
    stack: str | None,
    config: Path | None = None,
    *,
    asks: bool,
    engine: ChooseEngine | None,
) -> NamedSpec:
    """The image of a name, or the one that a step of that name runs in, as a lock would have it.

    No variable has to be set. UsageError if there is no such image; ExecutorError if its packages are not
    known.
    """
    pins = Pins(read_lock(project.root) or Lock())
    one = chosen(project, pipeline, config, image=name).pipeline
    made, _ = spec(project, one, project.stack(stack), pins, Facts(), asks=asks, engine=engine)
    found = made.image(name)
    if found is None:
        raise unknown_image(name, made)
    refuse_unresolved([made])
    return found


def unknown_image(name: str, made: BuildPlan | PlanSpec) -> ExecutorError:
    """The error about an image that a plan does not have, and no step of it."""
    names = (each for image in made.images for each in (image.name, *image.steps))
    return UsageError.of("command line", f"no image {name!r}", did_you_mean(name, names))


def refuse_unresolved(plans: Iterable[PlanSpec]) -> None:
    """ExecutorError if the packages of an image are not known: what would be installed is anyone's guess."""
    images = {
        image.name: (image.spec, image.spec.resolved)
        for made in plans
        for image in made.images
        if image.spec.resolved is not None and image.spec.resolved.reason
    }
    if not images:
        return
    problems = [
        Problem(
            Place(file=name),
            f"{' and '.join(item.source for item in spec.installs)} cannot be resolved: {resolved.reason}",
            "try again when its package index can be reached"
            if resolved.transient
            else "correct that, and run this again",
            "unresolved",
        )
        for name, (spec, resolved) in images.items()
    ]
    later = all(resolved.transient for _, resolved in images.values())
    raise ExecutorError(problems, Failure.INDEX_UNAVAILABLE if later else Failure.FAILED)


def located(project: Project, error: PlannerError) -> PlannerError:
    """The error, with file and line of each setting that it is about."""
    return PlannerError(_located(project, error.problems))


def _located(project: Project, problems: Iterable[Problem]) -> Iterator[Problem]:
    return (evolve(each, where=project.located(each.where)) for each in problems)


@contextlib.contextmanager
def locating(project: Project) -> Iterator[None]:
    """What fails inside, with file and line of each setting that it is about."""
    try:
        yield
    except ExecutorError as error:
        raise type(error)(_located(project, error.problems), error.failure) from None


def required_lock(project: Project) -> Lock:
    """The project's lock. ExecutorError if it has none."""
    lock = read_lock(project.root)
    if lock is None:
        problem = Problem(Place(), f"{LOCK_NAME} does not exist", WRITE_IT, "no-lock")
        raise ExecutorError([problem])
    return lock


def stale(lock: Lock | None, made: PlanSpec) -> tuple[Change, ...]:
    """What of a plan its lock does not say; empty exactly when their hashes are equal."""
    known_spec = lock.plan(made.pipeline, made.stack) if lock else None
    if known_spec is not None and known_spec.hash == made.hash:
        return ()
    return diff(known_spec, made)
