"""What applying a plan would do and why, without an engine."""

from __future__ import annotations

from executor import limits
from executor.apply.presence import presence, with_registry
from executor.config.project import Project
from executor.records.store import Records
from executor.workflow.plans import Planned, stale
from planner.compare.actions import Action, decide
from planner.compare.changes import Change, diff_images
from planner.compare.layers import rebuilt_layers
from planner.compare.report import LockState, Report
from planner.lock.lock import Lock

__all__ = ["report"]


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
    locked = lock.plan(made.pipeline, made.stack)
    since_lock = stale(lock, made.spec) if locked is not None else ()
    state = LockState.MISSING if locked is None else LockState.STALE if since_lock else LockState.FRESH
    return Report(made, decisions, since_lock, tuple(since_build), rebuilt, state)
