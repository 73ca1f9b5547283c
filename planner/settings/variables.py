"""What `environment` and `runtime_environment` of merged settings say that no image could do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from planner.errors import Problem
from planner.requirements.options import resolving_variables
from planner.settings.docker import DockerSettings
from planner.values import EnvTemplate, FrozenMapping, build_argument

__all__ = ["templates", "unusable"]

_SETTINGS: Final = ("environment", "runtime_environment")


def unusable(settings: DockerSettings) -> Iterator[Problem]:
    """A problem for each variable that could not be set, or not to what `{parent}` stands for."""
    tables = {setting: templates(settings.value(setting)) for setting in _SETTINGS}
    carriers = {
        build_argument(variable): variable
        for table in tables.values()
        for value in table.values()
        for variable in value.variables
    }
    arguments = settings.value("build_config").value("build_options").value("build_args")
    resolving = resolving_variables(settings.value("python_package_installer"), tables["environment"])
    for setting, table in tables.items():
        for name, value in table.items():
            if name in carriers:
                found = f"stowplan carries the value of {carriers[name]} by this name"
                yield Problem.at((setting, name), found, "choose another name")
            elif value.adds and name in arguments:
                found = "{parent} would be the build argument of this name if the parent has no such variable"
                yield Problem.at((setting, name), found, f"leave {name} out of build_args")
            elif value.adds and setting == "environment" and name in resolving:
                found = "{parent} is not known when requirements are resolved"
                yield Problem.at((setting, name), found, "write the whole value")


def templates(values: Mapping[str, str]) -> FrozenMapping[EnvTemplate]:
    """The values of variables, each read as a template."""
    return FrozenMapping({name: EnvTemplate(text) for name, text in values.items()})
