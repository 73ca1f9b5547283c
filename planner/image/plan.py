"""The plan: what every image of a pipeline will be, as an immutable value with a content hash.

Owns `make_plan`, the two hashes of an image, and which steps share one. Refuses to look at anything
but its arguments: what has to be known first is asked for by `needs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from attrs import evolve, field, frozen

from planner.errors import PlannerError, Problem
from planner.facts.answers import Facts, Pin
from planner.facts.needs import Need
from planner.files.tree import Tree
from planner.identity import APART, EVERYWHERE, HERE, content_hash, variable_fingerprint
from planner.image.instructions import CopyFiles, Instruction
from planner.image.recipe import IGNORE_FILE, Recipe, files_need, ignore_path, recipe, recipe_needs, variables
from planner.pipeline import Pipeline, Step
from planner.settings.build_options import BuildOptions
from planner.settings.docker import DockerSettings, not_there_yet
from planner.stack import Stack
from planner.values import Digest, FrozenMapping, ImageRef, freeze

__all__ = ["BuildPlan", "Delivery", "Here", "ImagePlan", "Parent", "Use", "make_plan", "needs"]


class Use(StrEnum):
    """What a step's image is: built, or the parent as it is."""

    BUILD = "build"
    PARENT = "parent"


@frozen
class Parent:
    """The image that is built on, by a reference without digest, and its digest.

    Without a digest it is unpinned, and another image than with one.
    """

    reference: ImageRef = field(metadata=APART)
    digest: Digest | None = field(metadata=EVERYWHERE)
    # Only what is not pinned is known by its name alone.
    unpinned: str | None = field(init=False, metadata=EVERYWHERE)
    pin: Pin = field(default=Pin(), eq=False, metadata=APART)

    @unpinned.default
    def _name_if_unpinned(self) -> str | None:
        return None if self.digest else str(self.reference)

    @property
    def base(self) -> ImageRef:
        """The reference to build on: by digest where it is known."""
        return self.reference.pinned(self.digest) if self.digest else self.reference


@frozen
class Here:
    """What only this checkout and this machine can say of an image."""

    platform: str | None = field(default=None, metadata=HERE)
    trees: Mapping[str, Tree] = field(default=FrozenMapping(), converter=freeze, metadata=HERE)
    variables: Mapping[str, Digest] = field(default=FrozenMapping(), converter=freeze, metadata=HERE)
    """Fingerprints of the values of environment variables, by name; see `variable_fingerprint`."""


@frozen
class Delivery:
    """Where an image goes once it is there, which says nothing about what it is."""

    repository: str = field(metadata=APART)
    push: bool = field(default=False, metadata=APART)
    image_tag: str | None = field(default=None, metadata=APART)
    prevent_reuse: bool = field(default=False, metadata=APART)


@frozen
class ImagePlan:
    """One image of a plan: its parent, its instructions, and the steps that run in it."""

    name: str = field(metadata=APART)
    steps: tuple[str, ...] = field(metadata=APART)
    use: Use = field(metadata=EVERYWHERE)
    parent: Parent = field(metadata=EVERYWHERE)
    instructions: tuple[Instruction, ...] = field(default=(), metadata=EVERYWHERE)
    options: BuildOptions = field(default=BuildOptions(), metadata=EVERYWHERE)
    here: Here | None = field(default=None, metadata=HERE)
    delivery: Delivery | None = field(default=None, metadata=APART)

    @cached_property
    def environment_hash(self) -> Digest:
        """Hash of what is written down and what the lock pins."""
        return content_hash("image", self, here=False)

    @cached_property
    def hash(self) -> Digest:
        """Hash of the whole image, with its files and the values of its variables.

        PlannerError for an image that was planned without them, as a lock's is.
        """
        if self.here is None:
            raise PlannerError([
                Problem.at(self.name, "planned without files and variables", "plan it with here=True")
            ])  # fmt: skip
        return content_hash("image", self)

    @property
    def platform(self) -> str | None:
        """The platform asked for, else this machine's; None when neither is known."""
        return self.options.platform or (self.here.platform if self.here else None)

    @property
    def tree(self) -> Tree | None:
        """The files that are copied into the image; None when it copies none, or they were not observed."""
        copies = [item for item in self.instructions if isinstance(item, CopyFiles)]
        return self.here.trees.get(copies[0].tree) if copies and self.here else None

    @property
    def reference(self) -> str:
        """The reference that steps run: the working tag carries the hash, so that none is overwritten."""
        if self.use is Use.PARENT or self.delivery is None:
            return str(self.parent.base)
        return f"{self.delivery.repository}:{self.hash.hex}"

    def locked(self) -> ImagePlan:
        """The part that a lock holds: what is the same on every machine and survives a code edit."""
        options = BuildOptions(
            build_args=self.options.build_args,
            labels=self.options.labels,
            platform=self.options.platform,
            target=self.options.target,
            other=self.options.other,
        ).normal()
        return evolve(self, options=options, here=None, delivery=None)


