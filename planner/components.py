"""Components of a stack: what runs pipelines, keeps artifacts, builds images, and what each installs.

Owns the kinds of components that have a name of their own in a stack. Refuses to run any: of a component
only its packages matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from attrs import field

from planner.errors import Problem
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.logins import quoted
from planner.names import name_check
from planner.settings.checked import declared, decoded, of_kind
from planner.settings.checks import kind_of, matching, optional, saying, text, written
from planner.settings.dependencies import Dependencies
from planner.values import FrozenMapping

__all__ = [
    "KINDS",
    "ArtifactStore",
    "Component",
    "StepOperator",
    "class_of",
    "components_check",
    "decoded_components",
    "of_component",
]

# The reference's kinds; the container registry is a field of the stack.
KINDS: Final = (
    "alerter",
    "annotator",
    "artifact_store",
    "data_validator",
    "deployer",
    "experiment_tracker",
    "feature_store",
    "image_builder",
    "log_store",
    "model_deployer",
    "model_registry",
    "orchestrator",
    "step_operator",
)
_KIND: Final = matching(r"[a-z][a-z0-9_]{0,99}", "a kind of component", "artifact_store")


def of_component(kind: str) -> bool:
    """Whether settings of a kind are for a component of a stack, or for the machine that it runs steps on.

    >>> of_component("orchestrator"), of_component("orchestrator.vertex"), of_component("docker")
    (True, True, False)
    """
    return kind.partition(".")[0] in (*KINDS, "container_registry", "resources")


@frozen(kw_only=True)
class Component(Dependencies):
    """One component of a stack.

    `flavor` says which integration it belongs to, whose packages it installs; `requirements` and
    `apt_packages` are its own, beside those.
    """

    EXAMPLE: ClassVar[str] = '{ flavor = "kubernetes" }'

    flavor: str | None = field(
        default=None,
        metadata=declared(optional(matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "a flavor", "s3")), COUNTED),
    )


# A URL with its scheme, or a path, in which a colon after a word would be read as one.
_ADDRESS: Final = r"[a-z][a-z0-9+.-]*://\S+|(?![^/]*:)\S(?:.*\S)?"


@saying(written(_ADDRESS))
def _address(value: object) -> Iterator[Problem]:
    """The URL or the directory of an artifact store, without a login."""
    problems = tuple(text(value))
    yield from problems
    if not problems and not re.fullmatch(_ADDRESS, str(value)):
        fix = "write a URL, like s3://bucket/path, or a directory"
        yield Problem.at((), f"not where artifacts can be: {quoted(str(value))}", fix)


@frozen(kw_only=True)
class ArtifactStore(Component):
    """Where code and outputs of steps are kept.

    `uri` is any URL that fsspec knows, such as `s3://bucket/path`, or a directory, from the project's root.
    """

    EXAMPLE: ClassVar[str] = '{ uri = "s3://bucket/path" }'

    uri: str | None = field(default=None, metadata=declared(optional(_address), NOT_COUNTED))


@frozen(kw_only=True)
class StepOperator(Component):
    """What runs steps that ask for it. A step asks for it by its `name`; without one, by any name."""

    name: str | None = field(default=None, metadata=declared(optional(name_check), NOT_COUNTED))


_CLASSES: Final[Mapping[str, type[Component]]] = {
    "artifact_store": ArtifactStore,
    "step_operator": StepOperator,
}


def class_of(kind: object) -> type[Component]:
    """The class of the components of a kind."""
    return _CLASSES.get(str(kind), Component)


def decoded_components(value: Any) -> Any:
    """A converter: tables by kind become components. What is wrong stays as it is, for the check."""
    if not isinstance(value, Mapping):
        return value
    return FrozenMapping({kind: decoded(class_of(kind))(item) for kind, item in value.items()})


def _component(kind: object, item: object) -> Iterator[Problem]:
    """What is wrong with a component of a kind."""
    if not isinstance(item, Component):
        yield from of_kind(class_of(kind))(item)


@saying(
    {
        "type": "object",
        "propertyNames": _KIND.schema,
        "properties": {kind: {"$ref": of} for kind, of in _CLASSES.items()},
        "additionalProperties": {"$ref": Component},
    }
)
def components_check(value: object) -> Iterator[Problem]:
    """A check: components by their kinds."""
    if not isinstance(value, Mapping):
        fix = 'write { orchestrator = { flavor = "…" } }'
        yield Problem.at((), f"expected tables, found {kind_of(value)}", fix)
        return
    for kind, item in value.items():
        yield from (problem.inside(str(kind)) for problem in (*_KIND(kind), *_component(kind, item)))
