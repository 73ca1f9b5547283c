"""The mutation test: every field of every value that describes an image, changed, moves the image's two
hashes, the spec hash and the image hash, exactly as its declaration says. Nothing is masked.

The fields are found by reflection: a new field without a declaration, or without a mutation here, fails by
name.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs
import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

import planner
from planner import (
    BuildConfig,
    BuildOptions,
    BuildPlan,
    Checkout,
    Command,
    ContainerRegistry,
    Destination,
    Digest,
    DockerSettings,
    EnvTemplate,
    ExternalImage,
    FrozenMapping,
    Function,
    ImagePlan,
    ImageRef,
    ImageSpec,
    Kind,
    NamedSpec,
    Note,
    Output,
    Pin,
    Pipeline,
    Place,
    PlannerError,
    PlanSpec,
    Pushed,
    PythonPackageInstaller,
    Stack,
    Step,
    Tree,
    make_plan,
)
from planner.components import ArtifactStore, Component, StepOperator
from planner.facts.answers import ImagePython
from planner.identity import canonical, counts, variable_fingerprint
from planner.image.delivery import Delivery, Way
from planner.image.instructions import (
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    MakeDirectory,
    NamedImage,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import Observed, Resolved
from planner.image.use import Use
from planner.integrations import Integration
from planner.pipeline import DeploymentSettings
from planner.repositories import CodeRepository
from planner.requirements.markers import Marker
from planner.requirements.model import Clause, Option, Requirement, Requirements
from planner.requirements.packages import Closure, File, Package
from planner.settings.cache_mount import CacheMount
from planner.settings.dependencies import Dependencies
from planner.settings.package_indexes import PackageIndex
from planner.settings.secrets import Secret, SecretSource
from planner.settings.written import WrittenSettings
from tests.builders import PARENT, World, digest, file, image_of, link, observed, plan_of, ref
from tests.property import strategies as some


class Moves(Enum):
    """Which hashes of an image a change moves: (spec hash, image hash)."""

    BOTH = (True, True)
    IMAGE = (False, True)
    NEITHER = (False, False)


def moved(before: ImagePlan, after: ImagePlan) -> tuple[bool, bool]:
    return before.spec.hash != after.spec.hash, before.hash != after.hash


# --- which fields there are -----------------------------------------------------------------------------


def _classes() -> Iterator[type]:
    """Every attrs class of the planner, wherever in it it is defined."""
    for module in pkgutil.walk_packages(planner.__path__, "planner."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and attrs.has(value) and value.__module__ == module.name:
                yield value


def _is_declared(attribute: attrs.Attribute[Any]) -> bool:
    try:
        counts(attribute)
    except KeyError:
        return False
    return True


# The classes of which some field says whether it counts. What describes an image is among them, or has no
# canonical form at all: `canonical` asks every field.
DESCRIBING: Final = tuple(
    kind for kind in _classes() if any(_is_declared(attribute) for attribute in attrs.fields(kind))
)
FIELDS: Final = tuple((kind, attribute.name) for kind in DESCRIBING for attribute in attrs.fields(kind))


def _field_id(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def _counts(kind: type, name: str) -> bool:
    return counts(getattr(attrs.fields(kind), name))


def test_the_values_that_describe_an_image() -> None:
    """A new class joins this list, and gets its mutations below."""
    assert sorted(kind.__name__ for kind in DESCRIBING) == [
        "ArtifactStore", "BuildConfig", "BuildDockerfile", "BuildOptions", "Checkout", "Clause",
        "Closure", "CodeRepository", "Command", "Component", "ContainerRegistry", "CopyBootstrap",
        "CopyFiles", "Dependencies", "DeploymentSettings", "Destination", "DockerSettings",
        "ExternalImage", "Function", "ImagePlan", "ImageSpec", "InstallApt", "InstallProject",
        "InstallRequirements", "Installer", "Integration", "MakeDirectory", "Marker", "NamedImage",
        "Observed", "Option", "Output", "Package", "PackageIndex", "Pipeline", "Pushed", "Requirement",
        "Requirements", "Resolved", "Secret", "SetEnvironment", "SetUser", "Stack", "Step",
        "StepOperator", "Tree",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=_field_id)
def test_every_field_says_whether_it_counts(kind: type, name: str) -> None:
    assert _is_declared(getattr(attrs.fields(kind), name)), f"declare {kind.__name__}.{name}"


# The text of these is their meaning, so they count whole.
TEXT: Final = {Digest, EnvTemplate, ImageRef}


def _held(kind: type) -> Iterator[type]:
    """The attrs classes that values of `kind` can hold in a field that counts."""
    hints = typing.get_type_hints(kind)
    open_types = [hints[a.name] for a in attrs.fields(kind) if counts(a)]
    while open_types:
        found = open_types.pop()
        open_types += typing.get_args(found)
        if isinstance(found, type) and attrs.has(found):
            yield found


def _reached(*kinds: type) -> set[type]:
    """These classes and all that counts in their values."""
    reached: set[type] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if kind not in reached | TEXT:
            reached.add(kind)
            waiting += _held(kind)
    return reached


OF_A_SPEC: Final = _reached(ImageSpec)
OF_AN_IMAGE: Final = _reached(ImagePlan)


def test_whatever_an_image_can_hold_says_what_counts() -> None:
    assert not OF_AN_IMAGE.difference(DESCRIBING)
    assert {ExternalImage, InstallRequirements, Installer, Option, Marker} <= OF_A_SPEC
    assert {ImagePlan, Checkout, Tree} == OF_AN_IMAGE - OF_A_SPEC


# DESIGN.md, "Identity": what is in on this machine alone, and what is out. All else is in everywhere.
# Written out, because a field that changes its side changes every hash, or none when it should.
ONLY_HERE: Final = {
    "Checkout.bootstrap", "Checkout.directory", "Checkout.image_ids", "Checkout.parent_id",
    "Checkout.platform", "Checkout.trees", "Checkout.variables",
    "ImagePlan.checkout", "ImagePlan.parent", "Tree.digest",
}  # fmt: skip
OUT: Final = {
    # Where an image goes, and whether it may be taken from there.
    "Destination.image_tag", "Destination.prevent_reuse", "Destination.push", "Destination.repository",
    "ImagePlan.destination",
    "DockerSettings.image_tag", "DockerSettings.prevent_build_reuse", "DockerSettings.target_repository",
    "ContainerRegistry.default_repository", "ContainerRegistry.uri", "Stack.container_registry", "Stack.name",
    # How its code is delivered: that it is not in the image is what counts.
    "CodeRepository.name", "CodeRepository.secret", "CodeRepository.type", "CodeRepository.url",
    "ImagePlan.delivery", "Pipeline.code_repositories",
    # How it is built, which does not change what comes of it; what does is in the spec.
    "BuildOptions.cache_from", "BuildOptions.no_cache", "BuildOptions.pull", "BuildOptions.rm",
    "BuildOptions.shm_size", "BuildOptions.tuning", "ImagePlan.build_options",
    "DockerSettings.python_package_installer_cache_mount", "ImagePlan.cache_mount",
    "DockerSettings.machine_network", "ImagePlan.machine_network",
    # What a command reads is not what it makes, and another place has no other value.
    "DockerSettings.secrets", "ImagePlan.secrets", "Pipeline.secrets", "Secret.env", "Secret.file",
    # Who runs in it, and what it is called.
    "ImagePlan.name", "ImagePlan.steps", "Pipeline.name", "Pipeline.settings", "Pipeline.steps",
    "Step.name", "Step.settings",
    # What runs in it, when, and where its settings are written.
    "Command.argv", "Function.inputs", "Function.outputs", "Function.source", "Output.name", "Output.step",
    "Pipeline.origin", "Pipeline.overrides", "Step.after", "Step.entrypoint", "Step.origin",
    "Step.overrides", "Step.step_operator",
    # Where things are, and what they are called; what comes of that is in the checkout.
    "ArtifactStore.uri", "ImagePlan.uses", "StepOperator.name",
    # What counts by its effect: the digest, the root of the tree, the files that are left.
    "BuildConfig.dockerignore", "Closure.packages", "ExternalImage.pin", "ExternalImage.reference",
    "Package.files", "Tree.nodes",
    # Where it is written, and where its files are: what it says is what counts.
    "BuildDockerfile.file", "BuildDockerfile.numbers", "Checkout.context_root",
    # What was resolved: the packages count, and not how they were asked for or where they are from.
    "DockerSettings.package_indexes", "DockerSettings.prefer_own_requirements",
    "DockerSettings.python_version", "ImageSpec.resolved", "InstallRequirements.options",
    "InstallRequirements.requirements", "Package.index", "Package.requires", "PackageIndex.name",
    "PackageIndex.packages", "PackageIndex.url", "Resolved.exclude_newer",
    "Resolved.inputs", "Resolved.overridden", "Resolved.python", "Resolved.reason", "Resolved.transient",
    "ImageSpec.observed", "InstallRequirements.observed", "Observed.inputs", "Observed.source",
    "Requirement.where",
}  # fmt: skip


def test_what_counts_is_that_of_the_design() -> None:
    found = {f"{kind.__name__}.{name}" for kind, name in FIELDS if not _counts(kind, name)}
    assert found == OUT
    here = {(kind, name) for kind, name in FIELDS if kind in OF_AN_IMAGE - OF_A_SPEC and _counts(kind, name)}
    assert {f"{kind.__name__}.{name}" for kind, name in here} == ONLY_HERE | {"ImagePlan.spec"}


def declared(kind: type, name: str) -> Moves:
    """What a change of a field moves, as it is declared and listed."""
    if not _counts(kind, name):
        return Moves.NEITHER
    return Moves.IMAGE if f"{kind.__name__}.{name}" in ONLY_HERE else Moves.BOTH


# --- one field of one value, inside an image -----------------------------------------------------------

TREE: Final = Tree.of([file("train.py", "1"), file("utils/io.py", "2")])
TEMPLATES: Final = SetEnvironment({"A": "${TOKEN}"})
CLAUSE: Final = Clause("==", "2.1.1")
MARKER: Final = Marker('python_version < "3.12"')
REQUIREMENT: Final = Requirement("torch", ("cuda",), (CLAUSE,), marker=MARKER, hashes=("sha256:" + "1" * 64,))
OPTION: Final = Option("index-url", "https://example.com/simple")
REQUIREMENTS: Final = Requirements((REQUIREMENT,), (Requirement.parse("numpy<2"),), (OPTION,))
INSTALLER: Final = Installer(PythonPackageInstaller.UV, "0.13.9", {"timeout": "1000"})
PARENT_IMAGE: Final = ExternalImage(ref(PARENT), digest("parent"), Pin(digest("parent"), "manifest"))
CHECKOUT: Final = Checkout("linux/amd64", {"files": TREE}, {"TOKEN": digest("fingerprint")})
DESTINATION: Final = Destination("localhost/stowplan")
APT, COPY, PROJECT, USER = (
    InstallApt(("git",)),
    CopyFiles(owner="1000"),
    InstallProject("make", "0.13.9", "1000"),
    SetUser("1000"),
)
DIRECTORY: Final = MakeDirectory(owner="1000")
BOOTSTRAP: Final = CopyBootstrap(digest("bootstrap"))
FILE: Final = File("six-1.16.0-py3-none-any.whl", "sha256:" + "1" * 64)
PACKAGE: Final = Package("six", "1.16.0", files=(FILE,), requires=("attrs",))
CLOSURE: Final = Closure([PACKAGE])
RESOLVED: Final = Resolved(digest("inputs"), ImagePython("3.11.2", "x86_64-manylinux_2_36"))
OBSERVED: Final = Observed("pyproject", digest("listed from"))
UNRESOLVED: Final = InstallRequirements("stack", REQUIREMENTS, INSTALLER)
REQUIRE: Final = InstallRequirements("requirements", Requirements((Requirement("six"),)), INSTALLER, CLOSURE)
SPEC: Final = ImageSpec(
    PARENT_IMAGE,
    (TEMPLATES, APT, UNRESOLVED, REQUIRE, COPY, PROJECT, USER),
    "linux/amd64",
    {"A": "1"},
    {"team": "vision"},
    "runtime",
    {"network": "host", "add_host": ("a:10.0.0.1",)},
    RESOLVED,
    (OBSERVED,),
)
IMAGE: Final = ImagePlan("training", ("load", "train"), SPEC, CHECKOUT, DESTINATION)
NAMED: Final = NamedImage(ExternalImage(ref("golang:1.22"), digest("golang")), "linux/arm64")
DOCKERFILE: Final = BuildDockerfile(("FROM python:3.11-slim",), (NAMED,), {"pypi": 1}, "Dockerfile", (3,))
# The image of a custom Dockerfile has no other instruction.
OF_DOCKERFILE: Final = evolve(IMAGE, spec=ImageSpec(PARENT_IMAGE, (DOCKERFILE,)))
# What a checkout has in place of files that are copied.
OF_DOWNLOADED: Final = evolve(IMAGE, spec=ImageSpec(PARENT_IMAGE, (DIRECTORY, BOOTSTRAP)))
SAMPLES: Final = (
    TREE, TEMPLATES, CLAUSE, MARKER, REQUIREMENT, OPTION, REQUIREMENTS, INSTALLER, PARENT_IMAGE, CHECKOUT,
    DESTINATION, APT, COPY, PROJECT, USER, PACKAGE, CLOSURE, RESOLVED, OBSERVED, REQUIRE, SPEC, IMAGE, NAMED,
    DOCKERFILE, DIRECTORY, BOOTSTRAP,
)  # fmt: skip


def _of_another_kind(item: Any) -> Any:
    return evolve(item, kind="another")


# Each field with the sample that differs from the one above in this field alone.
MUTANTS: Final[Mapping[tuple[type, str], Any]] = {
    (ImagePlan, "name"): evolve(IMAGE, name="other"),
    (ImagePlan, "steps"): evolve(IMAGE, steps=("load",)),
    (ImagePlan, "spec"): evolve(IMAGE, spec=evolve(SPEC, instructions=())),
    (ImagePlan, "checkout"): evolve(IMAGE, checkout=Checkout()),
    (ImagePlan, "destination"): evolve(IMAGE, destination=Destination("ghcr.io/team/x", push=True)),
    (ImagePlan, "delivery"): evolve(IMAGE, delivery=Delivery(Way.IMAGE, "nothing else is allowed")),
    (ImagePlan, "uses"): evolve(IMAGE, uses=(Use("deployer"),)),
    (ImagePlan, "machine_network"): evolve(IMAGE, machine_network=True),
    (ImagePlan, "cache_mount"): evolve(IMAGE, cache_mount=CacheMount("/root/.cache/uv")),
    (ImagePlan, "secrets"): evolve(IMAGE, secrets={"pypi": SecretSource(Secret(env="TOKEN"), Place())}),
    (ImagePlan, "build_options"): evolve(IMAGE, build_options=BuildOptions(platform="linux/arm64", rm=False)),
    (ImageSpec, "parent"): evolve(SPEC, parent=ExternalImage(ref(PARENT), digest("moved"))),
    (ImageSpec, "instructions"): evolve(SPEC, instructions=SPEC.instructions[:-1]),
    (ImageSpec, "platform"): evolve(SPEC, platform="linux/arm64"),
    (ImageSpec, "build_args"): evolve(SPEC, build_args={"A": "2"}),
    (ImageSpec, "labels"): evolve(SPEC, labels={}),
    (ImageSpec, "target"): evolve(SPEC, target=None),
    (ImageSpec, "options"): evolve(SPEC, options={"network": "host"}),
    # Another name for the same digest is the same image.
    (ExternalImage, "reference"): evolve(PARENT_IMAGE, reference=ref("python:3.11")),
    (ExternalImage, "digest"): evolve(PARENT_IMAGE, digest=digest("moved")),
    # Known by its name alone, which is then part of the image: see the tests of parents below.
    (ExternalImage, "unpinned"): evolve(PARENT_IMAGE, digest=None),
    (ExternalImage, "pin"): evolve(PARENT_IMAGE, pin=Pin(digest("parent"), "index", "linux/arm64")),
    (Checkout, "platform"): evolve(CHECKOUT, platform="linux/arm64"),
    (Checkout, "trees"): evolve(CHECKOUT, trees={"files": Tree.of([file("train.py", "changed")])}),
    (Checkout, "variables"): evolve(CHECKOUT, variables={"TOKEN": digest("another value")}),
    (Checkout, "parent_id"): evolve(CHECKOUT, parent_id=digest("rebuilt")),
    (Checkout, "image_ids"): evolve(CHECKOUT, image_ids={"localhost/x:1": digest("rebuilt")}),
    (Checkout, "context_root"): evolve(CHECKOUT, context_root="docker"),
    (Checkout, "directory"): evolve(CHECKOUT, directory=DIRECTORY),
    (Checkout, "bootstrap"): evolve(CHECKOUT, bootstrap=digest("bootstrap")),
    # A tree counts by its digest; nodes below an unchanged root do not exist, and so say nothing.
    (Tree, "nodes"): Tree({**TREE.nodes, "utils": b""}),
    (Tree, "digest"): Tree.of([file("train.py", "changed"), file("utils/io.py", "2")]),
    (Destination, "repository"): evolve(DESTINATION, repository="ghcr.io/team/x"),
    (Destination, "push"): evolve(DESTINATION, push=True),
    (Destination, "image_tag"): evolve(DESTINATION, image_tag="1.0"),
    (Destination, "prevent_reuse"): evolve(DESTINATION, prevent_reuse=True),
    (SetEnvironment, "variables"): evolve(TEMPLATES, variables={"A": "${TOKEN}", "B": ""}),
    (SetEnvironment, "runtime"): evolve(TEMPLATES, runtime=True),
    (InstallApt, "packages"): evolve(APT, packages=("curl", "git")),
    (ImageSpec, "resolved"): evolve(SPEC, resolved=None),
    (ImageSpec, "observed"): evolve(SPEC, observed=()),
    (Observed, "source"): evolve(OBSERVED, source="local-environment"),
    (Observed, "inputs"): evolve(OBSERVED, inputs=digest("other")),
    (Resolved, "inputs"): evolve(RESOLVED, inputs=digest("other")),
    (Resolved, "python"): evolve(RESOLVED, python=ImagePython("3.12", "x86_64-manylinux_2_36")),
    (Resolved, "exclude_newer"): evolve(RESOLVED, exclude_newer="2026-01-01T00:00:00Z"),
    (Resolved, "overridden"): evolve(RESOLVED, overridden=("six",)),
    (Resolved, "reason"): evolve(RESOLVED, reason="offline"),
    (Resolved, "transient"): evolve(RESOLVED, transient=True),
    (Package, "name"): evolve(PACKAGE, name="attrs"),
    (Package, "version"): evolve(PACKAGE, version="1.17.0"),
    (Package, "url"): evolve(PACKAGE, version=None, url="https://example.com/six.whl"),
    # Files count by their hashes.
    (Package, "files"): evolve(PACKAGE, files=(evolve(FILE, name="six-1.16.0-cp311-none-any.whl", size=9),)),
    (Package, "hashes"): evolve(PACKAGE, files=(evolve(FILE, hash="sha256:" + "2" * 64),)),
    (Package, "index"): evolve(PACKAGE, index="mirror"),
    (Package, "requires"): evolve(PACKAGE, requires=()),
    (Closure, "packages"): Closure([evolve(PACKAGE, index="mirror")]),
    (Closure, "digest"): Closure(),
    (InstallRequirements, "source"): evolve(REQUIRE, source="local"),
    # With a closure it is the closure that counts, and without one what was asked for.
    (InstallRequirements, "requirements"): evolve(REQUIRE, requirements=Requirements()),
    (InstallRequirements, "closure"): evolve(REQUIRE, closure=Closure()),
    (InstallRequirements, "unresolved"): evolve(REQUIRE, closure=None),
    (InstallRequirements, "options"): evolve(REQUIRE, options=(OPTION,)),
    (InstallRequirements, "observed"): evolve(REQUIRE, observed=digest("what a program listed from")),
    (InstallRequirements, "secrets"): evolve(REQUIRE, secrets={"pypi": 1}),
    (InstallRequirements, "installer"): evolve(REQUIRE, installer=Installer(PythonPackageInstaller.PIP)),
    (Requirements, "packages"): evolve(REQUIREMENTS, packages=()),
    (Requirements, "constraints"): evolve(REQUIREMENTS, constraints=()),
    (Requirements, "options"): evolve(REQUIREMENTS, options=()),
    (Requirement, "name"): evolve(REQUIREMENT, name="torchvision"),
    (Requirement, "extras"): evolve(REQUIREMENT, extras=()),
    (Requirement, "clauses"): evolve(REQUIREMENT, clauses=()),
    (Requirement, "url"): evolve(REQUIREMENT, url="https://example.com/torch.whl"),
    (Requirement, "marker"): evolve(REQUIREMENT, marker=None),
    (Requirement, "hashes"): evolve(REQUIREMENT, hashes=()),
    (Requirement, "where"): evolve(REQUIREMENT, where=Place(file="requirements.txt", line=1)),
    (Clause, "operator"): evolve(CLAUSE, operator="<="),
    (Clause, "version"): evolve(CLAUSE, version="2.1.2"),
    (Marker, "text"): evolve(MARKER, text='python_version < "3.13"'),
    (Option, "name"): evolve(OPTION, name="extra-index-url"),
    (Option, "value"): evolve(OPTION, value="https://example.com/other"),
    (Installer, "name"): evolve(INSTALLER, name=PythonPackageInstaller.PIP),
    (Installer, "version"): evolve(INSTALLER, version="0.13.10"),
    (Installer, "arguments"): evolve(INSTALLER, arguments={"timeout": "1000", "no-deps": None}),
    (CopyFiles, "tree"): evolve(COPY, tree="other"),
    (CopyFiles, "destination"): evolve(COPY, destination="/srv"),
    (CopyFiles, "owner"): evolve(COPY, owner=None),
    (CopyFiles, "group_writes"): evolve(COPY, group_writes=True),
    (InstallProject, "command"): evolve(PROJECT, command="make install"),
    (InstallProject, "uv"): evolve(PROJECT, uv="0.13.10"),
    (InstallProject, "owner"): evolve(PROJECT, owner=None),
    (InstallProject, "group_writes"): evolve(PROJECT, group_writes=True),
    (InstallProject, "secrets"): evolve(PROJECT, secrets={"pypi": 2}),
    (SetUser, "user"): evolve(USER, user="1001"),
    (MakeDirectory, "destination"): evolve(DIRECTORY, destination="/srv"),
    (MakeDirectory, "owner"): evolve(DIRECTORY, owner=None),
    (MakeDirectory, "group_writes"): evolve(DIRECTORY, group_writes=True),
    (CopyBootstrap, "digest"): evolve(BOOTSTRAP, digest=digest("another version")),
    (NamedImage, "image"): evolve(NAMED, image=ExternalImage(ref("golang:1.22"), digest("moved"))),
    (NamedImage, "platform"): evolve(NAMED, platform=None),
    (BuildDockerfile, "lines"): evolve(DOCKERFILE, lines=("FROM python:3.11-slim", "RUN true")),
    (BuildDockerfile, "secrets"): evolve(DOCKERFILE, secrets={"pypi": 2}),
    (BuildDockerfile, "images"): evolve(DOCKERFILE, images=()),
    (BuildDockerfile, "file"): evolve(DOCKERFILE, file="docker/Dockerfile"),
    (BuildDockerfile, "numbers"): evolve(DOCKERFILE, numbers=(4,)),
    **{
        (type(item), "kind"): _of_another_kind(item)
        for item in (*SPEC.instructions, DOCKERFILE, DIRECTORY, BOOTSTRAP)
    },
}  # fmt: skip


def _with(value: Any, old: Any, new: Any) -> Any:
    """`value` with `old`, wherever it is inside, replaced by `new`."""
    if value is old:
        return new
    if isinstance(value, tuple):
        return tuple(_with(item, old, new) for item in value)
    if isinstance(value, FrozenMapping):
        return FrozenMapping({key: _with(item, old, new) for key, item in value.items()})
    if attrs.has(type(value)) and not isinstance(value, BuildOptions | Tree):
        inside = {a.name: getattr(value, a.name) for a in attrs.fields(type(value)) if a.init}
        return evolve(value, **{name: _with(item, old, new) for name, item in inside.items()})
    return value


# Only an image that is built on another of its plan has this field: see the tests of a derived image.
OF_DERIVED: Final = {(ImagePlan, "parent")}
INSIDE_AN_IMAGE: Final = tuple(
    (kind, name)
    for kind, name in FIELDS
    if kind in {type(sample) for sample in SAMPLES} and (kind, name) not in OF_DERIVED
)


def _mutated(kind: type, name: str) -> ImagePlan:
    """The image with one field of one value changed."""
    assert (kind, name) in MUTANTS, f"{kind.__name__}.{name} has no mutation: add one to MUTANTS"
    (sample,) = [sample for sample in SAMPLES if type(sample) is kind]
    mutant = MUTANTS[kind, name]
    assert getattr(mutant, name) != getattr(sample, name)
    image: ImagePlan = _with(_holder(kind), sample, mutant)
    assert image is not _holder(kind)
    return image


def _holder(kind: type) -> ImagePlan:
    """The image that has the sample of a class inside."""
    if kind in (CopyBootstrap, MakeDirectory):
        return OF_DOWNLOADED
    return OF_DOCKERFILE if kind in (BuildDockerfile, NamedImage) else IMAGE


@pytest.mark.parametrize(("kind", "name"), INSIDE_AN_IMAGE, ids=_field_id)
def test_a_mutated_field_moves_the_hashes_as_it_is_declared(kind: type, name: str) -> None:
    assert moved(_holder(kind), _mutated(kind, name)) == declared(kind, name).value


def test_no_mutation_is_left_over() -> None:
    assert set(MUTANTS) == set(INSIDE_AN_IMAGE)


# --- an image that is built on another one of its plan --------------------------------------------------


def _derived(parent: ImagePlan) -> ImagePlan:
    spec = ImageSpec(parent.spec, (InstallApt(("curl",)),))
    return ImagePlan("derived", ("ship",), spec, Checkout("linux/amd64"), DESTINATION, parent)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(("kind", "name"), INSIDE_AN_IMAGE, ids=_field_id)
def test_a_mutated_field_of_a_parent_moves_what_is_built_on_it_likewise(
    kind: type, name: str, depth: int
) -> None:
    before, after = _holder(kind), _mutated(kind, name)
    for _ in range(depth):
        before, after = _derived(before), _derived(after)
    assert moved(before, after) == declared(kind, name).value


def test_another_checkout_of_a_parent_moves_the_image_hash_alone() -> None:
    before = _derived(IMAGE)
    after = evolve(before, parent=evolve(IMAGE, checkout=Checkout()))
    assert moved(before, after) == declared(ImagePlan, "parent").value == Moves.IMAGE.value


def test_a_planned_parent_is_another_than_the_same_image_from_outside() -> None:
    derived = _derived(IMAGE)
    outside = evolve(derived, spec=evolve(derived.spec, parent=PARENT_IMAGE), parent=None)
    assert moved(derived, outside) == Moves.BOTH.value


def test_the_planned_parent_is_that_of_the_spec() -> None:
    derived = _derived(IMAGE)
    for parent in (None, _mutated(ImageSpec, "platform")):
        with pytest.raises(ValueError, match="the parent is not that of the spec"):
            evolve(derived, parent=parent)
    with pytest.raises(ValueError, match="the parent is not that of the spec"):
        evolve(IMAGE, parent=derived)


# --- a plan ---------------------------------------------------------------------------------------------

PLAN: Final = BuildPlan("training", "default", (IMAGE,))


@pytest.mark.parametrize(
    ("plan", "moves"),
    [
        (evolve(PLAN, pipeline="other"), Moves.BOTH),
        (evolve(PLAN, stack="other"), Moves.BOTH),
        (evolve(PLAN, images=()), Moves.BOTH),
        (evolve(PLAN, notes=(Note("note", "key", "a word to the user"),)), Moves.NEITHER),
        (evolve(PLAN, commit="c" * 40), Moves.NEITHER),
        # A name and the steps say nothing of an image, and are what a plan adds to its images.
        (evolve(PLAN, images=(evolve(IMAGE, name="other"),)), Moves.BOTH),
        (evolve(PLAN, images=(evolve(IMAGE, steps=("load",)),)), Moves.BOTH),
        (evolve(PLAN, images=(evolve(IMAGE, destination=Destination("x")),)), Moves.NEITHER),
        (evolve(PLAN, images=(evolve(IMAGE, build_options=BuildOptions(rm=False)),)), Moves.NEITHER),
        (evolve(PLAN, images=(evolve(IMAGE, checkout=Checkout()),)), Moves.IMAGE),
        (evolve(PLAN, images=(IMAGE, _derived(IMAGE))), Moves.BOTH),
    ],
)
def test_a_plan_covers_its_images(plan: BuildPlan, moves: Moves) -> None:
    assert (plan.spec.hash != PLAN.spec.hash, plan.hash != PLAN.hash) == moves.value


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (BuildPlan, ["pipeline", "stack", "images", "notes", "commit"]),
        (PlanSpec, ["pipeline", "stack", "images", "notes"]),
        (NamedSpec, ["name", "steps", "spec", "cache_mount", "machine_network", "secrets"]),
    ],
)
def test_every_field_of_a_plan_is_among_these(kind: type, names: list[str]) -> None:
    assert [attribute.name for attribute in attrs.fields(kind)] == names


# --- an entry of the ledger -----------------------------------------------------------------------------

PUSHED: Final = Pushed(digest("image"), ref("localhost:5000/x").pinned(digest("pushed")), "training", "prod")
PUSHED_VALUES: Final[Mapping[str, Any]] = {
    "image": digest("another image"),
    "reference": ref("localhost:5000/x").pinned(digest("pushed again")),
    "name": "training/ship",
    "stack": "dev",
}


@pytest.mark.parametrize("name", [attribute.name for attribute in attrs.fields(Pushed)])
def test_every_field_of_an_entry_of_the_ledger_moves_its_hash(name: str) -> None:
    """Without this, an entry that was edited would be believed."""
    assert name in PUSHED_VALUES, f"Pushed.{name} has no mutation: add one"
    changed: dict[str, Any] = {name: PUSHED_VALUES[name]}
    assert evolve(PUSHED, **changed).hash != PUSHED.hash
    assert _counts(Pushed, name)


# --- settings, end to end -------------------------------------------------------------------------------


@frozen
class Mutation:
    """Settings before and after, and what their difference moves.

    Without `moves`, what the field declares. Anything else has its reason beside it.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    moves: Moves | None = None


