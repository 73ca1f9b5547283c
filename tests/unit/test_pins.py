"""What a lock pins holds: it is not asked for again, and moves only when it is released."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from attrs import evolve

from planner import (
    ImageDigest,
    ImageRef,
    Lock,
    Pin,
    Pins,
    PlannerError,
    PlanSpec,
    PythonPackageInstaller,
    Stack,
    dumps,
    loads,
    make_plan,
    needs,
)
from planner.image.instructions import InstallProject, InstallRequirements
from planner.planning import UV_VERSION
from tests.builders import PARENT, World, asked, digest, file, observed, pipeline_of, plan_of, ref, spec_of

OLD = World(pins={PARENT: Pin(digest("old"), "index", "linux/amd64")})
NEW = World(pins={PARENT: Pin(digest("new"), "index", "linux/amd64")})
DOWN = World(pins={PARENT: Pin(reason="the registry cannot be reached", transient=True)})
PROD = Stack(name="prod", container_registry={"uri": "localhost:5000/team"})
PARENTS = ("parent_image", "python:3.12")
ARM = {"build_config": {"build_options": {"platform": "linux/arm64"}}}
SIX = {"requirements": ["six>=1"]}


def pins_of(*plans: PlanSpec, **given: Any) -> Pins:
    """What the lock of these plans pins, read back from its text."""
    return Pins(loads(dumps(Lock(plans))), **given)


def digests(spec: PlanSpec) -> list[str]:
    """The digest of each image's parent, as the text that it was made of."""
    known = {digest(text): text for text in ("old", "new", "other")}
    return [known.get(image.spec.external.digest, "?") for image in spec.images]  # type: ignore[arg-type]


