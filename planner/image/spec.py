"""What is written down of an image and what the lock pins: ImageSpec, and the parent it is built on.

The spec hash is the same on every machine, and survives an edit of the code. Refuses to hold anything
that only one checkout or one machine can say: `plan` has that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from attrs import evolve, field

from planner.errors import PlannerError, Problem
from planner.facts.answers import ImagePython
from planner.identity import COUNTED, NOT_COUNTED, content_hash
from planner.image.external import ExternalImage
from planner.image.instructions import (
    CONTEXT,
    BuildDockerfile,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    NamedImage,
)
from planner.immutable import frozen
from planner.requirements.packages import Package
from planner.values import Digest, FrozenMapping, freeze

__all__ = ["ExternalImage", "ImageSpec", "Observed", "Resolved"]


@frozen
class Resolved:
    """What the closures of an image were resolved for, and the digest of all that went into it.

    It says whether a lock is up to date, and nothing of what the image is. Where there are no closures,
    `reason` says why, and `transient` whether asking again later may help.
    """

    inputs: Digest = field(metadata=NOT_COUNTED)
    python: ImagePython = field(metadata=NOT_COUNTED)
    exclude_newer: str | None = field(default=None, metadata=NOT_COUNTED)
    overridden: tuple[str, ...] = field(default=(), metadata=NOT_COUNTED)
    """Packages of which the project's own requirements alone say what is installed."""
    reason: str = field(default="", metadata=NOT_COUNTED)
    transient: bool = field(default=False, metadata=NOT_COUNTED)


@frozen(order=True)
class Observed:
    """A source that a program lists, and the digest of what it was listed from.

    As long as that is the same, the program is not asked again. It says nothing of what the image is.
    """

    source: str = field(metadata=NOT_COUNTED)
    inputs: Digest = field(metadata=NOT_COUNTED)


@frozen(cache_hash=True)
class ImageSpec:
    """What an image is, as far as every machine knows: its parent, and what is done to it.

    The parent is an image from outside or the spec of another image of the plan. `options` are those
    build options that change the image and have no field of their own.
    """

    parent: ExternalImage | ImageSpec = field(metadata=COUNTED)
    instructions: tuple[Instruction, ...] = field(default=(), metadata=COUNTED)
    platform: str | None = field(default=None, metadata=COUNTED)
    """The platform that was asked for; None for that of the machine."""
    build_args: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze, metadata=COUNTED)
    labels: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze, metadata=COUNTED)
    target: str | None = field(default=None, metadata=COUNTED)
    options: Mapping[str, Any] = field(default=FrozenMapping(), converter=freeze, metadata=COUNTED)
    resolved: Resolved | None = field(default=None, metadata=NOT_COUNTED)
    """What its requirements were resolved for; None where they were not, or there are none."""
    observed: tuple[Observed, ...] = field(default=(), eq=False, metadata=NOT_COUNTED)
    """What no instruction has of programs: those that listed no packages, and, where several steps share the
    image, those that listed the same packages from something else."""

    @instructions.validator
    def _sources_apart(self, _: object, instructions: tuple[Instruction, ...]) -> None:
        """Each source has files of its own in the build context, under its name."""
        sources = [item.source for item in instructions if isinstance(item, InstallRequirements)]
        if len(set(sources)) < len(sources):
            fix = "put the requirements of one source into one instruction"
            raise PlannerError([Problem.at("instructions", "a source of requirements is listed twice", fix)])
        if len(instructions) > 1 and self.dockerfile is not None:
            fix = "build what is on top of it as an image of its own"
            raise PlannerError([Problem.at("instructions", "a Dockerfile is not the only instruction", fix)])

    @cached_property
    def hash(self) -> Digest:
        """The spec hash."""
        return content_hash("spec", self)

    @property
    def builds(self) -> bool:
        """Whether there is anything to build: else the parent is used as it is."""
        return bool(self.instructions or self.labels)

    @property
    def external(self) -> ExternalImage:
        """The image from outside that this one stands on in the end."""
        return self.parent if isinstance(self.parent, ExternalImage) else self.parent.external

    @property
    def dockerfile(self) -> BuildDockerfile | None:
        """The custom Dockerfile that it is built from; None if it is built from instructions of ours."""
        return next((item for item in self.instructions if isinstance(item, BuildDockerfile)), None)

    @property
    def images(self) -> tuple[NamedImage, ...]:
        """The images from outside that its build takes from, with the platform of each: the parent first.

        Those of a parent that is planned are not among them, but for the one that it stands on.
        """
        item = self.dockerfile
        return (NamedImage(self.external, self.platform), *(item.images if item else ()))

    @property
    def trees(self) -> tuple[str, ...]:
        """The names of the trees that are copied, each once."""
        if self.dockerfile is not None:
            return (CONTEXT,)
        return tuple(dict.fromkeys(item.tree for item in self.instructions if isinstance(item, CopyFiles)))

    @property
    def installs(self) -> tuple[InstallRequirements, ...]:
        """Its sources of requirements, in order."""
        return tuple(item for item in self.instructions if isinstance(item, InstallRequirements))

    @property
    def listings(self) -> Iterator[Observed]:
        """All that is known of what programs listed its sources from."""
        for item in self.installs:
            if item.observed is not None:
                yield Observed(item.source, item.observed)
        yield from self.observed

    def listed_from(self, listings: Iterable[Observed]) -> ImageSpec:
        """The same image, with all that its sources were listed from."""
        more = tuple(sorted(set(listings) - set(self.listings)))
        return evolve(self, observed=(*self.observed, *more)) if more else self

    @property
    def runs_commands(self) -> bool:
        """Whether anything runs while it is built, but for what a custom Dockerfile runs."""
        running = InstallApt | InstallRequirements | InstallProject
        return any(isinstance(item, running) for item in self.instructions)

    @property
    def secrets(self) -> Mapping[str, int]:
        """The secrets that its instructions name, each with its version. Those of a parent are its own."""
        used = (
            item.secrets
            for item in self.instructions
            if isinstance(item, InstallRequirements | InstallProject | BuildDockerfile)
        )
        return FrozenMapping({name: version for each in used if each for name, version in each.items()})

    @property
    def closed(self) -> bool:
        """Whether its packages are known."""
        return self.resolved is not None and not self.resolved.reason

    @property
    def packages(self) -> tuple[Package, ...]:
        """The packages that it was resolved to, of all sources."""
        return tuple(package for item in self.installs if item.closure for package in item.closure.packages)

    @property
    def installer(self) -> Installer | None:
        """The program that installs its requirements; None if there are none."""
        return next((item.installer for item in self.installs), None)

    @property
    def uv(self) -> str | None:
        """The version of uv that it is built with; None if it is built without."""
        versions = [item.installer.version for item in self.installs]
        versions += [item.uv for item in self.instructions if isinstance(item, InstallProject)]
        return next(filter(None, versions), None)
