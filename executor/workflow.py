"""The straight line: observe, plan, diff, apply, record. For programs and for the command line.

Owns the order of the calls and nothing else. Refuses to print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from attrs import asdict, evolve, frozen

from executor.apply.scheduler import Outcome, Status
from executor.config.project import Project
from executor.engines.protocol import Engine
from executor.errors import ExecutorError
from executor.observe.facts import observe
from executor.records.store import Records
from executor.state import read_lock, update_lock
from planner.compare.changes import Change, diff, diff_images, rebuilt_layers
from planner.compare.explain import Action, Report, layers_text
from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import Facts
from planner.image.plan import BuildPlan, ImagePlan, Use, make_plan
from planner.lock.lockfile import LOCK_NAME, Lock
from planner.pipeline import Pipeline
from planner.stack import Stack

__all__ = ["LockCheck", "Planned", "check_lock", "plan", "refuse_unpinned", "report", "write_lock"]

ChooseEngine = Callable[[], Engine | None]


@frozen
class Planned:
    """A plan, the facts it was made from, and the lock it is compared with."""

    plan: BuildPlan
    facts: Facts
    lock: Lock | None


def plan(
    project: Project,
    pipeline: Pipeline,
    stack: Stack,
    *,
    engine: ChooseEngine | None = None,
    frozen: bool = False,
    locked: bool = False,
    here: bool = True,
) -> Planned:
    """Observe and plan one pipeline on one stack.

    With `frozen` the lock's pins stand for what would have to be resolved; with `locked` a lock that is
    not what was planned is refused. Both need a lock.
    """
    lock = _lock(project, needed=frozen or locked)
    planned = _plan(project, pipeline, stack, lock, engine=engine, frozen=frozen, here=here, facts=Facts())
    if locked and (changes := lock_changes(lock, planned.plan)):
        raise ExecutorError(
            Problem(
                Place(file=LOCK_NAME),
                f"stale: {change.image}: {change.text}",
                "write it with `stowplan lock`",
            )
            for change in changes
        )
    return planned


def _lock(project: Project, *, needed: bool) -> Lock | None:
    """The project's lock; ExecutorError if it is needed and there is none."""
    lock = read_lock(project.root)
    if lock is None and needed:
        raise ExecutorError.of(LOCK_NAME, "there is none", "write it with `stowplan lock`")
    return lock


def _plan(
    project: Project,
    pipeline: Pipeline,
    stack: Stack,
    lock: Lock | None,
    *,
    engine: ChooseEngine | None,
    frozen: bool,
    here: bool,
    facts: Facts,
) -> Planned:
    """Observe what is not among the facts yet, and plan; problems come with the line of their setting."""
    try:
        facts = observe(
            pipeline,
            stack,
            root=project.root,
            engine=engine,
            lock=lock,
            frozen=frozen,
            here=here,
            facts=facts,
        )
        return Planned(make_plan(pipeline, stack, facts, here=here), facts, lock)
    except PlannerError as error:
        raise PlannerError(map(project.located, error.problems)) from None


def lock_changes(lock: Lock | None, made: BuildPlan) -> tuple[Change, ...]:
    """What of a plan its lock does not say: empty for a fresh lock."""
    return diff(lock or Lock(), evolve(made, images=tuple(image.locked() for image in made.images)))


def report(project: Project, planned: Planned, engine: str | None = None) -> Report:
    """What applying the plan would do and why, from the lock and the records alone: no engine is asked.

    `engine` is the name of the engine that would be used, if one was asked for.
    """
    made, records = planned.plan, Records(project.root)
    lock = planned.lock or Lock()
    since_lock = lock_changes(lock, made)
    known = lock.plan(made.pipeline, made.stack)
    actions: dict[str, Action] = {}
    reasons: dict[str, str] = {}
    rebuilt: dict[str, tuple[str, ...]] = {}
    since_build: list[Change] = []
    for image in made.images:
        last = records.last_plan(made.pipeline, made.stack, image.name)
        actions[image.name], reasons[image.name] = _action(image, last, lock, records, engine)
        if image.use is Use.PARENT:
            continue
        if last is not None and last.hash != image.hash:
            since_build += diff_images(last, image)
        if actions[image.name] is Action.BUILD:
            rebuilt[image.name] = rebuilt_layers(last, image)
    return Report(
        plan=made,
        actions=actions,
        since_lock=since_lock if known is not None else (),
        since_build=tuple(since_build),
        rebuilt=rebuilt,
        reasons=reasons,
        lock="missing" if known is None else "stale" if since_lock else "fresh",
        notes=made.notes,
    )


def _action(
    image: ImagePlan, last: ImagePlan | None, lock: Lock, records: Records, engine: str | None
) -> tuple[Action, str]:
    if image.use is Use.PARENT:
        return Action.PARENT, "used as it is"
    delivery = image.delivery
    if delivery is not None and delivery.prevent_reuse:
        return Action.BUILD, "prevent_build_reuse is set"
    if delivery is not None and delivery.push and lock.pushed_as(image.hash, delivery.repository):
        return Action.REUSE, "pushed, as the lock's ledger says"
    pushes = delivery is not None and delivery.push
    record = records.existing(image.hash, image.reference, None if pushes else engine)
    if record is not None:
        where = f", in {record.engine}" if record.engine else ""
        return Action.REUSE, f"build {record.id} of {record.finished}{where}"
    if last is None:
        return Action.BUILD, "never built here"
    if last.hash == image.hash:
        return Action.BUILD, "built before, for another repository or engine"
    return Action.BUILD, "changed since its last build"