@frozen
class BuildPlan:
    """What every image of one pipeline on one stack will be."""

    pipeline: str = field(metadata=EVERYWHERE)
    stack: str = field(metadata=EVERYWHERE)
    images: tuple[ImagePlan, ...] = field(metadata=EVERYWHERE)
    notes: tuple[str, ...] = field(default=(), eq=False, metadata=APART)

    @cached_property
    def hash(self) -> Digest:
        """Hash over the hashes of the images and the steps that run in each."""
        return self._over({image.name: (image.hash.hex, image.steps) for image in self.images}, "plan")

    @cached_property
    def environment_hash(self) -> Digest:
        """The same over the environment hashes: what a lock can say."""
        images = {image.name: (image.environment_hash.hex, image.steps) for image in self.images}
        return self._over(images, "environment")

    def _over(self, images: Mapping[str, object], kind: str) -> Digest:
        return content_hash(kind, (self.pipeline, self.stack, FrozenMapping(images)))

    def image(self, name: str) -> ImagePlan | None:
        """The image of a name, or the one that a step of that name runs in."""
        by_name = [image for image in self.images if image.name == name]
        by_step = [image for image in self.images if name in image.steps]
        return next(iter(by_name + by_step), None)

    @property
    def unpinned(self) -> tuple[ImagePlan, ...]:
        """The images whose parent's digest is not known."""
        return tuple(image for image in self.images if image.parent.digest is None)

    def locked(self) -> BuildPlan:
        """The part that a lock holds."""
        return BuildPlan(self.pipeline, self.stack, tuple(image.locked() for image in self.images))


def needs(
    pipeline: Pipeline,
    stack: Stack,
    facts: Facts = Facts(),  # noqa: B008  # frozen
    *,
    here: bool = True,
) -> tuple[Need, ...]:
    """What must still be observed before this can be planned, each need once, in a stable order.

    One answer can raise the next need: ask again with the larger facts until nothing is left. With
    `here=False` only what a lock needs is asked for: no file trees and no variables. PlannerError
    when the settings, or a file they name, cannot be planned.
    """
    del stack  # no component of a stack needs anything looked at yet
    found: dict[Need, None] = {}
    asked: set[DockerSettings] = set()
    problems: dict[Problem, None] = {}
    for step, settings in _step_settings(pipeline):
        if settings in asked:
            continue
        asked.add(settings)
        try:
            found |= dict.fromkeys(
                need for need in recipe_needs(settings, facts, here=here) if need not in facts
            )
        except PlannerError as error:
            problems |= dict.fromkeys(_placed(error.problems, pipeline, step))
    if problems:
        raise PlannerError(problems)
    return tuple(found)


def make_plan(pipeline: Pipeline, stack: Stack, facts: Facts, *, here: bool = True) -> BuildPlan:
    """The plan of a pipeline on a stack: a pure function of its arguments.

    With `here=False` the images have an environment hash but no image hash: enough to lock and to
    check a lock. PlannerError holds all problems of all steps.

    >>> from planner.facts.needs import ImageDigest
    >>> pipeline = Pipeline(name="p", steps=["a"], settings={"docker": {
    ...     "parent_image": "python:3.11-slim", "skip_build": True}})
    >>> pin = Pin(Digest("0" * 64), "registry")
    >>> facts = Facts().also({ImageDigest(ImageRef.parse("python:3.11-slim")): pin})
    >>> make_plan(pipeline, Stack(), facts, here=False).images[0].use.value
    'parent'
    """
    drafts: dict[DockerSettings, _Draft] = {}
    images: dict[_Draft, list[str]] = {}
    heres: dict[_Draft, Here | None] = {}
    shared: set[_Draft] = set()
    notes: dict[str, None] = {}
    problems: dict[Problem, None] = {}
    fingerprints: dict[str, Digest] = {}
    for step, settings in _step_settings(pipeline):
        if settings not in drafts:
            try:
                made = recipe(settings, facts)
                said = _here(settings, made, facts, fingerprints) if here else None
            except PlannerError as error:
                problems |= dict.fromkeys(_placed(error.problems, pipeline, step))
                continue
            notes |= dict.fromkeys(made.notes)
            drafts[settings] = _draft(settings, made, stack)
            heres[drafts[settings]] = said
        images.setdefault(drafts[settings], []).append(step.name)
        if not step.docker.explicit:
            shared.add(drafts[settings])
    if problems:
        raise PlannerError(problems)
    named = tuple(
        evolve(
            draft[0],
            name=pipeline.name if draft in shared else f"{pipeline.name}/{steps[0]}",
            steps=tuple(steps),
            here=heres[draft],
        )
        for draft, steps in images.items()
    )
    return BuildPlan(pipeline.name, stack.name, named, tuple(dict.fromkeys((*notes, *_notes(named)))))


