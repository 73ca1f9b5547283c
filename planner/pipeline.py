"""A pipeline and its steps, with the layers of settings that were written for each.

Refuses to know where a pipeline was written down: configuration files are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from attrs import evolve, field

from planner.entrypoint import (
    ENTRYPOINT_NAMES,
    Entrypoint,
    Function,
    entrypoint_check,
    entrypoint_schema,
    resolved,
    written_entrypoint,
)
from planner.errors import KnownNames, Place, PlannerError, Problem, did_you_mean
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.integrations import Integration
from planner.names import name_check
from planner.order import after_of, order_problems, ordered
from planner.repositories import CodeRepository, repositories_check, repositories_of_tables
from planner.settings.checked import Checked, declared, decoded, each_decoded, keyed, of_kind
from planner.settings.checks import Schema, kind_of, list_of, mapping_of, optional, saying
from planner.settings.dependencies import Dependencies
from planner.settings.docker import DockerSettings
from planner.settings.secrets import Secret, secrets_check, secrets_of_tables
from planner.settings.written import WrittenSettings
from planner.values import FrozenMapping, freeze

__all__ = ["DeploymentSettings", "Pipeline", "Step", "operator_check"]


def _docker_settings(value: DockerSettings | Mapping[str, Any]) -> DockerSettings:
    """A converter: settings as they are, or the reference's `{"docker": …}` with settings or a table.

    What is wrong stays as it is, for the check.
    """
    try:
        return _decode_settings(value)
    except PlannerError:
        return value  # type: ignore[return-value]  # no value of this type outlives its check


def _decode_settings(value: object) -> DockerSettings:
    if isinstance(value, DockerSettings):
        return value
    if not isinstance(value, Mapping):
        found = f"expected a table, found {kind_of(value)}"
        raise PlannerError([Problem.at((), found, "write settings.docker = { … }")])
    problems = [
        Problem.at((str(name),), "unknown kind of settings", did_you_mean(name, ["docker"]))
        for name in value
        if name != "docker"
    ]
    docker: Any = value.get("docker", {})
    if not isinstance(docker, DockerSettings):
        try:
            docker = DockerSettings.decode(docker)
        except PlannerError as error:
            problems += [problem.inside("docker") for problem in error.problems]
    if problems:
        raise PlannerError(problems)
    settled: DockerSettings = docker
    return settled


def _settings_schema(**others: type[Checked]) -> Schema:
    """The schema of `settings`: those of images, and others."""
    kinds = {"docker": DockerSettings, **others}
    properties = {name: {"$ref": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


@saying(_settings_schema())
def _is_settings(value: object) -> Iterator[Problem]:
    try:
        _decode_settings(value)
    except PlannerError as error:
        yield from error.problems


@saying({"anyOf": [name_check.schema, {"type": "boolean"}]})
def operator_check(value: object) -> Iterator[Problem]:
    """A check: the name of a step operator; or whether the one of the stack runs a step."""
    return iter(()) if isinstance(value, bool) else name_check(value)


@frozen(kw_only=True)
class Step(Checked):
    """One step of a pipeline: what it runs, after which others, and what it asks of its image.

    Without `entrypoint` there is only an image to plan. `after` names the steps that end before it begins:
    None is the one that is listed before it, and a step whose output is an input ends before as well.
    `step_operator` names the step operator of the stack that runs it; True is the one that there is.
    """

    name: str = field(default="", metadata=declared(name_check, NOT_COUNTED))
    settings: DockerSettings = field(
        default=DockerSettings(), converter=_docker_settings, metadata=declared(_is_settings, NOT_COUNTED)
    )
    entrypoint: Entrypoint | None = field(default=None, metadata=declared(entrypoint_check, NOT_COUNTED))
    after: tuple[str, ...] | None = field(
        default=None, converter=freeze, metadata=declared(optional(list_of(name_check)), NOT_COUNTED)
    )
    step_operator: str | bool | None = field(
        default=None, metadata=declared(optional(operator_check), NOT_COUNTED)
    )
    origin: Place | None = field(default=None, metadata=NOT_COUNTED)
    """Where `settings` was written; None for the table of the step in the project file."""
    overrides: tuple[WrittenSettings, ...] = field(default=(), metadata=NOT_COUNTED)
    """Layers over `settings`, the lowest first: what a run configuration says."""

    @property
    def own(self) -> tuple[DockerSettings, ...]:
        """What the step asks beyond its pipeline's settings, the lowest layer first, without empty ones."""
        layers = (self.settings, *(layer.settings for layer in self.overrides))
        return tuple(settings for settings in layers if settings.given)

    @classmethod
    def schema(cls) -> Schema:
        """As a project file has it, with what the step runs under names of its own."""
        found = keyed(super().schema())
        fields = {name: each for name, each in found["properties"].items() if name in _OF_STEP}
        apart: Schema = {"not": {"required": ["command", "function"]}}
        wanting = {name: ["function"] for name in ("inputs", "outputs")}
        properties = {**fields, **entrypoint_schema()}
        return {**found, "properties": properties, **apart, "dependentRequired": wanting}

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """The table of a project file, whose `function` or `command` becomes the entrypoint."""
        entrypoint, problems = written_entrypoint(data)
        fields = {name: value for name, value in data.items() if name in _OF_STEP}
        known = (*_OF_STEP, *ENTRYPOINT_NAMES)
        problems += [
            Problem.at((str(name),), "unknown name", _advice(name, known))
            for name in data
            if name not in known
        ]
        return {**fields, "entrypoint": entrypoint}, problems


