"""A pipeline and its steps, with the layers of settings that were written for each.

Refuses to know where a pipeline was written down: configuration files are read elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import field

from planner.errors import KnownNames, Place, PlannerError, Problem, did_you_mean
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.integrations import Integration
from planner.settings.checked import Checked, declared, decoded, each_decoded, of_kind
from planner.settings.checks import kind_of, list_of, mapping_of, matching
from planner.settings.dependencies import Dependencies
from planner.settings.docker import DockerSettings
from planner.settings.effective import WrittenSettings
from planner.settings.secrets import Secret, secrets_check, secrets_of_tables
from planner.values import FrozenMapping

__all__ = ["NAME", "DeploymentSettings", "Pipeline", "Step"]

# Names stand in tags, tables and messages.
NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
name_check = matching(NAME, "a name", "training")


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


def _is_settings(value: object) -> Iterator[Problem]:
    try:
        _decode_settings(value)
    except PlannerError as error:
        yield from error.problems


@frozen(kw_only=True)
class Step(Checked):
    """One step of a pipeline and what it asks beyond its pipeline's settings."""

    name: str = field(default="", metadata=declared(name_check, NOT_COUNTED))
    settings: DockerSettings = field(
        default=DockerSettings(), converter=_docker_settings, metadata=declared(_is_settings, NOT_COUNTED)
    )


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
    """Steps that run in order, and the settings that all of them share.

    `deployment` is what images need besides when the stack has a deployer; `integrations` and `secrets` are
    the project's own, by name.

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

    def check_together(self) -> Iterator[Problem]:
        """A pipeline has steps, and no two of one name."""
        if not self.steps:
            yield Problem.at("steps", "no steps", 'list their names: steps = ["load", "train"]')
        seen: set[str] = set()
        for index, step in enumerate(self.steps):
            if step.name in seen:
                found = f"{step.name!r} is listed twice"
                yield Problem.at(("steps", index), found, "give each step a name of its own")
            seen.add(step.name)

    def layers(self, step: Step) -> tuple[WrittenSettings, ...]:
        """The layers of settings of a step, the lowest first, each with the place where it was written."""
        above = ("pipeline", self.name)
        return (
            *self._of_project,
            WrittenSettings(self.settings, Place(path=(*above, "settings", "docker"))),
            WrittenSettings(step.settings, Place(path=(*above, "step", step.name, "settings", "docker"))),
        )

    @property
    def _of_project(self) -> tuple[WrittenSettings, ...]:
        """What the project says for all pipelines: the lowest layer."""
        if not self.secrets:
            return ()
        settings = DockerSettings(secrets=self.secrets)
        return (WrittenSettings(settings, Place(path=("secret",)), table="secrets"),)

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
                steps[name] = Step.decode({"name": name, **table} if isinstance(table, Mapping) else table)
            except PlannerError as error:
                problems += [problem.inside("step", name) for problem in error.problems]
        if isinstance(listed, list | tuple):
            fields["steps"] = [steps.get(item, item) if isinstance(item, str) else item for item in listed]
        return fields, problems


# Fields that a file has in another place.
_WRITTEN: Final = {
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
