"""Short ways to plans: a small world that answers every need, and the plan of some settings in it.

The world is a table. `observed` asks `needs` until nothing is left, as the executor does, and answers
from that table, so that what a test plans from is all on its page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, assert_never

from attrs import field, frozen

from planner import (
    BuildPlan,
    Digest,
    DockerSettings,
    Entry,
    Fact,
    Facts,
    FileText,
    FileTree,
    HostPlatform,
    ImageDigest,
    ImagePlan,
    ImageRef,
    Kind,
    Need,
    Pin,
    Pipeline,
    PythonVersion,
    Secret,
    Stack,
    Step,
    Tree,
    Variable,
    make_plan,
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
    """What there is to observe. An image that is not listed in `pins` has a digest made of its name."""

    texts: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    entries: tuple[Entry, ...] = (file("train.py", "print(1)"),)
    variables: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    pins: Mapping[str, Pin] = field(default=FrozenMapping(), converter=freeze)
    python: str = "3.11"
    platform: str = "linux/amd64"

    def answer(self, need: Need) -> Fact:
        """The answer to one need."""
        match need:
            case PythonVersion():
                return self.python
            case HostPlatform():
                return self.platform
            case FileText(path):
                return self.texts.get(path)
            case FileTree(rules, left_out):
                texts = tuple(file(path, text) for path, text in self.texts.items())
                kept = [
                    entry
                    for entry in (*texts, *self.entries)
                    if not rules.ignores(entry.path) and entry.path not in left_out
                ]
                return Tree.of(kept)
            case Variable(name):
                return Secret(self.variables[name]) if name in self.variables else None
            case ImageDigest(reference):
                known = Pin(digest(str(reference)), "registry")
                return self.pins.get(reference.familiar, known)
            case _:
                assert_never(need)


WORLD: Final = World()
LOCAL: Final = Stack()


def observed(pipeline: Pipeline, stack: Stack = LOCAL, world: World = WORLD, *, here: bool = True) -> Facts:
    """Answers to all that a pipeline needs, from a world."""
    facts = Facts()
    while missing := needs(pipeline, stack, facts, here=here):
        facts = facts.also({need: world.answer(need) for need in missing})
    return facts


def asked(settings: Mapping[str, Any], world: World = WORLD, *, here: bool = True) -> set[Need]:
    """All that was asked for until one step with these settings could be planned."""
    pipeline = pipeline_of(settings)
    facts = Facts()
    found: set[Need] = set()
    while missing := needs(pipeline, Stack(), facts, here=here):
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
        settings = DockerSettings.decode({"parent_image": PARENT, **(settings or {})}, partial=True)
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
    here: bool = True,
    name: str = "training",
) -> BuildPlan:
    """The plan of a pipeline with these settings in a world."""
    pipeline = pipeline_of(settings, steps, name)
    return make_plan(pipeline, stack, observed(pipeline, stack, world, here=here), here=here)


def image_of(
    settings: DockerSettings | Mapping[str, Any] | None = None, *, world: World = WORLD, here: bool = True
) -> ImagePlan:
    """The one image of a step with these settings."""
    (image,) = plan_of(settings, world=world, here=here).images
    return image
