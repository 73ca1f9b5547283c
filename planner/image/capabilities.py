"""What an image requires of a builder, as a set; a builder says what it can do."""

from __future__ import annotations

from enum import StrEnum

from planner.custom import custom_of_spec
from planner.image.plan import ImagePlan
from planner.image.spec import ImageSpec
from planner.settings.builders import builders_knowing

__all__ = ["Capability", "required"]


class Capability(StrEnum):
    """Something that not every builder can do."""

    RUN_COMMANDS = "run commands"
    """Run programs of the image while it is built."""
    OTHER_PLATFORM = "build for another platform"
    """Build for a platform that is asked for by name."""
    LOCAL_PARENT = "build on a local image"
    """Build on an image that no registry has, or on another image of the plan that is not pushed."""
    CACHE_MOUNT = "keep a cache between builds"
    """Give a command a directory that the next build finds again."""
    MOUNTS = "carry out what the classic builder does not know of a Dockerfile"
    """Carry out what BuildKit and Podman know of Dockerfiles, such as a mount in a RUN."""
    BUILDKIT = "carry out what only BuildKit knows of a Dockerfile"
    """Carry out what only BuildKit knows."""
    SECRETS = "give a command a secret"
    """Give a command a file that is in no layer."""


def required(image: ImagePlan) -> frozenset[Capability]:
    """What a builder has to be able to do to build an image."""
    spec = image.spec
    found = set()
    if spec.runs_commands:
        found.add(Capability.RUN_COMMANDS)
    if spec.platform:
        found.add(Capability.OTHER_PLATFORM)
    if isinstance(spec.parent, ImageSpec) or not all(each.image.is_pinned for each in spec.images):
        found.add(Capability.LOCAL_PARENT)
    if image.cache_mount is not None:
        found.add(Capability.CACHE_MOUNT)
    if spec.secrets or (image.machine_network and spec.runs_commands):
        found.add(Capability.SECRETS)
    if spec.dockerfile is not None:
        if any(line.startswith("RUN ") for line in spec.dockerfile.lines):
            found.add(Capability.RUN_COMMANDS)
        knowing = builders_knowing(custom_of_spec(spec))
        found |= {Capability.MOUNTS} if "classic" not in knowing else set()
        found |= {Capability.BUILDKIT} if "podman" not in knowing else set()
    return frozenset(found)
