"""One image as it will be in this checkout on this machine, and the plan of all images of a pipeline.

Owns ImagePlan, whose hash is the image's tag, and BuildPlan. Refuses to hold a plan whose images are out
of order: a parent stands before what is built on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from attrs import evolve, field

from planner.errors import Place, PlannerError, Problem
from planner.files.tree import Tree
from planner.identity import COUNTED, NOT_COUNTED, content_hash
from planner.image.delivery import Delivery
from planner.image.instructions import (
    CopyBootstrap,
    CopyFiles,
    Instruction,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import ExternalImage, ImageSpec
from planner.image.use import Use
from planner.immutable import frozen
from planner.requirements.model import Requirements
from planner.requirements.packages import Package
from planner.settings.build_options import BuildOptions
from planner.settings.cache_mount import CacheMount
from planner.settings.secrets import SecretSource
from planner.values import Digest, FrozenMapping, ImageRef, freeze

__all__ = ["BuildPlan", "Checkout", "Destination", "ImagePlan", "NamedSpec", "Note", "PlanSpec"]


def _some(given: Mapping[str, Digest] | None) -> FrozenMapping[Digest] | None:
    """A mapping, or nothing where it is empty: then it says nothing of an image."""
    return FrozenMapping(given) if given else None


@frozen
class Checkout:
    """What only this checkout and this machine can say of an image."""

    platform: str | None = field(default=None, metadata=COUNTED)
    """The platform of the machine; None where one was asked for, or nothing is built."""
    trees: Mapping[str, Tree] = field(default=FrozenMapping(), converter=freeze, metadata=COUNTED)
    """The trees that are copied, by name."""
    variables: Mapping[str, Digest] = field(default=FrozenMapping(), converter=freeze, metadata=COUNTED)
    """Fingerprints of the values of environment variables, by name; see `variable_fingerprint`."""
    parent_id: Digest | None = field(default=None, metadata=COUNTED)
    """The engine's ID of a parent that no registry knows: it tells a parent that was rebuilt."""
    image_ids: Mapping[str, Digest] | None = field(default=None, converter=_some, metadata=COUNTED)
    """The same of the other images that a Dockerfile names, by their references."""
    context_root: str = field(default="", eq=False, metadata=NOT_COUNTED)
    """Where the build context of a Dockerfile is in the project; empty for the project's root."""
    directory: MakeDirectory | None = field(default=None, metadata=COUNTED)
    """The directory that the code is downloaded into; None where no code is."""
    bootstrap: Digest | None = field(default=None, metadata=COUNTED)
    """The program that starts a step, where the image has it."""


@frozen
class Destination:
    """Where an image goes, which says nothing about what it is."""

    repository: str = field(metadata=NOT_COUNTED)
    push: bool = field(default=False, metadata=NOT_COUNTED)
    image_tag: str | None = field(default=None, metadata=NOT_COUNTED)
    prevent_reuse: bool = field(default=False, metadata=NOT_COUNTED)


