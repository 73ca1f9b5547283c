"""What holds for every plan: it survives its lock, its pins hold, and no order matters that means nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from planner import (
    BuildPlan,
    Change,
    DockerSettings,
    EnvTemplate,
    Facts,
    ImageDigest,
    Lock,
    Need,
    Pin,
    Pins,
    Pipeline,
    PlannerError,
    PlanSpec,
    Stack,
    Tree,
    diff,
    dockerfile,
    dumps,
    loads,
    make_plan,
    make_spec,
    needs,
    rebuilt_layers,
)
from planner.identity import canonical
from planner.values import Literal
from tests.builders import World, digest, observed, spec_of
from tests.property import strategies as some


def _plan(table: dict[str, Any], world: World, *, mix: int | None = None) -> BuildPlan:
    """The plan of one step with these settings; `mix` is a seed to shuffle the facts with."""
    pipeline = Pipeline(name="p", steps=["a"], settings=DockerSettings.decode(table))
    facts = observed(pipeline, world=world)
    if mix is not None:
        answered = some.shuffled(facts._answers, mix)  # noqa: SLF001  # their order is the point
        facts = Facts().also({need: facts.ask(need) for need in answered})
    return make_plan(pipeline, Stack(), facts)


def _spec(table: dict[str, Any], world: World) -> PlanSpec:
    """What a lock holds of it, made without looking at files and variables."""
    pipeline = Pipeline(name="p", steps=["a"], settings=DockerSettings.decode(table))
    return make_spec(pipeline, Stack(), observed(pipeline, world=world, checkout=False))


# --- the lock -----------------------------------------------------------------------------------------


@some.examples(50)
@given(some.cases)
def test_random_plans_survive_their_lock(case: some.Case) -> None:
    plan = case.plan()
    lock = Lock((plan.spec,))
    text = dumps(lock)

    assert loads(text) == lock
    assert dumps(loads(text)) == text
    (locked,) = loads(text).plans
    assert diff(locked, plan) == diff(plan, locked) == ()
    assert locked.hash == plan.spec.hash
    planned = {image.name: image for image in plan.images}
    assert planned.keys() == {image.name for image in locked.images}
    for before in locked.images:
        after = planned[before.name]
        assert (before.spec, before.steps) == (after.spec, after.steps)
        assert before.spec.hash == after.spec.hash
        assert rebuilt_layers(before, after) == ()


@some.examples(30)
@given(some.cases)
def test_a_spec_is_that_of_the_plan_without_a_look_at_files_and_variables(case: some.Case) -> None:
    plan, spec = case.plan(), case.spec()
    assert spec == plan.spec
    assert spec.hash == plan.spec.hash
    assert dumps(Lock((spec,))) == dumps(Lock((plan.spec,)))


@some.examples(15)
@given(some.plans, some.plans)
def test_a_lock_of_several_plans_does_not_depend_on_their_order(one: BuildPlan, other: BuildPlan) -> None:
    assume((one.pipeline, one.stack) != (other.pipeline, other.stack))
    both = Lock((one.spec, other.spec))
    text = dumps(both)
    assert text == dumps(Lock((other.spec, one.spec)))
    assert Lock((one.spec,)).with_plans([other.spec]) == Lock((other.spec,)).with_plans([one.spec]) == both
    assert loads(text) == both
    assert dumps(loads(text)) == text


@some.examples(60)
@given(some.settings(), some.settings(), some.worlds(), st.data())
def test_a_diff_is_empty_exactly_when_the_lock_would_not_change(
    table: dict[str, Any], other: dict[str, Any], world: World, data: st.DataObject
) -> None:
    """Nothing moves a hash without a word: `apply` and `lock --check` obey the same comparison."""
    key = data.draw(st.sampled_from(sorted({*table, *other} - {"skip_build"})))
    changed = {name: value for name, value in table.items() if name != key} | (
        {key: other[key]} if key in other else {}
    )
    if changed.get("parent_image") is None or changed.get("local_project_install_command"):
        changed.pop("skip_build", None)
        changed["allow_including_files_in_images"] = True
    one, two = (_spec(given, world) for given in (table, changed))
    for changes in (diff(one, two), diff(two, one)):
        assert (changes == ()) == (one.hash == two.hash)
        assert [change for change in changes if change.code == "unexplained"] == []


@some.examples(25)
@given(some.plans, st.data())
def test_a_damaged_lock_is_refused_and_never_crashes(plan: BuildPlan, data: st.DataObject) -> None:
    text = dumps(Lock((plan.spec,)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    put = data.draw(
        st.sampled_from(["", "1", "1.5", '"', "x", "=", "[", "]", "\n", "2020-01-01", "true", "{}"])
    )
    damaged = text[:start] + put + text[end:]
    try:
        read = loads(damaged)
    except PlannerError as error:
        assert all(problem.where.file == "stowplan.lock" for problem in error.problems)  # noqa: PT017
    else:
        # What was read is what was planned: the damage was in a comment, a space, or text of equal meaning,
        # or it made one record less.
        planned = {image.spec.hash for image in plan.spec.images}
        assert {image.spec.hash for spec in read.plans for image in spec.images} <= planned


# --- pins ---------------------------------------------------------------------------------------------


def _asked(case: some.Case, pins: Pins) -> set[Need[Any]]:
    """All that is asked for until a case can be written into a lock."""
    facts, found = Facts(), set[Need[Any]]()
    while missing := needs(case.pipeline, case.stack, facts, pins=pins, checkout=False):
        found |= set(missing)
        facts = facts.also({need: case.world.answer(need) for need in missing})
    return found


def _moved(case: some.Case) -> some.Case:
    """The case in a world where every tag is at another digest than before."""
    pins = {need.ref.familiar: Pin(digest("moved since")) for need in _images(_asked(case, Pins()))}
    return evolve(case, world=evolve(case.world, pins=pins))


def _images(asked: set[Need[Any]]) -> set[ImageDigest]:
    return {need for need in asked if isinstance(need, ImageDigest)}


@some.examples(25)
@given(st.builds(some.Case, some.pipelines(), some.stacks, some.worlds(some.known_pins)))
def test_what_is_pinned_is_not_asked_for_and_does_not_move(case: some.Case) -> None:
    """Whatever the registry says by now, the lock's digests stand, for `lock` as for `apply`."""
    spec = case.spec()
    pins = Pins(loads(dumps(Lock((spec,)))))
    later = _moved(case)
    assert _images(_asked(later, pins)) == set()
    again = later.spec(pins)
    assert again == spec
    assert dumps(Lock((again,))) == dumps(Lock((spec,)))
    plan = later.plan(pins)
    assert plan.spec == spec
    assert make_plan(case.pipeline, case.stack, later.facts(pins), pins=pins, frozen=True) == plan


