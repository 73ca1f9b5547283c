"""A project for programs: what the commands do, as methods.

Owns how arguments become what the workflow takes: paths as text, engines by name. Refuses to print, to handle
signals, and to change anything of this process, so that several threads can use one project.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import evolve

from executor.apply.outcome import OnEvent
from executor.config.project import Project as Described
from executor.config.project import find_project
from executor.config.project import load_project as described
from executor.config.source import Chosen, chosen
from executor.engines.chooser import engine_chooser
from executor.engines.names import asked_engine, possible_builders
from executor.errors import ExecutorError, UsageError
from executor.library.results import Applied, DiffResult, LockResult, Making, Plan, RunResult
from executor.records.store import Records
from executor.state import sweep_scratch
from executor.workflow.locks import check_lock, refuse_unpinned, write_lock
from executor.workflow.named import asked_build, compared
from executor.workflow.plans import Planned, plan, refuse_unresolved
from executor.workflow.reports import named_report, report
from executor.workflow.upgrades import newest_time, released_image, upgraded_package
from planner.build import Build
from planner.errors import Place
from planner.immutable import frozen
from planner.pipeline import Pipeline
from planner.stack import Stack

if TYPE_CHECKING:
    from executor.bootstrap.decorators import Pipeline as Decorated
    from executor.run.outcome import OnStepEvent

    Source: TypeAlias = str | Decorated[Any, Any]

__all__ = ["Project", "load", "load_project"]

_COMMAND_LINE: Final = "command line"


def load(directory: str | os.PathLike[str] | None = None) -> Project:
    """The project in a directory: by default the nearest one, from the working directory upwards.

    PlannerError holds every problem of its project file, each with its line; another StowplanError says that
    there is no project.
    """
    root = find_project(Path.cwd()) if directory is None else Path(directory)
    project = Project(described(Path(os.path.realpath(root))))
    # What dead processes left in it, as before each command.
    sweep_scratch(project.root)
    return project


@contextlib.contextmanager
def _of_a_program() -> Iterator[None]:
    """Errors of what is done inside, about no command line: a program has none."""
    try:
        yield
    except ExecutorError as error:
        problems = (
            evolve(each, where=Place()) if each.where.file == _COMMAND_LINE else each
            for each in error.problems
        )
        raise type(error)(problems, error.failure) from None


load_project = load
"""The earlier name of `load`."""


@frozen
class Project:
    """A project, as its file was when it was loaded. Files of code are looked at when a method needs them.

    Wherever a pipeline is asked for, it is a name of the project file, `module:object`, or an object that is
    decorated with `@pipeline`; by default it is the only one. The default of a stack is that of
    STOWPLAN_STACK, else `default`, else the only one. An engine is `docker` or `podman`; by default that of
    STOWPLAN_CONTAINER_ENGINE, else the first that works. `config` is the path of a run configuration.

    Every method raises StowplanError, whose `problems` have all that is wrong: PlannerError for what cannot
    be planned, ExecutorError if the world does not do as asked.
    """

    described: Described
    """What the project file says."""

    @property
    def root(self) -> Path:
        """Its directory."""
        return self.described.root

    @property
    def pipelines(self) -> tuple[str, ...]:
        """The names of the pipelines that the project file has."""
        return (*self.described.pipelines, *self.described.sources)

    @property
    def stacks(self) -> tuple[str, ...]:
        """The names of its stacks."""
        return tuple(self.described.stacks)

    @_of_a_program()
    def pipeline(self, source: Source | None = None) -> Pipeline:
        """A pipeline, as the planner has it."""
        return chosen(self.described, source).pipeline

    @_of_a_program()
    def stack(self, name: str | None = None) -> Stack:
        """A stack, as the planner has it."""
        return self.described.stack(name)

    @property
    def builds(self) -> tuple[Build, ...]:
        """The builds that are recorded, the newest first, without what is written down of their images."""
        return Records(self.root).builds().builds

    @_of_a_program()
    def plan(
        self,
        pipeline: Source | None = None,
        stack: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        locked: bool = False,
        frozen: bool = False,
        offline: bool = False,
        build: str | None = None,
        prevent_reuse: bool = False,
    ) -> Plan:
        """What would be built, pushed and reused, and why. Builds nothing, as `stowplan plan`.

        With `locked` a stale lock is an error, and with `frozen` it is taken as it is. With `offline` no
        registry is asked. `build` is a build to take as it is: its id, or a file that has it.
        """
        planned, making = self._planned(
            self._chosen(pipeline, config),
            stack,
            config=_path(config),
            engine=engine,
            locked=locked,
            frozen=frozen,
            offline=offline,
            build=build,
            prevent_reuse=prevent_reuse,
        )
        if making.named is not None:
            found = named_report(planned, compared(making.named, planned))
        else:
            name = asked_engine(engine) or ""
            found = report(self.described, planned, engine_name=name, offline=offline)
        return Plan(found, self.described, planned, making)

    @_of_a_program()
    def apply(
        self,
        pipeline: Source | None = None,
        stack: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        jobs: int = 2,
        locked: bool = False,
        frozen: bool = False,
        build: str | None = None,
        prevent_reuse: bool = False,
        on_event: OnEvent = lambda _: None,
    ) -> Applied:
        """Build what is nowhere yet, push it, and record it, as `stowplan apply`.

        An image that fails is an outcome with its error, and stops no other: `check` of the result raises it.
        At most `jobs` images are built side by side. `on_event` is told what happens, from several threads.
        """
        planned, making = self._planned(
            self._chosen(pipeline, config),
            stack,
            config=_path(config),
            engine=engine,
            locked=locked,
            frozen=frozen,
            build=build,
            prevent_reuse=prevent_reuse,
        )
        return Applied.of(making.make(self.described, planned, jobs=jobs, on_event=on_event))

    @_of_a_program()
    def saved_plan(self, file: str | os.PathLike[str], *, engine: str | None = None) -> Plan:
        """The plan in a file that `Plan.save` or `stowplan plan --out` wrote, to be applied as it is.

        ExecutorError if anything is not as it was when it was made: it says what moved.
        """
        from executor.workflow.saved_plans import (  # noqa: PLC0415  # few plans are saved
            read_saved_plan,
            refuse_moved,
        )

        saved = read_saved_plan(Path(file))
        given, on = saved.chosen(self.described)
        planned, making = self._planned(
            given,
            on.name,
            engine=engine,
            locked=False,
            frozen=saved.frozen,
            build=None,
            prevent_reuse=saved.prevent_reuse,
        )
        refuse_moved(saved, planned)
        found = report(self.described, planned, engine_name=asked_engine(engine) or "")
        return Plan(found, self.described, planned, making)

    @_of_a_program()
    def diff(
        self,
        before: str | os.PathLike[str] = "lock",
        after: str | os.PathLike[str] = "now",
        *,
        pipeline: str | None = None,
        stack: str | None = None,
        config: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        offline: bool = False,
    ) -> DiffResult:
        """Compare two plans, as `stowplan diff`: git revisions, files with a lock or a plan, `lock`, `now`.

        For `now` the project file is read anew.
        """
        from executor.workflow.comparing import compare_sides  # noqa: PLC0415  # few programs compare
        from executor.workflow.sides import Asked  # noqa: PLC0415  # as above

        asked = Asked(
            lambda: self.root,
            _no_stdin,
            pipeline,
            stack,
            _path(config),
            asks=not offline,
            engine=engine_chooser(engine),
        )
        return DiffResult(*compare_sides(os.fspath(before), os.fspath(after), asked))

    @_of_a_program()
    def lock(
        self,
        pipeline: str | None = None,
        stack: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        check: bool = False,
        upgrade: bool = False,
        upgrade_images: Iterable[str] = (),
        upgrade_packages: Iterable[str] = (),
        exclude_newer: str | None = None,
        allow_unpinned: bool = False,
        forget_pushed: bool = False,
    ) -> LockResult:
        """Write the lock, of all pipelines on all stacks or of those that are named, as `stowplan lock`.

        With `check` nothing is written, and nobody is asked. `upgrade` looks up all pins anew;
        `upgrade_images` those of these parent images, and `upgrade_packages` those of these packages.
        `exclude_newer` is a day or a time.
        """
        found = check_lock(
            self.described,
            pipeline,
            stack,
            _path(config),
            asks=not check,
            repairs=not check,
            released=tuple(map(released_image, upgrade_images)),
            all_released=upgrade,
            upgrades=tuple(map(upgraded_package, upgrade_packages)),
            exclude_newer=None if exclude_newer is None else newest_time(exclude_newer),
            engine=engine_chooser(engine),
        )
        if check:
            return LockResult(found.compared, found.fresh, notes=found.notes)
        refuse_unresolved(found.plans)
        if not allow_unpinned:
            refuse_unpinned(found.plans)
        written = write_lock(self.described, found, forget_pushed=forget_pushed)
        return LockResult(found.compared, found.fresh, written, found.notes)

    @_of_a_program()
    def run(
        self,
        pipeline: Source | None = None,
        stack: str | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        jobs: int = 4,
        local: bool = False,
        rerun_failed: bool = False,
        locked: bool = False,
        frozen: bool = False,
        build: str | None = None,
        prevent_reuse: bool = False,
        on_event: OnEvent = lambda _: None,
        on_step_event: OnStepEvent = lambda _: None,
    ) -> RunResult:
        """Run the steps of a pipeline, each in its image, as `stowplan run`. Images are built first.

        A step that fails is an outcome with its error: `check` of the result raises it. An image that fails
        is an ExecutorError, since nothing runs then. At most `jobs` steps run side by side. With `local` they
        run in the active environment. `rerun_failed` carries on the newest run. KeyboardInterrupt stops the
        steps; what had finished is kept.
        """
        from executor.workflow.runs import (  # noqa: PLC0415  # few programs run steps
            Images,
            check_runnable,
            run_pipeline,
            runs_locally,
        )

        given, on = self._chosen(pipeline, config), self.stack(stack)
        check_runnable(self.described, given.pipeline)
        applied: Applied | None = None
        images: Images | None = None
        named = build is not None or given.build is not None
        if not local and (named or not runs_locally(given.pipeline, on)):
            planned, making = self._planned(
                given,
                stack,
                config=_path(config),
                engine=engine,
                locked=locked,
                frozen=frozen,
                build=build,
                prevent_reuse=prevent_reuse,
            )
            made = making.make(self.described, planned, on_event=on_event)
            applied = Applied.of(made)
            for outcome in made.outcomes:
                if outcome.error is not None:
                    applied.check()
            images = Images(made, making.engine())
        notes: list[str] = []
        ran = run_pipeline(
            self.described,
            given.pipeline,
            on,
            images,
            jobs=jobs,
            rerun=rerun_failed,
            on_event=on_step_event,
            on_note=notes.append,
        )
        if ran.interrupted:
            raise KeyboardInterrupt
        return RunResult(ran.record, ran.outcomes, applied, tuple(notes))

    def _chosen(self, pipeline: Source | None, config: str | os.PathLike[str] | None) -> Chosen:
        return chosen(self.described, pipeline, _path(config))

    def _planned(
        self,
        pipeline: Chosen,
        stack: str | None,
        *,
        config: Path | None = None,
        engine: str | None,
        locked: bool,
        frozen: bool,
        build: str | None,
        prevent_reuse: bool,
        offline: bool = False,
    ) -> tuple[Planned, Making]:
        """A plan, and how its images would be made."""
        choose = engine_chooser(engine)
        named = asked_build(self.described, pipeline, build, prevent_reuse=prevent_reuse)
        planned = plan(
            self.described,
            pipeline,
            self.stack(stack),
            engine=choose,
            locked=locked,
            frozen=frozen,
            offline=offline,
            prevent_reuse=prevent_reuse,
            builders=possible_builders(engine),
        )
        return planned, Making(choose, locked, frozen, prevent_reuse, config, named)


def _no_stdin() -> bytes:
    raise UsageError.of("-", "a program has no standard input to compare", "name a file")


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)
