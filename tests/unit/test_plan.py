"""Plans: which images there are, which steps share them, what has to be looked at, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from attrs import evolve

from planner import (
    BuildPlan,
    Checkout,
    Destination,
    Digest,
    DockerSettings,
    ExternalImage,
    Facts,
    FileText,
    FileTree,
    HostPlatform,
    ImageDigest,
    ImagePlan,
    ImageSpec,
    Need,
    Note,
    Pin,
    Pipeline,
    Place,
    PlannerError,
    ProjectFiles,
    PythonVersion,
    RequirementsFile,
    Stack,
    Step,
    Variable,
    dockerfile,
    make_plan,
    needs,
)
from planner.facts.needs import PythonOf, Resolve
from planner.files.defaults import default_rules
from planner.image.capabilities import Capability, required
from planner.image.instructions import InstallApt, SetUser
from planner.requirements.lists import parse_list
from planner.requirements.resolution import Inputs
from planner.settings.written import WrittenSettings
from tests.builders import (
    PARENT,
    World,
    asked,
    digest,
    file,
    image_of,
    observed,
    pipeline_of,
    plan_of,
    ref,
    spec_of,
)

NOT_INCLUDED = {"allow_including_files_in_images": False}
WITH_RULES = World(texts={".dockerignore": ""})
TREE_RULES = FileTree(default_rules(), (".dockerignore", ".stowplan", "stowplan.lock", "stowplan.toml"))

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
    assert [image.destination.repository for image in plan.images] == [
        "localhost/stowplan",
        "localhost/x",
    ]
    assert len({image.hash for image in plan.images}) == 1


def test_two_ignore_files_are_two_images_whether_or_not_files_are_looked_at() -> None:
    """Else a lock, made without looking, would name other images than the plan it is compared with."""
    steps = {"load": {}, "train": {"build_config": {"dockerignore": "x.ignore"}}}
    world = World(texts={"x.ignore": "*.csv\n"}, entries=(file("train.py"), file("data.csv")))
    planned, locked = plan_of(steps=steps, world=world), spec_of(steps=steps, world=world)
    assert [image.name for image in planned.images] == [image.name for image in locked.images]
    assert [image.name for image in planned.images] == ["training", "training/train"]
    assert planned.images[0].hash != planned.images[1].hash
    assert planned.images[0].spec.hash == planned.images[1].spec.hash


def test_an_image_is_found_by_its_name_or_a_step() -> None:
    plan = plan_of(steps={"load": {}, "train": {"user": "1"}})
    assert plan.image("training") is plan.image("load") is plan.images[0]
    assert plan.image("training/train") is plan.image("train") is plan.images[1]
    assert plan.image("nothing") is None


def test_the_working_tag_is_the_image_s_hash() -> None:
    stack = Stack(container_registry={"uri": "localhost:5000/team"})
    (image,) = plan_of(stack=stack).images
    assert image.reference == f"localhost:5000/team/stowplan:{image.hash.hex}"
    assert image.destination.push
    (local,) = plan_of().images
    assert local.reference == f"localhost/stowplan:{local.hash.hex}"
    assert not local.destination.push


def test_what_a_lock_holds_of_a_plan() -> None:
    plan = plan_of({"build_config": {"build_options": {"pull": True, "network": "host"}}, "image_tag": "1"})
    (image,), (locked,) = plan.images, plan.spec.images
    assert (locked.name, locked.steps, locked.spec) == (image.name, image.steps, image.spec)
    assert locked.spec.options == {"network": "host"}
    assert image.build_options.pull
    assert "pull" not in repr(locked)
    assert (plan.spec.pipeline, plan.spec.stack) == ("training", "default")


def test_options_that_change_nothing_change_no_hash() -> None:
    one, two = image_of({"build_config": {"build_options": {"pull": True, "no_cache": True}}}), image_of()
    assert one.build_options != two.build_options
    assert (one.hash, one.spec.hash) == (two.hash, two.spec.hash)


def test_the_hash_of_a_plan_covers_its_images_and_which_steps_run_in_which() -> None:
    one, two = plan_of(steps=("a", "b")), plan_of(steps=("b", "a"))
    assert one.images[0].hash == two.images[0].hash
    assert one.hash != two.hash
    assert one.spec.hash != two.spec.hash
    edited = plan_of(steps=("a", "b"), world=World(entries=(file("train.py", "2"),)))
    assert edited.hash != one.hash
    assert edited.spec.hash == one.spec.hash
    other_tag = plan_of({"image_tag": "1"}, ("a", "b"))
    assert other_tag.hash == one.hash


def test_the_platform_is_the_one_asked_for_or_the_machine_s() -> None:
    asked_for = image_of({"build_config": {"build_options": {"platform": "linux/arm64"}}})
    assert asked_for.platform == "linux/arm64"
    assert asked_for.checkout.platform is None
    assert image_of().platform == "linux/amd64"
    assert image_of({"skip_build": True}).platform is None
    elsewhere = image_of(world=World(platform="linux/arm64"))
    assert elsewhere.spec.hash == image_of().spec.hash
    assert elsewhere.hash != image_of().hash


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
    assert [item.kind for item in load.spec.instructions] == ["apt", "files", "user"]
    assert [item.kind for item in train.spec.instructions] == ["files", "user"]


def test_a_step_may_complete_what_its_pipeline_asks() -> None:
    pipeline = Pipeline(
        name="p",
        steps=[Step(name="a", settings={"docker": {"parent_image": PARENT}})],
        settings={"docker": {"skip_build": True}},
    )
    (image,) = make_plan(pipeline, Stack(), observed(pipeline)).images
    assert not image.builds


# --- problems -------------------------------------------------------------------------------------------


def problems(call: Callable[[], object]) -> list[str]:
    with pytest.raises(PlannerError) as refused:
        call()
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


def test_a_problem_stands_where_its_setting_was_written() -> None:
    steps = {"load": {}, "train": {"requirements": ["-e ."]}, "eval": {"environment": {"A": "${NO}"}}}
    assert set(problems(lambda: plan_of({"runtime_environment": {"B": "${NEITHER}"}}, steps))) == {
        "pipeline.training.settings.docker.runtime_environment.B: environment variable NEITHER is not set",
        "pipeline.training.step.train.settings.docker.requirements[0]: the local package '-e .'",
        "pipeline.training.step.eval.settings.docker.environment.A: environment variable NO is not set",
    }


def test_of_two_variables_of_one_table_each_is_named_where_it_was_written() -> None:
    """The pipeline wrote B and the step A: the step's line is not to blame for B."""
    steps = {"train": {"environment": {"A": "${A}"}}}
    assert problems(lambda: plan_of({"environment": {"B": "${B}"}}, steps)) == [
        "pipeline.training.step.train.settings.docker.environment.A: environment variable A is not set",
        "pipeline.training.settings.docker.environment.B: environment variable B is not set",
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


def test_a_variable_of_the_parent_is_no_variable_of_this_machine() -> None:
    with pytest.raises(PlannerError) as refused:
        plan_of({"environment": {"PATH": "/opt:${parent}"}})
    assert str(refused.value) == (
        "pipeline.training.settings.docker.environment.PATH: environment variable parent is not set: "
        "write {parent}, without $, to add to the value of the parent image"
    )


def test_an_empty_variable_is_set() -> None:
    image = image_of({"environment": {"A": "${E}"}}, world=World(variables={"E": ""}))
    assert list(image.checkout.variables) == ["E"]


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
    assert problems(lambda: spec_of({"requirements": "r.txt"}, steps, world=world)) == [
        "r.txt:1: the local package '-e .'"
    ]


# --- notes ----------------------------------------------------------------------------------------------


def said(plan: BuildPlan) -> list[tuple[str, str, str]]:
    """The notes of a plan, without that of the default ignore rules."""
    return [(note.code, note.key, note.text) for note in plan.notes if note.code != "default-ignore-rules"]


def test_an_unpinned_parent_is_said_with_the_reason() -> None:
    reason = "registry-1.docker.io cannot be reached"
    world = World(pins={PARENT: Pin(reason=reason, transient=True)})
    assert said(plan_of(world=world)) == [
        (
            "unpinned",
            f"docker.io/library/{PARENT}",
            f"unpinned: the digest of {PARENT} is not known ({reason})",
        )
    ]
    assert said(plan_of()) == []


def test_a_parent_of_this_machine_is_said() -> None:
    table = {"parent_image": "localhost/base:1"}
    known = World(local={"localhost/base:1": Digest("1" * 64)})
    text = (
        "localhost/base:1 is known by the engine's image ID 111111111111 only: "
        "the hash of what is built on it differs on other machines"
    )
    assert said(plan_of(table, world=known)) == [("local-parent", "localhost/base:1", text)]
    text = (
        "unpinned: the digest of localhost/base:1 is not known "
        "(it is on this machine only, and no engine has it)"
    )
    assert said(plan_of(table)) == [("unpinned", "localhost/base:1", text)]


def test_a_pin_of_another_platform_s_manifest_is_said() -> None:
    """A tag without an index has one manifest: it may be for another machine than this one."""
    pin = Pin(digest("x"), "manifest", "linux/arm64")
    assert said(plan_of(world=World(pins={PARENT: pin}))) == [
        (
            "other-platform",
            f"docker.io/library/{PARENT}",
            f"{PARENT} is pinned to a single manifest, which was looked up for linux/arm64",
        )
    ]
    # An image that is not built has no platform of its own that could differ.
    assert said(plan_of({"skip_build": True}, world=World(pins={PARENT: pin}))) == []
    index = evolve(pin, kind="index")
    assert said(plan_of(world=World(pins={PARENT: index}))) == []


def test_a_skipped_build_says_what_it_ignores() -> None:
    plan = plan_of({"skip_build": True, "requirements": ["six"], "user": "1000"})
    assert said(plan) == [
        ("skip-build", "training", "skip_build uses python:3.11-slim as it is, without requirements, user")
    ]
    labels = {"build_config": {"build_options": {"labels": {"a": "b"}}}}
    (note,) = said(plan_of({"skip_build": True, **labels}))
    assert note[2].endswith("without labels")
    assert said(plan_of({"skip_build": True})) == []


def test_the_default_ignore_rules_are_said_where_they_hold() -> None:
    (note,) = plan_of(steps={"a": {}, "b": {"user": "1"}}).notes
    assert (note.code, note.key) == ("default-ignore-rules", ".dockerignore")
    assert str(note) == note.text
    assert plan_of(world=WITH_RULES).notes == ()
    assert plan_of({"skip_build": True}).notes == ()


@pytest.mark.parametrize(
    ("name", "value", "code", "text"),
    [
        ("PATH", "/opt/bin:$PATH", "kept-as-text",
         "$PATH is kept as text: write {parent} for the PATH of the parent image"),
        ("DATA", "$HOME/data", "kept-as-text",
         "$HOME is kept as text: ${HOME} would take the HOME of the machine that plans"),
        ("DATA", "${HOME:-/root}/data", "kept-as-text",
         "${HOME… is kept as text: ${HOME} would take the HOME of the machine that plans"),
        ("PATH", "/opt/bin:${PATH}", "machine-variable",
         "${PATH} takes the PATH of the machine that plans; write {parent} for that of the parent image"),
        ("DATA", "${HOME}/data", "machine-variable", "${HOME} takes the HOME of the machine that plans"),
        ("LC_ALL", "${LC_ALL}", "machine-variable",
         "${LC_ALL} takes the LC_ALL of the machine that plans; write {parent} for that of the parent image"),
        ("PATH", "/opt/bin", "path-replaced",
         "this replaces the PATH of the parent image: write {parent} where its directories belong"),
        ("PATH", "/opt/bin:/bin:/usr/bin", "path-replaced",
         "this replaces the PATH of the parent image: write {parent} where its directories belong"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("setting", ["environment", "runtime_environment"])
def test_a_value_that_is_easily_meant_in_another_way_is_said(
    setting: str, name: str, value: str, code: str, text: str
) -> None:
    world = World(variables={"PATH": "/bin", "HOME": "/home/me", "LC_ALL": "C"})
    plan = plan_of({setting: {name: value}}, world=world)
    assert said(plan) == [(code, f"{setting}.{name}", text)]
    note = next(note for note in plan.notes if note.code == code)
    assert str(note) == f"pipeline.training.settings.docker.{setting}.{name}: {text}"
    # It stands where the value was written, and is said once.
    both = plan_of({"environment": {"A": "1"}}, {"load": {}, "train": {setting: {name: value}}}, world=world)
    (note,) = [note for note in both.notes if note.code == code]
    assert note.where.dotted == f"pipeline.training.step.train.settings.docker.{setting}.{name}"
    assert len(said(plan_of({setting: {name: value}}, {"a": {}, "b": {"user": "1"}}, world=world))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/opt/bin:{parent}"),
        ("PATH", "/opt/bin:/usr/local/bin:/usr/bin:/bin"),
        ("PATH", "${TOOLS}:{parent}"),
        ("MODEL_PATH", "/opt/models"),
        ("PRICE", "$5 and $$"),
        ("PHRASE", "pa$sword"),
        ("EXPRESSION", "^a$|$(date)"),
    ],
)
def test_a_value_that_says_what_it_means_is_not_said(name: str, value: str) -> None:
    world = World(variables={"TOOLS": "/tools"})
    assert said(plan_of({"environment": {name: value}}, world=world)) == []


def test_of_what_looks_like_a_credential_nothing_is_shown() -> None:
    (note,) = said(plan_of({"environment": {"API_TOKEN": "x8Kq$PLMT3v9wZr"}}))
    assert note[0] == "credential"
    assert "PLMT" not in note[2]


def test_a_value_that_nobody_sets_is_not_said() -> None:
    codes = {note.code for note in plan_of({"skip_build": True, "environment": {"A": "$PATH"}}).notes}
    assert codes == {"skip-build"}


def test_an_image_without_code_is_said() -> None:
    text = (
        "training: its containers have only the code of the parent image: no code repository is registered; "
        "the stack default has no artifact store; allow_including_files_in_images is false"
    )
    assert said(plan_of({**NOT_INCLUDED, "user": "1"})) == [("no-code", "training", text)]


def test_of_several_images_the_last_keeps_the_tag() -> None:
    plan = plan_of({"image_tag": "1.0"}, {"load": {}, "train": {"user": "1"}})
    assert said(plan) == [
        ("tag-moves", "1.0", "image_tag '1.0' stays with training/train: training loses it")
    ]
    plan = plan_of({"image_tag": "1.0"}, {"load": {}, "train": {"user": "1", "target_repository": "x"}})
    assert said(plan) == []


def test_each_note_is_said_once() -> None:
    world = World(pins={PARENT: Pin()})
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}, "c": {"user": "2"}}, world=world)
    assert [note.code for note in plan.notes] == ["unpinned", "default-ignore-rules"]


