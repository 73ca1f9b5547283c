"""What a diff says, in the words that users read, and which layers it says are rebuilt."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from planner import (
    BuildOptions,
    BuildPlan,
    Change,
    Lock,
    Pin,
    Stack,
    diff,
    dumps,
    loads,
    rebuilt_layers,
)
from tests.builders import PARENT, World, digest, file, image_of, link, plan_of

CODE = World(
    entries=(file("train.py", "1"), file("utils/io.py", "1"), file("README.md")),
    variables={"KEY": "s3cr3t", "URL": "http://old"},
)
EDITED = evolve(CODE, entries=(file("train.py", "2"), file("utils/io.py", "2"), file("README.md")))


def words(before: dict[str, Any], after: dict[str, Any], one: World = CODE, two: World = CODE) -> list[str]:
    """What has changed between two images, in words."""
    return [change.text for change in diff(plan_of(before, world=one), plan_of(after, world=two))]


def options(**given: Any) -> dict[str, Any]:
    return {"build_config": {"build_options": given}}


# --- the words ------------------------------------------------------------------------------------------


def test_the_words_that_users_were_promised() -> None:
    moved = evolve(
        EDITED, variables={"KEY": "rotated", "URL": "http://old"}, pins={PARENT: Pin(digest("new"))}
    )
    before = {"requirements": ["torch==2.0.1"], "environment": {"API_KEY": "${KEY}"}}
    after = {
        "requirements": ["torch==2.1.0"],
        "environment": {"API_KEY": "${KEY}"},
        "apt_packages": ["libgomp1"],
    }
    old = digest(f"docker.io/library/{PARENT}").short
    assert words(before, after, CODE, moved) == [
        f"parent image: digest moved ({old} → {digest('new').short})",
        "environment: API_KEY changed (hidden)",
        "apt: + libgomp1",
        "requirements: torch 2.0.1 → 2.1.0",
        "files: 2 changed (train.py, utils/io.py)",
    ]


def test_equal_plans_have_no_differences() -> None:
    settings = {"requirements": ["six"], "environment": {"A": "${KEY}"}, **options(labels={"a": "b"})}
    assert words(settings, settings) == []
    assert diff(Lock((plan_of(settings, world=CODE),)), plan_of(settings, world=EDITED)) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], ["six"], "requirements: + six"),
        ([], ["six==1.16.0"], "requirements: + six==1.16.0"),
        (["six"], [], "requirements: - six"),
        (["torch==2.0.1"], ["torch==2.1.0"], "requirements: torch 2.0.1 → 2.1.0"),
        (["torch"], ["torch==2.1.0"], "requirements: torch any version → 2.1.0"),
        (["torch<3"], ["torch>=2,<3"], "requirements: torch <3 → <3,>=2"),
        (["torch==2.1.0"], ["torch==2.1.*"], "requirements: torch 2.1.0 → ==2.1.*"),
        # Markers and extras are part of what is asked.
        (
            ['six==1.0; python_version < "3.12"'],
            ['six==1.1; python_version < "3.12"'],
            'requirements: six ==1.0; python_version < "3.12" → ==1.1; python_version < "3.12"',
        ),
        (["six"], ['six; sys_platform == "linux"'],
        'requirements: six any version → ; sys_platform == "linux"'),
        (["requests"], ["requests[socks]"], "requirements: requests any version → [socks]"),
        (
            ["six<1"],
            ["six<1", 'six==1.1; python_version >= "3.12"'],
            'requirements: six <1 → <1, ==1.1; python_version >= "3.12"',
        ),
    ],
)  # fmt: skip
def test_requirements(before: list[str], after: list[str], expected: str) -> None:
    found = words({"requirements": before}, {"requirements": after})
    assert [text for text in found if not text.startswith("installer")] == [expected]


def test_several_requirements_come_in_the_order_of_their_names() -> None:
    before, after = ["zlib-ng==1.0", "six", "attrs"], ["attrs", "zlib-ng==2.0", "Babel"]
    assert words({"requirements": before}, {"requirements": after}) == [
        "requirements: + babel",
        "requirements: - six",
        "requirements: zlib-ng 1.0 → 2.0",
    ]


def test_constraints_options_and_hashes_of_a_requirements_file() -> None:
    def world(text: str, constraints: str = "") -> World:
        return evolve(CODE, texts={"r.txt": text, "c.txt": constraints, ".dockerignore": "*.txt"})

    table = {"requirements": "r.txt"}
    before = world("six\n-c c.txt\n", "urllib3<2\n")
    assert words(table, table, before, world("six\n-c c.txt\n", "urllib3<3\nidna==3.1\n")) == [
        "constraints: + idna==3.1",
        "constraints: urllib3 <2 → <3",
    ]
    one, two = (f"https://{name}.example/simple" for name in "ab")
    assert words(table, table, world(f"six\n-i {one}\n"), world(f"six\n-i {two}\n--pre\n")) == [
        f"requirement options: --index-url={one} → --index-url={two}",
        "requirement options: + --pre",
    ]
    extra = [f"--extra-index-url {url}\n" for url in (one, two)]
    assert words(
        table, table, world("six\n" + "".join(extra)), world("six\n" + "".join(reversed(extra)))
    ) == ["requirement options: another order"]
    hashes = [f"six==1.0 --hash=sha256:{character * 64}\n" for character in "12"]
    assert words(table, table, world(hashes[0]), world(hashes[1])) == ["requirements: six hashes changed"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"apt_packages": ["git"]}, {"apt_packages": ["curl"]}, ["apt: + curl", "apt: - git"]),
        ({"apt_packages": ["vim=1"]}, {"apt_packages": ["vim=2"]}, ["apt: vim=1 → vim=2"]),
        ({}, {"environment": {"A": "1"}}, ["environment: + A=1"]),
        ({"environment": {"A": "1"}}, {}, ["environment: - A"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "2"}}, ["environment: A 1 → 2"]),
        ({"environment": {"A": "1"}}, {"environment": {"A": "${KEY}"}}, ["environment: A 1 → ${KEY}"]),
        ({}, {"runtime_environment": {"A": ""}}, ["runtime environment: + A="]),
        ({"user": "1000"}, {"user": "app"}, ["user: 1000 → app"]),
        ({}, {"user": "app"}, ["user: none → app"]),
        ({}, {"local_project_install_command": "make"}, ["project: none → make"]),
        ({}, options(build_args={"A": "1"}), ["build argument: + A=1"]),
        (options(labels={"a": "1"}), options(labels={"a": "2"}), ["label: a 1 → 2"]),
        (options(platform="linux/amd64"), options(platform="linux/arm64"),
        ["build option: platform linux/amd64 → linux/arm64"]),
        ({}, options(network="host"), ['build option: + network="host"']),
        (options(squash=True), options(squash=1), ["build option: squash true → 1"]),
        (options(x=["a", "b"]), options(x=["a,b"]), ['build option: x ["a", "b"] → ["a,b"]']),
        (options(x={"a": "1"}), options(x={}), ['build option: x {"a": "1"} → {}']),
        ({"parent_image": "python:3.11"}, {"parent_image": "python:3.12"},
        ["parent image: python:3.11 → python:3.12"]),
        ({"apt_packages": ["git"]}, {"apt_packages": ["git"], "allow_including_files_in_images": False},
        ["files: no longer included"]),
        ({"apt_packages": ["git"], "allow_including_files_in_images": False}, {"apt_packages": ["git"]},
        ["files: included"]),
        ({}, {"skip_build": True},
        ["use: build → parent", "files: no longer included"]),
    ],
)  # fmt: skip
def test_everything_else(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert words(before, after) == expected


def test_installers() -> None:
    def with_args(**given: Any) -> dict[str, Any]:
        return {"requirements": ["six"], **given}

    uv, pip = with_args(), with_args(python_package_installer="pip")
    assert words(uv, pip) == ["installer: uv 0.13.9 → pip"]
    args = {"timeout": 10, "no_deps": None, "find-links": ["a b", "c"]}
    assert words(uv, with_args(python_package_installer_args=args)) == [
        "installer: uv 0.13.9 → uv 0.13.9 'find-links=a b' find-links=c no-deps timeout=10"
    ]


def test_parents() -> None:
    def pinned(**pins: Pin) -> World:
        return evolve(CODE, pins={name.replace("_", ":"): pin for name, pin in pins.items()})

    same = Pin(digest("same"))
    table = {"parent_image": "python:3"}
    assert words(table, table, pinned(python_3=Pin()), pinned(python_3=same)) == [
        "parent image: digest is now known"
    ]
    assert words(table, table, pinned(python_3=same), pinned(python_3=Pin())) == [
        "parent image: digest is no longer known"
    ]
    both = pinned(python_3=same, python_4=same)
    assert words(table, {"parent_image": "python:4"}, both, both) == [
        "parent image: python:3 → python:4 (the same digest)"
    ]


def test_files() -> None:
    def world(*entries: Any) -> World:
        return evolve(CODE, entries=entries)

    one = world(file("a"), link("to", "a"))
    assert words({}, {}, one, world(file("a"), link("to", "b"))) == ["files: 1 changed (to)"]
    many = world(*(file(f"f{index}") for index in range(8)))
    assert words({}, {}, world(), many) == ["files: 8 changed (f0, f1, f2, f3, f4 and 3 more)"]
    # A name that would break the line is shown as Python writes it.
    assert words({}, {}, world(), world(file("a\nb"))) == ["files: 1 changed ('a\\nb')"]


def test_a_platform_of_the_machine_is_shown_when_both_sides_know_it() -> None:
    arm = evolve(CODE, platform="linux/arm64")
    assert words({}, {}, CODE, arm) == ["platform: linux/amd64 → linux/arm64"]
    assert diff(Lock((plan_of(world=CODE),)), plan_of(world=arm)) == ()


# --- the value of a variable ----------------------------------------------------------------------------


def test_no_value_of_a_variable_is_ever_shown() -> None:
    rotated = evolve(CODE, variables={"KEY": "r0tated", "URL": "http://new"})
    table = {"environment": {"A": "x-${KEY}"}, "runtime_environment": {"B": "${URL}/${KEY}", "C": "plain"}}
    changes = diff(plan_of(table, world=CODE), plan_of(table, world=rotated))
    assert [change.text for change in changes] == [
        "environment: A changed (hidden)",
        "runtime environment: B changed (hidden)",
    ]
    assert all(change.before is None and change.after is None for change in changes)
    for value in ("s3cr3t", "r0tated", "http://old", "http://new"):
        assert value not in repr(changes)


def test_a_template_that_changed_is_shown_and_its_value_is_not() -> None:
    (text,) = words({"environment": {"A": "${KEY}"}}, {"environment": {"A": "${URL}"}})
    assert text == "environment: A ${KEY} → ${URL}"


# --- which images ---------------------------------------------------------------------------------------


def test_images_come_and_go() -> None:
    one, two = plan_of(steps=("a", "b")), plan_of(steps={"a": {}, "b": {"user": "1"}})
    new = two.images[1]
    assert diff(one, two) == (
        Change("training", "steps", "b", None, "steps: - b"),
        Change("training/b", "image", None, new.environment_hash.short, "new image"),
    )
    assert diff(two, one) == (
        Change("training", "steps", None, "b", "steps: + b"),
        Change("training/b", "image", new.environment_hash.short, None, "image is no longer needed"),
    )


def test_without_a_plan_before_all_images_are_new() -> None:
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}})
    for before in (None, Lock(), Lock((plan_of(name="other"),)), Lock((plan_of(stack=Stack(name="prod")),))):
        assert [(change.image, change.text) for change in diff(before, plan)] == [
            ("training", "new image"),
            ("training/b", "new image"),
        ]


def test_steps_in_another_order() -> None:
    """The plan's hash covers it, so the lock would change: it has to be said."""
    one, two = plan_of(steps=("a", "b")), plan_of(steps=("b", "a"))
    assert one.environment_hash != two.environment_hash
    assert [change.text for change in diff(one, two)] == ["steps: another order"]


