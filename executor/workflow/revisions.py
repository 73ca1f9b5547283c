"""The plans of a git revision: its own project file, lock, files and pipelines, without a checkout."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import evolve

from executor.config.project import Project, load_project_of
from executor.config.source import NO_SUCH, Chosen, all_chosen, chosen
from executor.errors import ExecutorError
from executor.observe.commit import Commit
from executor.observe.git import GitUnknown
from executor.observe.revision import GitRevision, unpacked
from executor.observe.world import ComparedTree
from executor.workflow.sides import Asked, SidePlanner
from planner.compare.comparison import AnyPlan
from planner.errors import Place, PlannerError, Problem
from planner.lock.lock import LOCK_NAME, Lock
from planner.lock.text import loads

__all__ = ["plans_of_commit"]


def plans_of_commit(
    commit: Commit, asked: Asked, *, whole: bool, hashes: bool
) -> tuple[tuple[AnyPlan, ...], tuple[str, ...]]:
    """The plans of a commit, as far as it has what was asked for, and what is to be said of them.

    PlannerError, or another ExecutorError, says what is wrong in the commit: files are named as git does it,
    `main:stowplan.toml`.
    """
    world = GitRevision(commit, ComparedTree(commit.root, asks=asked.asks))
    with _of_revision(commit):
        project = _project_of(commit)
        if project is None:
            return (), ("there is no project file: all images are new",)
        data = commit.content(LOCK_NAME)
        lock = Lock() if data is None else loads(data.decode(errors="replace"))
        pipelines = _pipelines_of(commit, project, lock, asked)
        stacks = [each for name, each in project.stacks.items() if asked.stack in (None, name)]
        plans = SidePlanner(project, world, lock, asked, whole, hashes).plans(pipelines, stacks)
    return plans, tuple(world.notes)


def _project_of(commit: Commit) -> Project | None:
    """The project as a commit has it; None if it has none."""
    texts = {name: commit.content(name) for name in ("stowplan.toml", "pyproject.toml")}
    return load_project_of(commit.root, texts)


def _pipelines_of(commit: Commit, project: Project, lock: Lock, asked: Asked) -> tuple[Chosen, ...]:
    """The pipelines that were asked for, as far as a commit has them.

    Those in Python, and run configurations, are read from its files: these are written below `.stowplan`.
    """
    names = {*project.pipelines, *project.sources}
    source = asked.pipeline
    if source is not None and source not in names and ":" not in source and "." not in source:
        return ()
    in_files = asked.config is not None or (
        source not in project.pipelines
        if source is not None
        else bool(project.sources) or any(each.module or each.config for each in lock.sources.values())
    )
    if not in_files:
        return (chosen(project, source),) if source is not None else all_chosen(project, lock.sources)

    with unpacked(commit) as place, _shown_below(commit, place):
        there = evolve(project, root=place)
        if source is None and asked.config is None:
            return all_chosen(there, lock.sources)
        config = asked.config
        if config is not None:
            inside = Path(os.path.relpath(config, project.root))
            if ".." not in inside.parts:
                config = Path(os.path.relpath(place / inside))
        try:
            return (chosen(there, source, config),)
        except ExecutorError as error:
            if any(problem.code == NO_SUCH for problem in error.problems):
                return ()
            raise


@contextlib.contextmanager
def _of_revision(commit: Commit) -> Iterator[None]:
    """What goes wrong inside, with the revision before the name of each file, as git writes it."""

    def placed(problem: Problem) -> Problem:
        file = problem.where.file
        if file is None:
            return evolve(problem, where=evolve(problem.where, file=commit.name))
        inside = file.removeprefix(f"{commit.root}/")
        return evolve(problem, where=evolve(problem.where, file=f"{commit.name}:{inside}"))

    with _changing(placed):
        try:
            yield
        except GitUnknown as error:
            raise ExecutorError([Problem(Place(), f"git cannot tell: {error.found}", error.fix)]) from None


@contextlib.contextmanager
def _shown_below(commit: Commit, place: Path) -> Iterator[None]:
    """What goes wrong inside, with paths of the project in place of those of a directory that goes away."""
    relative = os.path.relpath(place)

    def plain(text: str) -> str:
        for each in (f"{place}/", f"{relative}/"):
            text = text.replace(each, "")
        return text.replace(str(place), str(commit.root))

    def placed(problem: Problem) -> Problem:
        file = problem.where.file
        where = problem.where if file is None else evolve(problem.where, file=plain(file))
        return evolve(problem, where=where, found=plain(problem.found), fix=plain(problem.fix))

    with _changing(placed):
        yield


@contextlib.contextmanager
def _changing(change: Callable[[Problem], Problem]) -> Iterator[None]:
    try:
        yield
    except PlannerError as error:
        raise PlannerError(map(change, error.problems)) from None
    except ExecutorError as error:
        raise type(error)(map(change, error.problems), error.failure) from None
