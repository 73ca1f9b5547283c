"""Plans: which images there are, which steps share them, what has to be looked at, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from planner import (
    DockerSettings,
    Facts,
    FileText,
    FileTree,
    HostPlatform,
    IgnoreRules,
    ImageDigest,
    Need,
    Pin,
    Pipeline,
    PlannerError,
    PythonVersion,
    Stack,
    Step,
    Use,
    Variable,
    make_plan,
    needs,
)
from planner.identity import variable_fingerprint
from planner.image.recipe import recipe
from tests.builders import PARENT, World, asked, digest, file, image_of, observed, pipeline_of, plan_of, ref

NOT_INCLUDED = {"allow_including_files_in_images": False}
TREE_RULES = FileTree(IgnoreRules(), (".dockerignore", ".stowplan", "stowplan.lock"))

# --- images and steps -----------------------------------------------------------------------------------


def test_steps_without_settings_share_the_pipeline_s_image() -> None:
    plan = plan_of(steps=("load", "train", "eval"))
    assert [(image.name, image.steps) for image in plan.images] == [("training", ("load", "train", "eval"))]


def test_a_step_with_settings_has_an_image_of_its_name() -> None:
    plan = plan_of(steps={"load": {}, "train": {"apt_packages": ["git"]}, "eval": {}})
    assert [(image.name, image.steps) for image in plan.images] == [
        ("training", ("load", "eval")),
        ("training/train", ("train",)),
    ]


def test_equal_images_are_planned_once() -> None:
    """Named after the first of the steps that share it; the order of packages means nothing."""
    git, tig = ["git", "tig"], ["tig", "git"]
    plan = plan_of(steps={"load": {}, "train": {"apt_packages": git}, "eval": {"apt_packages": tig}})
    assert [(image.name, image.steps) for image in plan.images] == [
        ("training", ("load",)),
        ("training/train", ("train", "eval")),
    ]


def test_settings_that_ask_for_nothing_else_share_the_pipeline_s_image() -> None:
    plan = plan_of({"apt_packages": ["git"]}, {"load": {"apt_packages": ["git"]}, "train": {}})
    assert [(image.name, image.steps) for image in plan.images] == [("training", ("load", "train"))]
    # Without a step that has none of its own, no image is the pipeline's.
    plan = plan_of(steps={"load": {"user": "1"}, "train": {"user": "2"}})
    assert [image.name for image in plan.images] == ["training/load", "training/train"]


def test_one_image_for_two_repositories_is_two_images() -> None:
    plan = plan_of(steps={"load": {}, "train": {"target_repository": "x"}})
    assert [image.delivery.repository for image in plan.images if image.delivery] == [
        "localhost/stowplan",
        "localhost/x",
    ]
    assert len({image.hash for image in plan.images}) == 1


def test_two_ignore_files_are_two_images_whether_or_not_files_are_looked_at() -> None:
    """Else a lock, made without looking, would name other images than the plan it is compared with."""
    steps = {"load": {}, "train": {"build_config": {"dockerignore": "x.ignore"}}}
    world = World(texts={"x.ignore": "*.csv\n"}, entries=(file("train.py"), file("data.csv")))
    here, locked = plan_of(steps=steps, world=world), plan_of(steps=steps, world=world, here=False)
    assert [image.name for image in here.images] == [image.name for image in locked.images]
    assert [image.name for image in here.images] == ["training", "training/train"]
    assert here.images[0].hash != here.images[1].hash


def test_an_image_is_found_by_its_name_or_a_step() -> None:
    plan = plan_of(steps={"load": {}, "train": {"user": "1"}})
    assert plan.image("training") is plan.image("load") is plan.images[0]
    assert plan.image("training/train") is plan.image("train") is plan.images[1]
    assert plan.image("nothing") is None


def test_the_working_tag_is_the_image_s_hash() -> None:
    stack = Stack(container_registry={"uri": "localhost:5000/team"})
    (image,) = plan_of(stack=stack).images
    assert image.reference == f"localhost:5000/team/stowplan:{image.hash.hex}"
    assert image.delivery is not None
    assert image.delivery.push
    (local,) = plan_of().images
    assert local.reference == f"localhost/stowplan:{local.hash.hex}"
    assert local.delivery is not None
    assert not local.delivery.push


def test_an_image_that_was_planned_without_looking_has_no_hash() -> None:
    with pytest.raises(PlannerError, match="training: planned without files and variables"):
        image_of(here=False).hash  # noqa: B018  # it raises


def test_what_a_lock_holds_of_a_plan() -> None:
    plan = plan_of({"build_config": {"build_options": {"pull": True, "network": "host"}}, "image_tag": "1"})
    (locked,) = plan.locked().images
    assert locked.here is None
    assert locked.delivery is None
    assert not locked.options.pull
    assert locked.options.other == {"network": "host"}
    assert locked.environment_hash == plan.images[0].environment_hash
    assert plan.locked().environment_hash == plan.environment_hash


def test_the_same_arguments_give_the_same_plan() -> None:
    pipeline = pipeline_of({"environment": {"A": "${T}"}}, ("load", "train"))
    facts = observed(pipeline, world=World(variables={"T": "x"}))
    one, other = (make_plan(pipeline, Stack(), facts) for _ in range(2))
    assert one == other
    assert one.hash == other.hash


# --- the cascade ----------------------------------------------------------------------------------------


def test_a_step_s_settings_lie_over_the_pipeline_s() -> None:
    plan = plan_of({"apt_packages": ["git"], "user": "1"}, {"load": {}, "train": {"apt_packages": []}})
    load, train = plan.images
    assert [item.kind for item in load.instructions] == ["apt", "files", "user"]
    assert [item.kind for item in train.instructions] == ["files", "user"]


def test_a_step_may_complete_what_its_pipeline_asks() -> None:
    pipeline = Pipeline(
        name="p",
        steps=[Step(name="a", settings={"docker": {"parent_image": PARENT}})],
        settings={"docker": {"skip_build": True}},
    )
    (image,) = make_plan(pipeline, Stack(), observed(pipeline)).images
    assert image.use is Use.PARENT


# --- problems -------------------------------------------------------------------------------------------


def problems(call: Callable[[], object]) -> list[str]:
    with pytest.raises(PlannerError) as refused:
        call()
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


def test_a_problem_stands_where_its_setting_was_written() -> None:
    steps = {"load": {}, "train": {"requirements": ["-e ."]}, "eval": {"environment": {"A": "${NO}"}}}
    assert problems(lambda: plan_of({"runtime_environment": {"B": "${NEITHER}"}}, steps)) == [
        "pipeline.training.settings.docker.runtime_environment.B: environment variable NEITHER is not set",
        "pipeline.training.step.train.settings.docker.requirements[0]: the local package '-e .'",
        "pipeline.training.step.eval.settings.docker.environment.A: environment variable NO is not set",
    ]


def test_what_a_step_makes_of_its_pipeline_s_settings_is_the_step_s_problem() -> None:
    steps = {"load": {}, "train": {"skip_build": True, "parent_image": None}}
    assert problems(lambda: plan_of(steps=steps)) == [
        "pipeline.training.step.train.settings.docker.skip_build: no parent_image to use as it is"
    ]


def test_an_unset_variable_is_named_with_what_to_do() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of({"environment": {"API_KEY": "${GLOBAL_API_KEY}"}})
    assert str(refused.value) == (
        "pipeline.training.settings.docker.environment.API_KEY: "
        "environment variable GLOBAL_API_KEY is not set: set it: export GLOBAL_API_KEY=…"
    )


def test_an_empty_variable_is_set() -> None:
    assert image_of({"environment": {"A": "${E}"}}, world=World(variables={"E": ""})).here is not None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a\nRUN evil", "the value of T holds a line end"),
        ("a\rb", "the value of T holds a line end"),
        ("a\0b", "the value of T holds a line end"),
        # What Python makes of bytes of the environment that are no UTF-8.
        ("a\udcffb", "the value of T is not valid Unicode text"),
    ],
)
def test_a_value_that_no_image_could_hold(value: str, found: str) -> None:
    plan = lambda: plan_of({"environment": {"A": "${T}"}}, world=World(variables={"T": value}))  # noqa: E731
    assert problems(plan) == [f"pipeline.training.settings.docker.environment.A: {found}"]


def test_problems_of_files_come_once_however_many_steps_share_them() -> None:
    world = World(texts={"r.txt": "-e .\n"})
    steps = {"a": {}, "b": {"user": "1"}, "c": {"user": "2"}}
    assert problems(lambda: plan_of({"requirements": "r.txt"}, steps, world=world, here=False)) == [
        "r.txt:1: the local package '-e .'"
    ]


# --- notes ----------------------------------------------------------------------------------------------


def test_an_unpinned_parent_is_said_with_the_reason() -> None:
    world = World(pins={PARENT: Pin(None, "", "registry-1.docker.io cannot be reached", transient=True)})
    plan = plan_of(world=world)
    assert plan.unpinned == plan.images
    assert plan.notes == (
        f"unpinned: the digest of {PARENT} is not known (registry-1.docker.io cannot be reached)",
    )
    assert plan_of().unpinned == ()


def test_a_parent_that_only_the_lock_knows_is_said() -> None:
    world = World(pins={PARENT: Pin(digest("x"), "lock", "the registry cannot be reached")})
    assert plan_of(world=world).notes == (f"{PARENT} is pinned by the lock: the registry cannot be reached",)


def test_what_is_likely_a_mistake_is_said() -> None:
    assert plan_of(world=World(entries=(file(".git/HEAD"), file("a")))).notes == (
        "training: the directory .git is part of the image: add it to .dockerignore",
    )
    assert plan_of({**NOT_INCLUDED, "user": "1"}).notes == (
        "training: no code is included, and downloading code is not there yet",
    )
    assert plan_of().notes == ()


def test_of_several_images_the_last_keeps_the_tag() -> None:
    plan = plan_of({"image_tag": "1.0"}, {"load": {}, "train": {"user": "1"}})
    assert plan.notes == ("image_tag '1.0' stays with training/train: training loses it",)
    plan = plan_of({"image_tag": "1.0"}, {"load": {}, "train": {"user": "1", "target_repository": "x"}})
    assert plan.notes == ()


# --- needs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"skip_build": True}, {ImageDigest(ref(PARENT))}),
        ({**NOT_INCLUDED}, {ImageDigest(ref(PARENT)), HostPlatform()}),
        (
            {**NOT_INCLUDED, "build_config": {"build_options": {"platform": "linux/amd64"}}},
            {ImageDigest(ref(PARENT))},
        ),
        ({**NOT_INCLUDED, "requirements": ["six"]}, {ImageDigest(ref(PARENT)), HostPlatform()}),
        (
            {**NOT_INCLUDED, "environment": {"A": "${X}-${Y}"}, "runtime_environment": {"B": "${X}"}},
            {ImageDigest(ref(PARENT)), HostPlatform(), Variable("X"), Variable("Y")},
        ),
        (
            {**NOT_INCLUDED, "requirements": "r.txt"},
            {ImageDigest(ref(PARENT)), HostPlatform(), *map(FileText, ("r.txt", "s.txt", "c.txt"))},
        ),
        (
            {},
            {ImageDigest(ref(PARENT)), HostPlatform(), FileText(".dockerignore"), TREE_RULES},
        ),
        (
            {"parent_image": None, "skip_build": False, **NOT_INCLUDED},
            {PythonVersion(), ImageDigest(ref(PARENT)), HostPlatform()},
        ),
    ],
)  # fmt: skip
def test_nothing_is_looked_at_that_no_setting_asks_for(table: dict[str, Any], expected: set[Need]) -> None:
    world = World(
        texts={"r.txt": "-r s.txt\n", "s.txt": "-c c.txt\n", "c.txt": "", "unused.txt": ""},
        variables={"X": "x", "Y": "y", "Z": "z"},
    )
    assert asked(table, world) == expected


@pytest.mark.parametrize("table", [{}, {"requirements": "r.txt"}, {"environment": {"A": "${UNSET}"}}])
def test_a_lock_needs_no_variable_no_file_tree_and_no_platform(table: dict[str, Any]) -> None:
    world = World(texts={"r.txt": "six\n"})
    found = asked(table, world, here=False)
    assert not any(isinstance(need, Variable | FileTree | HostPlatform) for need in found)
    assert FileText(".dockerignore") not in found
    assert plan_of(table, world=world, here=False).images[0].here is None


def test_one_answer_raises_the_next_question() -> None:
    pipeline = pipeline_of({"parent_image": None, "requirements": "r.txt"})
    first = needs(pipeline, Stack(), here=False)
    assert first == (PythonVersion(), FileText("r.txt"))
    facts = Facts().also({PythonVersion(): "3.12", FileText("r.txt"): "-r s.txt\n"})
    assert needs(pipeline, Stack(), facts, here=False) == (
        ImageDigest(ref("python:3.12-slim")),
        FileText("s.txt"),
    )


def test_files_that_include_each_other_are_asked_for_once() -> None:
    found = asked(
        {"requirements": "a.txt"}, World(texts={"a.txt": "-r b.txt\n", "b.txt": "-r a.txt\n"}), here=False
    )
    assert {need for need in found if isinstance(need, FileText)} == {FileText("a.txt"), FileText("b.txt")}


def test_equal_needs_are_one_need_however_many_steps_share_them() -> None:
    names = [f"step-{index}" for index in range(100)]
    steps = {name: {"environment": {"STEP": name, "T": "${TOKEN}"}} for name in names}
    pipeline = pipeline_of({"requirements": "r.txt"}, steps)
    assert needs(pipeline, Stack()) == (
        ImageDigest(ref(PARENT)),
        FileText("r.txt"),
        Variable("TOKEN"),
        HostPlatform(),
        FileText(".dockerignore"),
    )


def test_the_order_of_needs_is_stable() -> None:
    pipeline = pipeline_of({"environment": {"B": "${B}", "A": "${A}"}, "requirements": "r.txt"}, ("x", "y"))
    again = Pipeline(name="training", steps=["x", "y"], settings=pipeline.docker)
    assert needs(pipeline, Stack()) == needs(again, Stack())


def test_needs_report_the_problems_that_planning_would() -> None:
    pipeline = pipeline_of({"pyproject_path": "pyproject.toml"}, {"a": {}, "b": {"dockerfile": "Dockerfile"}})
    later = "is not there yet: it comes with a later release"
    expected = [
        f"pipeline.training.settings.docker.pyproject_path: {later}",
        f"pipeline.training.step.b.settings.docker.dockerfile: {later}",
    ]
    assert problems(lambda: needs(pipeline, Stack())) == expected
    assert problems(lambda: make_plan(pipeline, Stack(), Facts())) == expected


# --- cost -----------------------------------------------------------------------------------------------


def test_the_work_grows_with_different_settings_and_not_with_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[DockerSettings] = []

    def counted(settings: DockerSettings, facts: Facts) -> Any:
        calls.append(settings)
        return recipe(settings, facts)

    monkeypatch.setattr("planner.image.plan.recipe", counted)
    table = {"requirements": ["six"]}
    made = {}
    for count in (4, 400):
        steps = {f"step-{index}": {"user": "1"} if index % 2 else {} for index in range(count)}
        calls.clear()
        made[count] = plan_of(table, steps)
        assert len(calls) == 2
    assert len(made[400].images) == 2


def test_a_variable_is_fingerprinted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fingerprint costs tens of milliseconds on purpose."""
    calls: list[str] = []

    def counted(name: str, value: str) -> Any:
        calls.append(name)
        return variable_fingerprint(name, value)

    monkeypatch.setattr("planner.image.plan.variable_fingerprint", counted)
    steps = {f"step-{index}": {"environment": {"N": str(index), "T": "${TOKEN}"}} for index in range(50)}
    assert len(plan_of(steps=steps, world=World(variables={"TOKEN": "x"})).images) == 50
    assert calls == ["TOKEN"]