WORLD_: Final = World(
    texts={
        "docker/Dockerfile": "FROM python:3.11-slim AS first\nARG A\nFROM first\nCOPY *.py /\n",
        "docker/other.py": "", "docker/other.Dockerfile": "FROM python:3.11-slim\nRUN true\n",
        "requirements.txt": "six==1.16.1\n", "docker/ignore": "", "docker/other": "train.py\n",
        "pyproject.toml": """
            [project]
            dependencies = ["six==1.16.1"]
            optional-dependencies = { train = ["torch==2.9"] }
            [dependency-groups]
            test = ["pytest==9.0"]
        """,
    },
    programs={
        "{python} -m pip --disable-pip-version-check freeze": "six==1.16.1\n",
        "uv pip freeze --python={python}": "six==1.16.2\n-e /home/me/x\n",
        "list them": "six==1.16.3\n",
    },
    entries=(file("train.py", "1"), file("utils/io.py", "2")),
    variables={"TOKEN": "s3cr3t"},
)  # fmt: skip
NOT_INCLUDED: Final = {"allow_including_files_in_images": False}
CUSTOM: Final = {**NOT_INCLUDED, "dockerfile": "docker/Dockerfile", "build_context_root": "."}
SECRET: Final = {"local_project_install_command": "cat /run/secrets/pypi"}
SETTINGS: Final[Mapping[str, tuple[Mutation, ...]]] = {
    "parent_image": (Mutation({}, {"parent_image": "python:3.12-slim"}),),
    "image_tag": (Mutation({}, {"image_tag": "1.0.0"}),),
    "dockerfile": (
        Mutation(NOT_INCLUDED, CUSTOM),
        Mutation(CUSTOM, {**CUSTOM, "dockerfile": "docker/other.Dockerfile"}),
    ),
    # What can be copied from it counts, and that is what only a checkout can say.
    "build_context_root": (Mutation(CUSTOM, {**CUSTOM, "build_context_root": "docker"}, Moves.IMAGE),),
    "parent_image_build_config": (
        Mutation(CUSTOM, {**CUSTOM, "parent_image_build_config": {"build_options": {"target": "first"}}}),
        Mutation(
            CUSTOM, {**CUSTOM, "parent_image_build_config": {"build_options": {"buildargs": {"A": "1"}}}}
        ),
        Mutation(
            CUSTOM, {**CUSTOM, "parent_image_build_config": {"build_options": {"rm": False}}}, Moves.NEITHER
        ),
    ),
    "skip_build": (Mutation({}, {"skip_build": True}),),
    "prevent_build_reuse": (Mutation({}, {"prevent_build_reuse": True}),),
    "target_repository": (Mutation({}, {"target_repository": "team/x"}),),
    "python_package_installer": (
        Mutation({"requirements": ["six"]}, {"requirements": ["six"], "python_package_installer": "pip"}),
        # Nothing is installed, so nothing can tell the installers apart.
        Mutation({}, {"python_package_installer": "pip"}, Moves.NEITHER),
    ),
    "python_package_installer_args": (
        Mutation(
            {"requirements": ["six"]},
            {"requirements": ["six"], "python_package_installer_args": {"timeout": 10}},
        ),
        Mutation({}, {"python_package_installer_args": {"timeout": 10}}, Moves.NEITHER),
        # uv is always told which Python to install for: what the reference's flag asks for is met.
        Mutation(
            {"requirements": ["six"]},
            {"requirements": ["six"], "python_package_installer_args": {"system": None}},
            Moves.NEITHER,
        ),
        # pip has no such guarantee, and is given what was asked.
        Mutation(
            {"requirements": ["six"], "python_package_installer": "pip"},
            {
                "requirements": ["six"],
                "python_package_installer": "pip",
                "python_package_installer_args": {"system": None},
            },
        ),
        # A number is the text it becomes on a command line, and a name is the same with dashes.
        Mutation(
            {"requirements": ["six"], "python_package_installer_args": {"retry_after": 10}},
            {"requirements": ["six"], "python_package_installer_args": {"retry-after": "10"}},
            Moves.NEITHER,
        ),
    ),
    "package_indexes": (
        Mutation(
            {"requirements": ["six"]},
            {"requirements": ["six"], "package_indexes": [{"name": "x", "url": "https://x"}]},
        ),
    ),
    "prefer_own_requirements": (
        Mutation({"requirements": ["six"]}, {"requirements": ["six"], "prefer_own_requirements": True}),
    ),
    "machine_network": (
        Mutation({"requirements": ["six"]}, {"requirements": ["six"], "machine_network": True}),
        Mutation({}, {"machine_network": True}),
    ),
    "python_package_installer_cache_mount": (
        Mutation(
            {"requirements": ["six"]}, {"requirements": ["six"], "python_package_installer_cache_mount": "/c"}
        ),
        Mutation({}, {"python_package_installer_cache_mount": "/c"}),
    ),
    "python_version": (
        Mutation({"requirements": ["six"]}, {"requirements": ["six"], "python_version": "3.12"}),
    ),
    "requirements": (
        Mutation({}, {"requirements": ["six"]}),
        # What comes to the same packages is the same image.
        Mutation({"requirements": ["six"]}, {"requirements": ["six<9"]}, Moves.NEITHER),
        Mutation({"requirements": ["six==1.16.1"]}, {"requirements": ["six==1.16.2"]}),
        # What it says counts, not where it was written down.
        Mutation({"requirements": ["six==1.16.1"]}, {"requirements": "requirements.txt"}, Moves.NEITHER),
        Mutation({"requirements": ["six", "attrs"]}, {"requirements": ["attrs", "SIX"]}, Moves.NEITHER),
    ),
    "required_integrations": (
        Mutation({}, {"required_integrations": ["pytorch"]}),
        Mutation({}, {"required_integrations": ["airflow"]}, Moves.NEITHER),
        Mutation(
            {"required_integrations": ["pytorch", "lightgbm"]},
            {"required_integrations": ["lightgbm", "pytorch", "lightgbm"]},
            Moves.NEITHER,
        ),
    ),
    "disable_automatic_requirements_detection": (
        Mutation({}, {"disable_automatic_requirements_detection": False}),
        Mutation(
            {"requirements": ["torch"]},
            {"requirements": ["torch"], "disable_automatic_requirements_detection": False},
            Moves.NEITHER,
        ),
    ),
    "replicate_local_python_environment": (
        Mutation({}, {"replicate_local_python_environment": True}),
        # How they are listed does not count, only what is.
        Mutation(
            {"replicate_local_python_environment": True},
            {"replicate_local_python_environment": "pip_freeze"},
            Moves.NEITHER,
        ),
        Mutation(
            {"replicate_local_python_environment": True},
            {"replicate_local_python_environment": ["list", "them"]},
        ),
    ),
    "skip_local_packages": (
        Mutation({}, {"skip_local_packages": True}, Moves.NEITHER),
        Mutation(
            {}, {"replicate_local_python_environment": "uv_freeze", "skip_local_packages": True}, Moves.BOTH
        ),
    ),
    "pyproject_path": (Mutation({}, {"pyproject_path": "pyproject.toml"}),),
    "pyproject_extras": (
        Mutation(
            {"pyproject_path": "pyproject.toml"},
            {"pyproject_path": "./pyproject.toml", "pyproject_extras": ["Train"]},
        ),
    ),
    "pyproject_groups": (
        Mutation(
            {"pyproject_path": "pyproject.toml"},
            {"pyproject_path": "pyproject.toml", "pyproject_groups": ["test"]},
        ),
    ),
    "pyproject_export_command": (
        Mutation(
            {"pyproject_path": "pyproject.toml"},
            {"pyproject_path": "pyproject.toml", "pyproject_export_command": ["list", "them"]},
        ),
    ),
    # The stack of these images requires nothing; below is one that does.
    "install_stack_requirements": (Mutation({}, {"install_stack_requirements": False}, Moves.NEITHER),),
    "install_deployment_requirements": (
        Mutation({}, {"install_deployment_requirements": False}, Moves.NEITHER),
    ),
    "local_project_install_command": (Mutation({}, {"local_project_install_command": "pip install ."}),),
    "apt_packages": (
        Mutation({}, {"apt_packages": ["git"]}),
        Mutation({"apt_packages": ["git", "curl"]}, {"apt_packages": ["curl", "git", "git"]}, Moves.NEITHER),
    ),
    "environment": (
        Mutation({}, {"environment": {"A": "1"}}),
        Mutation({"environment": {"A": "1"}}, {"environment": {"A": "2"}}),
        Mutation({"environment": {"A": "1"}}, {"environment": {"a": "1"}}),
        Mutation({"environment": {"A": "1"}}, {"environment": {"A": "${TOKEN}"}}),
        Mutation({"environment": {"A": "1"}}, {"runtime_environment": {"A": "1"}}),
    ),
    "runtime_environment": (Mutation({}, {"runtime_environment": {"A": "1"}}),),
    "secrets": (
        Mutation({}, {"secrets": {"pypi": {"env": "TOKEN", "version": 2}}}),
        Mutation(SECRET | {"secrets": {"pypi": {"env": "A"}}}, SECRET | {"secrets": {"pypi": {"file": "b"}}}),
        Mutation(
            SECRET | {"secrets": {"pypi": {"env": "A"}}},
            SECRET | {"secrets": {"pypi": {"env": "A", "version": 2}}},
            Moves.BOTH,
        ),
    ),
    "user": (Mutation({}, {"user": "1000"}), Mutation({"user": "1000"}, {"user": "1000:1000"})),
    "writable_by_any_user": (
        Mutation({}, {"writable_by_any_user": True}),
        # Said or not, it is the default.
        Mutation({}, {"writable_by_any_user": False}, Moves.NEITHER),
        Mutation(NOT_INCLUDED, {**NOT_INCLUDED, "writable_by_any_user": True}, Moves.NEITHER),
    ),
    "build_config": (Mutation({}, {"build_config": {"build_options": {"labels": {"a": "b"}}}}),),
    # Without a code repository and an artifact store there is nothing to download from.
    "allow_download_from_code_repository": (
        Mutation({}, {"allow_download_from_code_repository": False}, Moves.NEITHER),
    ),
    "allow_download_from_artifact_store": (
        Mutation({}, {"allow_download_from_artifact_store": False}, Moves.NEITHER),
    ),
    "allow_including_files_in_images": (
        Mutation({"apt_packages": ["git"]}, {"apt_packages": ["git"], **NOT_INCLUDED}),
        Mutation({}, NOT_INCLUDED),
    ),
}
BUILD_OPTIONS: Final[Mapping[str, tuple[Mutation, ...]]] = {
    "build_args": (
        Mutation({}, {"build_args": {"A": "1"}}),
        Mutation({"buildargs": {"A": "1"}}, {"buildargs": {"A": "2"}}),
    ),
    "cache_from": (Mutation({}, {"cache_from": ["python:3.11"]}),),
    "no_cache": (Mutation({}, {"no_cache": True}),),
    "shm_size": (Mutation({}, {"shm_size": "1g"}),),
    "pull": (Mutation({}, {"pull": True}),),
    "rm": (Mutation({}, {"rm": False}),),
    "labels": (Mutation({}, {"labels": {"team": "vision"}}),),
    "platform": (
        Mutation({}, {"platform": "linux/arm64"}),
        # Asking for this machine's platform is writing it down: what the lock holds changes.
        Mutation({}, {"platform": "linux/amd64"}),
    ),
    "other": (
        Mutation({}, {"network": "host"}),
        Mutation({}, {"network": "default"}, Moves.NEITHER),
        Mutation({"add_host": ["a:10.0.0.1"]}, {"extra_hosts": {"a": "10.0.0.1"}}, Moves.NEITHER),
    ),
    "tuning": (Mutation({}, {"memory": "1g", "force_rm": False, "ulimit": {"nofile": 1024}}),),
}  # fmt: skip
BUILD_CONFIG: Final[Mapping[str, tuple[Mutation, ...]]] = {
    "build_options": (Mutation({}, {"build_options": {"labels": {"a": "b"}}}),),
    "dockerignore": (
        # Not its name, and not its text …
        Mutation({}, {"dockerignore": "docker/ignore"}, Moves.IMAGE),
        # … only its effect: here one file less, and that is what only a checkout can say.
        Mutation({"dockerignore": "docker/ignore"}, {"dockerignore": "docker/other"}, Moves.IMAGE),
    ),
}
SET: Final[Mapping[type, Mapping[str, tuple[Mutation, ...]]]] = {
    DockerSettings: SETTINGS,
    BuildConfig: BUILD_CONFIG,
    BuildOptions: BUILD_OPTIONS,
}


