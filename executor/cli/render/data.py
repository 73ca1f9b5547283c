"""Plain data for programs: the documented, versioned schemas of `-o json`.

Every reason, change, note and error has a stable code and what it is about, beside its words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from planner.compare.actions import Action
from planner.compare.changes import Change
from planner.compare.report import Report
from planner.errors import Problem, StowplanError
from planner.image.delivery import Delivery, RepositoryCode
from planner.image.plan import ImagePlan, Note
from planner.render.dockerfile import context_files, planned_dockerfile

if TYPE_CHECKING:
    from executor.schemas.printed import (
        ApplyObject,
        ChangeObject,
        DeliveryObject,
        DiffObject,
        ImageObject,
        LockObject,
        NearestObject,
        NoteObject,
        OutdatedObject,
        PlanChangeObject,
        PlannedImageObject,
        PlanObject,
        ProblemObject,
        RepositoryObject,
        WhyObject,
    )
    from executor.workflow.builds import Made
    from executor.workflow.comparing import Side
    from executor.workflow.locks import LockCheck
    from executor.workflow.outdated import Outdated
    from planner.compare.comparison import Comparison
    from planner.compare.nearest import Nearest
    from planner.requirements.packages import Package
    from planner.requirements.why import Chain

__all__ = [
    "change_data",
    "comparison_data",
    "diff_data",
    "error_data",
    "image_data",
    "lock_data",
    "note_data",
    "outcome_data",
    "outdated_data",
    "problem_data",
    "report_data",
    "why_data",
]


def report_data(report: Report) -> PlanObject:
    """The object that `stowplan plan -o json` prints, schema `stowplan/plan/2`."""
    plan = report.plan
    return {
        "schema": "stowplan/plan/2",
        "plan": str(plan.hash),
        "pipeline": plan.pipeline,
        "stack": plan.stack,
        "commit": plan.commit,
        "lock": report.lock.value,
        "images": [_summary(report, image) for image in plan.images],
        "counts": {action.value: report.count(action) for action in Action},
        "changes": [{**change_data(change), "since": since} for since, change in report.changes],
        "notes": [note_data(note) for note in plan.notes],
    }


def _summary(report: Report, image: ImagePlan) -> PlannedImageObject:
    """What a report says of one image."""
    decision = report.decisions[image.name]
    return {
        "name": image.name,
        "hash": str(image.hash),
        "spec_hash": str(image.spec.hash),
        "steps": list(image.steps),
        "uses": [{"key": use.key, "steps": list(use.steps)} for use in image.uses],
        "parent": image.parent_text,
        "platform": image.platform,
        "dockerfile": planned_dockerfile(image) if image.builds else None,
        "action": decision.action.value,
        "code": decision.code,
        "reason": decision.reason,
        "depends": list(decision.depends),
        "blocked": problem_data(decision.blocked) if decision.blocked else None,
        "digest": str(decision.digest) if decision.digest else None,
        "verified": decision.verified,
        "reference": image.reference,
        "rebuilt": list(report.rebuilt.get(image.name, ())),
        "closest": _nearest_data(report.closest.get(image.name)),
        "delivery": _delivery_data(image.delivery),
    }


def _delivery_data(delivery: Delivery | None) -> DeliveryObject | None:
    """How the code reaches the containers of an image; None for one that no step runs in."""
    if delivery is None:
        return None
    return {
        "kind": delivery.kind.value,
        "reason": delivery.reason,
        "repository": _repository_data(delivery.repository) if delivery.repository else None,
    }


def _repository_data(code: RepositoryCode) -> RepositoryObject:
    return {
        "name": code.name,
        "type": code.type,
        "url": code.url,
        "commit": code.commit,
        "tree": code.tree,
        "subdirectory": code.subdirectory,
        "secret": code.secret,
        "branch": code.branch,
    }


def _nearest_data(closest: Nearest | None) -> NearestObject | None:
    """What was there and is closest to an image."""
    if closest is None:
        return None
    return {
        "record": closest.record,
        "pipeline": closest.pipeline,
        "stack": closest.stack,
        "image": closest.image,
        "changes": [change_data(change) for change in closest.changes],
    }


def image_data(report: Report, image: ImagePlan) -> ImageObject:
    """One image, schema `stowplan/image/2`: what the report says of it, and what is in it."""
    return {
        "schema": "stowplan/image/2",
        **_summary(report, image),
        "files": [path for tree in image.checkout.trees.values() for path in tree.paths()],
        "generated": {path: data.decode() for path, data in context_files(image.built).items()},
        "changes": [
            {**change_data(change), "since": since}
            for since, change in report.changes
            if change.image == image.name
        ],
    }


def why_data(package: Package, chains: Iterable[Chain]) -> WhyObject:
    """Who wants a package, schema `stowplan/why/1`."""
    return {
        "schema": "stowplan/why/1",
        "package": package.name,
        "version": package.version,
        "url": package.url,
        "chains": [
            {"source": each.source, "requirement": each.requirement, "packages": list(each.packages)}
            for each in chains
        ],
    }


def change_data(change: Change) -> ChangeObject:
    """One change."""
    return {
        "image": change.image,
        "field": change.field,
        "key": change.key,
        "code": change.code,
        "before": change.before,
        "after": change.after,
        "text": change.text,
    }


def note_data(note: Note) -> NoteObject:
    """One note."""
    return {
        "code": note.code,
        "key": note.key,
        "file": note.where.file,
        "line": note.where.line,
        "text": note.text,
    }


def problem_data(problem: Problem) -> ProblemObject:
    """One problem."""
    return {
        "code": problem.code,
        "key": problem.where.dotted,
        "file": problem.where.file,
        "line": problem.where.line,
        "where": str(problem.where),
        "found": problem.found,
        "fix": problem.fix,
    }


def error_data(error: StowplanError | None) -> list[ProblemObject] | None:
    """The problems of what went wrong; None if nothing did."""
    return None if error is None else [problem_data(problem) for problem in error.problems]


def comparison_data(comparison: Comparison) -> list[PlanChangeObject]:
    """The changes of one plan, each with its plan, the steps that use its image, and what is built anew."""
    return [
        {
            "pipeline": comparison.pipeline,
            "stack": comparison.stack,
            **change_data(change),
            "steps": list(comparison.steps.get(change.image, ())),
            "rebuilt": list(comparison.rebuilt.get(change.image, ())),
        }
        for change in comparison.changes
    ]


def diff_data(sides: Iterable[Side], compared: Iterable[Comparison]) -> DiffObject:
    """The object that `stowplan diff -o json` prints, schema `stowplan/diff/2`."""
    both = tuple(sides)
    return {
        "schema": "stowplan/diff/2",
        "sides": [{"kind": side.kind.value, "name": side.name, "commit": side.commit} for side in both],
        "changes": [change for comparison in compared for change in comparison_data(comparison)],
        "notes": [note for side in both for note in side.notes],
    }


def lock_data(checked: LockCheck, state: str) -> LockObject:
    """The object that `stowplan lock -o json` prints, schema `stowplan/lock/2`."""
    repaired = checked.repaired
    return {
        "schema": "stowplan/lock/2",
        # As a plan says it.
        "lock": "fresh" if state == "up to date" else state,
        "plans": [
            {"pipeline": made.pipeline, "stack": made.stack, "hash": str(made.hash)} for made in checked.plans
        ],
        "changes": [change for comparison in checked.compared for change in comparison_data(comparison)],
        "gone": [{"pipeline": name, "stack": stack} for name, stack in checked.gone],
        "repaired": {"kept": list(repaired.kept), "dropped": list(repaired.dropped)} if repaired else None,
        "notes": [note_data(note) for note in checked.notes],
    }


def outcome_data(made: Made) -> ApplyObject:
    """The object that `stowplan apply -o json` prints, schema `stowplan/apply/2`."""
    plan = made.planned.plan
    return {
        "schema": "stowplan/apply/2",
        "plan": str(plan.hash),
        "pipeline": plan.pipeline,
        "stack": plan.stack,
        "build": made.build.id if made.build else None,
        "images": [
            {
                "name": item.name,
                "hash": str(item.hash),
                "action": item.action.value,
                "result": item.result.value,
                "code": item.code,
                "reason": item.reason,
                "reference": item.reference,
                "digest": str(item.digest) if item.digest else None,
                "pushed": item.pushed,
                "verified": item.verified,
                "seconds": item.seconds,
                "closest": _nearest_data(made.closest.get(item.name)),
                "error": error_data(item.error),
            }
            for item in made.outcomes
        ],
        "error": error_data(made.error),
        "lock_changes": [change_data(change) for change in made.renewed],
        "notes": [note_data(note) for note in plan.notes],
    }


def outdated_data(found: Outdated) -> OutdatedObject:
    """The object that `stowplan outdated -o json` prints, schema `stowplan/outdated/1`."""
    return {
        "schema": "stowplan/outdated/1",
        "outdated": [
            {
                "name": item.name,
                "kind": item.kind,
                "before": item.before,
                "after": item.after,
                "images": item.images,
                "platform": item.platform,
                "same_manifest": item.same_manifest,
            }
            for item in found.newer
        ],
        "unknown": [{"name": name, "reason": reason} for name, reason in found.unknown],
    }
