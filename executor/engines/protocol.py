"""What every container engine can do, as one small protocol, and the values it speaks in.

Refuses to decide anything: an engine does what it is told, and says what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from attrs import field, frozen

from planner.settings.build_options import BuildOptions
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["HASH_LABEL", "BuildJob", "Engine", "Finished", "ImageInfo", "OnLine"]

# The label by which an image in an engine says which plan it was built from (an image hash, sha256:…).
HASH_LABEL = "dev.stowplan.image"

OnLine = Callable[[str], None]
"""Takes one line of an engine's output, without its line end, as it comes."""


@frozen
class BuildJob:
    """One image to build: all that an engine has to be told.

    `context` gives a new stream of the build context each time it is called: an uncompressed tar
    archive that holds everything the Dockerfile copies, but not the Dockerfile. `secrets` are the
    build arguments whose values must not be shown, by name.
    """

    tag: str
    dockerfile: str
    context: Callable[[], Iterator[bytes]] = field(eq=False)
    options: BuildOptions = BuildOptions()
    labels: Mapping[str, str] = FrozenMapping()
    secrets: Mapping[str, str] = field(default=FrozenMapping(), repr=False)


@frozen
class ImageInfo:
    """What an engine knows of an image it holds.

    `id` is the engine's own name for it, no identity across engines. `digests` are the references by
    digest under which registries are known to have it.
    """

    id: str
    labels: Mapping[str, str] = FrozenMapping()
    tags: tuple[str, ...] = ()
    digests: tuple[ImageRef, ...] = ()
    platform: str = ""


@frozen
class Finished:
    """How a container ended: its exit code and what it wrote to both streams."""

    code: int
    output: str


class Engine(Protocol):
    """A container engine. All errors are ExecutorErrors; EngineUnavailable when it does not answer."""

    @property
    def name(self) -> str:
        """`docker` or `podman`."""

    def unavailable(self) -> str | None:
        """Why the engine cannot be used, in words; None when it can."""

    def inspect(self, reference: str) -> ImageInfo | None:
        """What the engine knows of a local image; None if it has none by that reference."""

    def built(self, image: Digest) -> tuple[str, ...]:
        """The references of local images whose label and whose tag both carry this image hash, sorted.

        A label alone is not enough: images that are built on ours inherit it.
        """

    def digest(self, ref: ImageRef) -> Digest | None:
        """The registry's digest of a local image; None if the engine cannot tell."""

    def build(self, job: BuildJob, on_line: OnLine) -> None:
        """Build an image and tag it. BuildFailed names the instruction and shows its last lines."""

    def tag(self, reference: str, new: str) -> None:
        """Give a local image another reference."""

    def push(self, reference: str, on_line: OnLine) -> Digest:
        """Push a local image and return the digest that the registry has it under."""

    def remove(self, reference: str) -> None:
        """Remove a reference, and the image with its last one. Nothing happens if there is none."""

    def run(self, reference: str, argv: tuple[str, ...]) -> Finished:
        """Run a command in a new container of a local image and remove the container."""

    def interrupt(self) -> None:
        """Stop what is being built and pushed, from another thread; those calls raise BuildFailed."""