def _step_settings(pipeline: Pipeline) -> list[tuple[Step, DockerSettings]]:
    """Each step with its settings, the cascade worked out once for equal steps."""
    cascade: dict[DockerSettings, DockerSettings] = {}
    problems: dict[Problem, None] = {}
    found = []
    for step in pipeline.all_steps:
        try:
            if step.docker not in cascade:
                cascade[step.docker] = step.docker.over(pipeline.docker)
        except PlannerError as error:
            problems |= dict.fromkeys(_placed(error.problems, pipeline, step))
            continue
        settings = cascade[step.docker]
        problems |= dict.fromkeys(_placed(not_there_yet(settings), pipeline, step))
        found.append((step, settings))
    if problems:
        raise PlannerError(problems)
    return found


def _placed(problems: Iterable[Problem], pipeline: Pipeline, step: Step) -> Iterator[Problem]:
    """The problems of a step's settings, each where the setting was written: at the step or the pipeline."""
    for problem in problems:
        path = problem.where.path
        if not path:
            yield problem
        elif path[0] in step.docker.explicit:
            yield problem.inside("pipeline", pipeline.name, "step", step.name, "settings", "docker")
        else:
            yield problem.inside("pipeline", pipeline.name, "settings", "docker")


# An image without a name, steps, and what is here, and the ignore file of its tree. Equal ones are one
# image. What is here has no say in that: a lock, which is planned without it, names the same images.
_Draft: TypeAlias = tuple[ImagePlan, str | None]


def _draft(settings: DockerSettings, made: Recipe, stack: Stack) -> _Draft:
    """What steps must have in common to share an image."""
    copies = any(isinstance(item, CopyFiles) for item in made.instructions)
    image = ImagePlan(
        name="",
        steps=(),
        use=Use.PARENT if made.as_it_is else Use.BUILD,
        parent=Parent(evolve(made.parent, digest=None), made.pin.digest, made.pin),
        instructions=made.instructions,
        options=BuildOptions() if made.as_it_is else settings.config.options.normal(),
        delivery=Delivery(
            repository=stack.repository(settings.target_repository),
            push=stack.registry is not None,
            image_tag=settings.image_tag,
            prevent_reuse=settings.prevent_build_reuse,
        ),
    )
    return image, ignore_path(settings) if copies else None


def _here(settings: DockerSettings, made: Recipe, facts: Facts, fingerprints: dict[str, Digest]) -> Here:
    """What this checkout and this machine say. PlannerError names each variable that is not set."""
    if made.as_it_is:
        return Here()
    problems = []
    asked = variables(settings)
    for name, path in asked.items():
        value = facts.variable(name)
        if value is None:
            problems.append(
                Problem.at(path, f"environment variable {name} is not set", f"set it: export {name}=…")
            )
        elif any(character in value.reveal() for character in "\r\n\0"):
            problems.append(
                Problem.at(
                    path,
                    f"the value of {name} holds a line end",
                    "a value of an image is one line; encode it",
                )
            )
        elif any("\ud800" <= character <= "\udfff" for character in value.reveal()):
            problems.append(
                Problem.at(
                    path, f"the value of {name} is not valid Unicode text", "encode it, as base64 does"
                )
            )
        elif name not in fingerprints:
            fingerprints[name] = variable_fingerprint(name, value.reveal())
    if problems:
        raise PlannerError(problems)
    copies = [item for item in made.instructions if isinstance(item, CopyFiles)]
    return Here(
        platform=None if settings.config.options.platform else facts.host_platform,
        trees={copy.tree: facts.tree(files_need(settings, facts)) for copy in copies},
        variables={name: fingerprints[name] for name in asked},
    )


def _notes(images: tuple[ImagePlan, ...]) -> Iterator[str]:
    """What a user should know about a plan that is no error."""
    for image in images:
        pin, name = image.parent.pin, image.parent.reference.familiar
        if image.parent.digest is None:
            yield f"unpinned: the digest of {name} is not known ({pin.reason or 'not looked at'})"
        elif pin.source == "lock" and pin.reason:
            yield f"{name} is pinned by the lock: {pin.reason}"
        if image.tree is not None and ".git" in image.tree.nodes:
            yield f"{image.name}: the directory .git is part of the image: add it to {IGNORE_FILE}"
        if image.use is Use.BUILD and not any(isinstance(item, CopyFiles) for item in image.instructions):
            yield f"{image.name}: no code is included, and downloading code is not there yet"
    tagged: dict[tuple[str, str], ImagePlan] = {}
    for image in images:
        if image.use is Use.BUILD and image.delivery and image.delivery.image_tag:
            key = (image.delivery.repository, image.delivery.image_tag)
            if key in tagged:
                yield f"image_tag {key[1]!r} stays with {image.name}: {tagged[key].name} loses it"
            tagged[key] = image
