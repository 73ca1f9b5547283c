"""What is decided about an image, whatever is known of it: always something, and never to reuse what is not
the image.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from planner import Action, BuildPlan, Decision, Presence, decide
from planner.compare.presence import Absent, Foreign, Held, History, Recorded, Registered, Untold
from tests.property import shapes
from tests.property import strategies as some

reasons = st.sampled_from(["", "it has no mark", "the registry is away"])
foreign = st.builds(Foreign, reasons, st.none() | some.digests)
registries = (
    st.builds(Registered, some.digests)
    | foreign
    | st.builds(Absent, reasons)
    | st.builds(Untold, reasons, st.booleans())
)
engines = st.just(Held()) | foreign | st.builds(Absent, reasons)
records = st.builds(
    Recorded,
    st.integers(1, 99),
    st.just("2026-01-02 03:04"),
    st.sampled_from(["", "docker"]),
    st.booleans(),
)
presences = st.builds(
    Presence,
    ledger=st.none() | some.digests,
    record=st.none() | records,
    history=st.sampled_from(History),
    registry=st.none() | registries,
    engine=st.none() | engines,
    engine_name=st.sampled_from(["", "docker"]),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[BuildPlan, dict[str, Presence]]:
    """A plan, some images of which are the same under other names, and what is known of some of them."""
    plan = draw(shapes.plans())
    images = list(plan.images)
    if draw(st.booleans()):
        twin = draw(st.sampled_from(images))
        destination = draw(st.just(twin.destination) | shapes.destinations)
        images.append(evolve(twin, name=f"{plan.pipeline}/twin", steps=("twin",), destination=destination))
    known = {image.name: draw(presences) for image in images if draw(st.integers(0, 5))}
    return evolve(plan, images=tuple(images)), known


@some.examples(40)
@given(situations())
def test_something_is_decided_about_every_image(situation: tuple[BuildPlan, dict[str, Presence]]) -> None:
    plan, known = situation
    decisions = decide(plan, known)
    assert list(decisions) == [image.name for image in plan.images]
    assert decide(plan, known) == decisions
    for image in plan.images:
        decision = decisions[image.name]
        assert (decision.action is Action.PARENT) == (not image.builds)
        assert decision.code
        assert decision.reason
        if decision.action is Action.PUSH:
            assert image.destination.push
        if decision.blocked is not None:
            assert decision.blocked.fix
            assert decision.blocked.code == decision.code


def _is_wrong(presence: Presence, *, push: bool) -> bool:
    """Whether what was asked says that something else than the image is where it should be."""
    if not push:
        return isinstance(presence.engine, Foreign)
    match presence.registry:
        case Foreign():
            return True
        case Registered(digest):
            return presence.ledger is not None and presence.ledger != digest
        case _:
            return False


@some.examples(80)
@given(situations())
def test_what_is_not_the_image_is_never_reused(situation: tuple[BuildPlan, dict[str, Presence]]) -> None:
    plan, known = situation
    decisions = decide(plan, known)
    for image in plan.images:
        decision, presence = decisions[image.name], known.get(image.name, Presence())
        if not image.builds or decision.code == "not-needed":
            continue
        destination = image.destination
        wrong = _is_wrong(presence, push=destination.push)
        twins = [other for other in plan.images if other.hash == image.hash and other is not image]
        if wrong and not twins:
            assert decision.action is not Action.REUSE
            assert decision.blocked is not None or decision.code == "reuse-prevented"
        if decision.action is Action.REUSE:
            assert not (destination.push and wrong)
            _check_reuse(decision, presence, push=destination.push, made=bool(twins))


def _check_reuse(decision: Decision, presence: Presence, *, push: bool, made: bool) -> None:
    """Something that was seen, or that is named as assumed, says that the image is there."""
    assert decision.blocked is None
    if not push:
        held = isinstance(presence.engine, Held)
        assert held or made or (presence.engine is None and presence.record is not None and decision.depends)
    elif isinstance(presence.registry, Registered):
        assert decision.digest == presence.registry.digest
        assert decision.verified
    else:
        # Not verified, and it says so: the ledger, or a record where nobody asked.
        assert not isinstance(presence.registry, Absent)
        assert not decision.verified
        assert presence.ledger is not None or (presence.registry is None and presence.record is not None)
        assert decision.depends or isinstance(presence.registry, Untold)


@some.examples(25)
@given(situations())
def test_an_image_that_no_step_runs_in_is_made_for_others_alone(
    situation: tuple[BuildPlan, dict[str, Presence]],
) -> None:
    plan, known = situation
    decisions = decide(plan, known)
    for image in plan.images:
        if image.builds and not image.steps:
            above = [other for other in plan.images if other.parent and other.parent.hash == image.hash]
            needed = any(decisions[other.name].action is Action.BUILD for other in above)
            assert needed or decisions[image.name].action is Action.REUSE
