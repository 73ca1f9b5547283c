"""How the code of a project reaches the containers that run in one image, and why that way."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from planner.immutable import frozen

__all__ = ["Delivery", "RepositoryCode", "Way"]


class Way(StrEnum):
    """A way for code to reach a container."""

    REPOSITORY = "repository"
    """The container downloads a commit from a code repository."""
    ARTIFACT_STORE = "artifact-store"
    """The code is uploaded to the artifact store, and the container downloads it from there."""
    IMAGE = "image"
    """The code is copied into the image."""
    NONE = "none"
    """It does not: what runs has to be in the parent image."""


@frozen
class RepositoryCode:
    """The code of a commit of a code repository.

    `name` is that of `[code_repository.NAME]`, and `type`, `url` and `secret` are what stands there. `tree`
    is git's ID of the directory `subdirectory` of the commit, which is the root of the project; of the whole
    commit where that is empty. `branch` is the branch of the checkout, for people; empty for none.
    """

    name: str
    type: str
    url: str
    commit: str
    tree: str
    subdirectory: str = ""
    secret: str | None = None
    branch: str = ""

    def __str__(self) -> str:
        return f"{self.url} at {self.commit[:12]}"


@frozen
class Delivery:
    """The way that was chosen, and the reason: why no way before it could be taken.

    It says nothing of what an image is: that it has no code, its checkout says. `repository` is what is
    downloaded from one, for that way alone.
    """

    kind: Way
    reason: str = ""
    repository: RepositoryCode | None = None
    usual: bool = False
    """Whether the code is in the image because the project has set up nothing else."""

    def __str__(self) -> str:
        match self.kind:
            case Way.REPOSITORY:
                return f"downloaded from {self.repository}"
            case Way.ARTIFACT_STORE:
                return "downloaded from the artifact store"
            case Way.IMAGE:
                return "copied into the image"
            case Way.NONE:
                return "none but what the image has"
            case _:
                assert_never(self.kind)

    @property
    def downloads(self) -> bool:
        """Whether a container downloads the code before it runs a step."""
        return self.kind in (Way.REPOSITORY, Way.ARTIFACT_STORE)
