"""What a change of something named would build, in all pipelines of a project on one stack."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from attrs import evolve

from executor.config.project import Project
from executor.config.source import all_chosen, chosen
from executor.errors import UsageError
from executor.observe.images import ChooseEngine
from executor.state import read_lock
from executor.workflow.plans import plan
from planner.compare.impact import Looked, Reading, impact, nearest_name

__all__ = ["impact_of"]


def impact_of(
    project: Project,
    name: str,
    pipeline: str | None,
    stack: str | None,
    config: Path | None = None,
    *,
    asks: bool,
    engine: ChooseEngine | None,
) -> tuple[Reading, ...]:
    """All that a name stands for in a pipeline, or in all of them, and what it reaches on a stack.

    UsageError if it stands for nothing. With `asks=False` no registry is asked.
    """
    lock = read_lock(project.root)
    if pipeline is None and config is None:
        pipelines = all_chosen(project, lock.sources if lock else {})
    else:
        pipelines = (chosen(project, pipeline, config),)
    place = project.stack(stack)
    plans = []
    for each in pipelines:
        made = plan(project, each, place, engine=engine, offline=not asks)
        plans.append(Looked(each.pipeline, place, made.plan, made.facts))
    found = impact(name, plans, is_file=_is_file(project.root, name))
    if not found:
        raise UsageError.of("command line", f"nothing is called {name!r}", nearest_name(name, plans))
    return tuple(_located(project, reading) for reading in found)


def _is_file(root: Path, name: str) -> bool:
    """Whether the project has a file or a directory of a name; what is elsewhere is none of it."""
    path = posixpath.normpath(name)
    return not path.startswith(("/", "../")) and path not in {".", ".."} and os.path.lexists(root / path)


def _located(project: Project, reading: Reading) -> Reading:
    """The reading with file and line of each setting in it."""
    return evolve(
        reading,
        reaches=tuple(
            evolve(
                reach,
                through=tuple(
                    evolve(each, where=each.where and project.located(each.where)) for each in reach.through
                ),
            )
            for reach in reading.reaches
        ),
    )