@frozen
class Comparison:
    """One plan compared with what a lock says of it."""

    pipeline: str
    stack: str
    changes: tuple[Change, ...]
    steps: Mapping[str, tuple[str, ...]]
    rebuilt: Mapping[str, tuple[str, ...]]

    def by_image(self) -> dict[str, list[str]]:
        """The changes of each image in words, and then the layers that are built anew."""
        words: dict[str, list[str]] = {}
        for change in self.changes:
            words.setdefault(change.image, []).append(change.text)
        for name, layers in self.rebuilt.items():
            if name in words and layers:
                words[name].append(layers_text(layers))
        return words

    def data(self) -> list[dict[str, Any]]:
        """The changes as plain data, each with its plan and the steps that use its image."""
        plan_of = {"pipeline": self.pipeline, "stack": self.stack}
        return [
            {**plan_of, **asdict(change), "steps": list(self.steps.get(change.image, ()))}
            for change in self.changes
        ]


def compare(
    before: Lock, plans: Iterable[BuildPlan], gone: Iterable[tuple[str, str]] = ()
) -> tuple[Comparison, ...]:
    """Each plan compared with the one that a lock has of the same pipeline and stack.

    `gone` are the pipelines and stacks that are no more, compared with nothing.
    """
    found = []
    for made in (*plans, *(BuildPlan(pipeline, stack, ()) for pipeline, stack in gone)):
        old = before.plan(made.pipeline, made.stack)
        known = {image.name: image for image in old.images} if old else {}
        old_steps = {image.name: image.steps for image in known.values()}
        found.append(
            Comparison(
                made.pipeline,
                made.stack,
                diff(before, made),
                {**old_steps, **{image.name: image.steps for image in made.images}},
                {image.name: rebuilt_layers(known.get(image.name), image) for image in made.images},
            )
        )
    return tuple(found)


def missing_pairs(lock: Lock, plans: Iterable[BuildPlan]) -> tuple[tuple[str, str], ...]:
    """The pipelines and stacks that a lock has and these plans have not."""
    there = {(made.pipeline, made.stack) for made in plans}
    return tuple(pair for old in lock.plans if (pair := (old.pipeline, old.stack)) not in there)


@frozen
class LockCheck:
    """A lock compared with the project: the plans it should hold, and those that are gone."""

    plans: tuple[BuildPlan, ...]
    gone: tuple[tuple[str, str], ...]
    lock: Lock | None

    @cached_property
    def compared(self) -> tuple[Comparison, ...]:
        """In what each plan differs from the lock."""
        return compare(self.lock or Lock(), self.plans, self.gone)

    @property
    def fresh(self) -> bool:
        """Whether the lock says what it should."""
        return self.lock is not None and not self.gone and not any(item.changes for item in self.compared)


def check_lock(
    project: Project,
    pipelines: Iterable[Pipeline],
    stacks: Iterable[Stack],
    *,
    whole: bool,
    engine: ChooseEngine | None = None,
    frozen: bool = False,
) -> LockCheck:
    """Plan what a lock should hold, without files and variables, and compare it with the lock there is.

    `whole` says that these are all pipelines and stacks of the project, so that what else is in the
    lock is gone.
    """
    lock = _lock(project, needed=frozen)
    facts = Facts()
    plans = []
    stacks = tuple(stacks)
    problems: dict[Problem, None] = {}
    for pipeline in pipelines:
        for stack in stacks:
            try:
                planned = _plan(
                    project, pipeline, stack, lock, engine=engine, frozen=frozen, here=False, facts=facts
                )
            except PlannerError as error:
                problems |= dict.fromkeys(error.problems)
                continue
            plans.append(planned.plan)
            facts = planned.facts
    if problems:
        raise PlannerError(problems)
    gone = missing_pairs(lock or Lock(), plans) if whole else ()
    return LockCheck(plans=tuple(plans), gone=gone, lock=lock)


def refuse_unpinned(plans: Iterable[BuildPlan]) -> None:
    """ExecutorError if a parent image's digest is not known: a lock that does not pin it locks nothing."""
    pins = {image.parent.reference.familiar: image.parent.pin for made in plans for image in made.unpinned}
    if not pins:
        return
    error = ExecutorError(
        Problem(
            Place(file=name),
            f"its digest is not known: {pin.reason or 'nothing told it'}",
            "make the image reachable, or go on with --allow-unpinned",
        )
        for name, pin in pins.items()
    )
    error.exit_code = 75 if all(pin.transient for pin in pins.values()) else 1
    raise error


def write_lock(project: Project, checked: LockCheck) -> bool:
    """Write the plans into the lock and drop those that are gone; whether that changed it."""

    def change(lock: Lock) -> Lock:
        for made in checked.plans:
            lock = lock.with_plan(made)
        return lock.without(checked.gone)

    return update_lock(project.root, change)


def outcomes_data(made: BuildPlan, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Outcomes as plain data: the object that `stowplan apply -o json` prints, schema `stowplan/apply/1`."""
    return {
        "schema": "stowplan/apply/1",
        "plan": str(made.hash),
        "pipeline": made.pipeline,
        "stack": made.stack,
        "images": [
            {
                "name": outcome.name,
                "hash": str(outcome.hash),
                "action": outcome.action.value,
                "reference": outcome.reference,
                "digest": str(outcome.digest) if outcome.digest else None,
                "seconds": outcome.seconds,
                "error": str(outcome.error) if outcome.error else None,
            }
            for outcome in outcomes
        ],
        "notes": list(made.notes),
    }


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0 if every image is there; 75 if trying again may help every one that is not; else 1."""
    codes = {
        getattr(outcome.error, "exit_code", 1) for outcome in outcomes if outcome.action is Status.FAILED
    }
    return 0 if not codes else 75 if codes == {75} else 1
