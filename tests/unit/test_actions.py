"""What is done about an image: every combination of what can be known of it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from attrs import evolve

from planner import (
    Action,
    BuildPlan,
    Checkout,
    Decision,
    Destination,
    Digest,
    ExternalImage,
    ImagePlan,
    ImageSpec,
    Presence,
    Stack,
    decide,
)
from planner.compare.actions import decide_image
from planner.compare.presence import (
    Absent,
    Foreign,
    Held,
    History,
    InEngine,
    InRegistry,
    Recorded,
    Registered,
    Untold,
)
from planner.compare.report import Report
from planner.image.instructions import InstallApt, SetUser
from tests.builders import PARENT, digest, image_of, plan_of, ref

HERE, THERE = digest("here"), digest("there")
PROD = Stack(name="prod", container_registry={"uri": "localhost:5000/team"})

LEDGERS: tuple[Digest | None, ...] = (None, HERE)
RECORDS = (None, Recorded(3, "2024-05-01", "docker"), Recorded(3, "2024-05-01", "docker", pushed=True))
REGISTRIES: tuple[InRegistry | None, ...] = (
    None,
    Registered(HERE),
    Registered(THERE),
    Foreign("it carries no mark"),
    Absent(),
    Untold("timed out"),
    Untold("no login", transient=False),
)
ENGINES: tuple[InEngine | None, ...] = (None, Held(), Foreign("it carries no mark"), Absent())
ALL = tuple(itertools.product(LEDGERS, RECORDS, History, REGISTRIES, ENGINES))

(LOCAL_IMAGE,) = plan_of().images
(PUSHED_IMAGE,) = plan_of(stack=PROD).images
(ALWAYS_LOCAL,) = plan_of({"prevent_build_reuse": True}).images
(ALWAYS_PUSHED,) = plan_of({"prevent_build_reuse": True}, stack=PROD).images
AS_IT_IS = image_of({"skip_build": True})
EVERY = (LOCAL_IMAGE, PUSHED_IMAGE, ALWAYS_LOCAL, ALWAYS_PUSHED, AS_IT_IS)


def known(
    ledger: Digest | None = None,
    record: Recorded | None = None,
    history: History = History.NEVER,
    registry: InRegistry | None = None,
    engine: InEngine | None = None,
) -> Presence:
    return Presence(ledger, record, history, registry, engine)


# --- the table ------------------------------------------------------------------------------------------

RECORDED = Recorded(3, "2024-05-01", "docker")
SENT = Recorded(3, "2024-05-01", "docker", pushed=True)
ENGINE_HAS, ENGINE_HAS_NOT = "docker still has it", "the engine does not have it"
REGISTRY_HAS, REGISTRY_HAS_NOT = "the registry still has it", "the registry does not have it"

# What is known of an image that stays here: action, code, what it depends on.
TABLE_LOCAL: list[tuple[dict[str, Any], Action, str, tuple[str, ...]]] = [
    ({"engine": Held()}, Action.REUSE, "in-engine", ()),
    ({"engine": Held(), "record": RECORDED}, Action.REUSE, "in-engine", ()),
    ({"engine": Absent()}, Action.BUILD, "never-built", ()),
    ({"engine": Absent(), "history": History.CHANGED}, Action.BUILD, "changed", ()),
    ({"engine": Absent(), "history": History.ELSEWHERE}, Action.BUILD, "built-elsewhere", ()),
    ({"engine": Absent(), "record": RECORDED}, Action.BUILD, "missing", ()),
    ({"engine": Foreign("x")}, Action.BUILD, "foreign-image", ()),
    ({}, Action.BUILD, "never-built", (ENGINE_HAS_NOT,)),
    ({"history": History.CHANGED}, Action.BUILD, "changed", (ENGINE_HAS_NOT,)),
    ({"record": RECORDED}, Action.REUSE, "recorded", (ENGINE_HAS,)),
    # Ledger and registry say nothing of an image that stays here.
    ({"ledger": HERE, "engine": Absent()}, Action.BUILD, "never-built", ()),
    ({"registry": Registered(HERE), "engine": Absent()}, Action.BUILD, "never-built", ()),
]
# What is known of an image that is pushed.
TABLE_PUSHED: list[tuple[dict[str, Any], Action, str, tuple[str, ...]]] = [
    ({"registry": Registered(HERE)}, Action.REUSE, "in-registry", ()),
    ({"registry": Registered(HERE), "ledger": HERE}, Action.REUSE, "in-registry", ()),
    ({"registry": Registered(THERE), "ledger": HERE}, Action.BUILD, "ledger-differs", ()),
    ({"registry": Foreign("x")}, Action.BUILD, "foreign-tag", ()),
    ({"registry": Foreign("x"), "ledger": HERE}, Action.BUILD, "foreign-tag", ()),
    ({"registry": Absent(), "engine": Held()}, Action.PUSH, "in-engine", ()),
    ({"registry": Absent(), "engine": Held(), "ledger": HERE}, Action.PUSH, "gone-from-registry", ()),
    ({"registry": Absent(), "engine": Absent()}, Action.BUILD, "never-built", ()),
    ({"registry": Absent(), "engine": Absent(), "ledger": HERE}, Action.BUILD, "gone-from-registry", ()),
    ({"registry": Absent(), "engine": Foreign("x")}, Action.BUILD, "foreign-image", ()),
    ({"registry": Absent()}, Action.BUILD, "never-built", (ENGINE_HAS_NOT,)),
    ({"registry": Absent(), "record": RECORDED}, Action.PUSH, "recorded", (ENGINE_HAS,)),
    ({"registry": Untold("x"), "ledger": HERE}, Action.REUSE, "in-ledger", ()),
    ({"registry": Untold("x")}, Action.BUILD, "registry-unknown", ()),
    ({"registry": Untold("x"), "record": SENT, "engine": Held()}, Action.BUILD, "registry-unknown", ()),
    ({"ledger": HERE}, Action.REUSE, "in-ledger", (REGISTRY_HAS,)),
    ({"record": SENT}, Action.REUSE, "recorded", (REGISTRY_HAS,)),
    ({}, Action.BUILD, "never-built", (REGISTRY_HAS_NOT, ENGINE_HAS_NOT)),
    ({"record": RECORDED}, Action.PUSH, "recorded", (REGISTRY_HAS_NOT, ENGINE_HAS)),
    ({"engine": Held()}, Action.PUSH, "in-engine", (REGISTRY_HAS_NOT,)),
]


@pytest.mark.parametrize(("given", "action", "code", "depends"), TABLE_LOCAL)
def test_an_image_that_stays_here(
    given: dict[str, Any], action: Action, code: str, depends: tuple[str, ...]
) -> None:
    found = decide_image(LOCAL_IMAGE, known(**given))
    assert (found.action, found.code, found.depends) == (action, code, depends)


@pytest.mark.parametrize(("given", "action", "code", "depends"), TABLE_PUSHED)
def test_an_image_that_is_pushed(
    given: dict[str, Any], action: Action, code: str, depends: tuple[str, ...]
) -> None:
    found = decide_image(PUSHED_IMAGE, known(**given))
    assert (found.action, found.code, found.depends) == (action, code, depends)


# --- what always holds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("image", EVERY)
def test_whatever_is_known_there_is_a_decision_with_a_code_and_a_reason(image: ImagePlan) -> None:
    for given in ALL:
        found = decide_image(image, known(*given))
        assert found.code
        assert found.reason
        assert found.code == found.code.lower().replace(" ", "-")
        assert found == decide_image(image, known(*given))


@pytest.mark.parametrize("image", [LOCAL_IMAGE, PUSHED_IMAGE])
def test_what_somebody_else_put_there_is_never_reused_and_never_overwritten(image: ImagePlan) -> None:
    """Nor is a digest that the ledger contradicts: that is an error that says who moved what."""
    seen = 0
    for given in ALL:
        ledger, _, _, registry, engine = given
        foreign = isinstance(registry, Foreign) and image.destination.push
        contradiction = (
            isinstance(registry, Registered) and ledger not in (None, registry.digest)
        ) and image.destination.push
        asked = isinstance(registry, Absent | None) or not image.destination.push
        alien = isinstance(engine, Foreign) and asked
        found = decide_image(image, known(*given))
        if foreign or contradiction:
            assert found.blocked is not None
            assert found.digest is None
            seen += 1
        elif alien and found.action is not Action.REUSE:
            assert found.blocked is not None
            seen += 1
        elif alien:
            # Neither the registry nor the engine was asked for: the ledger or a record tells.
            assert registry is None
            assert image.destination.push
            assert found.code in {"in-ledger", "recorded"}
    assert seen


@pytest.mark.parametrize("image", EVERY)
def test_what_blocks_is_a_problem_with_a_code_a_place_and_advice(image: ImagePlan) -> None:
    for given in ALL:
        found = decide_image(image, known(*given))
        if found.blocked is None:
            assert not found.transient
            continue
        problem = found.blocked
        assert problem.code == found.code
        assert problem.code in {"foreign-tag", "foreign-image", "ledger-differs", "registry-unknown"}
        assert problem.where.file == image.reference
        assert problem.found
        assert problem.fix
        registry = given[3]
        assert found.transient == (
            found.code == "registry-unknown" and isinstance(registry, Untold) and registry.transient
        )


@pytest.mark.parametrize("image", EVERY)
def test_what_was_not_looked_at_and_matters_is_named(image: ImagePlan) -> None:
    """A decision that depends on nothing is the same whatever the one that was not asked would say."""
    for ledger, record, history, registry, engine in ALL:
        found = decide_image(image, known(ledger, record, history, registry, engine))
        if registry is not None and engine is not None:
            assert found.depends == ()
        if found.depends or found.blocked is not None:
            continue
        for answer, other in itertools.product(
            REGISTRIES if registry is None else (registry,), ENGINES if engine is None else (engine,)
        ):
            again = decide_image(image, known(ledger, record, history, answer, other))
            assert again.action is found.action


@pytest.mark.parametrize("image", [LOCAL_IMAGE, PUSHED_IMAGE])
def test_what_a_plan_announces_is_what_apply_does_where_its_assumptions_hold(image: ImagePlan) -> None:
    """The plan asks neither; where what it depends on turns out so, the action is the same."""
    facts: dict[str, tuple[str, Any]] = {
        REGISTRY_HAS: ("registry", Registered(HERE)),
        REGISTRY_HAS_NOT: ("registry", Absent()),
        ENGINE_HAS: ("engine", Held()),
        ENGINE_HAS_NOT: ("engine", Absent()),
    }
    for ledger, record, history in itertools.product(LEDGERS, RECORDS, History):
        announced = decide_image(image, known(ledger, record, history))
        assert announced.depends
        seen = dict(facts[words] for words in announced.depends)
        done = decide_image(image, known(ledger, record, history, **seen))
        assert done.action is announced.action
        assert done.blocked is None
        assert done.depends == ()


def test_only_the_registry_verifies() -> None:
    for image in (LOCAL_IMAGE, PUSHED_IMAGE):
        for given in ALL:
            found = decide_image(image, known(*given))
            if found.digest is not None:
                assert found.verified == isinstance(given[3], Registered)
            if found.code == "in-ledger":
                assert (found.digest, found.verified) == (HERE, False)


def test_a_registry_that_cannot_tell_is_a_reason_to_wait_and_not_to_build() -> None:
    for transient in (True, False):
        found = decide_image(PUSHED_IMAGE, known(registry=Untold("no answer", transient), engine=Held()))
        assert found.blocked is not None
        assert found.transient is transient
        assert "no answer" in found.blocked.found


@pytest.mark.parametrize("image", [ALWAYS_LOCAL, ALWAYS_PUSHED])
def test_reuse_can_be_prevented_whatever_is_there(image: ImagePlan) -> None:
    for given in ALL:
        found = decide_image(image, known(*given))
        assert (found.action, found.code, found.blocked) == (Action.BUILD, "reuse-prevented", None)


def test_a_parent_is_used_as_it_is_whatever_is_there() -> None:
    for given in ALL:
        assert decide_image(AS_IT_IS, known(*given)) == Decision(Action.PARENT, "parent", "used as it is")


def test_the_words_name_the_build_that_made_it() -> None:
    words = "record 3 of 2024-05-01, in docker"
    assert decide_image(LOCAL_IMAGE, known(record=RECORDED, engine=Held())).reason == words
    assert decide_image(LOCAL_IMAGE, known(record=RECORDED)).reason == words
    missing = decide_image(LOCAL_IMAGE, known(record=RECORDED, engine=Absent()))
    assert missing.reason == f"{words}, but it is no longer there"
    foreign = decide_image(LOCAL_IMAGE, evolve(known(engine=Foreign("x")), engine_name="podman"))
    assert foreign.blocked is not None
    assert f"podman rmi {LOCAL_IMAGE.reference}" in foreign.blocked.fix


# --- all images of a plan -------------------------------------------------------------------------------


def test_what_is_not_known_of_an_image_is_nothing() -> None:
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}})
    found = decide(plan, {"training": known(engine=Held())})
    assert {name: decision.action for name, decision in found.items()} == {
        "training": Action.REUSE,
        "training/b": Action.BUILD,
    }
    assert list(found) == ["training", "training/b"]


@pytest.mark.parametrize("stack", [Stack(), PROD])
@pytest.mark.parametrize("table", [{}, {"prevent_build_reuse": True}])
def test_one_hash_for_two_repositories_is_built_once(stack: Stack, table: dict[str, Any]) -> None:
    plan = plan_of(table, {"a": {}, "b": {"target_repository": "x"}}, stack=stack)
    assert len({image.hash for image in plan.images}) == 1
    empty = known(registry=Absent(), engine=Absent())
    found = decide(plan, {image.name: empty for image in plan.images})
    expected = Action.PUSH if stack is PROD else Action.REUSE
    assert [decision.action for decision in found.values()] == [Action.BUILD, expected]


def test_what_could_not_be_built_is_not_there_for_the_others() -> None:
    plan = plan_of(steps={"a": {}, "b": {"target_repository": "x"}})
    present = {
        "training": known(engine=Foreign("x")),
        "training/b": known(engine=Absent()),
    }
    first, second = decide(plan, present).values()
    assert first.blocked is not None
    assert (second.action, second.blocked) == (Action.BUILD, None)


def test_what_is_pushed_is_there_for_the_others() -> None:
    plan = plan_of(steps={"a": {}, "b": {"target_repository": "x"}}, stack=PROD)
    present = {
        "training": known(registry=Absent(), engine=Held()),
        "training/b": known(registry=Absent(), engine=Absent()),
    }
    assert [found.action for found in decide(plan, present).values()] == [Action.PUSH, Action.PUSH]


def stacked(*steps: str) -> BuildPlan:
    """A parent that runs these steps, and an image that is built on it."""
    lower = ImageSpec(ExternalImage(ref(PARENT), digest("base")), (InstallApt(("git",)),))
    upper = ImageSpec(lower, (SetUser("1000"),))
    here, there = Checkout("linux/amd64"), Destination("localhost/stowplan")
    base = ImagePlan("training/base", steps, lower, here, there)
    image = ImagePlan("training", ("train",), upper, here, there, base)
    return BuildPlan("training", "default", (base, image))


def test_a_parent_that_runs_no_step_is_only_built_when_it_is_needed() -> None:
    def actions(plan: BuildPlan, base: InEngine, image: InEngine) -> list[tuple[Action, str]]:
        found = decide(plan, {"training/base": known(engine=base), "training": known(engine=image)})
        return [(found[name].action, found[name].code) for name in ("training/base", "training")]

    needed = [(Action.BUILD, "never-built"), (Action.BUILD, "never-built")]
    assert actions(stacked(), Absent(), Absent()) == needed
    held = (Action.REUSE, "in-engine")
    assert actions(stacked(), Absent(), Held()) == [(Action.REUSE, "not-needed"), held]
    assert actions(stacked(), Held(), Absent()) == [held, (Action.BUILD, "never-built")]
    # One that a step runs in is needed for itself.
    assert actions(stacked("load"), Absent(), Held()) == [(Action.BUILD, "never-built"), held]


def test_a_chain_of_parents_is_built_as_far_as_it_is_needed() -> None:
    base, image = stacked().images
    top = ImagePlan(
        "training/top",
        ("deploy",),
        ImageSpec(image.spec, (SetUser("0"),)),
        image.checkout,
        image.destination,
        image,
    )
    plan = BuildPlan("training", "default", (base, evolve(image, steps=()), evolve(top, parent=image)))
    absent = {name: known(engine=Absent()) for name in ("training/base", "training", "training/top")}
    assert {found.action for found in decide(plan, absent).values()} == {Action.BUILD}
    there = decide(plan, {**absent, "training/top": known(engine=Held())})
    assert [found.code for found in there.values()] == ["not-needed", "not-needed", "in-engine"]


def test_a_parent_in_the_way_does_not_block_what_does_not_need_it() -> None:
    foreign = known(engine=Foreign("x"))
    needed = decide(stacked(), {"training/base": foreign, "training": known(engine=Absent())})
    assert needed["training/base"].blocked is not None
    unneeded = decide(stacked(), {"training/base": foreign, "training": known(engine=Held())})
    assert unneeded["training/base"].blocked is None


def test_a_report_counts_what_is_done() -> None:
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}, "c": {"skip_build": True}})
    report = Report(plan, decide(plan, {"training": known(engine=Held())}))
    assert [report.count(action) for action in Action] == [1, 0, 1, 1]
    assert report.acts
    held = {image.name: known(engine=Held()) for image in plan.images}
    assert not Report(plan, decide(plan, held)).acts
