"""Stacks in words and as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from planner.components import Component
from planner.settings.plain import plain
from planner.stack import Stack

if TYPE_CHECKING:
    from executor.schemas.printed import AnyStackObject, ComponentObject

__all__ = ["stack_data", "stack_facts", "stack_row"]


def stack_data(stack: Stack, *, active: bool) -> AnyStackObject:
    """One stack: its name, whether it is the active one, and its components by their kinds."""
    components: list[ComponentObject] = []
    for kind, part in stack.parts.items():
        said = plain(part)
        components.append({
            "kind": kind,
            "flavor": said.get("flavor"),
            "name": said.get("name"),
            "uri": said.get("uri"),
            "default_repository": said.get("default_repository"),
            "requirements": list(part.requirements),
            "apt_packages": list(part.apt_packages),
        })  # fmt: skip
    return {"name": stack.name, "active": active, "components": components}


def stack_row(stack: Stack, *, active: bool) -> list[str]:
    """One stack in a table of all."""
    registry = stack.container_registry
    others = (f"{kind} {part.flavor or ''}".strip() for kind, part in stack.components.items())
    return [stack.name, "active" if active else "", registry.uri if registry else "", ", ".join(others)]


def stack_facts(stack: Stack, *, active: bool) -> Mapping[str, str]:
    """One stack: each of its components in a few words."""
    facts = {"stack": f"{stack.name} (active)" if active else stack.name}
    facts |= {kind: _words(part) for kind, part in stack.parts.items()}
    if stack.container_registry is None:
        facts["container_registry"] = "none: images stay in the local engine"
    return facts


def _words(part: Component) -> str:
    """`s3, uri s3://bucket/path, installs s3fs`."""
    said = plain(part)
    flavor = said.pop("flavor", None)
    installs = [*said.pop("requirements", []), *said.pop("apt_packages", [])]
    words = [*([flavor] if flavor else []), *(f"{name} {value}" for name, value in said.items())]
    return ", ".join([*words, *([f"installs {', '.join(installs)}"] if installs else [])])
