"""What a plan says of an image's configuration, that is, of what its containers start with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from attrs import field

from planner.image.instructions import (
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import ImageSpec
from planner.immutable import frozen
from planner.values import EnvTemplate, FrozenMapping, freeze

__all__ = ["Configuration", "planned_configuration"]


@frozen
class Configuration:
    """Environment, labels, user and working directory. What a plan does not name is the parent's.

    A variable has one template, or several of which each but the first adds to what those before it come to.
    """

    environment: Mapping[str, tuple[EnvTemplate, ...]] = field(default=FrozenMapping(), converter=freeze)
    labels: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    user: str | None = None
    working_directory: str | None = None


def planned_configuration(spec: ImageSpec) -> Configuration:
    """The configuration of an image, as far as its spec says. The last instruction about something counts."""
    environment: dict[str, tuple[EnvTemplate, ...]] = {}
    user = working_directory = None
    for item in spec.instructions:
        match item:
            case SetEnvironment():
                for name, value in item.variables.items():
                    before = environment.get(name, ()) if value.adds else ()
                    environment[name] = (*before, value)
            case CopyFiles() | MakeDirectory():
                working_directory = item.destination
            case SetUser():
                user = item.user
            case (
                InstallApt() | InstallRequirements() | InstallProject() | CopyBootstrap() | BuildDockerfile()
            ):
                pass
            case _:
                assert_never(item)
    return Configuration(environment, spec.labels, user, working_directory)
