"""A pipeline, its steps, and the cascade that gives each step its settings.

Refuses to know where a pipeline was written down: configuration files are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from planner.errors import PlannerError, Problem, did_you_mean
from planner.identity import APART
from planner.settings.checks import Checked, Invalid, kind_of, list_of, matching, setting, valid
from planner.settings.docker import DockerSettings

__all__ = ["NAME", "Pipeline", "Step"]

# Names stand in tags, tables and messages.
NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
name_check = matching(NAME, "a name", "training")


def docker_settings(value: Any) -> Any:
    """A converter: settings as they are, or the reference's `{"docker": …}` with settings or a table."""
    if not isinstance(value, Mapping):
        return value
    problems = [
        Problem.at((name,), "unknown kind of settings", did_you_mean(str(name), ["docker"]))
        for name in value
        if name != "docker"
    ]
    docker = value.get("docker", {})
    if not isinstance(docker, DockerSettings):
        try:
            docker = DockerSettings.decode(docker, partial=True)
        except PlannerError as error:
            problems += [problem.inside("docker") for problem in error.problems]
    return Invalid(tuple(problems)) if problems else docker


def _is_settings(value: object) -> Iterator[Problem]:
    yield from valid(value)
    if not isinstance(value, DockerSettings | Invalid):
        yield Problem.at((), f"expected a table, found {kind_of(value)}", "write settings.docker = { … }")


@frozen(kw_only=True)
class Step(Checked):
    """One step of a pipeline and what it asks beyond its pipeline's settings."""

    name: str = setting("", name_check, APART)
    settings: DockerSettings | Mapping[str, Any] = setting(
        DockerSettings(), _is_settings, APART, convert=docker_settings
    )

    @property
    def docker(self) -> DockerSettings:
        """The settings, whichever way they were given."""
        assert isinstance(self.settings, DockerSettings)  # noqa: S101  # the converter made them so
        return self.settings


def _steps(value: Any) -> Any:
    """A converter: names become steps without settings of their own."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(_step(item) if isinstance(item, str) else item for item in value)


def _step(name: str) -> Step | Invalid:
    try:
        return Step(name=name)
    except PlannerError as error:
        return Invalid(tuple(Problem.at((), problem.found, problem.fix) for problem in error.problems))


def _is_step(value: object) -> Iterator[Problem]:
    yield from valid(value)
    if not isinstance(value, Step | Invalid):
        yield Problem.at((), f"expected the name of a step, found {kind_of(value)}", "put the name in quotes")


@frozen(kw_only=True)
class Pipeline(Checked):
    """Steps that run in order, and the settings that all of them share.

    >>> training = Pipeline(name="training", steps=["load", "train"], settings=DockerSettings(user="1000"))
    >>> [step.name for step in training.steps]
    ['load', 'train']
    """

    name: str = setting("", name_check, APART)
    steps: Sequence[Step] | Sequence[str] | Sequence[Step | str] = setting(
        (), list_of(_is_step), APART, convert=_steps
    )
    settings: DockerSettings | Mapping[str, Any] = setting(
        DockerSettings(), _is_settings, APART, convert=docker_settings
    )

    def check_together(self) -> Iterator[Problem]:
        """A pipeline has steps, and no two of one name."""
        names = [step.name for step in self.all_steps]
        if not names:
            yield Problem.at("steps", "no steps", 'list their names: steps = ["load", "train"]')
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Problem.at(
                    ("steps", index), f"{name!r} is listed twice", "give each step a name of its own"
                )

    @property
    def docker(self) -> DockerSettings:
        """The settings that all steps share, whichever way they were given."""
        assert isinstance(self.settings, DockerSettings)  # noqa: S101  # the converter made them so
        return self.settings

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The steps, whichever way they were given."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """The `[pipeline.NAME.step.STEP]` tables of a configuration file, put into the steps they name."""
        tables = data.get("step", {})
        fields = {name: value for name, value in data.items() if name != "step"}
        listed = fields.get("steps", ())
        if not isinstance(tables, Mapping):
            return fields, [
                Problem.at("step", f"expected tables, found {kind_of(tables)}", "write [….step.NAME]")
            ]
        problems = []
        steps: dict[str, Step] = {}
        for name, table in tables.items():
            if not isinstance(listed, list | tuple) or name not in listed:
                known = (
                    [item for item in listed if isinstance(item, str)]
                    if isinstance(listed, list | tuple)
                    else []
                )
                problems.append(
                    Problem.at(("step", name), "not a step of this pipeline", did_you_mean(name, known))
                )
            try:
                steps[name] = Step.decode({"name": name, **table} if isinstance(table, Mapping) else table)
            except PlannerError as error:
                problems += [problem.inside("step", name) for problem in error.problems]
        if isinstance(listed, list | tuple):
            fields["steps"] = [steps.get(item, item) if isinstance(item, str) else item for item in listed]
        return fields, problems