@frozen
class ImagePlan:
    """One image of a plan: what it is, where it goes, and the steps that run in it.

    `parent` is the plan of the parent where the spec's parent is another image of the plan.
    `build_options` are all that were asked for: those that change the image count in the spec.
    `cache_mount` is what the installer keeps between builds; it changes nothing of what is installed.
    `machine_network` says whether commands use the proxies and certificates of the machine that builds.
    `secrets` says where the values are found of those that the spec names.
    `delivery` is how the code reaches its containers; None where nothing runs in it. `uses` says what the
    image is for: an image without any is there for those that are built on it.
    """

    name: str = field(metadata=NOT_COUNTED)
    steps: tuple[str, ...] = field(metadata=NOT_COUNTED)
    spec: ImageSpec = field(metadata=COUNTED)
    checkout: Checkout = field(metadata=COUNTED)
    destination: Destination = field(metadata=NOT_COUNTED)
    parent: ImagePlan | None = field(default=None, metadata=COUNTED)
    build_options: BuildOptions = field(default=BuildOptions(), metadata=NOT_COUNTED)
    cache_mount: CacheMount | None = field(default=None, metadata=NOT_COUNTED)
    machine_network: bool = field(default=False, metadata=NOT_COUNTED)
    secrets: Mapping[str, SecretSource] = field(
        default=FrozenMapping(), converter=freeze, metadata=NOT_COUNTED
    )
    delivery: Delivery | None = field(default=None, eq=False, metadata=NOT_COUNTED)
    uses: tuple[Use, ...] = field(default=(), eq=False, metadata=NOT_COUNTED)

    @parent.validator
    def _parent_of_spec(self, _: object, parent: ImagePlan | None) -> None:
        planned = None if isinstance(self.spec.parent, ExternalImage) else self.spec.parent
        if (parent.spec if parent else None) != planned:
            raise ValueError(f"{self.name}: the parent is not that of the spec")

    @cached_property
    def hash(self) -> Digest:
        """The image hash: of the whole image, with its files and the values of its variables."""
        return content_hash("image", self)

    @property
    def runs(self) -> bool:
        """Whether anything runs in it: else it is there for the images that are built on it."""
        return bool(self.steps or self.uses)

    @property
    def builds(self) -> bool:
        """Whether there is anything to build: else the parent is used as it is."""
        return self.spec.builds

    @cached_property
    def built(self) -> ImageSpec:
        """What is built: the spec, but for what this checkout has in place of files that are copied."""
        directory, bootstrap = self.checkout.directory, self.checkout.bootstrap
        if directory is None and bootstrap is None:
            return self.spec
        found = CopyBootstrap(bootstrap) if bootstrap else None
        return evolve(self.spec, instructions=tuple(_delivered(self.spec.instructions, directory, found)))

    @property
    def platform(self) -> str | None:
        """The platform asked for, else the machine's; None when neither is known."""
        return self.spec.platform or self.checkout.platform

    @property
    def base(self) -> str:
        """The reference that is built on."""
        if self.parent is not None:
            return self.parent.reference
        return str(self.spec.external.base)

    @property
    def parent_text(self) -> str:
        """The parent for people: a reference with tag and digest where it has them."""
        return self.base if self.parent is not None else str(self.spec.external)

    @property
    def reference(self) -> str:
        """The reference that steps run: the working tag carries the hash, so that none is overwritten."""
        return f"{self.destination.repository}:{self.hash.hex}" if self.builds else self.base


def _delivered(
    instructions: Iterable[Instruction], directory: MakeDirectory | None, bootstrap: CopyBootstrap | None
) -> Iterator[Instruction]:
    """Instructions with a directory in place of copied files, and with the bootstrap after what is copied.

    An edit of the code moves neither, and another bootstrap installs no project anew.
    """
    made = directory is None
    settings: list[Instruction] = []
    for item in instructions:
        if isinstance(item, CopyFiles) and directory is not None:
            yield directory
            made = True
        elif isinstance(item, SetUser) or (isinstance(item, SetEnvironment) and item.runtime):
            settings.append(item)
        else:
            yield item
    if directory is not None and not made:
        yield directory
    if bootstrap is not None:
        yield bootstrap
    yield from settings


@frozen
class NamedSpec:
    """The spec of one image of a plan, its name, and the steps that run in it.

    `cache_mount`, `machine_network` and `secrets`, which says where values are found of those that the spec
    names, are those of the settings, which no lock has.
    """

    name: str
    steps: tuple[str, ...]
    spec: ImageSpec
    cache_mount: CacheMount | None = field(default=None, eq=False)
    machine_network: bool = field(default=False, eq=False)
    secrets: Mapping[str, SecretSource] = field(default=FrozenMapping(), converter=freeze, eq=False)


AnyImage = TypeVar("AnyImage", ImagePlan, NamedSpec)


def _called(name: str, pipeline: str, images: Sequence[AnyImage]) -> AnyImage | None:
    """The image of a name, or the one that a step runs in, by its name or as `pipeline/step`."""
    by_name = [image for image in images if image.name == name]
    steps = {name, name.removeprefix(f"{pipeline}/")}
    by_step = [image for image in images if not steps.isdisjoint(image.steps)]
    return next(iter(by_name + by_step), None)


def _by_name(images: Iterable[NamedSpec]) -> tuple[NamedSpec, ...]:
    return tuple(sorted(images, key=lambda image: image.name))


