"""The lock of a project: what it should hold, in what it differs, and writing it.

Owns `stowplan lock` and what `apply` does to a stale lock. Refuses to print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from attrs import evolve

from executor.config.project import Project
from executor.config.source import Chosen, all_chosen, chosen
from executor.errors import ExecutorError, Failure, UsageError
from executor.observe.images import ChooseEngine
from executor.state import lock_text, update_lock
from executor.workflow.plans import spec, stale
from planner.compare.changes import Change
from planner.compare.comparison import Comparison, compare
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.facts.facts import Facts
from planner.image.plan import BuildPlan, Note, PlanSpec
from planner.image.spec import ExternalImage
from planner.immutable import frozen
from planner.lock.lock import Lock, Pins, PipelineSource
from planner.lock.repair import Repaired, repair
from planner.lock.text import loads
from planner.requirements.model import Requirement
from planner.values import ImageRef

__all__ = [
    "LockCheck",
    "check_lock",
    "missing_pairs",
    "refuse_unpinned",
    "renew",
    "unpinned",
    "unpinned_reason",
    "write_lock",
]


def missing_pairs(lock: Lock, plans: Iterable[PlanSpec]) -> tuple[tuple[str, str], ...]:
    """The pipelines and stacks that a lock has and these plans have not."""
    there = {(made.pipeline, made.stack) for made in plans}
    return tuple(pair for old in lock.plans if (pair := (old.pipeline, old.stack)) not in there)


@frozen
class LockCheck:
    """A lock compared with the project: the specs it should hold, and those that are gone.

    `repaired` says what was kept and dropped of a lock that could not be read.
    """

    plans: tuple[PlanSpec, ...]
    gone: tuple[tuple[str, str], ...]
    lock: Lock | None
    repaired: Repaired | None = None
    chosen: tuple[Chosen, ...] = ()

    @cached_property
    def compared(self) -> tuple[Comparison, ...]:
        """In what each plan differs from the lock."""
        pairs = {*self.gone, *((made.pipeline, made.stack) for made in self.plans)}
        known = self.lock.plans if self.lock else ()
        return compare([each for each in known if (each.pipeline, each.stack) in pairs], self.plans)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is to be said of the plans; once, where it is the same on several stacks."""
        of_pipelines = (note for each in self.chosen for note in each.notes)
        of_plans = (note for made in self.plans for note in made.notes)
        return tuple(dict.fromkeys((*of_pipelines, *of_plans)))

    @property
    def sources(self) -> Mapping[str, PipelineSource]:
        """How each pipeline was named."""
        return {each.pipeline.name: each.source for each in self.chosen}

    @property
    def fresh(self) -> bool:
        """Whether the lock says what it should."""
        known = self.lock.sources if self.lock else {}
        placed = all(known.get(name, PipelineSource()) == source for name, source in self.sources.items())
        whole = self.lock is not None and self.repaired is None and placed
        return whole and not self.gone and not any(item.changes for item in self.compared)


def check_lock(
    project: Project,
    pipeline: str | None,
    stack: str | None,
    config: Path | None = None,
    *,
    asks: bool,
    repairs: bool = False,
    released: Iterable[ImageRef] = (),
    all_released: bool = False,
    upgrades: Iterable[Requirement] = (),
    exclude_newer: str | None = None,
    packages_released: bool = False,
    engine: ChooseEngine | None = None,
) -> LockCheck:
    """Plan what a lock should hold, and compare it with the lock there is.

    None is all pipelines, those in Python that the lock has among them, or all stacks of the project; where
    it is both, what else is in the lock is gone. With `asks=False` no registry, no index and no engine is
    asked. With `repairs` a lock that cannot be read is no error: what can be kept of it is. `released`,
    `all_released`, `upgrades` and `packages_released` say which pins are looked up anew, and
    `exclude_newer` which packages are too new.
    PlannerError holds the problems of all pipelines.
    """
    stacks = [project.stack(stack)] if stack else list(project.stacks.values())
    text = lock_text(project.root)
    repaired = None
    if text is None:
        lock = None
    elif repairs:
        repaired = repair(text)
        lock = repaired.lock
        if not repaired.kept:
            repaired = None
    else:
        lock = loads(text)
    known = lock.sources if lock else {}
    pipelines = (chosen(project, pipeline, config),) if pipeline or config else all_chosen(project, known)
    pins = Pins(
        lock or Lock(), frozenset(released), all_released, tuple(upgrades), exclude_newer, packages_released
    )
    _refuse_unknown(pins)
    facts = Facts()
    plans = []
    problems: dict[Problem, None] = {}
    for one in pipelines:
        for place in stacks:
            try:
                made, facts = spec(project, one.pipeline, place, pins, facts, asks=asks, engine=engine)
            except PlannerError as error:
                problems |= dict.fromkeys(error.problems)
                continue
            plans.append(made)
    if problems:
        raise PlannerError(problems)
    gone = missing_pairs(lock or Lock(), plans) if not pipeline and not stack else ()
    return LockCheck(tuple(plans), gone, lock, repaired, pipelines)


