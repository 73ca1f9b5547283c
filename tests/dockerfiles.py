"""The Dockerfiles of `fixtures/dockerfiles`: each is that of a user, with the few files that it copies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

__all__ = ["DIRECTORY", "DOCKERFILES", "Fixture"]

DIRECTORY: Final = Path(__file__).parent.parent / "fixtures/dockerfiles"


@frozen
class Fixture:
    """How a Dockerfile is asked for, and where it can be built: with `python:3.11-slim`, and no network."""

    build_args: Mapping[str, str] = field(factory=dict)
    target: str | None = None
    secrets: tuple[str, ...] = ()
    builds: bool = False

    @staticmethod
    def text(name: str) -> str:
        """The text of a Dockerfile."""
        return (DIRECTORY / name / "Dockerfile").read_bytes().decode()


DOCKERFILES: Final[Mapping[str, Fixture]] = {
    "add-git": Fixture(),
    "add-url": Fixture(),
    "arguments": Fixture({"CONFIG": "debug", "BUILD_NUMBER": "7"}, builds=True),
    "bind-mount": Fixture(builds=True),
    "cache-mounts": Fixture(),
    "conda": Fixture(),
    "cross-build": Fixture(),
    "cuda": Fixture(),
    "device": Fixture({"DEVICE": "cpu"}, target="train", builds=True),
    "distroless": Fixture(),
    "escape": Fixture(builds=True),
    # Its frontend comes from a registry.
    "heredoc": Fixture(),
    "non-root": Fixture(builds=True),
    "onbuild": Fixture(builds=True),
    "poetry": Fixture(),
    "secret": Fixture(secrets=("pypi", "netrc", "hub"), builds=True),
    "service": Fixture(builds=True),
    "syntax": Fixture(),
    "uv": Fixture(),
    "wildcards": Fixture(builds=True),
    "windows-line-ends": Fixture(builds=True),
}
