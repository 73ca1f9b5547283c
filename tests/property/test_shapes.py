"""What holds for every image that the values allow, beyond those that settings lead to today: locks, diffs
and canonical bytes of any instructions, on parents that are other images of the plan.
"""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from planner import (
    BuildPlan,
    Digest,
    ExternalImage,
    ImagePlan,
    ImageSpec,
    Lock,
    NamedSpec,
    PlannerError,
    diff,
    dumps,
    loads,
    rebuilt_layers,
)
from planner.identity import canonical, content_hash
from planner.image.instructions import Installer, InstallRequirements
from planner.lock.repair import repair
from planner.requirements.model import Requirements
from tests.property import shapes
from tests.property import strategies as some

# --- the lock -----------------------------------------------------------------------------------------


@some.examples(40)
@given(shapes.locks())
def test_a_lock_survives_its_text(lock: Lock) -> None:
    text = dumps(lock)
    read = loads(text)
    assert read == lock
    assert dumps(read) == text
    assert [plan.hash for plan in read.plans] == [plan.hash for plan in lock.plans]
    # Why a digest is not known is said while planning, and is not what a lock holds.
    assert _pins(read) == _pins(lock)
    repaired = repair(text)
    assert (repaired.lock, repaired.dropped) == (lock, ())


def _pins(lock: Lock) -> list[tuple[object, ...]]:
    pins = [image.spec.external.pin for plan in lock.plans for image in plan.images]
    return [(pin.kind, pin.platform, pin.manifest) for pin in pins]


@some.examples(12)
@given(shapes.locks(), st.integers(0, 9))
def test_the_order_of_plans_images_and_entries_means_nothing(lock: Lock, seed: int) -> None:
    plans = [evolve(plan, images=tuple(some.shuffled(plan.images, seed))) for plan in lock.plans]
    sources = dict(some.shuffled(lock.sources.items(), seed))
    other = Lock(some.shuffled(plans, seed), some.shuffled(lock.pushed, seed), sources)
    assert other == lock
    assert dumps(other) == dumps(lock)


# --- diffs --------------------------------------------------------------------------------------------


@some.examples(100)
@given(st.data())
def test_a_diff_is_empty_exactly_when_hashes_and_steps_are_equal(data: st.DataObject) -> None:
    one = data.draw(shapes.plans())
    other = data.draw(shapes.changed(one))
    _check_diff(one, other)
    _check_diff(other, one)


@some.examples(25)
@given(shapes.plans(st.just("p")), shapes.plans(st.just("p")))
def test_a_diff_of_any_two_plans_has_words(one: BuildPlan, other: BuildPlan) -> None:
    _check_diff(one, other)


def _inputs(image: ImagePlan) -> Digest | None:
    """What an image was resolved from: it is no part of it, and makes a lock stale."""
    return image.spec.resolved.inputs if image.spec.resolved else None


def _check_diff(one: BuildPlan, other: BuildPlan) -> None:
    specs = [shapes.spec_of_images(plan.spec) for plan in (one, other)]
    of_specs = diff(one.spec, other.spec)
    assert (of_specs == ()) == (specs[0] == specs[1])
    assert diff(one.spec, other) == diff(one, other.spec) == of_specs
    images = [
        {image.name: ((image.hash, _inputs(image)), image.steps) for image in plan.images}
        for plan in (one, other)
    ]
    of_images = diff(one, other)
    assert (of_images == ()) == (images[0] == images[1])
    for changes in (of_specs, of_images):
        for change in changes:
            assert change.code != "unexplained"
            assert change.text
            assert "\n" not in change.text
    moved = {name for name in images[0].keys() & images[1].keys() if images[0][name][0] != images[1][name][0]}
    shown = {change.image for change in of_images if change.field != "steps"}
    assert moved == shown & images[0].keys() & images[1].keys()


@some.examples(40)
@given(st.data())
def test_of_equal_images_no_layer_is_rebuilt_and_of_a_new_parent_all_are(data: st.DataObject) -> None:
    one = data.draw(shapes.plans())
    other = {image.name: image for image in data.draw(shapes.changed(one)).images}
    for before in one.images:
        names = rebuilt_layers(None, before)
        assert len(names) == len(before.spec.instructions)
        assert rebuilt_layers(before, before) == ()
        after = other.get(before.name)
        if after is None:
            continue
        rebuilt = rebuilt_layers(before, after)
        every = rebuilt_layers(None, after)
        assert every[len(every) - len(rebuilt) :] == rebuilt
        if before.hash == after.hash:
            assert rebuilt == ()
        if before.parent and after.parent and before.parent.hash != after.parent.hash:
            assert rebuilt == every


# --- canonical bytes ----------------------------------------------------------------------------------


@some.examples(40)
@given(st.data())
def test_hashes_are_equal_exactly_for_equal_canonical_values(data: st.DataObject) -> None:
    one = data.draw(shapes.plans())
    other = data.draw(shapes.changed(one))
    for left in one.images:
        for right in other.images:
            assert (left.spec.hash == right.spec.hash) == (_counted(left.spec) == _counted(right.spec))
            assert (left.hash == right.hash) == (_image(left) == _image(right))
        assert left.spec.hash == content_hash("spec", left.spec)
        assert content_hash("image", left.spec) != left.spec.hash


def _counted(spec: ImageSpec) -> ImageSpec:
    """The spec with one name for each digest: names of pinned parents do not count."""
    parent = spec.parent
    if isinstance(parent, ImageSpec):
        return evolve(spec, parent=_counted(parent))
    if parent.digest is None:
        return spec
    named = evolve(parent.reference, registry="x", repository="x", tag="x")
    return evolve(spec, parent=ExternalImage(named, parent.digest))


def _image(image: ImagePlan) -> object:
    return _counted(image.spec), image.checkout, image.parent and _image(image.parent)


@some.examples(50)
@given(shapes.layers, shapes.layers)
def test_instructions_are_framed(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)
    # No instruction can be read as the end of the one before it.
    joined = canonical(one + other)
    for cut in range(len(one + other)):
        if cut != len(one):
            parts = ((one + other)[:cut], (one + other)[cut:])
            assert canonical(parts) != canonical((one, other))
    assert len(joined) >= len(one + other)


@some.examples(30)
@given(shapes.specs(), shapes.requirement_values(), shapes.installers)
def test_a_source_of_requirements_stands_once(
    spec: ImageSpec, requirements: Requirements, installer: Installer
) -> None:
    """Two of one name would write to one file of the build context, and one would be forgotten."""
    twice = [InstallRequirements("twice", each, installer) for each in (requirements, Requirements())]
    assert evolve(spec, instructions=(*spec.instructions, twice[0])) != spec
    with pytest.raises(PlannerError, match="is listed twice"):
        evolve(spec, instructions=(*twice[:1], *spec.instructions, *twice[1:]))


@some.examples(25)
@given(shapes.plans())
def test_a_named_spec_says_what_the_plan_says(plan: BuildPlan) -> None:
    by_name = {image.name: image for image in plan.images}
    for named in plan.spec.images:
        image = by_name[named.name]
        assert named == NamedSpec(image.name, image.steps, image.spec)
        assert plan.image(image.name) == image
        for step in image.steps:
            if step not in by_name:
                assert plan.image(step) == image
