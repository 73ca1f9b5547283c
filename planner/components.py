"""Components of a stack: what runs pipelines, keeps artifacts, builds images, and what each installs.

Owns the kinds of components that have a name of their own in a stack. Refuses to run any: of a component
only its packages matter here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field

from planner.errors import Problem
from planner.identity import COUNTED
from planner.immutable import frozen
from planner.settings.checked import declared, each_decoded, of_kind
from planner.settings.checks import kind_of, matching, optional
from planner.settings.dependencies import Dependencies

__all__ = ["KINDS", "Component", "components_check", "decoded_components"]

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


@frozen(kw_only=True)
class Component(Dependencies):
    """One component of a stack.

    `flavor` says which integration it belongs to, whose packages it installs; `requirements` and
    `apt_packages` are its own, beside those.
    """

    flavor: str | None = field(
        default=None,
        metadata=declared(optional(matching(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "a flavor", "s3")), COUNTED),
    )


_is_component: Final = of_kind(Component)


def decoded_components(value: Any) -> Any:
    """A converter: tables by kind become components. What is wrong stays as it is, for the check."""
    return each_decoded(Component, value)


def components_check(value: object) -> Iterator[Problem]:
    """A check: components by their kinds."""
    if not isinstance(value, Mapping):
        fix = 'write { orchestrator = { flavor = "…" } }'
        yield Problem.at((), f"expected tables, found {kind_of(value)}", fix)
        return
    for kind, item in value.items():
        yield from (problem.inside(str(kind)) for problem in (*_KIND(kind), *_is_component(item)))
