"""A stack: where images go once they are built.

Owns the registry's address and the names made from it. Refuses to hold credentials: the engines'
own configuration has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from planner.errors import Problem
from planner.identity import APART
from planner.pipeline import name_check
from planner.settings.checks import Checked, decoded, kind_of, matching, optional, setting, valid
from planner.values import PATH_PATTERN, ImageRef

__all__ = ["ContainerRegistry", "Stack"]

DEFAULT_REPOSITORY = "stowplan"
# Docker and Podman both read `localhost/…` as an image that was built here and is pulled from nowhere.
LOCAL_REGISTRY = "localhost"


def _uri(value: object) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem.at((), f"expected a string, found {kind_of(value)}", "put it in quotes")
    elif "@" in value:
        yield Problem.at((), "holds credentials", "leave them to `docker login` or `podman login`")
    elif "://" in value:
        rest = value.partition("://")[2]
        yield Problem.at((), f"{value!r} has a scheme", f"write {rest!r}")
    elif not re.fullmatch(r"[^/]*[.:][^/]*(/.*)?|localhost(/.*)?", value) or not _named(value):
        yield Problem.at(
            (), f"not the address of a registry: {value!r}", "write it like 'localhost:5000/team'"
        )


def _named(uri: str) -> bool:
    try:
        ImageRef.parse(f"{uri}/x")
    except ValueError:
        return False
    return True


@frozen(kw_only=True)
class ContainerRegistry(Checked):
    """A registry that images are pushed to.

    `uri` is a host with an optional port and path, without a scheme: `localhost:5000/team`.
    """

    uri: str = setting(
        "", _uri, APART, convert=lambda value: value.rstrip("/") if isinstance(value, str) else value
    )
    default_repository: str | None = setting(
        None, optional(matching(PATH_PATTERN, "a repository", "training")), APART
    )


@frozen(kw_only=True)
class Stack(Checked):
    """Where a pipeline's images go. Without a registry they stay in the local engine.

    >>> Stack(name="prod", container_registry={"uri": "localhost:5000/team"}).repository("training")
    'localhost:5000/team/training'
    """

    name: str = setting("default", name_check, APART)
    container_registry: ContainerRegistry | Mapping[str, Any] | None = setting(
        None, valid, APART, convert=decoded(ContainerRegistry)
    )

    @property
    def registry(self) -> ContainerRegistry | None:
        """The registry, whichever way it was given."""
        assert not isinstance(self.container_registry, Mapping)  # noqa: S101  # the converter made it one
        return self.container_registry

    def repository(self, target: str | None) -> str:
        """Where an image goes: the registry's URI with `target`, its default repository, or `stowplan`."""
        if self.registry is None:
            return f"{LOCAL_REGISTRY}/{target or DEFAULT_REPOSITORY}"
        return f"{self.registry.uri}/{target or self.registry.default_repository or DEFAULT_REPOSITORY}"