@some.examples(15)
@given(st.builds(some.Case, some.pipelines(), some.stacks, some.worlds(some.known_pins)))
def test_what_is_released_is_asked_for_again_and_moves(case: some.Case) -> None:
    lock = Lock((case.spec(),))
    images = _images(_asked(case, Pins()))
    later = _moved(case)
    assert _images(_asked(later, Pins(lock, all_released=True))) == images
    assert later.spec(Pins(lock, all_released=True)) == later.spec()
    for need in images:
        pins = Pins(lock, released=frozenset({need.ref}))
        released = {other for other in images if other.ref == need.ref}
        assert _images(_asked(later, pins)) == released
        moved = [image for image in later.spec(pins).images if image.spec.external.reference == need.ref]
        assert moved
        assert {image.spec.external.digest for image in moved} & {digest("moved since")}
    if images:
        every = frozenset(need.ref for need in images)
        assert later.spec(Pins(lock, released=every)) == later.spec()


@some.examples(20)
@given(some.cases)
def test_only_what_the_lock_has_no_digest_of_is_asked_for(case: some.Case) -> None:
    spec = case.spec()
    unknown = {image.spec.external.reference for image in spec.images if image.spec.external.digest is None}
    pins = Pins(Lock((spec,)))
    assert {need.ref for need in _images(_asked(case, pins))} <= unknown
    assert case.spec(pins) == spec


@some.examples(15)
@given(some.cases)
def test_pins_of_another_pipeline_say_nothing(case: some.Case) -> None:
    other = evolve(case.spec(), pipeline="another")
    other = evolve(other, images=tuple(evolve(image, name="another") for image in other.images[:1]))
    pins = Pins(Lock((other,)))
    assert _asked(case, pins) == _asked(case, Pins())
    assert case.spec(pins) == case.spec()


# --- order that means nothing -------------------------------------------------------------------------


