"""An image from outside: a reference, and the digest that it is pinned to."""

from __future__ import annotations

from typing import Final

from attrs import evolve, field

from planner.facts.answers import Pin
from planner.identity import COUNTED, NOT_COUNTED
from planner.immutable import frozen
from planner.values import Digest, ImageRef

__all__ = ["SCRATCH", "ExternalImage"]

# Docker keeps this name for what is empty (Dockerfile reference, "FROM").
_SCRATCH: Final = ImageRef("docker.io", "library/scratch", "latest")


def _without_digest(reference: ImageRef) -> ImageRef:
    return evolve(reference, digest=None)


@frozen
class ExternalImage:
    """A parent from outside: a reference without digest, and the digest that it is pinned to.

    Without a digest it is unpinned, and another image than with one.
    """

    reference: ImageRef = field(converter=_without_digest, metadata=NOT_COUNTED)
    digest: Digest | None = field(default=None, metadata=COUNTED)
    # Only what is not pinned is known by its name alone.
    unpinned: str | None = field(init=False, metadata=COUNTED)
    pin: Pin = field(default=Pin(), eq=False, metadata=NOT_COUNTED)
    """What the digest is of, and for which platform; or why there is none."""

    @unpinned.default
    def _name_if_unpinned(self) -> str | None:
        return None if self.digest else str(self.reference)

    @property
    def is_pinned(self) -> bool:
        """Whether it is the same image on every machine: by its digest, or as the image that is empty."""
        return self.digest is not None or self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether it is what `FROM scratch` stands for: no image, and no registry has it."""
        return self.reference == _SCRATCH

    @property
    def name(self) -> str:
        """What people call it, without a digest: `python:3.11-slim`, and `scratch`."""
        return "scratch" if self.is_empty else self.reference.familiar

    @property
    def base(self) -> ImageRef:
        """The reference to build on: by digest where it is known."""
        return self.reference.pinned(self.digest) if self.digest else self.reference

    def __str__(self) -> str:
        if self.is_empty:
            return "scratch"
        return f"{self.reference}@{self.digest}" if self.digest else str(self.reference)


SCRATCH: Final = ExternalImage(_SCRATCH)
"""What a Dockerfile with `FROM scratch` is built on."""
