"""Short ways to plans: a small world that answers every need, and the plan of some settings in it.

The world is a table. `observed` asks `needs` until nothing is left, as the executor does, and answers
from that table, so that what a test plans from is all on its page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from executor.observe.world import answer
from planner import (
    BuildPlan,
    Digest,
    DockerSettings,
    Entry,
    Facts,
    FileTree,
    HiddenValue,
    ImageDigest,
    ImageId,
    ImagePlan,
    ImageRef,
    Kind,
    LocalImage,
    Need,
    Pin,
    Pins,
    Pipeline,
    PlanSpec,
    Printed,
    ProgramOutput,
    Stack,
    Step,
    Tree,
    make_plan,
    make_spec,
    needs,
)
from planner.values import FrozenMapping, freeze

PARENT: Final = "python:3.11-slim"


def digest(text: str) -> Digest:
    """A digest that stands for `text`."""
    return Digest(hashlib.sha256(text.encode()).hexdigest())


def file(path: str, text: str = "", kind: Kind = Kind.FILE) -> Entry:
    """A file of a tree with this text."""
    return Entry(path, kind, hashlib.sha256(text.encode()).digest())


def link(path: str, target: str) -> Entry:
    """A link of a tree."""
    return Entry(path, Kind.LINK, target.encode())


def ref(text: str) -> ImageRef:
    """The image of a name."""
    return ImageRef.parse(text)


@frozen
class World:
    """What there is to observe. An image that is not listed in `pins` has a digest made of its name.

    `local` are the IDs of the images that an engine has, by their names.
    """

    texts: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    entries: tuple[Entry, ...] = (file("train.py", "print(1)"),)
    variables: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    pins: Mapping[str, Pin] = field(default=FrozenMapping(), converter=freeze)
    python: str = "3.11"
    platform: str = "linux/amd64"

    programs: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    """What commands print, by their words."""
    local: Mapping[str, Digest] = field(default=FrozenMapping(), converter=freeze)

    def text(self, path: str) -> str | None:
        """The text of a file."""
        return self.texts.get(path)

    def is_file(self, path: str) -> bool:
        """Whether there is a file."""
        return path in self.texts or any(entry.path == path for entry in self.entries)

    def output(self, need: ProgramOutput) -> Printed:
        """What a program prints: the first of the commands that is listed, by its words."""
        failures: list[str] = []
        for words in need.commands:
            text = " ".join(words)
            if text in self.programs:
                return Printed(self.programs[text], text, tuple(failures))
            failures.append(f"`{text}`: no such program")
        return Printed(failures=tuple(failures))

    def tree(self, need: FileTree) -> Tree:
        """The files under some rules."""
        texts = tuple(file(path, text) for path, text in self.texts.items())
        return Tree.of(
            entry
            for entry in (*texts, *self.entries)
            if not need.rules.ignores(entry.path) and entry.path not in need.left_out
        )

    def variable(self, name: str) -> HiddenValue | None:
        """The value of a variable."""
        return HiddenValue(self.variables[name]) if name in self.variables else None

    def python_version(self) -> str:
        """The Python that plans."""
        return self.python

    def host_platform(self) -> str:
        """The platform of the machine."""
        return self.platform

    def answer(self, need: Need[Any]) -> Any:
        """The answer to one need."""
        match need:
            case ImageDigest(reference, platform):
                known = Pin(digest(str(reference)), "manifest", platform or self.platform)
                return self.pins.get(reference.familiar, known)
            case LocalImage(reference):
                return ImageId(self.local.get(reference.familiar), "docker")
            case _:
                return answer(need, self)


WORLD: Final = World()
LOCAL: Final = Stack()
NO_PINS: Final = Pins()


def observed(
    pipeline: Pipeline,
    stack: Stack = LOCAL,
    world: World = WORLD,
    *,
    pins: Pins = NO_PINS,
    checkout: bool = True,
) -> Facts:
    """Answers to all that a pipeline needs, from a world."""
    facts = Facts()
    while missing := needs(pipeline, stack, facts, pins=pins, checkout=checkout):
        facts = facts.also({need: world.answer(need) for need in missing})
    return facts


def asked(
    settings: Mapping[str, Any], world: World = WORLD, *, pins: Pins = NO_PINS, checkout: bool = True
) -> set[Need[Any]]:
    """All that was asked for until one step with these settings could be planned."""
    pipeline = pipeline_of(settings)
    facts = Facts()
    found: set[Need[Any]] = set()
    while missing := needs(pipeline, Stack(), facts, pins=pins, checkout=checkout):
        found |= set(missing)
        facts = facts.also({need: world.answer(need) for need in missing})
    return found


def pipeline_of(
    settings: DockerSettings | Mapping[str, Any] | None = None,
    steps: Iterable[str] | Mapping[str, Mapping[str, Any]] = ("train",),
    name: str = "training",
) -> Pipeline:
    """A pipeline on the usual parent image, unless the settings say otherwise.

    `steps` are names, or settings by name.
    """
    own = steps if isinstance(steps, Mapping) else {step: {} for step in steps}
    if settings is None or isinstance(settings, Mapping):
        settings = DockerSettings.decode({"parent_image": PARENT, **(settings or {})})
    return Pipeline(
        name=name,
        steps=[Step(name=step, settings={"docker": dict(table)}) for step, table in own.items()],
        settings=settings,
    )


def plan_of(
    settings: DockerSettings | Mapping[str, Any] | None = None,
    steps: Iterable[str] | Mapping[str, Mapping[str, Any]] = ("train",),
    *,
    stack: Stack = LOCAL,
    world: World = WORLD,
    pins: Pins = NO_PINS,
    name: str = "training",
) -> BuildPlan:
    """The plan of a pipeline with these settings in a world."""
    pipeline = pipeline_of(settings, steps, name)
    return make_plan(pipeline, stack, observed(pipeline, stack, world, pins=pins), pins=pins)


def spec_of(
    settings: DockerSettings | Mapping[str, Any] | None = None,
    steps: Iterable[str] | Mapping[str, Mapping[str, Any]] = ("train",),
    *,
    stack: Stack = LOCAL,
    world: World = WORLD,
    pins: Pins = NO_PINS,
    name: str = "training",
) -> PlanSpec:
    """What a lock holds of that plan, made without looking at files and variables."""
    pipeline = pipeline_of(settings, steps, name)
    facts = observed(pipeline, stack, world, pins=pins, checkout=False)
    return make_spec(pipeline, stack, facts, pins=pins)


def image_of(
    settings: DockerSettings | Mapping[str, Any] | None = None, *, world: World = WORLD
) -> ImagePlan:
    """The one image of a step with these settings."""
    (image,) = plan_of(settings, world=world).images
    return image
