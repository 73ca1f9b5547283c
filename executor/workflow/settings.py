"""Settings of one step, or of a pipeline, with the file and line that says each."""

from __future__ import annotations

from attrs import evolve

from executor.config.project import Project
from executor.errors import UsageError
from planner.errors import did_you_mean
from planner.pipeline import Pipeline
from planner.settings.explained import Said, explained

__all__ = ["settings_of"]


def settings_of(project: Project, pipeline: Pipeline, name: str) -> tuple[str | None, tuple[Said, ...]]:
    """The name of a step, None for the pipeline itself, and its settings.

    `name` is that of a step, of the image `pipeline/step`, or of the pipeline. UsageError for any other.
    """
    steps = {step.name: step for step in pipeline.steps}
    step = steps.get(name) or steps.get(name.removeprefix(f"{pipeline.name}/"))
    if step is None and name != pipeline.name:
        known = (*steps, pipeline.name)
        raise UsageError.of("command line", f"no step {name!r} in {pipeline.name}", did_you_mean(name, known))
    said = explained(pipeline.layers(step))
    return step.name if step else None, tuple(
        evolve(each, where=project.located(each.where)) if each.where else each for each in said
    )