_OF_STEP: Final = ("after", "name", "settings", "step_operator")


def _advice(name: object, known: Iterable[str]) -> str:
    """What to do about an unknown name in the table of a pipeline or a step."""
    if name == "docker":
        return "write it inside settings: settings.docker"
    if name in DockerSettings.settable():
        return f"write it inside settings.docker: settings.docker.{name}"
    return did_you_mean(name, known)


def _steps(value: Iterable[Step | str]) -> tuple[Step, ...]:
    """A converter: names become steps without settings of their own. What is wrong stays, for the check."""
    if not isinstance(value, list | tuple):
        return value  # type: ignore[return-value]  # no value of this type outlives its check
    return tuple(_step(item) for item in value)


def _step(item: Any) -> Any:
    if not isinstance(item, str):
        return item
    try:
        return Step(name=item)
    except PlannerError:
        return item


@saying(name_check.schema)
def _is_step(value: object) -> Iterator[Problem]:
    if isinstance(value, str):
        yield from name_check(value)
    elif not isinstance(value, Step):
        yield Problem.at((), f"expected the name of a step, found {kind_of(value)}", "put the name in quotes")


@frozen(kw_only=True)
class DeploymentSettings(Dependencies):
    """What the application needs that a deployer runs a pipeline in."""


def _deployment(value: Any) -> Any:
    """A converter: a table becomes settings. What is wrong stays as it is, for the check."""
    return decoded(DeploymentSettings)(value)


def _own_integrations(value: Any) -> Any:
    """A converter: tables become integrations. What is wrong stays as it is, for the check."""
    return each_decoded(Integration, value)


