"""Which pipeline a command is about: a name of the project file, or an object of a module of the project.

Owns what a SOURCE may be. Refuses to import a module that no source names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import evolve

from executor.config.project import Project
from executor.errors import ExecutorError, UsageError
from planner.errors import Place, Problem, did_you_mean, first_few
from planner.image.plan import Note
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME, PipelineSource
from planner.names import SOURCE
from planner.pipeline import Pipeline

if TYPE_CHECKING:
    from executor.bootstrap.decorators import Pipeline as AnyDecorated
    from executor.config.run_configuration import RunConfiguration

    Decorated: TypeAlias = AnyDecorated[Any, Any]

__all__ = ["Chosen", "all_chosen", "chosen"]

_COMMAND_LINE: Final = "command line"
_SHOWN: Final = 20
NO_SUCH: Final = "no-such-pipeline"
"""The code of a problem that says that there is no pipeline of a source."""
_HOW: Final = "write module:pipeline, like training.pipelines:train"


@frozen
class Chosen:
    """A pipeline, and what else was said with it.

    `source` is how a lock names it. `build` is what a run configuration asks for: the id of a build, or an
    exported one.
    """

    pipeline: Pipeline
    source: PipelineSource = PipelineSource()
    notes: tuple[Note, ...] = ()
    build: str | Mapping[str, Any] | None = None


def chosen(
    project: Project, source: str | Decorated | None, config: Path | None = None, *, image: str | None = None
) -> Chosen:
    """The pipeline that `source` names, or is; None is the only one of the project file, or that of `image`.

    An image is named as `stowplan show` takes it: by its pipeline, by `pipeline/step`, or by a step. What the
    run configuration `config` says goes over what the pipeline says. UsageError if there is no such pipeline.
    PlannerError, or another ExecutorError, if something is wrong with it or with the configuration.
    """
    run = None if config is None else _configuration(project, config)
    if source is not None and not isinstance(source, str):
        return _here(project, source, run)
    names = (*project.pipelines, *project.sources)
    if source is None:
        source = _only(project, names) if image is None else _holder(project, names, image)
    if source in names:
        return _named(project, source, run)
    module = _spelled(project, source)
    named = _name_of(project, module)
    if named is not None:
        return _named(project, named, run)
    return _own_name(project, _python(project, module, None, Place(file=_COMMAND_LINE), run))


def _only(project: Project, names: Sequence[str], fix: str = "name one") -> str:
    """The one pipeline of the project file. UsageError if it has none, or several."""
    if not names:
        raise UsageError.of(_COMMAND_LINE, f"{project.file} names no pipeline", _HOW)
    if len(names) > 1:
        raise UsageError.of(_COMMAND_LINE, f"this project has several pipelines: {', '.join(names)}", fix)
    return names[0]


def _holder(project: Project, names: Sequence[str], image: str) -> str:
    """The pipeline that an image is of. UsageError if that cannot be told without importing any."""
    first = image.partition("/")[0]
    if first in names:
        return first
    holders = [name for name in project.pipelines if image in _steps(project.pipelines[name])]
    # What steps a pipeline in Python has is not known before it is imported.
    if len(holders) == 1 and not project.sources:
        return holders[0]
    if len(holders) > 1:
        found = f"step {image!r} is in several pipelines: {', '.join(holders)}"
        raise UsageError.of(_COMMAND_LINE, found, f"write {holders[0]}/{image}, or name one with --pipeline")
    if len(names) > 1 and not project.sources:
        known = (*names, *dict.fromkeys(step for each in project.pipelines.values() for step in _steps(each)))
        raise UsageError.of(_COMMAND_LINE, f"no image {image!r}", did_you_mean(image, known))
    return _only(project, names, "name one with --pipeline")


def _name_of(project: Project, module: str | None) -> str | None:
    """What the project file calls a pipeline in Python; None if it does not name it."""
    return next((name for name, source in project.sources.items() if source == module), None)


def _own_name(project: Project, made: Chosen) -> Chosen:
    """A pipeline that the project file does not name, unless its name is that of one that it does."""
    name = made.pipeline.name
    if name in project.pipelines or name in project.sources:
        where = made.pipeline.origin or Place()
        found = f"its name is {name!r}, and so is that of another pipeline, in {project.file}"
        problem = Problem(
            Place(file=where.file, line=where.line), found, "give it another name: @pipeline(name=…)"
        )
        raise ExecutorError([problem])
    return made


def all_chosen(project: Project, locked: Mapping[str, PipelineSource]) -> tuple[Chosen, ...]:
    """The pipelines of the project file, and those in Python that its lock has, as they were named for that.

    A locked one that is not there any more is left out. PlannerError, or another ExecutorError, if something
    is wrong with one that is.
    """
    names = (*project.pipelines, *project.sources)
    if not names and not locked:
        raise UsageError.of(_COMMAND_LINE, f"{project.file} names no pipeline", _HOW)
    found = []
    for name in (*names, *(name for name, each in locked.items() if each.module and name not in names)):
        source = locked.get(name, PipelineSource())
        run = None
        if source.config is not None:
            # Named as whoever is here would name it.
            path = Path(os.path.relpath(project.root / source.config))
            run = _configuration(project, path)
        if name in names or source.module is None:
            found.append(_named(project, name, run))
            continue
        try:
            found.append(_python(project, source.module, name, Place(file=LOCK_NAME), run))
        except ExecutorError as error:
            if any(problem.code != NO_SUCH for problem in error.problems):
                raise
    return tuple(found)


def _configuration(project: Project, path: Path) -> RunConfiguration:
    from executor.config.run_yaml import load_run_configuration  # noqa: PLC0415  # few commands have one

    return load_run_configuration(path, project.root)


def _named(project: Project, name: str, run: RunConfiguration | None) -> Chosen:
    """A pipeline of the project file."""
    if name in project.sources:
        where = project.located(Place(("pipeline", name, "source")))
        made = _python(project, project.sources[name], name, where, run)
        return evolve(made, source=evolve(made.source, module=None))
    pipeline = project.pipelines[name]
    if run is None:
        return Chosen(pipeline)
    pipeline, notes = run.with_parameters(run.over(pipeline))
    return Chosen(pipeline, _source(project, None, run), (*run.notes, *notes), run.build)


def _source(project: Project, module: str | None, run: RunConfiguration | None) -> PipelineSource:
    """How a lock names a pipeline. It knows no paths outside of the project."""
    config = None if run is None else Path(os.path.relpath(run.file, project.root))
    inside = config is not None and ".." not in config.parts
    return PipelineSource(module, config.as_posix() if config and inside else None)


def _spelled(project: Project, source: str) -> str:
    """A source as `module:object`. UsageError for what cannot be one."""
    names = (*project.pipelines, *project.sources)
    spelled = source if ":" in source else ":".join(source.rpartition(".")[::2])
    path, _, name = source.replace("\\", "/").partition(":")
    module = path.removesuffix(".py").replace("/", ".").strip(".")
    if not path.endswith(".py") and re.fullmatch(SOURCE, spelled):
        return spelled
    is_module = path.endswith(".py") or (project.root / f"{path}.py").is_file()
    if is_module and re.fullmatch(SOURCE, f"{module}:{name or 'x'}"):
        fix = f"write {module}:{name or 'NAME, with the name of the pipeline'}"
    elif holder := next((each.name for each in project.pipelines.values() if source in _steps(each)), None):
        fix = f"name the pipeline, {holder}: {source} is one of its steps"
    else:
        fix = did_you_mean(
            source, names, f"known names: {first_few(sorted(names), _SHOWN)}; or {_HOW}" if names else _HOW
        )
    raise UsageError.of(_COMMAND_LINE, f"there is no pipeline {source!r}", fix)


def _steps(pipeline: Pipeline) -> tuple[str, ...]:
    return tuple(step.name for step in pipeline.steps)


def _python(
    project: Project, module: str, name: str | None, where: Place, run: RunConfiguration | None
) -> Chosen:
    """A pipeline that the user's Python describes."""
    from executor.config.description import describe  # noqa: PLC0415  # only pipelines in Python need it

    return _described(project, describe(project.root, module, where, **_parameters(run)), module, name, run)


def _here(project: Project, pipeline: Decorated, run: RunConfiguration | None) -> Chosen:
    """A pipeline that this process has."""
    from executor.config.description import describe_here  # noqa: PLC0415  # as above

    data, module = describe_here(project.root, pipeline, **_parameters(run))
    name = _name_of(project, module)
    made = _described(project, data, module, name, run)
    return _own_name(project, made) if name is None else evolve(made, source=evolve(made.source, module=None))


def _parameters(run: RunConfiguration | None) -> dict[str, Any]:
    return {"parameters": run.parameters, "steps": run.step_parameters} if run else {}


def _described(
    project: Project,
    data: Mapping[str, Any],
    module: str | None,
    name: str | None,
    run: RunConfiguration | None,
) -> Chosen:
    from executor.config.decorated import decorated  # noqa: PLC0415  # as above

    pipeline, notes = decorated(data, name, project.root)
    pipeline = project.equipped(pipeline)
    source = _source(project, module, run)
    if run is None:
        return Chosen(pipeline, source, notes)
    return Chosen(run.over(pipeline), source, (*notes, *run.notes), run.build)
