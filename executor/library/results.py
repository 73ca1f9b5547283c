"""What the methods of a project return: a plan, and what came of carrying it out, of locking and of running.

All are values. Refuses to raise for what failed, unless `check` is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attrs import field

from executor.apply.outcome import OnEvent, Outcome
from executor.config.project import Project as Described
from executor.engines.chooser import engine_chooser
from executor.errors import ExecutorError, UsageError
from executor.records.runs import RunRecord
from executor.run.outcome import StepOutcome
from executor.workflow.builds import Made, make_build
from executor.workflow.comparing import Side
from executor.workflow.plans import Planned, locating
from planner.build import Build
from planner.compare.actions import Action
from planner.compare.changes import Change
from planner.compare.comparison import Comparison
from planner.compare.report import Report
from planner.errors import Problem
from planner.image.plan import ImagePlan, Note
from planner.immutable import frozen
from planner.values import Digest

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["Applied", "DiffResult", "LockResult", "Making", "Plan", "PlannedImage", "RunResult"]


@frozen
class PlannedImage:
    """One image of a plan: what would be done about it, and why.

    `action` is what would be done; `code`, which is stable, and `reason`, which is for people, say why.
    `depends` is what was assumed and not looked at. `problem` is why nothing can be done, None where it can.
    `changes` is what differs from the lock and from the image's last build, and `layers` are those that would
    be built. `plan` has all that the image is.
    """

    name: str
    steps: tuple[str, ...]
    action: Action
    code: str
    reason: str
    hash: Digest
    reference: str
    depends: tuple[str, ...] = ()
    problem: Problem | None = None
    changes: tuple[Change, ...] = ()
    layers: tuple[str, ...] = ()
    plan: ImagePlan = field(kw_only=True, repr=False)


@frozen
class Making:
    """How a plan was asked for: with which engine, lock and run configuration.

    A build that is `named` is taken as it is.
    """

    engine: Callable[[], Engine]
    locked: bool = False
    frozen: bool = False
    prevent_reuse: bool = False
    config: Path | None = None
    named: Build | None = None

    def make(
        self,
        project: Described,
        planned: Planned,
        *,
        engine: str | None = None,
        jobs: int = 2,
        on_event: OnEvent = lambda _: None,
    ) -> Made:
        """Have the images made that are not there, with this engine or another one."""
        with locating(project):
            return make_build(
                project,
                planned,
                engine=self.engine if engine is None else engine_chooser(engine),
                jobs=jobs,
                renews=not (self.frozen or self.locked),
                named=self.named,
                on_event=on_event,
            )


@frozen(repr=False)
class Plan:
    """What all images of one pipeline on one stack would be, and what would be done about each.

    `report` has the plan, the decisions and the changes as the planner has them.
    """

    report: Report
    _project: Described = field(eq=False)
    _planned: Planned = field(eq=False)
    _making: Making = field(eq=False)

    @property
    def pipeline(self) -> str:
        """The name of the pipeline."""
        return self.report.plan.pipeline

    @property
    def stack(self) -> str:
        """The name of the stack."""
        return self.report.plan.stack

    @property
    def hash(self) -> Digest:
        """A hash of all images and of the steps that run in each."""
        return self.report.plan.hash

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a user should know, and that is no error."""
        return self.report.plan.notes

    @property
    def changes(self) -> tuple[Change, ...]:
        """What differs from the lock and from the last build of each image."""
        return tuple(change for _, change in self.report.changes)

    @property
    def acts(self) -> bool:
        """Whether carrying it out would build or push anything."""
        return self.report.acts

    @cached_property
    def images(self) -> tuple[PlannedImage, ...]:
        """Its images. Parents stand before what is built on them."""
        return tuple(map(self._image, self.report.plan.images))

    def image(self, name: str) -> PlannedImage | None:
        """The image of a name, or the one that a step of that name runs in. None if there is no such one."""
        found = self.report.plan.image(name)
        return None if found is None else self._image(found)

    def _image(self, image: ImagePlan) -> PlannedImage:
        decision = self.report.decisions[image.name]
        return PlannedImage(
            image.name,
            image.steps,
            decision.action,
            decision.code,
            decision.reason,
            image.hash,
            image.reference,
            decision.depends,
            decision.blocked,
            tuple(change for change in self.changes if change.image == image.name),
            self.report.rebuilt.get(image.name, ()),
            plan=image,
        )

    def apply(
        self, *, engine: str | None = None, jobs: int = 2, on_event: OnEvent = lambda _: None
    ) -> Applied:
        """Carry out this plan, and no other. See `Project.apply`.

        `engine` is by default the one that the plan was made with. ExecutorError if files are not what they
        were when it was made.
        """
        made = self._making.make(self._project, self._planned, engine=engine, jobs=jobs, on_event=on_event)
        return Applied.of(made)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the plan into a .json file, as `stowplan plan --out`: `Project.saved_plan` reads it.

        UsageError where it could not be applied again; ExecutorError if it is not written.
        """
        from executor.workflow.saved_plans import write_plan  # noqa: PLC0415  # few plans are saved

        making = self._making
        if making.named is not None:
            found = f"takes the build {making.named.id} as it is"
            raise UsageError.of("the plan", found, "there is no plan to save: name that build again")
        write_plan(
            self._project,
            self._planned,
            Path(file),
            frozen=making.frozen,
            prevent_reuse=making.prevent_reuse,
            config=making.config,
        )

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.report.count(action)} to {action}" for action in list(Action)[:3])
        return f"<Plan of {self.pipeline} on {self.stack}: {counts}>"


@frozen
class Applied:
    """What came of carrying out a plan: one outcome for each image, in the order of the plan.

    `build` is the build that the images are; None if one of them is not there. `renewed` is what was brought
    up to date in the lock before, and `error` why the build could not be recorded.
    """

    outcomes: tuple[Outcome, ...]
    build: Build | None = None
    renewed: tuple[Change, ...] = ()
    notes: tuple[Note, ...] = ()
    error: ExecutorError | None = None

    @classmethod
    def of(cls, made: Made) -> Self:
        """What came of it, as the workflow has it."""
        return cls(made.outcomes, made.build, made.renewed, made.planned.plan.notes, made.error)

    @property
    def succeeded(self) -> bool:
        """Whether every image is there, and all was recorded."""
        return self.error is None and all(item.error is None for item in self.outcomes)

    def check(self) -> Self:
        """Itself. ExecutorError with the problems of all images if one failed."""
        errors = [item.error for item in self.outcomes if item.error is not None]
        if self.error is not None:
            errors.append(self.error)
        if errors:
            raise ExecutorError.joined(errors)
        return self


@frozen
class DiffResult:
    """Two sides compared: what each is, and the changes of each pipeline on each stack."""

    before: Side
    after: Side
    compared: tuple[Comparison, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that is different."""
        return tuple(change for each in self.compared for change in each.changes)


@frozen
class LockResult:
    """A lock compared with the project.

    `compared` has the changes of each pipeline on each stack. `fresh` says whether the lock was up to date,
    and `written` whether it was changed.
    """

    compared: tuple[Comparison, ...]
    fresh: bool
    written: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the lock did not say of the project."""
        return tuple(change for each in self.compared for change in each.changes)


@frozen
class RunResult:
    """What came of a run: its record, and one outcome for each step.

    `applied` is what came of the images; None if the steps ran in the active environment.
    """

    record: RunRecord
    outcomes: tuple[StepOutcome, ...]
    applied: Applied | None = None
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.record.id

    @property
    def succeeded(self) -> bool:
        """Whether every step succeeded."""
        return all(item.succeeded for item in self.outcomes)

    def check(self) -> Self:
        """Itself. ExecutorError with the problems of all steps if one failed."""
        errors = [item.error for item in self.outcomes if item.error is not None]
        if errors:
            raise ExecutorError.joined(errors)
        return self