def _settings(kind: type, table: Mapping[str, Any]) -> DockerSettings:
    """Settings with `table` where values of this kind go."""
    match kind.__name__:
        case "DockerSettings":
            return DockerSettings(**{"parent_image": PARENT, **table})
        case "BuildConfig":
            config = BuildConfig(**table)
        case _:
            config = BuildConfig(build_options=BuildOptions.decode(table))
    return DockerSettings(parent_image=PARENT, build_config=config)


def _image(kind: type, table: Mapping[str, Any]) -> ImagePlan:
    return image_of(_settings(kind, table), world=WORLD_)


# `target` is a stage of a custom Dockerfile, and refused of any other image: see `parent_image_build_config`.
REFUSED_TOGETHER: Final = {(BuildOptions, "target")}
PLANNED: Final = tuple(
    (kind, name) for kind, name in FIELDS if kind in SET and (kind, name) not in REFUSED_TOGETHER
)


@pytest.mark.parametrize(("kind", "name"), PLANNED, ids=_field_id)
def test_a_mutated_setting_moves_the_hashes_of_its_image(kind: type, name: str) -> None:
    assert name in SET[kind], f"{kind.__name__}.{name} has no mutation: add one"
    for mutation in SET[kind][name]:
        before, after = _image(kind, mutation.before), _image(kind, mutation.after)
        assert moved(before, after) == (mutation.moves or declared(kind, name)).value, mutation