def test_instructions_in_another_order() -> None:
    plan = plan_of({"apt_packages": ["git"]})
    (image,) = plan.images
    turned = evolve(plan, images=(evolve(image, instructions=image.instructions[::-1]),))
    assert [change.text for change in diff(plan, turned)] == ["instructions: another order"]


def test_a_change_is_data() -> None:
    (change,) = diff(plan_of({"user": "1"}), plan_of({"user": "2"}))
    assert change == Change("training", "user", "1", "2", "user: 1 → 2")


def test_a_lock_is_compared_with_the_plan_of_its_pair() -> None:
    lock = Lock((plan_of({"user": "1"}), plan_of({"user": "2"}, stack=Stack(name="prod"))))
    assert [change.text for change in diff(loads(dumps(lock)), plan_of({"user": "2"}))] == ["user: 1 → 2"]


# --- which layers ---------------------------------------------------------------------------------------

FULL = {
    "environment": {"A": "${KEY}"},
    "apt_packages": ["git"],
    "requirements": ["six"],
    "local_project_install_command": "make",
    "user": "1000",
    "runtime_environment": {"B": "1"},
}
LAYERS = ("environment", "apt packages", "requirements", "files", "project", "user", "runtime environment")


@pytest.mark.parametrize(
    ("change", "world", "first"),
    [
        ({}, CODE, None),
        ({"runtime_environment": {"B": "2"}}, CODE, "runtime environment"),
        ({"local_project_install_command": "make x"}, CODE, "project"),
        # The owner of the files is part of the layer that copies them.
        ({"user": "1001"}, CODE, "files"),
        ({}, EDITED, "files"),
        ({"requirements": ["six", "attrs"]}, CODE, "requirements"),
        ({"python_package_installer": "pip"}, CODE, "requirements"),
        ({"apt_packages": ["git", "curl"]}, CODE, "apt packages"),
        ({}, evolve(CODE, variables={"KEY": "rotated"}), "environment"),
        ({"environment": {"A": "1"}}, CODE, "environment"),
        ({}, evolve(CODE, platform="linux/arm64"), "environment"),
        ({}, evolve(CODE, pins={PARENT: Pin(digest("moved"))}), "environment"),
        ({"parent_image": "python:3.12"}, CODE, "environment"),
        (options(build_args={"A": "1"}), CODE, "environment"),
        (options(labels={"a": "b"}), CODE, None),
    ],
)
def test_from_the_first_layer_that_differs_all_are_rebuilt(
    change: dict[str, Any], world: World, first: str | None
) -> None:
    before, after = image_of(FULL, world=CODE), image_of({**FULL, **change}, world=world)
    assert rebuilt_layers(before, after) == (LAYERS[LAYERS.index(first) :] if first else ())


