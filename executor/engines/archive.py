"""What a builder is told of a plan: its options, its build context, and its Dockerfile.

An archive has the Dockerfile as its last member. The order is what makes a cut archive harmless: a builder
that outlives us cannot tell the end of a stream from its loss, and without the Dockerfile it has nothing to
build. Refuses to name an engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve

from executor.context import ARCHIVE_END, directory_member, file_member
from executor.engines.mark import label_line
from executor.engines.protocol import BuildJob
from executor.engines.references import image_id
from executor.errors import FilesChanged
from planner.errors import Place, Problem
from planner.image.plan import ImagePlan
from planner.render.dockerfile import (
    CONTEXT_BOOTSTRAP,
    context_directories,
    context_files,
    planned_dockerfile,
)
from planner.settings.build_options import BuildOptions
from planner.values import FrozenMapping

__all__ = [
    "DOCKERFILE",
    "IGNORE_FILE",
    "archive",
    "context",
    "planned_options",
    "whole_dockerfile",
    "written_id",
]

# The Dockerfile's name in a build context. Everything a user brings lives in directories beside it.
DOCKERFILE: Final = "Dockerfile.stowplan"
# What builders look for beside a Dockerfile before they look for an ignore file in its context.
IGNORE_FILE: Final = f"{DOCKERFILE}.dockerignore"
# The classic builder takes these out of a context before anything is copied from it.
_CLASSIC_IGNORE: Final = f"{DOCKERFILE}\n.dockerignore\n"


def whole_dockerfile(image: ImagePlan) -> str:
    """The Dockerfile of an image, on the parent that it is built on, and with the label that marks it."""
    return planned_dockerfile(image) + label_line(image.hash)


def planned_options(image: ImagePlan) -> BuildOptions:
    """The options of a build: the platform is that of the plan, and labels stand in the Dockerfile.

    A custom Dockerfile gets the build arguments that it declares: builders complain about others.
    """
    options = evolve(image.build_options, labels=FrozenMapping())
    if image.spec.dockerfile is not None:
        options = evolve(options, build_args=image.spec.build_args)
    return evolve(options, platform=image.platform) if image.platform else options


def archive(job: BuildJob) -> Iterator[bytes]:
    """The build context as a tar archive: what is generated, the files of the project, the Dockerfile.

    What a custom Dockerfile copies of its context is not this file.
    """
    yield from _members(job)
    if job.image.spec.dockerfile is not None:
        yield file_member(".dockerignore", _CLASSIC_IGNORE.encode())
    yield file_member(DOCKERFILE, whole_dockerfile(job.image).encode()) + ARCHIVE_END


def context(job: BuildJob) -> Iterator[bytes]:
    """The build context as a tar archive without the Dockerfile."""
    yield from _members(job)
    yield ARCHIVE_END


def _members(job: BuildJob) -> Iterator[bytes]:
    if generated := b"".join(_generated(job.image)):
        yield generated
    yield from job.files()


def _generated(image: ImagePlan) -> Iterator[bytes]:
    files, directories = {**context_files(image.built), **_bootstrap(image)}, context_directories(image.built)
    # A directory that has no member of its own would be made with the time of the build.
    above = {str(parent) for path in (*files, *directories) for parent in Path(path).parents} - {"."}
    yield from (directory_member(path) for path in sorted(above))
    yield from (directory_member(path, mode) for path, mode in sorted(directories.items()))
    yield from (file_member(path, data) for path, data in sorted(files.items()))


def _bootstrap(image: ImagePlan) -> Mapping[str, bytes]:
    """The program that starts a step, where the image has it. FilesChanged if another one was planned."""
    if image.checkout.bootstrap is None:
        return {}
    from executor.bootstrap_file import bootstrap, bootstrap_digest  # noqa: PLC0415  # few images have it

    if bootstrap_digest() != image.checkout.bootstrap:
        found = f"was planned with the bootstrap of another version ({image.checkout.bootstrap.short})"
        raise FilesChanged([Problem(Place(file=image.name), found, "plan again")])
    return {CONTEXT_BOOTSTRAP: bootstrap()}


def written_id(file: Path) -> str:
    """The ID of an image that a builder wrote to a file, in full; empty if it did not."""
    try:
        digits = image_id(file.read_text(errors="replace").strip())
    except FileNotFoundError:
        return ""
    return f"sha256:{digits}" if digits else ""