@pytest.mark.parametrize("kind", SET)
def test_giving_the_default_is_giving_nothing(kind: Any) -> None:
    plain = _image(kind, {})
    for name in SET[kind]:
        if name != "parent_image" and (kind, name) != (BuildConfig, "dockerignore"):
            assert moved(plain, _image(kind, {name: kind.default(name)})) == Moves.NEITHER.value, name


@pytest.mark.parametrize("name", SETTINGS)
def test_where_a_setting_was_written_does_not_count(name: str) -> None:
    """The cascade is gone when hashes are made: the same settings are the same image from any layer."""
    for mutation in SETTINGS[name]:
        whole = _image(DockerSettings, mutation.after)
        (of_step,) = plan_of({}, {"train": mutation.after}, world=WORLD_).images
        assert moved(whole, of_step) == Moves.NEITHER.value, mutation
        # A layer above replaces what is below it; tables merge, so that only equal names are replaced.
        if name in mutation.after and not isinstance(mutation.after[name], Mapping):
            below = {name: mutation.before[name]} if name in mutation.before else {}
            (over,) = plan_of(below, {"train": mutation.after}, world=WORLD_).images
            assert moved(whole, over) == Moves.NEITHER.value, mutation


def test_no_mutation_of_a_setting_is_left_over() -> None:
    assert {(kind, name) for kind, names in SET.items() for name in names} == set(PLANNED)


SECRETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "env": {"env": "OTHER"},
    "file": {"env": None, "file": "token"},
    "version": {"version": 2},
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_mutated_secret_moves_the_hashes_of_what_is_built_with_it(name: str) -> None:
    before, after = (
        image_of({**SECRET, "secrets": {"pypi": {"env": "TOKEN", **table}}}) for table in ({}, SECRETS[name])
    )
    assert moved(before, after) == declared(Secret, name).value


def test_a_stage_is_refused_where_there_is_no_custom_dockerfile() -> None:
    with pytest.raises(PlannerError, match=r"build_options\.target: only a custom Dockerfile has stages"):
        image_of({"build_config": {"build_options": {"target": "runtime"}}})


# --- pipelines and stacks: where and for what, and what the stack needs ----------------------------------

PLAIN: Final = DockerSettings(parent_image=PARENT, required_integrations=["own"])
PIPELINE: Final = Pipeline(
    name="training", steps=["train"], settings=PLAIN, integrations={"own": {"requirements": ["six>=1"]}}
)
STACK: Final = Stack(
    container_registry={"uri": "localhost:5000/team", "default_repository": "models"},
    components={"deployer": {}, "artifact_store": {"uri": "s3://a"}, "step_operator": {}},
)
REGISTRY: Final = STACK.container_registry
assert REGISTRY is not None
HERE: Final = Place(file="pipe.py", line=3)
SIX: Final[Mapping[str, Any]] = {"requirements": ["six>=2"]}
WHERE_VALUES: Final[Mapping[tuple[type, str], Any]] = {
    (Pipeline, "name"): evolve(PIPELINE, name="other"),
    (Pipeline, "steps"): evolve(PIPELINE, steps=["ship"]),
    # What the settings say counts, and is mutated above; that a pipeline says it does not.
    (Pipeline, "settings"): evolve(
        PIPELINE, settings=DockerSettings(), steps=[Step(name="train", settings=PLAIN)]
    ),
    (Pipeline, "deployment"): evolve(PIPELINE, deployment=SIX),
    (Pipeline, "integrations"): evolve(PIPELINE, integrations={"own": SIX}),
    (Pipeline, "secrets"): evolve(PIPELINE, secrets={"pypi": {"env": "TOKEN"}}),
    (Pipeline, "code_repositories"): evolve(
        PIPELINE, code_repositories={"team": {"type": "git", "url": "https://example.com/x"}}
    ),
    # Of a repository that the checkout is not of; see the tests of deliveries for one that it is of.
    (CodeRepository, "name"): CodeRepository(name="other", type="git", url="https://example.com/x"),
    (CodeRepository, "type"): CodeRepository(name="team", type="github", url="https://example.com/o/x"),
    (CodeRepository, "url"): CodeRepository(name="team", type="git", url="https://example.com/y"),
    (CodeRepository, "secret"): CodeRepository(name="team", type="git", url="https://e.com/x", secret="git"),
    (Step, "name"): Step(name="ship"),
    (Step, "settings"): Step(name="train", settings=PLAIN),
    # What it says over the settings of the pipeline: the same.
    (Pipeline, "origin"): evolve(PIPELINE, origin=HERE),
    (Pipeline, "overrides"): evolve(
        PIPELINE, settings=DockerSettings(), overrides=(WrittenSettings(PLAIN, HERE),)
    ),
    (Step, "origin"): Step(name="train", origin=HERE),
    (Step, "overrides"): Step(name="train", overrides=(WrittenSettings(PLAIN, HERE),)),
    (Step, "entrypoint"): Step(name="train", entrypoint=Command(("true",))),
    (Step, "after"): Step(name="train", after=()),
    (Step, "step_operator"): Step(name="train", step_operator="gpu"),
    (Command, "argv"): Step(name="train", entrypoint=Command(("false",))),
    (Function, "source"): Step(name="train", entrypoint=Function("m:f")),
    (Function, "inputs"): Step(name="train", entrypoint=Function("m:f", {"a": 1})),
    (Function, "outputs"): Step(name="train", entrypoint=Function("m:f", outputs=("a",))),
    (Output, "step"): Step(name="train", entrypoint=Function("m:f", {"a": Output("load")})),
    (Output, "name"): Step(name="train", entrypoint=Function("m:f", {"a": Output("load", "rest")})),
    (Stack, "name"): evolve(STACK, name="prod"),
    (Stack, "container_registry"): evolve(STACK, container_registry=None),
    (Stack, "components"): evolve(STACK, components={"deployer": SIX}),
    (ContainerRegistry, "uri"): evolve(REGISTRY, uri="ghcr.io/team"),
    (ContainerRegistry, "default_repository"): evolve(REGISTRY, default_repository="x"),
    (ContainerRegistry, "flavor"): evolve(REGISTRY, flavor="aws"),
    (ContainerRegistry, "requirements"): evolve(REGISTRY, **SIX),
    (ContainerRegistry, "apt_packages"): evolve(REGISTRY, apt_packages=["git"]),
    (Component, "flavor"): Component(flavor="wandb"),
    (Component, "requirements"): Component(**SIX),
    (Component, "apt_packages"): Component(apt_packages=["git"]),
    (ArtifactStore, "uri"): ArtifactStore(uri="s3://b"),
    (ArtifactStore, "flavor"): ArtifactStore(uri="s3://a", flavor="s3"),
    (ArtifactStore, "requirements"): ArtifactStore(uri="s3://a", **SIX),
    (ArtifactStore, "apt_packages"): ArtifactStore(uri="s3://a", apt_packages=["git"]),
    (StepOperator, "name"): StepOperator(name="gpu"),
    (StepOperator, "flavor"): StepOperator(flavor="vertex"),
    (StepOperator, "requirements"): StepOperator(**SIX),
    (StepOperator, "apt_packages"): StepOperator(apt_packages=["git"]),
    (DeploymentSettings, "requirements"): DeploymentSettings(**SIX),
    (DeploymentSettings, "apt_packages"): DeploymentSettings(apt_packages=["git"]),
    (PackageIndex, "name"): PackageIndex(name="other", url="https://x"),
    (PackageIndex, "url"): PackageIndex(name="corp", url="https://y"),
    (PackageIndex, "secret"): PackageIndex(name="corp", url="https://x", secret="pypi"),  # a name
    (PackageIndex, "packages"): PackageIndex(name="corp", url="https://x", packages=["s*"]),
    (Integration, "requirements"): Integration(**SIX),
    (Integration, "apt_packages"): Integration(apt_packages=["git"], requirements=["six>=1"]),
    # What the three have in common.
    (Dependencies, "requirements"): Integration(**SIX),
    (Dependencies, "apt_packages"): Integration(apt_packages=["git"], requirements=["six>=1"]),
}
WHERE: Final = tuple((kind, name) for kind, name in FIELDS if kind in {kind for kind, _ in WHERE_VALUES})


