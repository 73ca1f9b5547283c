"""Short ways to plans: a small world that answers every need, and the plan of some settings in it.

The world is a table. `observed` asks `needs` until nothing is left, as the executor does, and answers
from that table, so that what a test plans from is all on its page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen
from packaging.markers import Marker as PackagingMarker
from packaging.version import VERSION_PATTERN, Version

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
from planner.facts.answers import ImagePython
from planner.facts.code_state import CodeState
from planner.facts.needs import PythonOf, Resolve
from planner.requirements.model import Requirement
from planner.requirements.packages import File, Package
from planner.requirements.resolution import Resolution
from planner.requirements.urls import is_version_control, origin_of
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
    image_python: ImagePython = ImagePython("3.11.2", "x86_64-manylinux_2_36")
    """What every parent image tells of its Python."""

    programs: Mapping[str, str] = field(default=FrozenMapping(), converter=freeze)
    """What commands print, by their words."""
    local: Mapping[str, Digest] = field(default=FrozenMapping(), converter=freeze)
    index: Mapping[str, Mapping[str, Iterable[str]]] = field(default=FrozenMapping(), converter=freeze)
    """What packages require, by name and version. Every other package has 0.1, 1.0, and what is asked for."""
    code: CodeState = CodeState("the project is not in a git checkout", "clone it")

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
        above = f"{need.root}/" if need.root else ""
        below = (
            entry._replace(path=entry.path.removeprefix(above))
            for entry in (*texts, *self.entries)
            if entry.path.startswith(above)
        )
        return Tree.of(
            entry
            for entry in below
            if not need.rules.ignores(entry.path) and entry.path not in need.left_out
            if need.only is None or not need.only.ignores(entry.path)
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

    def code_state(self) -> CodeState:
        """What git says of the checkout."""
        return self.code

    def answer(self, need: Need[Any]) -> Any:
        """The answer to one need."""
        match need:
            case ImageDigest(reference, platform):
                known = Pin(digest(str(reference)), "manifest", platform or self.platform)
                return self.pins.get(reference.familiar, known)
            case LocalImage(reference):
                return ImageId(self.local.get(reference.familiar), "docker")
            case PythonOf(_, _, version):
                return evolve(self.image_python, version=version or self.image_python.version)
            case Resolve():
                return resolved(need, self.index)
            case _:
                return answer(need, self)


def _named(requirement: Requirement) -> Requirement:
    """A requirement whose URL does not say what it holds, under the name of its repository."""
    if requirement.name or not requirement.url:
        return requirement
    tail = origin_of(requirement.url).address.rpartition("/")[2]
    return evolve(requirement, name=re.split(r"[.?]", tail)[0])


def resolved(need: Resolve, index: Mapping[str, Mapping[str, Iterable[str]]] = FrozenMapping()) -> Resolution:
    """What requirements come to in an index that is a table: the newest versions, or the preferred ones."""
    preferred = {package.name: package for package in need.preferred}
    upgrades = {each.name: each for each in map(Requirement.parse, need.upgrades)}
    found: dict[str, Package] = {}
    waiting = [each for _, asked in need.inputs.sources for each in asked.packages]
    # Every requirement of a package limits it, whichever asks for it first.
    limits: dict[str, list[Requirement]] = {}
    own_limits: dict[str, list[Requirement]] = {}
    overridden: list[str] = []
    for source, asked in need.inputs.sources:
        for each in (*asked.packages, *asked.constraints):
            if each.url is None and not (each.marker and not _holds(each)):
                limits.setdefault(each.name, []).append(each)
                if source in need.inputs.prevail and each.clauses:
                    own_limits.setdefault(each.name, []).append(each)
    while waiting:
        wanted = _named(waiting.pop(0))
        if wanted.name in found or (wanted.marker and not _holds(wanted)):
            continue
        if wanted.url:
            file = File(f"{wanted.name}-1.0-py3-none-any.whl", f"sha256:{digest(wanted.url).hex}", 1000)
            url = wanted.url.partition("#")[0]
            if is_version_control(url):
                url = f"{origin_of(url).address}@{'c' * 40}"
            found[wanted.name] = Package(wanted.name, url=url, files=() if "+" in url[:4] else (file,))
            continue
        releases = index.get(wanted.name, {})
        upgrade = upgrades.get(wanted.name)
        every = [wanted, *limits.get(wanted.name, ()), *((upgrade,) if upgrade else ())]
        fitting = [
            version
            for version in sorted(releases or _guesses(every), key=Version)
            if all(each.allows(Version(version)) for each in every)
        ]
        if not fitting and (own := own_limits.get(wanted.name)):
            overridden.append(wanted.name)
            fitting = [
                version
                for version in sorted(releases, key=Version)
                if all(each.allows(Version(version)) for each in own)
            ]
        if not fitting and releases:
            return Resolution(reason=f"there is no version of {wanted.text}", impossible=True)
        # Of a package that is in no table, somebody has published what is asked for.
        fitting = fitting or ["1.0"]
        old = preferred.get(wanted.name)
        version = old.version if old and old.version in fitting else fitting[-1]
        requires = [Requirement.parse(text) for text in releases.get(version, ())]
        hashes = wanted.hashes or (f"sha256:{digest(f'{wanted.name}=={version}').hex}",)
        module = wanted.name.replace("-", "_")
        files = tuple(
            File(f"{module}-{version}-{number}-py3-none-any.whl", each, 1000)
            for number, each in enumerate(hashes, start=1)
        )
        names = tuple(each.name for each in requires)
        found[wanted.name] = Package(wanted.name, version, files=files, requires=names)
        waiting += requires
    roots = {name: tuple(_named(each).name for each in asked.packages) for name, asked in need.inputs.sources}
    return Resolution(tuple(found.values()), roots, tuple(overridden))


def _guesses(asked: Iterable[Requirement]) -> Iterable[str]:
    """Versions of a package that is in no table: two, and those that are named."""
    named = (clause.version.removesuffix(".*") for each in asked for clause in each.clauses)
    pattern = re.compile(VERSION_PATTERN, re.VERBOSE | re.IGNORECASE)
    versions = map(Version, ("0.1", "1.0", *(text for text in named if pattern.fullmatch(text))))
    # Each once, though there are two spellings of it.
    return map(str, dict.fromkeys(versions))


def _holds(requirement: Requirement) -> bool:
    """Whether the marker of a requirement holds in the images of these tests."""
    environment = {"python_version": "3.11", "python_full_version": "3.11.2", "sys_platform": "linux"}
    return PackagingMarker(str(requirement.marker)).evaluate(environment)


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