def _reordered(value: Any, seed: int) -> Any:
    """The same settings, with every mapping, and every list whose order means nothing, in another order."""
    if isinstance(value, Mapping):
        free = ("requirements", "apt_packages")
        return {
            key: some.shuffled(item, seed)
            if key in free and isinstance(item, list)
            else _reordered(item, seed)
            for key, item in some.shuffled(value.items(), seed)
        }
    return value


@some.examples(30)
@given(some.settings(), some.worlds(), st.integers(0, 9))
def test_shuffled_inputs_give_the_same_hashes(table: dict[str, Any], world: World, seed: int) -> None:
    mixed = evolve(world, entries=tuple(some.shuffled(world.entries, seed)))
    one = _plan(table, world)
    other = _plan(_reordered(table, seed), mixed, mix=seed)
    assert one.spec.hash == other.spec.hash == _spec(_reordered(table, seed), mixed).hash
    assert one.hash == other.hash
    assert diff(one, other) == ()
    texts = [[dockerfile(image.spec) for image in plan.images] for plan in (one, other)]
    assert texts[0] == texts[1]
    assert dumps(Lock((one.spec,))) == dumps(Lock((other.spec,)))


@some.examples(100)
@given(some.entries(), st.integers(0, 9))
def test_the_order_of_the_entries_of_a_tree_means_nothing(items: tuple[Any, ...], seed: int) -> None:
    tree = Tree.of(items)
    assert Tree.of(some.shuffled(items, seed)) == tree
    assert Tree.of(tree.entries()) == tree
    assert tree.changed_paths(tree) == ()


@some.examples(100)
@given(some.entries(), some.entries())
def test_the_changed_paths_of_trees_are_those_of_their_entries(
    before: tuple[Any, ...], after: tuple[Any, ...]
) -> None:
    one, other = Tree.of(before), Tree.of(after)
    differing = {entry.path for entry in {*one.entries()} ^ {*other.entries()}}
    assert set(one.changed_paths(other)) == differing


@some.examples(30)
@given(some.requirement_files(), st.integers(0, 9))
def test_the_order_of_the_lines_of_a_requirements_file_means_nothing(
    texts: dict[str, str], seed: int
) -> None:
    def lines(text: str) -> str:
        # Of indexes the first wins, of formats the last word, and what is included stands at its place.
        in_order = ("--extra", "--find", "--no-binary", "--only-binary", "-r")
        listed = text.splitlines()
        fixed = [line for line in listed if line.startswith(in_order)]
        return "\n".join([*some.shuffled([line for line in listed if line not in fixed], seed), *fixed])

    mixed = {path: lines(text) for path, text in texts.items()}
    one, other = (
        spec_of({"requirements": "requirements.txt"}, world=World(texts=found)) for found in (texts, mixed)
    )
    assert one.hash == other.hash


# --- canonical bytes ----------------------------------------------------------------------------------


def _typed(value: Any) -> Any:
    """A value that is equal to another exactly when kinds and contents are: Python has 1 == True."""
    match value:
        case dict():
            return ("mapping", sorted((key, _typed(item)) for key, item in value.items()))
        case tuple():
            return ("tuple", [_typed(item) for item in value])
        case frozenset():
            return ("set", sorted((_typed(item) for item in value), key=repr))
        case _:
            return (type(value).__name__, repr(value))


@some.examples(500)
@given(some.framed, some.framed)
def test_canonical_bytes_are_equal_exactly_for_equal_values(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (_typed(one) == _typed(other))


@some.examples(300)
@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_strings_are_framed(one: list[str], other: list[str]) -> None:
    assert (canonical(tuple(one)) == canonical(tuple(other))) == (one == other)


# --- words --------------------------------------------------------------------------------------------


@some.examples(20)
@given(some.plans, some.plans)
def test_a_change_is_one_line_of_words_for_one_image(one: BuildPlan, other: BuildPlan) -> None:
    other = evolve(other, pipeline=one.pipeline, stack=one.stack)
    for change in diff(one, other):
        assert isinstance(change, Change)
        assert change.text
        assert "\n" not in change.text
        assert "FrozenMapping" not in change.text
        assert change.image in {image.name for image in (*one.images, *other.images)}


@some.examples(100)
@given(some.literal)
def test_a_template_without_variables_is_its_text(value: str) -> None:
    assert EnvTemplate(value).variables == ()
    assert EnvTemplate(value).parts == ((Literal(value),) if value else ())