def _refuse_unknown(pins: Pins) -> None:
    """UsageError for what is to be upgraded and the lock does not have: a misspelt name would do nothing."""
    known = {
        each.image.reference
        for plan in pins.lock.plans
        for image in plan.images
        for each in image.spec.images
    }
    packages = {name for plan in pins.lock.plans for name in plan.packages}
    for requirement in pins.upgrades:
        if requirement.name not in packages:
            raise UsageError.of(
                "--upgrade-package",
                f"the lock has no package {requirement.name!r}",
                did_you_mean(requirement.name, packages),
            )
    for reference in sorted(pins.released - known, key=str):
        names = [each.familiar for each in known]
        raise UsageError.of(
            "--upgrade-image",
            f"the lock has no image on {reference.familiar}",
            did_you_mean(reference.familiar, names),
        )


def unpinned(plans: Iterable[PlanSpec]) -> tuple[ExternalImage, ...]:
    """The images to build from whose digests are not known, each once, in the order of the images."""
    named = (each.image for made in plans for image in made.images for each in image.spec.images)
    return tuple(image for image in dict.fromkeys(named) if not image.is_pinned)


def unpinned_reason(parent: ExternalImage) -> str:
    """Why the digest of a parent is not known."""
    return parent.pin.reason or "it is on this machine only"


def refuse_unpinned(plans: Iterable[PlanSpec]) -> None:
    """ExecutorError if a parent image's digest is not known: a lock that does not pin it locks nothing."""
    parents = {parent.reference.familiar: parent for parent in unpinned(plans)}
    if not parents:
        return
    problems = [
        Problem(
            Place(file=name),
            f"its digest is not known: {unpinned_reason(parent)}",
            "make the image reachable, or go on with --allow-unpinned",
            "unpinned",
        )
        for name, parent in parents.items()
    ]
    later = all(parent.pin.transient for parent in parents.values())
    raise ExecutorError(problems, Failure.REGISTRY_UNAVAILABLE if later else Failure.REGISTRY_REFUSED)


def write_lock(project: Project, checked: LockCheck, *, forget_pushed: bool = False) -> bool:
    """Write the plans into the lock and drop those that are gone; whether that changed its file."""

    def change(lock: Lock) -> Lock:
        renewed = lock.with_plans(checked.plans).with_sources(checked.sources).without(checked.gone)
        return evolve(renewed, pushed=()) if forget_pushed else renewed

    return update_lock(project.root, change, repairs=True)


def renew(project: Project, lock: Lock | None, made: BuildPlan, source: PipelineSource) -> tuple[Change, ...]:
    """Bring the lock up to date with one plan, and with nothing else: what that changed.

    `source` is how its pipeline was named.
    """
    changes = stale(lock, made.spec)
    known = lock is not None and lock.plan(made.pipeline, made.stack) is not None
    if changes or lock is None or not known or lock.sources.get(made.pipeline, PipelineSource()) != source:
        sources = {made.pipeline: source}
        update_lock(project.root, lambda now: now.with_plans([made.spec]).with_sources(sources))
    return changes
