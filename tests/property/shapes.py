"""Images, plans and locks that no settings of this release lead to, and that the values allow: any order
and repetition of instructions, several trees, and parents that are other images of the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from planner import (
    BuildPlan,
    Checkout,
    Destination,
    ExternalImage,
    FrozenMapping,
    ImagePlan,
    ImageSpec,
    Lock,
    Pin,
    PlanSpec,
    Pushed,
    Tree,
)
from planner.custom import custom_of_spec
from planner.facts.answers import ImagePython
from planner.image.external import SCRATCH
from planner.image.instructions import (
    BuildDockerfile,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    NamedImage,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import Resolved
from planner.lock.lock import PipelineSource
from planner.requirements.files import parse_file
from planner.requirements.indexes import as_options
from planner.requirements.model import Requirement, Requirements
from planner.requirements.options import canonical_options
from planner.requirements.packages import Closure, File, Package
from planner.settings.option_table import OPTIONS
from planner.settings.package_indexes import PackageIndex
from tests.builders import digest, file, ref
from tests.property import strategies as some

# Several of one name, told apart by clauses, markers or hashes alone.
LINES = (
    "six", "six==1.16.0", "six<2", 'six==1.17.0; python_version < "3.12"', "six[a]", "numpy", "numpy<2",
    "numpy>=1", "torch", "torch==2.1", "torch==2.1+cpu", "torch<3", "mine @ https://example.com/mine.whl",
)  # fmt: skip


@st.composite
def requirement_values(draw: st.DrawFn) -> Requirements:
    """Requirements of a file, or of lines of which several may name one package."""
    if draw(st.integers(0, 3)) == 0:
        read = parse_file("requirements.txt", draw(some.requirement_files()))
        if read.packages:
            return read
    hashes = st.lists(st.sampled_from([f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"]), max_size=2)
    lines = st.builds(Requirement.parse, st.sampled_from(LINES), hashes)
    packages, constraints = st.lists(lines, min_size=1, max_size=6), st.lists(lines, max_size=2)
    urls = st.sampled_from(["https://a.example/x?y='z'&w=$q", "https://b.example/cu126"])
    named = st.lists(st.sampled_from(["six", "torch", "*i*", "mine"]), max_size=2)
    index = st.builds(PackageIndex, name=st.sampled_from(["corp", "a.b"]), url=urls, packages=named)
    options = canonical_options(as_options(draw(st.lists(index, max_size=2))))
    return Requirements.of(draw(packages), draw(constraints), options)


variables = st.dictionaries(some.env_name, some.template, min_size=1, max_size=3)
installers = st.builds(Installer, st.just("uv"), st.sampled_from(["0.13.9", "0.14.0"]), some.arguments) | (
    st.builds(Installer, st.just("pip"), st.none(), some.arguments)
)
trees = st.sampled_from(["files", "more"])
flags = st.none() | st.booleans()
owners = st.none() | st.sampled_from(some.USERS)
apt_packages = st.lists(st.sampled_from(["git", "curl", "vim=2:9.0~rc1-1"]), min_size=1, max_size=3)
instructions: SearchStrategy[Instruction] = (
    st.builds(SetEnvironment, variables, st.booleans())
    | st.builds(InstallApt, apt_packages)
    | st.builds(
        InstallRequirements, st.sampled_from(["requirements", "stack"]), requirement_values(), installers
    )
    | st.builds(
        CopyFiles, st.sampled_from(["files", "more"]), st.sampled_from(["/app", "/srv/x"]), owners, flags
    )
    | st.builds(InstallProject, some.text, st.none() | st.just("0.13.9"), owners, group_writes=flags)
    | st.builds(SetUser, st.sampled_from(some.USERS))
)


packages = st.builds(
    Package,
    st.sampled_from(["six", "numpy", "torch"]),
    st.sampled_from(["1.0", "2.1+cpu"]),
    st.none(),
    st.lists(
        st.builds(
            File,
            st.sampled_from(["a-1-py3-none-any.whl", "b-1.tar.gz"]),
            st.sampled_from([f"sha256:{'1' * 64}", f"sha512:{'2' * 128}"]),
            st.none() | st.just(1000),
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
) | st.just(Package("mine", url=f"git+https://example.com/mine.git@{'3' * 40}#subdirectory=a"))
closures = st.lists(packages, max_size=4, unique_by=lambda package: package.name).map(Closure)
resolutions = st.builds(
    Resolved,
    some.digests,
    st.builds(ImagePython, st.just("3.11.2"), st.just("x86_64-manylinux_2_36"), st.booleans()),
    st.none() | st.just("2026-05-31T23:59:59Z"),
    st.sampled_from([(), ("six",), ("numpy", "torch")]),
)


def resolved(spec: ImageSpec, with_closures: Sequence[Closure | None], of: Resolved) -> ImageSpec:
    """The spec with closures for its sources, as a resolution leaves it; None for one that has none."""
    known = dict(zip((item.source for item in spec.installs), with_closures, strict=False))
    closed = [item for item in spec.installs if known.get(item.source) is not None]
    options = canonical_options([option for item in closed for option in item.requirements.options])

    def settled(item: Instruction) -> Instruction:
        if not isinstance(item, InstallRequirements):
            return item
        plain = evolve(item, closure=None, options=())
        if item not in closed:
            return plain
        closure, written = known[item.source], item.requirements.without_hashes
        return evolve(plain, requirements=written, closure=closure, options=options)

    instructions = tuple(map(settled, spec.instructions))
    # What was resolved says what it was resolved from.
    asked = [(item.source, item.requirements.digest) for item in closed]
    inputs = digest(repr((of.inputs, of.python, of.exclude_newer, of.overridden, asked)))
    return evolve(spec, instructions=instructions, resolved=evolve(of, inputs=inputs) if closed else None)


def _one_of_each_source(items: list[Instruction]) -> tuple[Instruction, ...]:
    """Without requirements of a source that an earlier instruction has: its files would be overwritten."""
    kept: list[Instruction] = []
    sources: set[str] = set()
    for item in items:
        if isinstance(item, InstallRequirements):
            if item.source in sources:
                continue
            sources.add(item.source)
        kept.append(item)
    return tuple(kept)


layers = st.lists(instructions, max_size=6).map(_one_of_each_source)


@st.composite
def externals(draw: st.DrawFn) -> ExternalImage:
    """A parent from outside, pinned or not."""
    name = draw(st.sampled_from(["python:3.11", "localhost/base:1", "ghcr.io/a/b_c__d.e-f:x", "pinned/by"]))
    if name == "pinned/by":
        reference = ref(f"{name}@{digest('pinned')}")
        return ExternalImage(reference, reference.digest)
    if draw(st.booleans()):
        return ExternalImage(ref(name), pin=Pin(reason=draw(st.sampled_from(["", "away"]))))
    pin = draw(some.known_pins)
    return ExternalImage(ref(name), pin.digest, pin)


PARTS: dict[str, SearchStrategy[Any]] = {
    "instructions": layers,
    "platform": st.none() | some.platforms,
    "build_args": some.environments(some.text) | st.just({"HTTP_PROXY": "http://proxy"}),
    "labels": st.dictionaries(st.sampled_from(["org.example.team", "a", 'q"u', "é"]), some.text, max_size=2),
    "target": st.none() | st.just("runtime"),
    "options": st.fixed_dictionaries(
        {},
        optional={name: st.just(option.example) for name, option in OPTIONS.items() if option.counts},
    ),
}


@st.composite
def specs(draw: st.DrawFn, parent: ExternalImage | ImageSpec | None = None) -> ImageSpec:
    """An image on this parent, or on one from outside."""
    given = {name: draw(strategy) for name, strategy in PARTS.items()}
    return draw(_closed(ImageSpec(parent or draw(externals()), **given)))


@st.composite
def _closed(draw: st.DrawFn, spec: ImageSpec) -> ImageSpec:
    """The spec, whose sources may be resolved."""
    if not spec.installs:
        return evolve(spec, resolved=None)
    return resolved(spec, [draw(st.none() | closures) for _ in spec.installs], draw(resolutions))


# Of custom Dockerfiles, as a lock has them.
DOCKERFILES = (
    ("FROM python:3.11",),
    ("FROM python:3.11 AS a", "RUN <<EOF\necho 'a' \\\n\tb\nEOF", "FROM a", 'CMD ["é", "$A"]'),
    ("ARG A=python:3.11", "FROM ${A}", "COPY --from=ghcr.io/a/b:x /x /", "USER app"),
    ("FROM scratch", "ADD --chmod=0644 a b /", 'LABEL q="u\'o"'),
    ("# escape=`", "FROM python:3.11", "RUN echo a`b"),
    (
        "# syntax=docker/dockerfile:1",
        "FROM --platform=$BUILDPLATFORM golang:1.23 AS b",
        "FROM python:3.11",
        "COPY --from=0 /x /x",
        "RUN --mount=type=secret,id=pypi true",
    ),
)


@st.composite
def custom_specs(draw: st.DrawFn) -> ImageSpec:
    """An image of a custom Dockerfile."""
    platform = draw(st.none() | some.platforms)
    lines = BuildDockerfile(draw(st.sampled_from(DOCKERFILES)))
    custom = custom_of_spec(ImageSpec(SCRATCH, (lines,), platform))
    pins = {named: draw(st.none() | some.known_pins) for named in custom.images}
    images = {
        named: ExternalImage(named.reference, pin.digest, pin) if pin else ExternalImage(named.reference)
        for named, pin in pins.items()
    }
    base = images[custom.base] if custom.base else SCRATCH
    others = [NamedImage(image, named.platform) for named, image in images.items() if named != custom.base]
    secrets = {mount.name: draw(st.integers(1, 2)) for mount in custom.reach.secrets}
    labels = draw(st.dictionaries(st.sampled_from(["a", 'q"u']), some.text, max_size=1))
    return ImageSpec(base, (custom.instruction(others, secrets),), platform, labels=labels)


TREES = (Tree.of([]), Tree.of([file("a", "1")]), Tree.of([file("a", "2"), file("b/c")]))
fingerprints = st.sampled_from([digest("one value"), digest("another value")])


@st.composite
def checkouts(draw: st.DrawFn, spec: ImageSpec) -> Checkout:
    """What a checkout says of an image: no more than the image has."""
    if not spec.builds:
        return Checkout()
    names = {
        name
        for item in spec.instructions
        if isinstance(item, SetEnvironment)
        for value in item.variables.values()
        for name in value.variables
    }
    unpinned = isinstance(spec.parent, ExternalImage) and not spec.parent.is_pinned
    return Checkout(
        None if spec.platform else draw(some.platforms),
        {name: draw(st.sampled_from(TREES)) for name in spec.trees},
        {name: draw(fingerprints) for name in sorted(names)},
        draw(st.none() | some.digests) if unpinned else None,
    )


destinations = st.builds(
    Destination,
    st.sampled_from(["localhost/stowplan", "localhost:5000/team/x"]),
    st.booleans(),
    st.none() | st.just("1.0"),
    st.booleans(),
)
CHANGES = ("nothing", "order", "again", "less", "parent", "checkout", "steps", "name", "gone", "destination")
STEPS = ("load", "train", "eval", "ship")
stack_names = st.sampled_from(["default", "prod", "a.b-c_d"])


@st.composite
def plans(draw: st.DrawFn, pipeline: SearchStrategy[str] = some.names) -> BuildPlan:
    """A plan of up to four images, many of which are built on another one."""
    name = draw(pipeline)
    images: list[ImagePlan] = []
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4, unique=True)):
        parent = draw(st.none() | st.just(images[-1]) | st.sampled_from(images)) if images else None
        custom = parent is None and draw(st.integers(0, 3)) == 0
        spec = draw(custom_specs() if custom else specs(parent.spec if parent else None))
        # No step runs in an image that only others are built on.
        steps = (step,) if draw(st.integers(0, 3)) else ()
        own = f"{name}/{step}" if images else name
        images.append(ImagePlan(own, steps, spec, draw(checkouts(spec)), draw(destinations), parent))
    return BuildPlan(name, draw(stack_names), tuple(images))


def _replaced(plan: BuildPlan, index: int, change: Callable[[ImagePlan], ImagePlan]) -> BuildPlan:
    """The plan with one image changed, and what is built on it built on what that became."""
    made: list[ImagePlan] = []
    for position, image in enumerate(plan.images):
        new = image
        if image.parent is not None:
            parent = made[plan.images.index(image.parent)]
            new = evolve(image, parent=parent, spec=evolve(image.spec, parent=parent.spec))
        made.append(change(new) if position == index else new)
    return evolve(plan, images=tuple(made))


@st.composite
def changed(draw: st.DrawFn, plan: BuildPlan) -> BuildPlan:
    """The plan, or one that differs from it in one place."""
    what = draw(st.sampled_from([*CHANGES, *PARTS]))
    index = draw(st.integers(0, len(plan.images) - 1))
    if what == "gone":
        return evolve(plan, images=plan.images[:-1] or plan.images)

    def change(image: ImagePlan) -> ImagePlan:
        items = image.spec.instructions
        match what:
            case "nothing":
                return evolve(image)
            case "order":
                spec = evolve(image.spec, instructions=tuple(draw(st.permutations(items))))
            case "again":
                spec = evolve(image.spec, instructions=_one_of_each_source([*items, *items[:1]]))
            case "less":
                spec = evolve(image.spec, instructions=items[1:])
            case "parent":
                spec = evolve(image.spec, parent=draw(externals()))
            case "checkout":
                return evolve(image, checkout=draw(checkouts(image.spec)))
            case "steps":
                return evolve(image, steps=tuple(draw(st.lists(st.sampled_from(STEPS), max_size=2))))
            case "name":
                return evolve(image, name=f"{plan.pipeline}/other")
            case "destination":
                return evolve(image, destination=draw(destinations))
            case part:
                given: dict[str, Any] = {part: draw(PARTS[part])}
                spec = evolve(image.spec, **given)
        if what in {"instructions", "less", "again"}:
            spec = draw(_closed(spec))
        parent = image.parent if spec.parent == image.spec.parent else None
        if parent is None and isinstance(spec.parent, ImageSpec):
            parent = image.parent
        return evolve(image, spec=spec, parent=parent, checkout=_fitting(image.checkout, spec, draw))

    of_spec = {*PARTS, "order", "again", "less", "parent"}
    is_custom = plan.images[index].spec.dockerfile is not None
    return _replaced(plan, index, partial(_as_another, draw) if is_custom and what in of_spec else change)


def _as_another(draw: st.DrawFn, image: ImagePlan) -> ImagePlan:
    """The image of a custom Dockerfile, of another one."""
    spec = draw(custom_specs())
    return evolve(image, spec=spec, checkout=_fitting(image.checkout, spec, draw))


def _fitting(checkout: Checkout, spec: ImageSpec, draw: st.DrawFn) -> Checkout:
    """The checkout of a changed spec: what both have stays."""
    fresh = draw(checkouts(spec))
    if not spec.builds:
        return fresh
    return Checkout(
        fresh.platform and (checkout.platform or fresh.platform),
        FrozenMapping({name: checkout.trees.get(name, tree) for name, tree in fresh.trees.items()}),
        FrozenMapping({name: checkout.variables.get(name, item) for name, item in fresh.variables.items()}),
        fresh.parent_id and (checkout.parent_id or fresh.parent_id),
    )


@st.composite
def pushed(draw: st.DrawFn, image: ImagePlan, stack: str) -> Pushed:
    """An entry of the ledger for an image."""
    reference = ref(image.destination.repository).pinned(draw(some.digests))
    return Pushed(image.hash, reference, image.name, stack)


SOURCES = (
    PipelineSource("pipe:training"),
    PipelineSource(config="run é.yaml"),
    PipelineSource("a.b:c.d", "configs/x.yaml"),
)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Several pipelines on several stacks, some of them alike, and what was pushed of them."""
    built: dict[tuple[str, str], BuildPlan] = {}
    for plan in draw(st.lists(plans(), min_size=1, max_size=2)):
        built[plan.pipeline, plan.stack] = plan
        if draw(st.booleans()):
            other = draw(changed(plan))
            built[plan.pipeline, "staging"] = evolve(other, stack="staging")
    ledger = {}
    for plan in built.values():
        for image in plan.images:
            if draw(st.booleans()):
                entry = draw(pushed(image, plan.stack))
                ledger[entry.image, entry.reference.name] = entry
    order = draw(st.permutations(sorted(built)))
    pipelines = sorted({pipeline for pipeline, _ in built})
    named = draw(st.lists(st.sampled_from(pipelines), unique=True))
    sources = {name: draw(st.sampled_from(SOURCES)) for name in named}
    return Lock((built[key].spec for key in order), tuple(ledger.values()), sources)


def spec_of_images(plan: PlanSpec) -> dict[str, tuple[Any, ...]]:
    """What counts of the images of a plan, by their names."""
    return {
        image.name: (image.spec.hash, image.steps, image.spec.resolved and image.spec.resolved.inputs)
        for image in plan.images
    }
