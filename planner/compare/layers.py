"""The layers of an image: what people call them, and which ones a builder has to make anew."""

from __future__ import annotations

from typing import assert_never

from planner.image.instructions import (
    CONTEXT,
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import Checkout, ImagePlan, NamedSpec
from planner.image.spec import ExternalImage, ImageSpec
from planner.immutable import frozen
from planner.values import Digest

__all__ = ["Seen", "instructions_of", "layer_keys", "layer_name", "rebuilt_layers"]


@frozen
class Seen:
    """The checkouts of both sides, and the planned images that they are built on, where both are known."""

    old: Checkout | None = None
    new: Checkout | None = None
    parents: tuple[ImagePlan | None, ImagePlan | None] = (None, None)

    @classmethod
    def of(cls, old: ImagePlan | NamedSpec, new: ImagePlan | NamedSpec) -> Seen:
        """What two images know beyond their specs, if both are plans."""
        if not (isinstance(old, ImagePlan) and isinstance(new, ImagePlan)):
            return cls()
        parents = (old.parent, new.parent)
        if not (old.builds and new.builds):
            # An image that is not built has looked at nothing, so that nothing of it went.
            return cls(parents=parents)
        return cls(old.checkout, new.checkout, parents)


def instructions_of(image: ImagePlan | NamedSpec, *, seen: bool) -> tuple[Instruction, ...]:
    """What is done to the parent: as it is built, where checkouts are compared too, else as it is written."""
    return image.built.instructions if seen and isinstance(image, ImagePlan) else image.spec.instructions


def rebuilt_layers(old: ImagePlan | NamedSpec | None, new: ImagePlan | NamedSpec) -> tuple[str, ...]:
    """The layers of `new` that a builder cannot take over from `old`, by name, in order.

    Layers stack: from the first that differs, all are built anew. Without `old`, all are. Files,
    variables and the platform of the machine are compared when both sides know them: a spec does not.
    """
    seen = Seen() if old is None else Seen.of(old, new)
    both = old is None or seen.new is not None
    now = instructions_of(new, seen=both)
    names = tuple(layer_name(item) for item in now)
    if old is None:
        return names
    was_on, is_on = seen.parents
    if _base(old.spec, seen.old, was_on) != _base(new.spec, seen.new, is_on):
        return names
    before = [_content(seen.old, item) for item in instructions_of(old, seen=both)]
    after = [_content(seen.new, item) for item in now]
    same = next(
        (i for i, (was, now) in enumerate(zip(before, after, strict=False)) if was != now), len(before)
    )
    return names[same:]


def layer_keys(image: ImagePlan) -> tuple[object, tuple[object, ...]]:
    """What an image stands on, and each layer over it: images whose keys begin alike share these layers."""
    base = _base(image.spec, image.checkout, image.parent)
    contents = (_content(image.checkout, item) for item in image.built.instructions)
    # Build arguments are of all layers, and no part of what these stand on.
    on = (_under(image.spec, image.parent), image.checkout.parent_id, image.platform)
    return on, tuple((base, content) for content in contents)


def _base(spec: ImageSpec, checkout: Checkout | None, planned: ImagePlan | None) -> object:
    """What the layers stand on: where it is known by its digest, its name does not matter."""
    under = _under(spec, planned)
    local = (checkout.parent_id, checkout.platform) if checkout else None
    return under, local, spec.platform, spec.build_args


def _under(spec: ImageSpec, planned: ImagePlan | None) -> object:
    if planned is not None:
        return planned.hash
    parent = spec.parent
    return parent.digest or parent.unpinned if isinstance(parent, ExternalImage) else parent.hash


def layer_name(item: Instruction) -> str:
    """What people call the layer that an instruction makes."""
    match item:
        case SetEnvironment():
            return "runtime environment" if item.runtime else "environment"
        case InstallApt():
            return "apt packages"
        case InstallRequirements():
            return item.source
        case CopyFiles():
            return "files"
        case MakeDirectory():
            return "code directory"
        case InstallProject():
            return "project"
        case CopyBootstrap():
            return "bootstrap"
        case SetUser():
            return "user"
        case BuildDockerfile():
            return "dockerfile"
        case _:
            assert_never(item)


def _content(checkout: Checkout | None, item: Instruction) -> object:
    """An instruction with what only its checkout knows of it, where that is known."""
    match item:
        case InstallRequirements() if item.closure is not None:
            return item.source, item.closure, item.installer, item.secrets
        case _ if checkout is None:
            return item
        case CopyFiles():
            return item, _digest(checkout, item.tree)
        case BuildDockerfile():
            return item, _digest(checkout, CONTEXT), checkout.image_ids
        case SetEnvironment():
            names = sorted({name for value in item.variables.values() for name in value.variables})
            return item, tuple(checkout.variables.get(name) for name in names)
        case _:
            return item


def _digest(checkout: Checkout, tree: str) -> Digest | None:
    """The digest of a tree that is copied, where it is known."""
    found = checkout.trees.get(tree)
    return found.digest if found else None
