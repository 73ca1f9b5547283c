"""Settings as they were written, and nothing known of what they may be: the planner checks them.

In a container, and in a Python that has no stowplan, these stand for the classes of the planner.
"""

from __future__ import annotations

import enum
from typing import Any

__all__ = ["FOREIGN", "STAND_INS", "PythonPackageInstaller", "plain"]

FOREIGN = "stowplan.foreign"
"""The key of what stands for a value that no configuration can have; its value is the name of the class."""


class Recorder:
    """What was given to a class of settings."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["given"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} was given no {name!r}") from None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"{type(self).__name__}({given})"

    # Settings are no keys: what is given may be a list.
    __hash__ = None  # type: ignore[assignment]


class DockerSettings(Recorder):
    """What a pipeline or a step asks of its image."""


class DeploymentSettings(Recorder):
    """What the application needs that a deployer runs a pipeline in."""


class BuildConfig(Recorder):
    """How an image is built."""


class BuildOptions(Recorder):
    """Options of the builder."""


class Secret(Recorder):
    """Where the value of a secret is found."""


class PythonPackageInstaller(str, enum.Enum):  # StrEnum came with Python 3.11
    """The program that installs Python packages in an image."""

    UV = "uv"
    PIP = "pip"


class StowplanError(Exception):
    """What scripts catch around `training.run()`, which is raised where stowplan is installed."""


class PlannerError(StowplanError, ValueError):
    """As above."""


class ExecutorError(StowplanError):
    """As above."""


STAND_INS = {
    each.__name__: each
    for each in (
        BuildConfig,
        BuildOptions,
        DeploymentSettings,
        DockerSettings,
        ExecutorError,
        PlannerError,
        PythonPackageInstaller,
        Secret,
        StowplanError,
    )
}
"""By the names that `stowplan` has for them."""


def plain(value: Any) -> Any:
    """A value as JSON has it. What JSON does not have stands as its class, for the planner to refuse."""
    if value is None or (isinstance(value, (bool, int, float)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Recorder):
        return plain(value.given)
    # The planner's own values: what was given of settings, and each field of what has no such notion.
    names = getattr(value, "given", None)
    if names is None and hasattr(type(value), "settable"):
        names = value.settable()
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    return {FOREIGN: type(value).__name__}