@pytest.mark.parametrize(("kind", "name"), WHERE, ids=_field_id)
def test_what_pipelines_and_stacks_say_of_an_image(kind: type, name: str) -> None:
    assert (kind, name) in WHERE_VALUES, f"{kind.__name__}.{name} has no mutation: add one"
    value = WHERE_VALUES[kind, name]
    pipeline, stack = PIPELINE, STACK
    loading = Step(name="load", entrypoint=Function("m:f", outputs=("output", "rest")))
    others = [loading] if kind is Output else []
    if kind in (Function, Output):
        # A function brings along what starts it, whatever function it is.
        pipeline = evolve(PIPELINE, steps=[*others, Step(name="train", entrypoint=Function("m:g"))])
    before = make_plan(pipeline, stack, observed(pipeline, stack, WORLD_))
    match value:
        case Pipeline():
            pipeline = value
        case Step():
            pipeline = evolve(PIPELINE, steps=[*others, value])
        case Stack():
            stack = value
        case ContainerRegistry():
            stack = evolve(STACK, container_registry=value)
        case ArtifactStore():
            stack = evolve(STACK, components={**STACK.components, "artifact_store": value})
        case StepOperator():
            stack = evolve(STACK, components={**STACK.components, "step_operator": value})
        case Component():
            stack = evolve(STACK, components={**STACK.components, "deployer": value})
        case DeploymentSettings():
            pipeline = evolve(PIPELINE, deployment=value)
        case CodeRepository():
            pipeline = evolve(PIPELINE, code_repositories={"team": value})
        case PackageIndex():
            told = evolve(PLAIN, package_indexes=[value], secrets={"pypi": {"env": "TOKEN"}})
            pipeline = evolve(PIPELINE, settings=told)
        case _:
            pipeline = evolve(PIPELINE, integrations={"own": value})
    after = make_plan(pipeline, stack, observed(pipeline, stack, WORLD_))
    assert moved(before.images[0], after.images[0]) == declared(kind, name).value


