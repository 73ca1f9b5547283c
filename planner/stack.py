"""A stack: where images go once they are built, and the components that pipelines run on.

Owns the registry's address and the names made from it. Refuses to hold credentials: the engines'
own configuration has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from attrs import field

from planner.components import (
    KINDS,
    ArtifactStore,
    Component,
    StepOperator,
    class_of,
    components_check,
    decoded_components,
)
from planner.errors import Problem, did_you_mean
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.logins import holds_login, quoted
from planner.names import name_check
from planner.settings.checked import Checked, declared, decoded, of_kind
from planner.settings.checks import Schema, kind_of, matching, optional, saying, written
from planner.values import PATH_PATTERN, FrozenMapping, ImageRef

__all__ = ["ContainerRegistry", "Stack"]

DEFAULT_REPOSITORY = "stowplan"
# Docker and Podman both read `localhost/…` as an image that was built here and is pulled from nowhere.
LOCAL_REGISTRY = "localhost"


@saying({**written(r"\S+"), "not": {"pattern": "@|://"}, "examples": ["localhost:5000/team"]})
def _uri(value: object) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem.at((), f"expected a string, found {kind_of(value)}", "put it in quotes")
    elif "@" in value or holds_login(value):
        yield Problem.at((), "holds credentials", "leave them to `docker login` or `podman login`")
    elif "://" in value:
        rest = value.partition("://")[2]
        yield Problem.at((), f"{quoted(value)} has a scheme", f"write {quoted(rest)}")
    elif not re.fullmatch(r"[^/]*[.:][^/]*(/.*)?|localhost(/.*)?", value) or not _named(value):
        yield Problem.at(
            (), f"not the address of a registry: {quoted(value)}", "write it like 'localhost:5000/team'"
        )


def _without_slash(value: str) -> str:
    return value.rstrip("/") if isinstance(value, str) else value  # type: ignore[redundant-expr]  # for its check


def _named(uri: str) -> bool:
    try:
        ImageRef.parse(f"{uri}/x")
    except ValueError:
        return False
    return True


@frozen(kw_only=True)
class ContainerRegistry(Component):
    """A registry that images are pushed to.

    `uri` is a host with an optional port and path, without a scheme: `localhost:5000/team`.
    """

    EXAMPLE: ClassVar[str] = '{ uri = "localhost:5000/team" }'

    uri: str = field(default="", converter=_without_slash, metadata=declared(_uri, NOT_COUNTED))
    default_repository: str | None = field(
        default=None,
        metadata=declared(optional(matching(PATH_PATTERN, "a repository", "training")), NOT_COUNTED),
    )


def _registry(value: ContainerRegistry | Mapping[str, Any] | None) -> ContainerRegistry | None:
    """A converter: a table becomes a registry. What is wrong stays as it is, for the check."""
    made: ContainerRegistry | None = decoded(ContainerRegistry)(value)
    return made


def _advice(name: object) -> str:
    other = f"a component of another kind is written components.{name}"
    return did_you_mean(name, Stack.settable(), did_you_mean(name, KINDS, other))


@frozen(kw_only=True)
class Stack(Checked):
    """Where a pipeline's images go, and what it runs on. Without a registry they stay in the local engine.

    `components` are by their kinds: `artifact_store`, `orchestrator`, `step_operator`, and any other.

    >>> Stack(name="prod", container_registry={"uri": "localhost:5000/team"}).repository("training")
    'localhost:5000/team/training'
    """

    name: str = field(default="default", metadata=declared(name_check, NOT_COUNTED))
    container_registry: ContainerRegistry | None = field(
        default=None,
        converter=_registry,
        metadata=declared(optional(of_kind(ContainerRegistry)), NOT_COUNTED),
    )
    components: Mapping[str, Component] = field(
        default=FrozenMapping(),
        converter=decoded_components,
        metadata=declared(components_check, COUNTED),
    )

    @classmethod
    def schema(cls) -> Schema:
        """As it is written: components also by their kinds."""
        found = super().schema()
        kinds = {kind: {"$ref": class_of(kind)} for kind in KINDS}
        return {**found, "properties": {**found["properties"], **kinds}}

    @classmethod
    def translate(cls, data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem]]:
        """The components that are written by their kinds, put beside those in `components`."""
        named = {kind: data[kind] for kind in KINDS if kind in data}
        fields = {name: value for name, value in data.items() if name in cls.settable()}
        unknown = [name for name in data if name not in named and name not in fields]
        problems = [Problem.at((str(name),), "unknown name", _advice(name)) for name in unknown]
        problems += [
            problem.inside(kind)
            for kind, table in named.items()
            for problem in of_kind(class_of(kind))(table)
        ]
        others = fields.get("components", {})
        right = {
            kind: made
            for kind, table in named.items()
            if isinstance(made := decoded(class_of(kind))(table), Component)
        }
        if right and isinstance(others, Mapping):
            problems += [
                Problem.at(
                    ("components", kind),
                    f"{kind} is there twice",
                    f"keep one of {kind} and components.{kind}",
                )
                for kind in right
                if kind in others
            ]
            fields["components"] = {**others, **right}
        return fields, problems

    @property
    def parts(self) -> Mapping[str, Component]:
        """All components by their kinds, sorted, the registry among them."""
        registry = self.container_registry
        return FrozenMapping({**self.components, **({"container_registry": registry} if registry else {})})

    @property
    def artifact_store(self) -> ArtifactStore | None:
        """The artifact store, if the stack says where it is."""
        store = self.components.get("artifact_store")
        return store if isinstance(store, ArtifactStore) and store.uri is not None else None

    @property
    def deploys(self) -> bool:
        """Whether there is a deployer that runs containers: one of this machine runs a process."""
        deployer = self.components.get("deployer")
        return deployer is not None and deployer.flavor != "local"

    def operator(self, asked: str | bool | None) -> Component | None:
        """The step operator that a step asks for, by its name or as True; None if there is no such one."""
        found = self.components.get("step_operator")
        if not asked or found is None or asked is True:
            return found if asked else None
        name = found.name if isinstance(found, StepOperator) else None
        return found if name in (None, asked) else None

    def repository(self, target: str | None) -> str:
        """Where an image goes: the registry's URI with `target`, its default repository, or `stowplan`."""
        if self.container_registry is None:
            return f"{LOCAL_REGISTRY}/{target or DEFAULT_REPOSITORY}"
        name = target or self.container_registry.default_repository or DEFAULT_REPOSITORY
        return f"{self.container_registry.uri}/{name}"