@frozen
class PlanSpec:
    """What the lock holds of one pipeline on one stack: its images by their names, in no other order."""

    pipeline: str
    stack: str
    images: tuple[NamedSpec, ...] = field(default=(), converter=_by_name)
    notes: tuple[Note, ...] = field(default=(), eq=False)

    def image(self, name: str) -> NamedSpec | None:
        """The image of a name, or the one that a step runs in, by its name or as `pipeline/step`."""
        return _called(name, self.pipeline, self.images)

    @cached_property
    def by_step(self) -> Mapping[str, NamedSpec]:
        """The image that each step runs in, and under the empty name that of the pipeline as a whole."""
        found = {step: image for image in reversed(self.images) for step in image.steps}
        for image in self.images:
            if image.name == self.pipeline:
                found[""] = image
        return found

    @cached_property
    def looked_up(self) -> Mapping[tuple[ImageRef, str | None], ExternalImage]:
        """The images whose digests a registry told, not a step, by reference and platform."""
        named = [each for image in reversed(self.images) for each in image.spec.images]
        return {(each.image.reference, each.platform): each.image for each in named if each.image.pin.kind}

    @cached_property
    def observed(self) -> Mapping[tuple[str, Digest], Requirements]:
        """What programs listed, by the source and the digest of what they listed it from."""
        found: dict[tuple[str, Digest], Requirements] = {}
        for image in self.images:
            listed = {item.source: item.requirements for item in image.spec.installs}
            for each in image.spec.listings:
                found[each.source, each.inputs] = listed.get(each.source, Requirements())
        return found

    @cached_property
    def uv(self) -> str | None:
        """The version of uv that images are built with; of several, that of the first image."""
        return next(filter(None, (image.spec.uv for image in self.images)), None)

    @cached_property
    def by_inputs(self) -> Mapping[Digest, NamedSpec]:
        """Images whose packages are resolved, by what they were resolved from; of several, the first."""
        resolved = [image for image in reversed(self.images) if image.spec.closed]
        return {image.spec.resolved.inputs: image for image in resolved if image.spec.resolved}

    @cached_property
    def by_parent(self) -> Mapping[tuple[ExternalImage, str | None], NamedSpec]:
        """Images whose packages are resolved, by what they are built on; of several, the first."""
        resolved = (image for image in reversed(self.images) if image.spec.closed)
        return {(image.spec.external, image.spec.platform): image for image in resolved}

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """The packages of all images by name; of several versions, that of the first image."""
        return {package.name: package for image in reversed(self.images) for package in image.spec.packages}

    @cached_property
    def hash(self) -> Digest:
        """Hash over the images: their spec hashes, the steps in each, and what they were resolved from."""
        images = {
            image.name: (image.spec.hash.hex, image.steps, image.spec.resolved and image.spec.resolved.inputs)
            for image in self.images
        }
        return content_hash("plan-spec", (self.pipeline, self.stack, FrozenMapping(images)))


@frozen
class Note:
    """Something a user should know about a plan that is no error.

    `code` is stable; `key` is what it is about; `where` is the setting, if it is about one.
    """

    code: str
    key: str
    text: str
    where: Place = Place()

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.where), self.text)))


@frozen
class BuildPlan:
    """What every image of one pipeline on one stack will be. Parents stand before what is built on them."""

    pipeline: str
    stack: str
    images: tuple[ImagePlan, ...] = field()
    notes: tuple[Note, ...] = field(default=(), eq=False)
    commit: str | None = field(default=None, eq=False)
    """The commit that the code is of, where the checkout is one of a code repository, and has no changes."""

    @images.validator
    def _parents_first(self, _: object, images: tuple[ImagePlan, ...]) -> None:
        before: set[Digest] = set()
        for image in images:
            if image.parent is not None and image.parent.hash not in before:
                raise PlannerError([
                    Problem.at(image.name, "stands before its parent", "list parents first")
                ])  # fmt: skip
            before.add(image.hash)

    @cached_property
    def hash(self) -> Digest:
        """Hash over the hashes of the images and the steps that run in each."""
        images = {image.name: (image.hash.hex, image.steps) for image in self.images}
        return content_hash("plan", (self.pipeline, self.stack, FrozenMapping(images)))

    @cached_property
    def spec(self) -> PlanSpec:
        """The part that a lock holds: what is the same on every machine and survives a code edit."""
        named = tuple(NamedSpec(image.name, image.steps, image.spec) for image in self.images)
        return PlanSpec(self.pipeline, self.stack, named)

    def image(self, name: str) -> ImagePlan | None:
        """The image of a name, or the one that a step runs in, by its name or as `pipeline/step`."""
        return _called(name, self.pipeline, self.images)