def test_what_the_stack_and_its_deployer_need_can_be_left_out() -> None:
    stack = evolve(STACK, components={"deployer": SIX, "orchestrator": {"apt_packages": ["git"]}})
    bare = evolve(PIPELINE, deployment={"requirements": ["click>=8"]})
    whole = make_plan(bare, stack, observed(bare, stack, WORLD_)).images[0]
    assert [getattr(item, "source", item.kind) for item in whole.spec.instructions] == [
        "apt", "stack", "deployment", "integrations", "files",
    ]  # fmt: skip
    for name, layers in (
        ("install_stack_requirements", ["deployment", "integrations", "files"]),
        ("install_deployment_requirements", ["apt", "stack", "integrations", "files"]),
    ):
        table: dict[str, Any] = {name: False}
        asked = evolve(bare, settings=evolve(PLAIN, **table))
        (image,) = make_plan(asked, stack, observed(asked, stack, WORLD_)).images
        assert [getattr(item, "source", item.kind) for item in image.spec.instructions] == layers


def test_no_mutation_of_a_pipeline_or_a_stack_is_left_over() -> None:
    assert set(WHERE_VALUES) == set(WHERE)
    everything = {*INSIDE_AN_IMAGE, *OF_DERIVED, *PLANNED, *WHERE, *REFUSED_TOGETHER}
    everything |= {(Secret, name) for name in SECRETS}
    everything |= {(Pushed, name) for name in PUSHED_VALUES}
    assert everything == set(FIELDS)


