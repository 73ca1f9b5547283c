"""What a change of something named would build: which images it reaches, through what, and which layers.

A name is read as everything that it can be: a package, a file, a variable, a setting, … Refuses to look at
anything but plans and what they were made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from planner.compare.moved import PARENT, layers_since
from planner.compare.named_things import KINDS
from planner.compare.subjects import Kind, Subject, Touch
from planner.errors import Place, did_you_mean
from planner.facts.facts import Facts
from planner.image.plan import BuildPlan, ImagePlan
from planner.immutable import frozen
from planner.pipeline import Pipeline
from planner.settings.effective import settle
from planner.stack import Stack

__all__ = ["Looked", "Reach", "Reading", "Through", "impact", "nearest_name", "subjects_of"]


@frozen
class Looked:
    """A plan of a pipeline on a stack, and the facts that it was made from."""

    pipeline: Pipeline
    stack: Stack
    plan: BuildPlan
    facts: Facts


@frozen
class Through:
    """One way in which something reaches an image: in words, and where the project says so."""

    text: str
    where: Place | None = None


@frozen
class Reach:
    """One image that is reached.

    `builds` says whether a change would build it anew, and `layers` which of its layers, in their order.
    """

    pipeline: str
    stack: str
    image: str
    steps: tuple[str, ...]
    through: tuple[Through, ...]
    layers: tuple[str, ...]
    builds: bool


@frozen
class Reading:
    """One thing that a name stands for: of what kind, under which name, and the images that it reaches."""

    kind: str
    name: str
    reaches: tuple[Reach, ...]


def impact(name: str, plans: Sequence[Looked], *, is_file: bool = False) -> tuple[Reading, ...]:
    """All that a name stands for in plans, in the order of the kinds; empty if it stands for nothing.

    `is_file` says whether the project has a file or a directory of this name, which need not be in an image.
    """
    subjects = [(looked, tuple(subjects_of(looked, is_file=is_file))) for looked in plans]
    found = []
    for kind in KINDS:
        known = [each for _, some in subjects for each in some]
        names = {spelled for each in known if (spelled := kind.spelled(each, name)) is not None}
        for spelled in sorted(names):
            reaches = [reach for looked, some in subjects for reach in _reaches(kind, spelled, looked, some)]
            found.append(Reading(kind.word, spelled, tuple(reaches)))
    return tuple(found)


def nearest_name(name: str, plans: Sequence[Looked]) -> str:
    """Advice for a name that stands for nothing: the nearest of those that stand for something."""
    subjects = [each for looked in plans for each in subjects_of(looked)]
    known = {known for kind in KINDS for each in subjects for known in kind.names(each)}
    return did_you_mean(name, known, _ELSE)


_ELSE: Final = (
    "name a package, a file, a variable, a parent image, a setting, an integration, a secret or an index"
)


def subjects_of(looked: Looked, *, is_file: bool = False) -> Iterator[Subject]:
    """Each image, with all settings that ask for it: those of its steps, or of the steps that build on it."""
    steps = {step.name: step for step in looked.pipeline.steps}
    for image in looked.plan.images:
        names = image.steps or [name for other in _on(image, looked.plan) for name in other.steps]
        # What a deployer runs in has the settings of the pipeline.
        asked = [looked.pipeline.layers(steps[name]) for name in names] or [looked.pipeline.layers()]
        for layers in dict.fromkeys(asked):
            yield Subject(image, settle(layers), looked.pipeline, looked.stack, looked.facts, is_file)


def _on(image: ImagePlan, plan: BuildPlan) -> Iterator[ImagePlan]:
    return (other for other in plan.images if other.parent is not None and other.parent.hash == image.hash)


def _reaches(kind: Kind, name: str, looked: Looked, subjects: Iterable[Subject]) -> Iterator[Reach]:
    built: dict[str, str] = {}
    for image, same in groupby(subjects, key=lambda each: each.image):
        touches = [touch for subject in same for touch in kind.touches(subject, name)]
        under = image.parent is not None and built.get(image.parent.hash.hex)
        if under and not any(touch.first == PARENT for touch in touches):
            touches = [*touches, Touch(f"is built on {under}", first=PARENT)]
        if not touches:
            continue
        layers = max((_layers(image, touch) for touch in touches), key=len)
        builds = image.builds and any(touch.builds for touch in touches)
        if builds:
            built[image.hash.hex] = image.name
        through = tuple(dict.fromkeys(Through(touch.text, touch.where) for touch in touches))
        yield Reach(looked.plan.pipeline, looked.plan.stack, image.name, image.steps, through, layers, builds)


def _layers(image: ImagePlan, touch: Touch) -> tuple[str, ...]:
    return touch.layers if touch.first is None else layers_since(image, touch.first)