@frozen(kw_only=True)
class Pipeline(Checked):
    """Steps, and the settings that all of them share.

    `deployment` is what images need besides when the stack has a deployer; `integrations`, `secrets` and
    `code_repositories` are the project's own, by name.

    >>> training = Pipeline(name="training", steps=["load", "train"], settings=DockerSettings(user="1000"))
    >>> [step.name for step in training.steps]
    ['load', 'train']
    """

    name: str = field(default="", metadata=declared(name_check, NOT_COUNTED))
    steps: tuple[Step, ...] = field(
        default=(), converter=_steps, metadata=declared(list_of(_is_step), NOT_COUNTED)
    )
    settings: DockerSettings = field(
        default=DockerSettings(), converter=_docker_settings, metadata=declared(_is_settings, NOT_COUNTED)
    )

    deployment: DeploymentSettings = field(
        default=DeploymentSettings(),
        converter=_deployment,
        metadata=declared(of_kind(DeploymentSettings), COUNTED),
    )
    integrations: Mapping[str, Integration] = field(
        default=FrozenMapping(),
        converter=_own_integrations,
        metadata=declared(mapping_of(name_check, of_kind(Integration)), COUNTED),
    )
    secrets: Mapping[str, Secret] = field(
        default=FrozenMapping(),
        converter=secrets_of_tables,
        metadata=declared(secrets_check, NOT_COUNTED),
    )
    code_repositories: Mapping[str, CodeRepository] = field(
        default=FrozenMapping(),
        converter=repositories_of_tables,
        metadata=declared(repositories_check, NOT_COUNTED),
    )
    origin: Place | None = field(default=None, metadata=NOT_COUNTED)
    """Where `settings` was written; None for the table of the pipeline in the project file."""
    overrides: tuple[WrittenSettings, ...] = field(default=(), metadata=NOT_COUNTED)
    """Layers over `settings`, the lowest first: what a run configuration says of the whole pipeline."""

    @classmethod
    def advice(cls, name: object) -> str:
        """What to do about a name that the table of a pipeline may not have."""
        if name in ("secret", "integration", "code_repository"):
            return f"write [{name}.NAME], which all pipelines have"
        return _advice(name, ("name", "settings", "source", "step", "steps"))

    def check_together(self) -> Iterator[Problem]:
        """A pipeline has steps, no two of one name, and an order in which each can run."""
        if not self.steps:
            yield Problem.at("steps", "no steps", 'list their names: steps = ["load", "train"]')
        seen: set[str] = set()
        for index, step in enumerate(self.steps):
            if step.name in seen:
                found = f"{step.name!r} is listed twice"
                yield Problem.at(("steps", index), found, "give each step a name of its own")
            seen.add(step.name)
        if len(seen) == len(self.steps):
            yield from order_problems(self.steps)

    @cached_property
    def after(self) -> Mapping[str, tuple[str, ...]]:
        """The steps that end before each begins, by its name, in the order in which they are listed.

        Steps may run side by side unless one comes, through these, after the other.
        """
        return after_of(self.steps)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names of the steps, each after those that it comes after, and else as they are listed."""
        return ordered(self.after)

    def layers(self, step: Step | None = None) -> tuple[WrittenSettings, ...]:
        """The layers of settings of a step, the lowest first, each with the place where it was written.

        Without a step they are those of the pipeline alone.
        """
        above = ("pipeline", self.name)
        of_pipeline = (*self._of_project, _lowest(self, above, "@pipeline"), *self.overrides)
        if step is None:
            return of_pipeline
        return (*of_pipeline, _lowest(step, (*above, "step", step.name), "@step"), *step.overrides)

    @property
    def _of_project(self) -> tuple[WrittenSettings, ...]:
        """What the project says for all pipelines: the lowest layer."""
        if not self.secrets:
            return ()
        settings = DockerSettings(secrets=self.secrets)
        return (WrittenSettings(settings, Place(path=("secret",)), table="secrets"),)

    @classmethod
    def schema(cls) -> Schema:
        """As a project file has it, with tables of steps."""
        found = keyed(super().schema())
        fields = {name: each for name, each in found["properties"].items() if name not in _WRITTEN}
        properties = {
            **fields,
            "steps": {**fields["steps"], "minItems": 1, "uniqueItems": True},
            "settings": _settings_schema(deployment=DeploymentSettings),
            "step": {
                "type": "object",
                "propertyNames": name_check.schema,
                "additionalProperties": {"$ref": Step},
            },
        }
        return {**found, "properties": properties, "required": [*found["required"], "steps"]}

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """The tables of a configuration file, put into the fields they are for.

        Those of `[pipeline.NAME.step.STEP]` go into the steps they name, and `settings.deployment` becomes
        `deployment`.
        """
        tables = data.get("step", {})
        fields = {name: value for name, value in data.items() if name not in ("step", *_WRITTEN)}
        problems = [
            Problem.at(name, "is not written here", fix) for name, fix in _WRITTEN.items() if name in data
        ]
        problems += _take_deployment(fields)
        listed = fields.get("steps", ())
        if not isinstance(tables, Mapping):
            return fields, [
                *problems,
                Problem.at("step", f"expected tables, found {kind_of(tables)}", "write [….step.NAME]"),
            ]
        steps: dict[str, Step] = {}
        names = (
            {item for item in listed if isinstance(item, str)} if isinstance(listed, list | tuple) else set()
        )
        known = KnownNames(names)
        for name, table in tables.items():
            if name not in names:
                problems.append(Problem.at(("step", name), "not a step of this pipeline", known.advice(name)))
            try:
                step = Step.decode({"name": name, **table} if isinstance(table, Mapping) else table)
                if isinstance(step.entrypoint, Function):
                    step = evolve(step, entrypoint=resolved(step.entrypoint, frozenset(names)))
                steps[name] = step
            except PlannerError as error:
                problems += [problem.inside("step", name) for problem in error.problems]
        if isinstance(listed, list | tuple):
            fields["steps"] = [steps.get(item, item) if isinstance(item, str) else item for item in listed]
        return fields, problems


def _lowest(of: Pipeline | Step, above: tuple[str, ...], decorator: str) -> WrittenSettings:
    """The settings that are not laid over others of the same."""
    if of.origin is not None:
        return WrittenSettings(of.settings, of.origin, how=decorator)
    return WrittenSettings(of.settings, Place(path=(*above, "settings", "docker")))


# Fields that a file has in another place.
_WRITTEN: Final = {
    "code_repositories": "write [code_repository.NAME], which all pipelines have",
    "deployment": "write it as settings.deployment",
    "integrations": "write [integration.NAME], which all pipelines have",
    "secrets": "write [secret.NAME], which all pipelines have, or settings.docker.secrets",
}


def _take_deployment(fields: dict[str, Any]) -> Iterator[Problem]:
    """Move `settings.deployment` to the field of that name; what is wrong with it."""
    settings = fields.get("settings")
    if not isinstance(settings, Mapping) or "deployment" not in settings:
        return
    fields["settings"] = {name: value for name, value in settings.items() if name != "deployment"}
    problems = [
        problem.inside("settings", "deployment")
        for problem in of_kind(DeploymentSettings)(settings["deployment"])
    ]
    if not problems:
        fields["deployment"] = settings["deployment"]
    yield from problems