# --- parents, files and variables: the world, mutated ---------------------------------------------------


def _in(world: World, **given: Any) -> ImagePlan:
    return image_of({"environment": {"A": "${TOKEN}"}, **given}, world=world)


def test_a_moved_parent_is_another_image() -> None:
    moved_world = evolve(WORLD_, pins={PARENT: Pin(digest("moved"), "manifest")})
    assert moved(_in(WORLD_), _in(moved_world)) == Moves.BOTH.value


def test_another_name_for_the_same_parent_is_the_same_image() -> None:
    same = Pin(digest("same"), "manifest")
    world = evolve(WORLD_, pins={"python:3.11": same, "ghcr.io/mirror/python:3": same})
    one, other = (_in(world, parent_image=name) for name in ("python:3.11", "ghcr.io/mirror/python:3"))
    assert moved(one, other) == Moves.NEITHER.value


def test_what_the_digest_is_of_does_not_count() -> None:
    manifest, index = (
        _in(evolve(WORLD_, pins={PARENT: pin}))
        for pin in (
            Pin(digest("same"), "manifest", "linux/arm64"),
            Pin(digest("same"), "index", "linux/amd64", digest("one of several")),
        )
    )
    assert moved(manifest, index) == Moves.NEITHER.value


def test_an_unpinned_parent_is_another_image_than_a_pinned_one() -> None:
    unpinned = evolve(WORLD_, pins={PARENT: Pin(reason="the registry is away"), "python:3.12": Pin()})
    assert moved(_in(WORLD_), _in(unpinned)) == Moves.BOTH.value
    # Then its name is all that is known of it.
    assert moved(_in(unpinned), _in(unpinned, parent_image="python:3.12")) == Moves.BOTH.value


def test_a_parent_that_no_registry_knows_counts_by_the_engine_s_id() -> None:
    local = {"localhost/base:1": digest("one")}
    one, other, none = (
        _in(evolve(WORLD_, local=ids), parent_image="localhost/base:1")
        for ids in (local, {"localhost/base:1": digest("rebuilt")}, {})
    )
    assert moved(one, other) == Moves.IMAGE.value
    assert moved(one, none) == Moves.IMAGE.value
    # Where the digest is known, what the engine calls the image says nothing.
    assert moved(_in(WORLD_), _in(evolve(WORLD_, local={PARENT: digest("one")}))) == Moves.NEITHER.value


def test_the_machine_s_platform_is_the_machine_s() -> None:
    arm = evolve(WORLD_, platform="linux/arm64")
    assert moved(_in(WORLD_), _in(arm)) == Moves.IMAGE.value
    asked = {"build_config": {"build_options": {"platform": "linux/amd64"}}}
    assert moved(_in(WORLD_, **asked), _in(arm, **asked)) == Moves.NEITHER.value


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param((file("train.py", "changed"), file("utils/io.py", "2")), id="content"),
        pytest.param((file("train.py", "1", Kind.EXECUTABLE), file("utils/io.py", "2")), id="executable bit"),
        pytest.param((file("Train.py", "1"), file("utils/io.py", "2")), id="name"),
        pytest.param((file("train.py", "1"), file("io.py", "2")), id="directory"),
        pytest.param((file("train.py", "1"),), id="one less"),
        pytest.param((file("train.py", "1"), file("utils/io.py", "2"), file("a", "")), id="one more"),
        pytest.param((file("train.py", "2"), file("utils/io.py", "1")), id="contents swapped"),
        pytest.param((link("train.py", "utils/io.py"), file("utils/io.py", "2")), id="a link now"),
    ],
)
def test_a_code_edit_moves_the_image_hash_alone(entries: tuple[Any, ...]) -> None:
    assert moved(_in(WORLD_), _in(evolve(WORLD_, entries=entries))) == Moves.IMAGE.value


def test_where_a_link_points_counts() -> None:
    one, other = (
        _in(evolve(WORLD_, entries=(file("a"), file("b"), link("to", target)))) for target in ("a", "b")
    )
    assert moved(one, other) == Moves.IMAGE.value


def test_without_included_files_no_file_counts() -> None:
    edited = evolve(WORLD_, entries=())
    assert moved(_in(WORLD_, **NOT_INCLUDED), _in(edited, **NOT_INCLUDED)) == Moves.NEITHER.value


def test_an_ignore_file_counts_by_its_effect_alone() -> None:
    def planned(ignore: str) -> ImagePlan:
        texts = {"requirements.txt": "", ".dockerignore": ignore}
        return _in(evolve(WORLD_, texts=texts))

    none = planned("")
    assert moved(none, planned("# a comment\n\nno-such-file\n")) == Moves.NEITHER.value
    assert moved(none, planned("utils\n")) == Moves.IMAGE.value
    assert moved(planned("utils\n"), planned("**/io.py\n")) == Moves.NEITHER.value


def test_another_value_of_a_variable_moves_the_image_hash_alone() -> None:
    other = evolve(WORLD_, variables={"TOKEN": "rotated"})
    assert moved(_in(WORLD_), _in(other)) == Moves.IMAGE.value
    # A variable that no setting refers to is not even looked at.
    more = evolve(WORLD_, variables={"TOKEN": "s3cr3t", "UNUSED": "x"})
    assert moved(_in(WORLD_), _in(more)) == Moves.NEITHER.value


# --- what stands for a variable's value -----------------------------------------------------------------


@some.examples(10)
@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1))
def test_no_plain_hash_of_a_value_is_in_an_image(value: str) -> None:
    """Whoever has the lock and a list of passwords must not be able to check them quickly."""
    image = _in(evolve(WORLD_, variables={"TOKEN": value}))
    (fingerprint,) = image.checkout.variables.values()
    hashed = canonical(image)
    for algorithm in ("sha256", "sha1", "md5", "sha512", "blake2b"):
        plain = hashlib.new(algorithm, value.encode())
        assert fingerprint.hex != plain.hexdigest()
        assert plain.hexdigest().encode() not in hashed
        assert plain.digest() not in hashed


def test_equal_values_of_two_variables_do_not_show_as_equal() -> None:
    assert variable_fingerprint("A", "same") != variable_fingerprint("B", "same")
    assert variable_fingerprint("A", "same") == variable_fingerprint("A", "same")
    assert variable_fingerprint("A", "") != variable_fingerprint("A", " ")


def test_a_fingerprint_is_the_same_for_ever() -> None:
    """An image that was pushed is found again by its hash: this value may not change."""
    salt = b"l3:s17:stowplan/variablei2;s5:TOKEN"
    assert canonical(("stowplan/variable", 2, "TOKEN")) == salt
    expected = hashlib.scrypt(b"s3cr3t", salt=salt, n=2**14, r=8, p=1, dklen=32)
    assert variable_fingerprint("TOKEN", "s3cr3t").hex == expected.hex()