def test_notes_say_nothing_of_what_a_plan_is() -> None:
    one = plan_of()
    other = evolve(one, notes=(Note("x", "y", "z"),))
    assert one == other
    assert one.hash == other.hash


# --- needs ----------------------------------------------------------------------------------------------

PINNED = ref(PARENT).pinned(digest(f"docker.io/library/{PARENT}"))


def resolved_from(lines: list[str]) -> Inputs:
    """What is resolved for one list of requirements."""
    return Inputs((("requirements", parse_list(lines)),), "3.11.2", "x86_64-manylinux_2_36")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"skip_build": True}, {ImageDigest(ref(PARENT))}),
        ({**NOT_INCLUDED}, {ImageDigest(ref(PARENT)), HostPlatform()}),
        (
            {
                **NOT_INCLUDED,
                "user": "1",
                "build_config": {"build_options": {"platform": "linux/amd64"}},
            },
            {ImageDigest(ref(PARENT), "linux/amd64")},
        ),
        (
            {**NOT_INCLUDED, "requirements": ["six>=1"]},
            {ImageDigest(ref(PARENT)), HostPlatform(), PythonOf(PINNED), Resolve(resolved_from(["six>=1"]))},
        ),
        (
            {**NOT_INCLUDED, "requirements": ["six>=1"], "python_version": "3.11.2"},
            {
                ImageDigest(ref(PARENT)),
                HostPlatform(),
                PythonOf(PINNED, version="3.11.2"),
                Resolve(resolved_from(["six>=1"])),
            },
        ),
        (
            # A name alone may be that of a file.
            {**NOT_INCLUDED, "requirements": ["six", "click"]},
            {
                ImageDigest(ref(PARENT)),
                HostPlatform(),
                ProjectFiles(("six", "click")),
                PythonOf(PINNED),
                Resolve(resolved_from(["six", "click"])),
            },
        ),
        (
            {**NOT_INCLUDED, "environment": {"A": "${X}-${Y}"}, "runtime_environment": {"B": "${X}"}},
            {ImageDigest(ref(PARENT)), HostPlatform(), Variable("X"), Variable("Y")},
        ),
        (
            {**NOT_INCLUDED, "requirements": "r.txt"},
            {ImageDigest(ref(PARENT)), HostPlatform(), RequirementsFile("r.txt")},
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
def test_nothing_is_looked_at_that_no_setting_asks_for(
    table: dict[str, Any], expected: set[Need[Any]]
) -> None:
    world = World(
        texts={"r.txt": "-r s.txt\n", "s.txt": "-c c.txt\n", "c.txt": "", "unused.txt": ""},
        variables={"X": "x", "Y": "y", "Z": "z"},
    )
    assert asked(table, world) == expected


@pytest.mark.parametrize("table", [{}, {"requirements": "r.txt"}, {"environment": {"A": "${UNSET}"}}])
def test_a_lock_needs_no_variable_no_file_tree_and_no_platform(table: dict[str, Any]) -> None:
    world = World(texts={"r.txt": "six\n"})
    found = asked(table, world, checkout=False)
    assert not any(isinstance(need, Variable | FileTree | HostPlatform) for need in found)
    assert FileText(".dockerignore") not in found
    assert spec_of(table, world=world).images


def test_one_answer_raises_the_next_question() -> None:
    pipeline = pipeline_of({"parent_image": None, "requirements": "r.txt"})
    first = needs(pipeline, Stack(), checkout=False)
    assert first == (PythonVersion(), RequirementsFile("r.txt"))
    facts = Facts().also({PythonVersion(): "3.12", RequirementsFile("r.txt"): {"r.txt": "six\n"}})
    assert needs(pipeline, Stack(), facts, checkout=False) == (ImageDigest(ref("python:3.12-slim")),)


def test_registries_are_asked_when_all_that_can_be_wrong_here_was_found() -> None:
    """A misspelt requirement is said at once, and not after three registries timed out."""
    pipeline = pipeline_of({"requirements": "r.txt"})
    assert needs(pipeline, Stack(), checkout=False) == (RequirementsFile("r.txt"),)
    broken = Facts().also({RequirementsFile("r.txt"): {"r.txt": "six==\n"}})
    assert problems(lambda: needs(pipeline, Stack(), broken, checkout=False)) == [
        "r.txt:1: 'six==' is not a requirement"
    ]
    # A list is wrong before anything is looked at.
    listed = pipeline_of({"requirements": ["six=="]})
    assert problems(lambda: needs(listed, Stack(), checkout=False)) == [
        "pipeline.training.settings.docker.requirements[0]: 'six==' is not a requirement"
    ]


def test_equal_needs_are_one_need_however_many_steps_share_them() -> None:
    names = [f"step-{index}" for index in range(100)]
    steps = {name: {"environment": {"STEP": name, "T": "${TOKEN}"}} for name in names}
    pipeline = pipeline_of({"requirements": "r.txt"}, steps)
    assert set(needs(pipeline, Stack())) == {
        RequirementsFile("r.txt"),
        Variable("TOKEN"),
        HostPlatform(),
        FileText(".dockerignore"),
    }
    assert len(needs(pipeline, Stack())) == 4
    found = asked({"requirements": "r.txt"}, World(texts={"r.txt": ""}))
    assert ImageDigest(ref(PARENT)) in found


def test_the_order_of_needs_is_stable() -> None:
    pipeline = pipeline_of({"environment": {"B": "${B}", "A": "${A}"}, "requirements": "r.txt"}, ("x", "y"))
    again = Pipeline(name="training", steps=["x", "y"], settings=pipeline.settings)
    assert needs(pipeline, Stack()) == needs(again, Stack())


def test_settings_give_one_plan_wherever_they_are_said() -> None:
    """In tables, in code, or in a configuration over code: names of images, hashes and notes are the same."""
    base, own = {"parent_image": PARENT, **NOT_INCLUDED}, {"apt_packages": ["git"]}
    code, of_step = DockerSettings.decode(base), DockerSettings.decode(own)
    place = Place(file="run.yaml")
    tables = Pipeline.decode(
        {
            "name": "p",
            "steps": ["a", "b"],
            "settings": {"docker": base},
            "step": {"b": {"settings": {"docker": own}}},
        }
    )
    empty = WrittenSettings(DockerSettings(), place)
    configured = Pipeline(
        name="p",
        steps=[
            Step(name="a", overrides=(empty,)),
            Step(name="b", overrides=(empty, WrittenSettings(of_step, place))),
        ],
        overrides=(WrittenSettings(code, place),),
    )
    over = Pipeline(
        name="p",
        steps=["a", evolve(configured.steps[1], settings={"docker": {"apt_packages": ["curl"]}})],
        settings={"docker": {"parent_image": "other:1"}},
        origin=Place(file="pipe.py", line=1),
        overrides=configured.overrides,
    )  # fmt: skip
    plans = [
        make_plan(each, Stack(), observed(each, Stack(), World())) for each in (tables, configured, over)
    ]
    assert plans[0] == plans[1] == plans[2]
    assert [image.name for image in plans[0].images] == ["p", "p/b"]
    # What only a configuration says of a step is the step's own: no other step has it.
    assert [image.steps for image in plans[1].images] == [("a",), ("b",)]


def test_needs_report_the_problems_that_planning_would() -> None:
    pipeline = pipeline_of({"build_context_root": "docker"}, {"a": {}, "b": {"pyproject_extras": ["x"]}})
    expected = [
        "pipeline.training.settings.docker.build_context_root: there is no dockerfile",
        "pipeline.training.step.b.settings.docker.pyproject_extras: there is no pyproject_path",
    ]
    assert problems(lambda: needs(pipeline, Stack())) == expected
    assert problems(lambda: make_plan(pipeline, Stack(), Facts())) == expected


# --- caches of the installer ------------------------------------------------------------------------------

CACHE: Final = {"requirements": ["six"], "python_package_installer_cache_mount": "/root/.cache/uv"}
PRIVATE: Final = {**CACHE, "python_package_installer_cache_mount": "type=cache,target=/c,sharing=private"}
CACHING: Final = "pipeline.training.settings.docker.python_package_installer_cache_mount: "


@pytest.mark.parametrize(
    ("settings", "builders", "found"),
    [
        (CACHE, {"classic"}, "Docker's classic builder keeps no cache between builds"),
        (PRIVATE, {"classic", "podman"}, "Docker's classic builder keeps no cache between builds"),
        (PRIVATE, {"podman"}, "Podman has no cache with sharing=private"),
        (CACHE, {"classic", "buildkit"}, None),
        (CACHE, {"podman"}, None),
        (PRIVATE, {"buildkit"}, None),
        # Where nothing is installed, nothing is asked of a builder.
        ({**CACHE, "requirements": []}, {"classic"}, None),
    ],
)
def test_a_cache_is_refused_where_no_builder_keeps_one(
    settings: Mapping[str, Any], builders: set[str], found: str | None
) -> None:
    pipeline = pipeline_of(settings)
    facts = observed(pipeline)

    def plan() -> BuildPlan:
        return make_plan(pipeline, Stack(), facts, builders=frozenset(builders))

    if found is not None:
        assert problems(plan) == [CACHING + found]
        return
    (image,) = plan().images
    assert (Capability.CACHE_MOUNT in required(image)) is bool(settings["requirements"])


# --- cost -----------------------------------------------------------------------------------------------


class Counted(Facts):
    """Facts that count what is asked of them."""

    asked: list[Need[Any]]

    @classmethod
    def of(cls, facts: Facts) -> Counted:
        made = cls(facts._answers)  # noqa: SLF001  # the same facts
        object.__setattr__(made, "asked", [])
        return made

    def ask(self, need: Need[Any]) -> Any:
        self.asked.append(need)
        return super().ask(need)


def test_the_work_grows_with_different_settings_and_not_with_steps() -> None:
    table = {"requirements": "r.txt"}
    counts = set()
    for count in (4, 400):
        steps = {f"step-{index}": {"user": "1"} if index % 2 else {} for index in range(count)}
        pipeline = pipeline_of(table, steps)
        facts = Counted.of(observed(pipeline, world=World(texts={"r.txt": "six\n"})))
        assert len(make_plan(pipeline, Stack(), facts).images) == 2
        counts.add(len(facts.asked))
    assert len(counts) == 1


def test_a_variable_is_asked_for_once_and_fingerprinted_once() -> None:
    """Each fingerprint costs tens of milliseconds on purpose."""
    steps = {f"step-{index}": {"environment": {"N": str(index), "T": "${TOKEN}"}} for index in range(50)}
    pipeline = pipeline_of(None, steps)
    facts = Counted.of(observed(pipeline, world=World(variables={"TOKEN": "x"})))
    assert len(make_plan(pipeline, Stack(), facts).images) == 50
    assert facts.asked.count(Variable("TOKEN")) == 1


# --- images on images of the plan -----------------------------------------------------------------------


def stacked(text: str = "base") -> tuple[ImagePlan, ImagePlan]:
    """An image, and one that is built on it. No setting makes such a pair yet."""
    lower = ImageSpec(ExternalImage(ref(PARENT), digest(text)), (InstallApt(("git",)),))
    upper = ImageSpec(lower, (SetUser("1000"),))
    base = ImagePlan("training/base", (), lower, Checkout("linux/amd64"), Destination("localhost/stowplan"))
    return base, ImagePlan(
        "training", ("train",), upper, Checkout("linux/amd64"), Destination("localhost/stowplan"), base
    )


def test_a_hash_covers_the_parent_all_the_way_down() -> None:
    base, image = stacked()
    other_base, other = stacked("moved")
    assert base.hash != other_base.hash
    assert image.hash != other.hash
    assert image.spec.hash != other.spec.hash
    # What only this checkout knows of the parent counts, too.
    elsewhere = evolve(base, checkout=Checkout("linux/arm64"))
    assert evolve(image, parent=elsewhere).hash != image.hash
    assert evolve(image, parent=elsewhere).spec.hash == image.spec.hash
    # Where the parent goes says nothing.
    assert evolve(image, parent=evolve(base, destination=Destination("x.io/y", push=True))).hash == image.hash


def test_an_image_is_built_on_its_parent_s_working_tag() -> None:
    base, image = stacked()
    assert image.base == base.reference == f"localhost/stowplan:{base.hash.hex}"
    assert image.spec.external == base.spec.external
    comment, *lines = dockerfile(image.spec, image.base).splitlines()
    assert comment.startswith("# Parent image: ")
    assert lines == [f"FROM {base.reference}", "USER 0", "USER 1000"]
    assert Capability.LOCAL_PARENT in required(image)
    assert Capability.LOCAL_PARENT not in required(base)


def test_parents_stand_before_what_is_built_on_them() -> None:
    base, image = stacked()
    plan = BuildPlan("training", "default", (base, image))
    assert [named.name for named in plan.spec.images] == ["training", "training/base"]
    for images in ((image, base), (image,)):
        with pytest.raises(PlannerError, match="training: stands before its parent"):
            BuildPlan("training", "default", images)


def test_a_parent_has_to_be_that_of_the_spec() -> None:
    base, image = stacked()
    other_base, _ = stacked("moved")
    for parent in (None, other_base):
        with pytest.raises(ValueError, match="the parent is not that of the spec"):
            evolve(image, parent=parent)
    with pytest.raises(ValueError, match="the parent is not that of the spec"):
        evolve(base, parent=other_base)
