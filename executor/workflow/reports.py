"""What applying a plan would do and why, without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from executor import limits
from executor.apply.presence import presence, with_registry
from executor.config.project import Project
from executor.records.store import Records
from executor.workflow.plans import Planned, stale
from planner.compare.actions import NOT_NEEDED, Action, decide
from planner.compare.changes import Change, diff_images
from planner.compare.layers import rebuilt_layers
from planner.compare.named_build import NamedBuild, named_decision
from planner.compare.nearest import Candidate, Nearest, nearest
from planner.compare.report import LockState, Report
from planner.image.plan import ImagePlan
from planner.lock.lock import Lock

__all__ = ["MISSED", "closest_to", "named_report", "report"]

MISSED: Final = frozenset({"changed", "never-built"})
"""The codes of decisions to build an image because there is none like it."""

# Comparing one with all candidates takes some milliseconds.
_COMPARED: Final = 20


def named_report(planned: Planned, named: NamedBuild) -> Report:
    """What taking a named build would do: nothing, if its images are still there. Nobody is asked."""
    plan = evolve(named.plan, notes=(*named.plan.notes, *named.notes))
    decisions = {
        image.name: NOT_NEEDED if built is None else named_decision(built, named.build)
        for image, built in zip(plan.images, named.images, strict=True)
    }
    since_lock, state = _since_lock(planned)
    return Report(plan, decisions, since_lock, lock=state)


def _since_lock(planned: Planned) -> tuple[tuple[Change, ...], LockState]:
    lock, made = planned.lock or Lock(), planned.plan
    locked = lock.plan(made.pipeline, made.stack)
    changes = stale(lock, made.spec) if locked is not None else ()
    return changes, LockState.MISSING if locked is None else LockState.STALE if changes else LockState.FRESH


def report(project: Project, planned: Planned, *, engine_name: str = "", offline: bool = False) -> Report:
    """What applying the plan would do and why, from lock, records and registries: no engine is asked.

    Registries are only asked about images that would be pushed and that neither ledger nor records know
    as pushed; with `offline` not even then. `engine_name` is the engine that would be used, if it was
    asked for.
    """
    made = planned.plan
    lock = planned.lock or Lock()
    built = [image for image in made.images if image.builds]
    survey = Records(project.root).survey(made.pipeline, made.stack, built, engine_name or None)
    present = presence(made, lock, survey.known, engine_name)
    decisions = decide(made, present)
    if not offline:
        unsure = [name for name in present if decisions[name].action is not Action.REUSE]
        present = with_registry(made, present, unsure, timeout=limits.PLAN_REGISTRY_SECONDS)
        decisions = decide(made, present)
    since_build: list[Change] = []
    rebuilt: dict[str, tuple[str, ...]] = {}
    for image in made.images:
        before = survey.last.get(image.name)
        if not image.builds:
            continue
        if before is not None and before.hash != image.hash:
            since_build += diff_images(before, image)
        if decisions[image.name].action is Action.BUILD:
            rebuilt[image.name] = rebuilt_layers(before, image)
    since_lock, state = _since_lock(planned)
    missed = [
        image
        for image in made.images
        if decisions[image.name].action is Action.BUILD and decisions[image.name].code in MISSED
    ]
    closest = closest_to(missed, survey.candidates)
    return Report(made, decisions, since_lock, tuple(since_build), rebuilt, state, closest)


def closest_to(images: Sequence[ImagePlan], candidates: Sequence[Candidate]) -> dict[str, Nearest]:
    """What was there and is closest to each of some images, by their names; of the first few images."""
    found = {image.name: nearest(image, candidates) for image in images[:_COMPARED]}
    return {name: each for name, each in found.items() if each is not None}
