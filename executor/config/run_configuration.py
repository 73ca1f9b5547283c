"""A run configuration as a value: what is said, over a pipeline's own, of a run of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field

from planner.entrypoint import Function, Output
from planner.errors import KnownNames, Place, PlannerError, Problem
from planner.image.plan import Note
from planner.immutable import frozen
from planner.pipeline import Pipeline, Step
from planner.settings.written import WrittenSettings
from planner.values import FrozenMapping, freeze

__all__ = ["RunConfiguration", "StepConfiguration"]


@frozen
class StepConfiguration:
    """What a run configuration says of one step."""

    layer: WrittenSettings | None = None
    parameters: Mapping[str, Any] = field(default=FrozenMapping(), converter=freeze)
    step_operator: str | bool | None = None


@frozen
class RunConfiguration:
    """What a run configuration says.

    `parameters` are those of the pipeline's function, and `build` is the build that is asked for: an id, or
    what `stowplan builds export` prints.
    """

    file: str
    layer: WrittenSettings | None = None
    deployment: Mapping[str, Any] = field(default=FrozenMapping(), converter=freeze)
    steps: Mapping[str, StepConfiguration] = field(factory=dict)
    parameters: Mapping[str, Any] = field(default=FrozenMapping(), converter=freeze)
    build: str | Mapping[str, Any] | None = None
    notes: tuple[Note, ...] = ()
    _lines: Mapping[tuple[str | int, ...], int] = field(factory=dict, eq=False, repr=False)

    @property
    def step_parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The parameters of steps, by their names, of those that are given some."""
        return {name: step.parameters for name, step in self.steps.items() if step.parameters}

    def over(self, pipeline: Pipeline) -> Pipeline:
        """The pipeline with what is said here over what it says, but for parameters.

        PlannerError for steps that it does not have.
        """
        known = KnownNames(step.name for step in pipeline.steps)
        names = {step.name for step in pipeline.steps}
        if problems := [
            Problem(self._place("steps", name), f"no step {name!r} in {pipeline.name}", known.advice(name))
            for name in self.steps
            if name not in names
        ]:
            raise PlannerError(problems)
        return evolve(
            pipeline,
            steps=[self._step(step) for step in pipeline.steps],
            overrides=(*pipeline.overrides, *([self.layer] if self.layer else ())),
            deployment=evolve(pipeline.deployment, **self.deployment),
        )

    def _step(self, step: Step) -> Step:
        said = self.steps.get(step.name)
        if said is None:
            return step
        return evolve(
            step,
            overrides=(*step.overrides, *([said.layer] if said.layer else ())),
            step_operator=step.step_operator if said.step_operator is None else said.step_operator,
        )

    def with_parameters(self, pipeline: Pipeline) -> tuple[Pipeline, tuple[Note, ...]]:
        """The pipeline whose functions have the parameters of their steps as inputs, and a note of the rest.

        PlannerError for a parameter that is the output of another step.
        """
        problems: list[Problem] = []
        functions = {
            step.name: step.entrypoint for step in pipeline.steps if isinstance(step.entrypoint, Function)
        }
        said = {name: given for name, given in self.step_parameters.items() if name in functions}
        for name, given in said.items():
            for parameter in given:
                item = functions[name].inputs.get(parameter)
                if isinstance(item, Output):
                    place = self._place("steps", name, "parameters", parameter)
                    problems.append(Problem(place, f"is the output of {item}", "leave it out"))
        if problems:
            raise PlannerError(problems)
        taking = {
            name: evolve(functions[name], inputs={**functions[name].inputs, **given})
            for name, given in said.items()
        }
        steps = [
            evolve(step, entrypoint=taking[step.name]) if step.name in taking else step
            for step in pipeline.steps
        ]
        return evolve(pipeline, steps=steps), self._unused(functions)

    def _unused(self, functions: Mapping[str, Function]) -> tuple[Note, ...]:
        """What is said of parameters that nothing takes."""
        names = [f"steps.{name}.parameters" for name in self.step_parameters if name not in functions]
        if self.parameters:
            names = ["parameters", *names]
        if not names:
            return ()
        text = f"ignored, as no function takes them: {', '.join(names)}"
        return (Note("passed-over", self.file, text, Place((), self.file)),)

    def _place(self, *path: str | int) -> Place:
        return Place(path, self.file, self._lines.get(path))