def test_without_an_image_before_all_layers_are_built() -> None:
    assert rebuilt_layers(None, image_of(FULL, world=CODE)) == LAYERS


def test_layers_that_came_and_went_at_the_end() -> None:
    short = image_of({"apt_packages": ["git"]}, world=CODE)
    longer = image_of({"apt_packages": ["git"], "user": "1", "runtime_environment": {"A": "1"}}, world=CODE)
    assert rebuilt_layers(longer, short) == ("files",)
    more = evolve(short, instructions=(*short.instructions, longer.instructions[-1]))
    assert rebuilt_layers(short, more) == ("runtime environment",)
    assert rebuilt_layers(more, short) == ()


def test_what_only_one_side_knows_rebuilds_nothing() -> None:
    """A lock knows no files, no variables and no machine: that it does not says nothing of the layers."""
    plan = plan_of(FULL, world=CODE)
    (locked,) = loads(dumps(plan)).plans[0].images
    assert rebuilt_layers(locked, plan.images[0]) == ()
    (edited,) = plan_of({**FULL, "requirements": ["attrs"]}, world=EDITED).images
    assert rebuilt_layers(locked, edited) == LAYERS[2:]


def test_another_name_for_the_same_parent_rebuilds_nothing() -> None:
    world = evolve(CODE, pins={"python:3": Pin(digest("same")), "python:4": Pin(digest("same"))})
    one, two = (image_of({"parent_image": name}, world=world) for name in ("python:3", "python:4"))
    assert rebuilt_layers(one, two) == ()


def test_how_it_is_built_is_no_difference() -> None:
    one = plan_of(options(pull=True, no_cache=True, cache_from=["python"], shm_size="1g", rm=False))
    assert one.images[0].options != BuildOptions()
    assert diff(one, plan_of()) == ()
    assert isinstance(one, BuildPlan)