def with_installer(spec: PlanSpec, version: str) -> PlanSpec:
    """The plan, as another release of stowplan wrote it."""

    def edited(items: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(
            evolve(item, installer=evolve(item.installer, version=version))
            if isinstance(item, InstallRequirements)
            else item
            for item in items
        )

    images = tuple(
        evolve(image, spec=evolve(image.spec, instructions=edited(image.spec.instructions)))
        for image in spec.images
    )
    return evolve(spec, images=images)


# --- parents --------------------------------------------------------------------------------------------


def test_a_pinned_parent_is_not_asked_for_again() -> None:
    pins = pins_of(spec_of(world=OLD))
    assert ImageDigest(ref(PARENT)) in asked({}, NEW)
    assert not any(isinstance(need, ImageDigest) for need in asked({}, NEW, pins=pins))
    assert needs(pipeline_of(), Stack(), pins=pins, checkout=False) == ()
    plan = plan_of(world=NEW, pins=pins)
    assert digests(plan.spec) == ["old"]
    assert plan == plan_of(world=OLD)
    assert plan.hash == plan_of(world=OLD).hash


def test_a_pin_holds_when_the_registry_is_down() -> None:
    """No note, and the very plan that was locked: the registry was not asked."""
    plan = plan_of(world=DOWN, pins=pins_of(spec_of(world=OLD)))
    assert plan == plan_of(world=OLD)
    assert not [note for note in plan.notes if note.code == "unpinned"]


def test_a_pin_keeps_what_was_said_of_it() -> None:
    """Of what kind the digest is, and for which platform it was looked up."""
    pin = Pin(digest("old"), "manifest", "linux/arm64", digest("manifest"))
    pins = pins_of(spec_of(world=World(pins={PARENT: pin})))
    (image,) = spec_of(world=NEW, pins=pins).images
    assert image.spec.external.pin == pin
    assert [note.code for note in plan_of(world=NEW, pins=pins).notes][0] == "other-platform"  # noqa: RUF015


@pytest.mark.parametrize(
    "edit",
    [
        SIX,
        {"apt_packages": ["git"]},
        {"environment": {"A": "1"}},
        {"skip_build": True},
        {"user": "1000"},
        {"build_config": {"build_options": {"labels": {"a": "1"}}}},
    ],
)
def test_an_edit_of_something_else_does_not_move_the_base(edit: dict[str, Any]) -> None:
    pins = pins_of(spec_of({"requirements": ["attrs"]}, world=OLD))
    assert digests(spec_of(edit, world=NEW, pins=pins)) == ["old"]
    # A digest that moved while the lock says the old one is looked for on request only.
    assert digests(spec_of(edit, world=NEW)) == ["new"]


def test_an_edit_of_the_code_does_not_move_the_base() -> None:
    pins = pins_of(spec_of(world=OLD))
    edited = evolve(NEW, entries=(file("train.py", "edited"),))
    plan = plan_of(world=edited, pins=pins)
    assert plan.spec == spec_of(world=OLD)
    assert plan.hash != plan_of(world=OLD).hash


def test_a_new_step_s_image_takes_the_pipeline_s_pin() -> None:
    pins = pins_of(spec_of(world=OLD))
    steps = {"train": {}, "report": {"user": "1000"}}
    assert digests(spec_of(steps=steps, world=NEW, pins=pins)) == ["old", "old"]


def test_the_stacks_of_a_pipeline_share_its_pins() -> None:
    pins = pins_of(spec_of(world=OLD))
    assert digests(spec_of(stack=PROD, world=NEW, pins=pins)) == ["old"]
    # Its own stack's come first.
    both = pins_of(spec_of(world=OLD), spec_of(stack=PROD, world=NEW))
    assert digests(spec_of(world=DOWN, pins=both)) == ["old"]
    assert digests(spec_of(stack=PROD, world=DOWN, pins=both)) == ["new"]
    third = spec_of(stack=Stack(name="third"), world=DOWN, pins=both)
    assert digests(third) in (["old"], ["new"])


def test_no_pipeline_takes_another_s_pin() -> None:
    pins = pins_of(spec_of(name="other", world=OLD))
    assert digests(spec_of(world=NEW, pins=pins)) == ["new"]
    assert ImageDigest(ref(PARENT)) in needs(pipeline_of(), Stack(), pins=pins, checkout=False)
    # Not one whose name begins alike, either.
    pins = pins_of(spec_of(name="train", world=OLD), spec_of(name="training-2", world=OLD))
    assert digests(spec_of(world=NEW, pins=pins)) == ["new"]


def test_another_platform_is_another_pin() -> None:
    pins = pins_of(spec_of(world=OLD))
    assert digests(spec_of(ARM, world=NEW, pins=pins)) == ["new"]
    pins = pins_of(spec_of(ARM, world=OLD))
    assert digests(spec_of(world=NEW, pins=pins)) == ["new"]
    assert digests(spec_of(ARM, world=NEW, pins=pins)) == ["old"]


def test_another_reference_is_another_pin() -> None:
    pins = pins_of(spec_of(world=OLD))
    world = evolve(NEW, pins={**NEW.pins, "python:3.12": Pin(digest("other"))})
    assert digests(spec_of({"parent_image": "python:3.12"}, world=world, pins=pins)) == ["other"]


def test_a_digest_in_the_settings_wins_over_the_lock() -> None:
    pins = pins_of(spec_of(world=OLD))
    pinned = {"parent_image": f"{PARENT}@{digest('new')}"}
    assert digests(spec_of(pinned, world=DOWN, pins=pins)) == ["new"]


def test_a_parent_that_was_locked_unpinned_is_asked_for_again() -> None:
    """What could not be told then may be told now."""
    pins = pins_of(spec_of(world=DOWN))
    assert digests(spec_of(world=NEW, pins=pins)) == ["new"]


def test_each_step_keeps_its_own_image_s_pin() -> None:
    """Of two pins of one reference, the one of the image that the step runs in."""
    a = spec_of({"user": "1"}, ("a",), world=OLD).images[0]
    b = spec_of({"user": "2"}, ("b",), world=NEW).images[0]
    locked = PlanSpec("training", "default", (evolve(a, name="training/a"), evolve(b, name="training/b")))
    steps = {"a": {"user": "1"}, "b": {"user": "2"}}
    found = spec_of(steps=steps, world=DOWN, pins=pins_of(locked))
    assert digests(found) == ["old", "new"]
    assert found == locked


# --- releases -------------------------------------------------------------------------------------------


def test_a_digest_that_a_step_names_is_no_pin_of_another_step() -> None:
    """Locked twice, the lock is the same."""
    settings: dict[str, Any] = {
        "load": {"parent_image": f"python:3.12@{digest('old')}"},
        "train": {"parent_image": "python:3.12", "environment": {"A": "1"}},
    }
    world = World(pins={"python:3.12": Pin(reason="the registry cannot be reached", transient=True)})
    first = spec_of(steps=settings, world=world)
    again = spec_of(steps=settings, world=world, pins=pins_of(first))
    assert digests(first) == ["old", "?"]
    assert again == first


def test_a_digest_that_a_step_names_is_no_pin_of_a_new_step() -> None:
    named = {"parent_image": f"python:3.12@{digest('old')}"}
    world = World(pins={"python:3.12": Pin(digest("new"), "index")})
    first = spec_of(steps={"load": named}, world=world)
    steps = {"load": named, "train": {"parent_image": "python:3.12"}}
    assert digests(spec_of(steps=steps, world=world, pins=pins_of(first))) == ["old", "new"]


def test_what_was_looked_up_for_a_step_is_the_pin_of_a_new_step() -> None:
    """One reference stays one image, until it is upgraded."""
    old, new = (World(pins={"python:3.12": Pin(digest(text), "index")}) for text in ("old", "new"))
    parent = {"parent_image": "python:3.12"}
    first = spec_of(steps={"load": parent}, world=old)
    steps = {"load": parent, "train": {**parent, "environment": {"A": "1"}}}
    assert digests(spec_of(steps=steps, world=new, pins=pins_of(first))) == ["old", "old"]


def test_all_pins_can_be_released() -> None:
    pins = pins_of(with_installer(spec_of(SIX, world=OLD), "0.1.0"), all_released=True)
    assert spec_of(SIX, world=NEW, pins=pins) == spec_of(SIX, world=NEW)


def test_one_reference_can_be_released() -> None:
    world = evolve(OLD, pins={**OLD.pins, "python:3.12": Pin(digest("old"))})
    moved = evolve(NEW, pins={**NEW.pins, "python:3.12": Pin(digest("new"))})
    steps = {"a": {}, "b": {"parent_image": "python:3.12"}}
    locked = with_installer(spec_of(SIX, steps, world=world), "0.1.0")
    released = frozenset({ImageRef.parse("python:3.12")})
    found = spec_of(SIX, steps, world=moved, pins=pins_of(locked, released=released))
    assert digests(found) == ["old", "new"]
    # A base that is looked for anew is not the installer.
    assert [image.spec.uv for image in found.images] == ["0.1.0"] * 2
    assert needs(
        pipeline_of(SIX, steps), Stack(), pins=pins_of(locked, released=released), checkout=False
    ) == (ImageDigest(ref("python:3.12")),)


# --- the installer --------------------------------------------------------------------------------------


def installer_version(spec: PlanSpec) -> str | None:
    (image,) = spec.images
    return image.spec.uv


def test_the_uv_of_a_project_s_command_is_pinned() -> None:
    command = {"local_project_install_command": "uv pip install ."}
    locked = spec_of(command)
    (image,) = locked.images
    *before, project = image.spec.instructions
    assert isinstance(project, InstallProject)
    spec = evolve(image.spec, instructions=(*before, evolve(project, uv="0.1.0")))
    older = evolve(locked, images=(evolve(image, spec=spec),))
    # Also where requirements come that uv installs.
    for table in (command, {**command, **SIX}):
        assert installer_version(spec_of(table, pins=pins_of(older))) == "0.1.0"
    assert installer_version(spec_of(command, pins=pins_of(older, all_released=True))) == UV_VERSION


def test_the_installer_s_version_is_pinned() -> None:
    locked = with_installer(spec_of(SIX, world=OLD), "0.1.0")
    pins = pins_of(locked)
    assert spec_of(SIX, world=NEW, pins=pins) == locked
    # An edit of the requirements does not move it, nor does a new stack.
    assert installer_version(spec_of({"requirements": ["attrs"]}, world=NEW, pins=pins)) == "0.1.0"
    assert installer_version(spec_of(SIX, stack=PROD, world=NEW, pins=pins)) == "0.1.0"
    # Nor can another pipeline's.
    assert installer_version(spec_of(SIX, world=NEW, name="other", pins=pins)) == UV_VERSION


def test_pip_has_no_version_and_takes_none() -> None:
    """It is the parent image's own, pinned by its digest."""
    pins = pins_of(with_installer(spec_of(SIX, world=OLD), "0.1.0"))
    pip = {**SIX, "python_package_installer": "pip"}
    assert installer_version(spec_of(pip, world=NEW, pins=pins)) is None
    back = pins_of(spec_of(pip, world=OLD))
    assert installer_version(spec_of(SIX, world=NEW, pins=back)) == UV_VERSION
    assert PythonPackageInstaller("pip") is PythonPackageInstaller.PIP


def test_the_first_requirements_of_a_pipeline_are_installed_by_this_release_s_uv() -> None:
    assert installer_version(spec_of(SIX, world=NEW, pins=pins_of(spec_of(world=OLD)))) == UV_VERSION


# --- frozen ---------------------------------------------------------------------------------------------


def test_frozen_takes_the_specs_of_the_lock_as_they_are() -> None:
    locked = with_installer(spec_of({"requirements": ["six==1.0"]}, world=OLD), "0.1.0")
    pins = pins_of(locked)
    pipeline = pipeline_of({"requirements": "changed.txt", "apt_packages": ["git"], "parent_image": "x"})
    facts = observed(pipeline_of(), world=OLD)
    assert not any(
        type(need).__name__ in ("ImageDigest", "RequirementsFile")
        for need in needs(pipeline, Stack(), pins=pins, frozen=True)
    )
    plan = make_plan(pipeline, Stack(), facts, pins=pins, frozen=True)
    assert plan.spec == locked


def test_frozen_asks_for_the_variables_and_files_of_the_locked_specs() -> None:
    locked = spec_of({"environment": {"A": "${OLD}"}}, world=OLD)
    pipeline = pipeline_of({"environment": {"A": "${NEW}"}})
    asked_for = {
        getattr(need, "name", "")
        for need in needs(pipeline, Stack(), pins=pins_of(locked), frozen=True)
        if type(need).__name__ == "Variable"
    }
    assert asked_for == {"OLD"}


def test_frozen_without_the_step_in_the_lock_is_an_error() -> None:
    for locked in (
        [],
        [spec_of(name="other", world=OLD)],
        [spec_of(stack=PROD, world=OLD)],
        [spec_of(steps=("load",), world=OLD)],
    ):
        pins = Pins(Lock(locked))
        for call in (needs, make_plan):
            with pytest.raises(PlannerError) as refused:
                call(pipeline_of(), Stack(), observed(pipeline_of(), world=OLD), pins=pins, frozen=True)
            (problem,) = refused.value.problems
            assert problem.where.file == "stowplan.lock"
            assert problem.found == "no image for step 'train' of 'training' on 'default'"
            assert "stowplan lock" in problem.fix


def test_frozen_says_all_steps_that_are_missing() -> None:
    pins = pins_of(spec_of(steps=("a",), world=OLD))
    pipeline = pipeline_of(steps=("a", "b", "c"))
    with pytest.raises(PlannerError) as refused:
        make_plan(pipeline, Stack(), observed(pipeline), pins=pins, frozen=True)
    assert [problem.found for problem in refused.value.problems] == [
        "no image for step 'b' of 'training' on 'default'",
        "no image for step 'c' of 'training' on 'default'",
    ]


def test_frozen_keeps_what_the_lock_does_not_hold() -> None:
    """Where images go and how they are built are the settings', and files and variables the checkout's."""
    pins = pins_of(spec_of(world=OLD))
    pipeline = pipeline_of({
        "image_tag": "1.0", "target_repository": "x", "build_config": {"build_options": {"pull": True}},
    })  # fmt: skip
    edited = World(entries=(file("train.py", "edited"),))
    (image,) = make_plan(pipeline, Stack(), observed(pipeline, world=edited), pins=pins, frozen=True).images
    assert (image.destination.image_tag, image.destination.repository) == ("1.0", "localhost/x")
    assert image.build_options.pull
    assert image.hash != plan_of(world=OLD).images[0].hash


def test_frozen_keeps_the_images_of_the_lock_apart() -> None:
    """Their steps may ask for the same by now: the lock still says what each runs in."""
    steps = {"a": {}, "b": {"user": "1"}, "c": {"user": "1"}}
    locked = spec_of(steps=steps, world=OLD)
    assert [image.name for image in locked.images] == ["training", "training/b"]
    pipeline = pipeline_of(steps=("a", "b", "c"))
    facts = observed(pipeline, world=OLD)
    assert make_plan(pipeline, Stack(), facts, pins=pins_of(locked), frozen=True).spec == locked
    # One image of the lock that goes to two places is two images, each with a name of its own.
    parted = pipeline_of(steps={"a": {}, "b": {}, "c": {"target_repository": "x"}})
    plan = make_plan(parted, Stack(), facts, pins=pins_of(locked), frozen=True)
    assert [(image.name, image.steps) for image in plan.images] == [
        ("training", ("a",)),
        ("training/b", ("b",)),
        ("training/c", ("c",)),
    ]
    assert plan.images[1].hash == plan.images[2].hash
