"""The lock: what it says, that it is read strictly, and that every version there was is read for ever."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import tomlkit
from attrs import evolve

from planner import (
    BuildPlan,
    Digest,
    ExternalImage,
    ImageSpec,
    Lock,
    NamedSpec,
    Pin,
    Pins,
    PlannerError,
    PlanSpec,
    Pushed,
    PythonPackageInstaller,
    Stack,
    diff,
    dumps,
    loads,
    toml,
)
from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    SetEnvironment,
    SetUser,
)
from planner.lock.lock import PipelineSource
from planner.lock.normal import records_of
from planner.lock.text import of_records
from planner.requirements.model import Option, Requirement, Requirements
from tests.builders import PARENT, WORLD, World, digest, file, plan_of, ref, spec_of

LOCKS = Path(__file__).parents[2] / "fixtures" / "locks"
AWKWARD = 'it\'s "quoted" $HOME \\ # = \t\x7f \u65e5\u672c ${TOKEN}'
UV, PIP = PythonPackageInstaller.UV, PythonPackageInstaller.PIP
PROD = Stack(name="prod", container_registry={"uri": "localhost:5000/team"})

# Written by hand, so that no change of the planner changes what the lock of version 1 has to say.
VERSION_1 = Lock(
    plans=(
        PlanSpec(
            "training",
            "prod",
            (
                NamedSpec(
                    "training",
                    ("load", "train"),
                    ImageSpec(
                        ExternalImage(ref("python:3.11-slim"), Digest("1" * 64)),
                        (
                            SetEnvironment({"AWKWARD": AWKWARD, "EMPTY": ""}),
                            InstallApt(("git", "libgomp1:amd64")),
                            InstallRequirements(
                                "requirements",
                                Requirements(
                                    packages=(
                                        Requirement.parse("mine @ git+https://example.com/mine.git@v1"),
                                        Requirement.parse(
                                            'torch==2.1.0; python_version < "3.12"', ["sha256:" + "a" * 64]
                                        ),
                                    ),
                                    constraints=(Requirement.parse("urllib3<2"),),
                                    options=(
                                        Option("index-url", "https://example.com/simple"), Option("pre"),
                                    ),
                                ),
                                Installer(UV, "0.13.9",
                                {"no-deps": None, "timeout": "10", "find-links": ("a", "b")}),
                            ),
                            CopyFiles(owner="app:staff"),
                            InstallProject("pip install '.[gpu]' && true"),
                            SetUser("app:staff"),
                            SetEnvironment({"HTTP_PROXY": "http://proxy:8080"}, runtime=True),
                        ),
                        platform="linux/amd64",
                        build_args={"A": "1"},
                        labels={"org.example.team": "vision"},
                        options={"network": "host", "squash": True, "ulimit": ("a", 1),
                                 "limits": {"cpu": "1"}},
                    ),
                ),
                NamedSpec(
                    "training/report",
                    ("report",),
                    ImageSpec(ExternalImage(ref("localhost:5000/team/report:1"))),
                ),
            ),
        ),
        PlanSpec(
            "etl",
            "default",
            (
                NamedSpec(
                    "etl",
                    ("copy",),
                    ImageSpec(
                        ExternalImage(ref("python:3.12"), Digest("2" * 64)),
                        (
                            InstallRequirements(
                                "requirements", Requirements((Requirement("six"),)), Installer(PIP)
                            ),
                            CopyFiles(),
                        ),
                    ),
                ),
            ),
        ),
    ),
    pushed=(
        Pushed(Digest("3" * 64), ref(f"ghcr.io/team/x@sha256:{'4' * 64}"), "training", "prod"),
    ),
)  # fmt: skip


def text_of(name: str) -> str:
    return (LOCKS / name).read_text(encoding="utf-8")


def problems(text: str) -> list[str]:
    with pytest.raises(PlannerError) as refused:
        loads(text)
    return [f"{problem.where}: {problem.found}" for problem in refused.value.problems]


def said(text: str) -> list[str]:
    """The lines of a lock that say something."""
    return [line for line in text.splitlines() if line and not re.fullmatch(r"# [0-9a-f]{2}", line)]


def tables(text: str, kind: str) -> int:
    """How many records of a kind there are."""
    return text.count(f"[[{kind}]]\n")


# --- version 1 ------------------------------------------------------------------------------------------


def test_version_1_is_read_for_ever() -> None:
    """Never change this file: whoever wrote such a lock must still be able to build from it."""
    assert loads(text_of("v1.lock")) == VERSION_1


def test_the_pins_of_version_1_hold() -> None:
    pins = Pins(loads(text_of("v1.lock")))
    found = pins.parent("etl", "default", "copy", ref("python:3.12"), None)
    assert found is not None
    assert found.digest == Digest("2" * 64)
    asked = ("training", "other", "train", ref("python:3.11-slim"))
    assert pins.parent(*asked, "linux/amd64") == ExternalImage(ref("python:3.11-slim"), Digest("1" * 64))
    assert pins.parent(*asked, None) is None
    assert pins.uv("training", "prod", "train") == "0.13.9"
    (moved,) = spec_of({"parent_image": "python:3.12"}, ("copy",), pins=pins, name="etl").images
    assert moved.spec.external.digest == Digest("2" * 64)


def test_version_1_is_written_as_version_2() -> None:
    text = dumps(loads(text_of("v1.lock")))
    assert "\nversion = 2\n" in text
    assert loads(text) == VERSION_1
    assert diff(loads(text).plan("training", "prod"), VERSION_1.plans[1]) == ()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('kind = "apt"', 'kind = "yum"', "unknown kind of instruction: 'yum'"),
        ('pipeline = "etl"\n', "", "a plan cannot be read"),
        ("@sha256:4444", "@sha256:44", "an entry of pushed cannot be read"),
        ('parent = "docker.io', 'parent = "Docker.io/X', "a plan cannot be read"),
        ('pipeline = "etl"\nstack = "default"', 'pipeline = "training"\nstack = "prod"',
        "two plans of 'training' on 'prod'"),
        ("steps = [\"copy\"]", "steps = 5", "a plan cannot be read"),
    ],
)  # fmt: skip
def test_a_broken_version_1_is_a_problem_and_not_a_crash(old: str, new: str, found: str) -> None:
    text = text_of("v1.lock")
    assert old in text
    (problem,) = problems(text.replace(old, new, 1))
    assert problem.startswith("stowplan.lock: ")
    assert found in problem


# --- what a lock says -----------------------------------------------------------------------------------

PLAN = spec_of(
    {
        "requirements": ["torch==2.1.0", "six"],
        "apt_packages": ["git"],
        "user": "1000",
        "environment": {"A": "${TOKEN}"},
        "python_package_installer_args": {"timeout": 10},
    },
    ("load", "train"),
)
TEXT = dumps(Lock((PLAN,)))
ENTRY = Pushed(digest("image"), ref(f"localhost:5000/x@{digest('manifest')}"), "training", "default")
LEDGER = dumps(Lock((PLAN,), [ENTRY]))


def test_a_lock_survives() -> None:
    assert loads(TEXT) == Lock((PLAN,))
    assert dumps(loads(TEXT)) == TEXT
    assert diff(loads(TEXT).plan("training", "default"), PLAN) == ()
    assert loads(TEXT).plans[0].hash == PLAN.hash
    assert loads(LEDGER) == Lock((PLAN,), [ENTRY])


def test_an_empty_lock_survives() -> None:
    assert loads(dumps(Lock())) == Lock()


def test_everything_that_version_1_could_say_survives_in_version_2() -> None:
    assert loads(dumps(VERSION_1)) == VERSION_1


def test_what_was_known_of_a_pin_survives() -> None:
    """It does not count as part of the value, so it is looked at by itself."""
    pin = Pin(digest("x"), "index", "linux/arm64", digest("y"))
    plan = spec_of(world=World(pins={PARENT: pin}))
    (image,) = loads(dumps(Lock((plan,)))).plans[0].images
    assert image.spec.external.pin == pin


def test_an_empty_table_survives() -> None:
    """Left out when it was written, it would be missing from what its hash is over."""
    spec = PLAN.images[0].spec
    empty = evolve(spec, options={"ulimits": {}, "hosts": ()})
    plan = PlanSpec("training", "default", (NamedSpec("training", ("a",), empty),))
    assert loads(dumps(Lock((plan,)))) == Lock((plan,))


def test_an_image_on_another_image_of_the_plan_survives() -> None:
    base = ImageSpec(ExternalImage(ref(PARENT), digest("base")), (InstallApt(("git",)),))
    middle = ImageSpec(base, (SetEnvironment({"A": "1"}),))
    plan = PlanSpec(
        "training",
        "default",
        (
            NamedSpec("training", ("train",), ImageSpec(middle, (SetUser("1000"),))),
            NamedSpec("training/base", (), base),
            NamedSpec("training/middle", ("load",), middle),
        ),
    )
    other = evolve(plan, stack="prod")
    lock = Lock((plan, other))
    text = dumps(lock)
    assert loads(text) == lock
    assert text.count('[image.parent]\nimage = "training/base"\n') == 1
    assert text.count('[image.parent]\nimage = "training/middle"\n') == 1
    assert text.count("docker.io/library") == 1
    # The hash of each covers its parent: an edit below is an edit of all above.
    edited = problems(text.replace('packages = ["git"]', 'packages = ["vim"]'))
    assert "stowplan.lock: image 'training/base': its hash is not that of its content" in edited


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("training/nowhere", "its parent 'training/nowhere' is not in the lock"),
        ("training", "its parent 'training' is not in the lock"),
        ("training/x", "is not in the lock"),
    ],
)
def test_a_parent_that_cannot_be_is_a_problem_and_not_a_crash(name: str, found: str) -> None:
    """One that is not there, the image itself, and one that is built on it."""
    base = ImageSpec(ExternalImage(ref(PARENT), digest("base")), (InstallApt(("git",)),))
    lower, upper = ImageSpec(base, (SetUser("0"),)), ImageSpec(base, (SetUser("1"),))
    plan = PlanSpec(
        "training",
        "default",
        (
            NamedSpec("base", (), base),
            NamedSpec("training", ("a",), lower),
            NamedSpec("training/x", ("b",), upper),
        ),
    )
    text = dumps(Lock((plan,)))
    blocks = text.split("[[image]]")
    edited = [
        block.replace('image = "base"', f'image = "{name}"')
        if 'name = "training"\n' in block
        else block.replace('image = "base"', 'image = "training"')
        for block in blocks
    ]
    assert any(found in problem for problem in problems("[[image]]".join(edited)))


def test_a_lock_does_not_move_with_files_variables_and_machines() -> None:
    """It is committed: it may not go stale with every edit, nor differ from colleague to colleague."""
    settings = {"environment": {"A": "${TOKEN}"}, "requirements": ["six"]}
    pins = {PARENT: Pin(digest("x"))}
    mine = World(variables={"TOKEN": "mine"}, entries=(), platform="linux/amd64", pins=pins)
    yours = World(variables={"TOKEN": "yours"}, platform="linux/arm64", pins=pins)
    locks = {dumps(Lock((plan_of(settings, world=world).spec,))) for world in (mine, yours)}
    locks.add(dumps(Lock((spec_of(settings, world=World(pins=pins)),))))
    assert len(locks) == 1


def test_a_lock_says_nothing_of_where_images_go() -> None:
    settings = {
        "image_tag": "1.0",
        "build_config": {"build_options": {"pull": True, "cache_from": ["python"]}},
    }
    assert dumps(Lock((spec_of(settings),))) == dumps(Lock((spec_of(),)))
    plan = plan_of({"environment": {"A": "${T}"}}, world=World(variables={"T": "s3cr3t"}))
    text = dumps(Lock((plan.spec,)))
    assert "s3cr3t" not in text
    assert "train.py" not in text


def test_a_lock_holds_all_plans_sorted() -> None:
    one, other = spec_of(name="b"), spec_of(name="a")
    prod = spec_of(name="a", stack=PROD)
    lock = Lock((one,)).with_plans([prod]).with_plans([other])
    assert [(plan.pipeline, plan.stack) for plan in lock.plans] == [
        ("a", "default"),
        ("a", "prod"),
        ("b", "default"),
    ]
    assert dumps(lock) == dumps(Lock((other, prod, one)))
    assert lock.plan("a", "prod") == prod
    assert lock.plan("a", "nowhere") is None


def test_a_new_plan_takes_the_place_of_the_old_one() -> None:
    lock = Lock((spec_of(name="a"), spec_of(name="b")))
    new = spec_of({"user": "1"}, name="a")
    assert lock.with_plans([new]).plans == (new, lock.plans[1])
    assert lock.without([("a", "default")]).plans == (lock.plans[1],)


# --- what is shared stands once -------------------------------------------------------------------------


def test_a_package_that_images_share_stands_once() -> None:
    steps = {"a": {"requirements": ["six==1.0"]}, "b": {"requirements": ["attrs", "six==1.0"]}}
    text = dumps(Lock((spec_of(steps=steps), spec_of({"requirements": ["six==1.0"]}, name="other"))))
    assert text.count('name = "six"') == 1
    assert tables(text, "image") == 3
    assert tables(text, "package") == 2
    # What two images were resolved to alike stands once as well.
    shared_steps: dict[str, dict[str, Any]] = {
        "a": {"requirements": ["six"]},
        "b": {"requirements": ["six"], "user": "1"},
    }
    shared = dumps(Lock((spec_of(steps=shared_steps),)))
    assert (tables(shared, "image"), tables(shared, "resolution")) == (2, 1)


def test_a_package_that_moves_moves_one_line_that_is_no_hash() -> None:
    def lock(version: str) -> str:
        steps = {name: {"requirements": ["torch", name]} for name in ("aa", "bb", "cc")}
        world = World(index={"torch": {version: ()}})
        stacks = (Stack(), PROD)
        return dumps(
            Lock(
                spec_of(steps=steps, name=name, stack=stack, world=world) for name in "pq" for stack in stacks
            )
        )

    one, two = lock("2.0.1").splitlines(), lock("2.1.0").splitlines()
    assert len(one) == len(two)
    moved = [(old, new) for old, new in zip(one, two, strict=True) if old != new]
    hashes = [pair for pair in moved if pair[0].startswith("hash = ")]
    # Of six images, and of the three resolutions that they share.
    assert len(hashes) == 6 + 3
    version, files = [pair for pair in moved if pair not in hashes]
    assert version == ('version = "2.0.1"', 'version = "2.1.0"')
    assert all(line.startswith("files = [{name = ") for line in files)


def test_an_image_that_is_the_same_on_all_stacks_stands_once_and_names_none() -> None:
    both = dumps(Lock((spec_of(), spec_of(stack=PROD))))
    assert tables(both, "image") == 1
    assert tables(both, "stack") == 2
    assert "stacks" not in both
    assert [plan.stack for plan in loads(both).plans] == ["default", "prod"]


def test_an_image_that_differs_by_stack_names_its_stacks() -> None:
    lock = Lock((spec_of(), spec_of({"user": "1"}, stack=PROD), spec_of(stack=Stack(name="third"))))
    text = dumps(lock)
    assert tables(text, "image") == 2
    assert 'stacks = [\n    "default",\n    "third",\n]\n' in text
    assert 'stacks = ["prod"]\n' in text
    assert loads(text) == lock
    # A pipeline that is on some stacks only.
    lock = Lock((spec_of(), spec_of(stack=PROD), spec_of(name="other", stack=PROD)))
    assert loads(dumps(lock)) == lock


def test_steps_that_differ_by_stack_are_two_records() -> None:
    lock = Lock((spec_of(steps=("a",)), spec_of(steps=("a", "b"), stack=PROD)))
    assert tables(dumps(lock), "image") == 2
    assert loads(dumps(lock)) == lock


@pytest.mark.parametrize(
    "lists",
    [
        [["six==1.0"], ["six==1.1"]],
        [["six==1.1"], ["six==1.0"]],
        [["six", "attrs"], ["six[x]", "attrs"], ["six==0.1", "attrs==0.1"]],
    ],
)
def test_two_packages_of_one_name(lists: list[list[str]]) -> None:
    lock = Lock(spec_of({"requirements": given}, name=f"p{index}") for index, given in enumerate(lists))
    text = dumps(lock)
    assert loads(text) == lock
    assert dumps(loads(text)) == text
    assert tables(text, "package") == len(
        {each.text for plan in lock.plans for each in plan.packages.values()}
    )


def test_two_packages_of_one_text_that_differ_by_their_hashes() -> None:
    def plan(name: str, character: str) -> PlanSpec:
        line = f"six==1.0 --hash=sha256:{character * 64}\n"
        return spec_of({"requirements": "r.txt"}, world=World(texts={"r.txt": line}), name=name)

    lock = Lock((plan("a", "1"), plan("b", "2")))
    text = dumps(lock)
    assert loads(text) == lock
    assert tables(text, "package") == 2
    swapped = text.replace("1" * 64, "*").replace("2" * 64, "1" * 64).replace("*", "2" * 64)
    assert swapped != text
    assert loads(swapped) == lock or problems(swapped)


def test_a_name_that_two_branches_gave_to_two_packages_is_told_apart_by_the_hashes() -> None:
    """What a merge leaves: each image says `six`, and there are two packages of that name."""
    one = dumps(Lock((spec_of({"requirements": ["six==1.0"]}, name="a"),)))
    two = dumps(Lock((spec_of({"requirements": ["six==1.1"]}, name="b"),)))
    blocks = [f"[[{block}" for block in two.partition("version = 2")[2].split("[[")[1:]]
    merged = one + "\n".join(blocks)
    lock = loads(merged)
    assert [plan.pipeline for plan in lock.plans] == ["a", "b"]
    assert lock.plan("a", "default") == spec_of({"requirements": ["six==1.0"]}, name="a")
    assert lock.plan("b", "default") == spec_of({"requirements": ["six==1.1"]}, name="b")


# --- bytes ----------------------------------------------------------------------------------------------

STEPS = {"a": {"requirements": ["six"]}, "b": {"user": "1"}, "c": {"requirements": ["attrs", "six==1.0"]}}
MANY = Lock(
    (spec_of(steps=STEPS, name="p"), spec_of(steps=STEPS, name="q"), spec_of(steps=STEPS, stack=PROD)),
    [ENTRY, evolve(ENTRY, image=digest("two"), name="training/a")],
)


def test_the_order_of_plans_images_and_entries_means_nothing() -> None:
    text = dumps(MANY)
    for seed in range(5):
        plans, pushed = list(MANY.plans), list(MANY.pushed)
        random.Random(seed).shuffle(plans)  # noqa: S311  # any order
        random.Random(seed).shuffle(pushed)  # noqa: S311  # any order
        turned = [evolve(plan, images=plan.images[::-1]) for plan in plans]
        assert dumps(Lock(turned, pushed)) == text
        assert Lock(turned, pushed) == MANY


def test_the_order_of_records_means_nothing() -> None:
    records = list(records_of(MANY))
    for seed in range(5):
        random.Random(seed).shuffle(records)  # noqa: S311  # any order
        assert of_records(records) == MANY
    head, *blocks = re.split(r"(?m)^(?=\[\[(?:image|package|resolution|stack|pushed)\]\]$)", dumps(MANY))
    random.Random(0).shuffle(blocks)  # noqa: S311  # any order
    assert loads(head + "".join(blocks)) == MANY


def test_a_record_that_stands_twice_is_one_record() -> None:
    """What a merge leaves where both sides added the same: packages, stacks and images are what they say."""
    records = [record for record in records_of(MANY) if type(record).__name__ != "PushedRecord"]
    assert of_records([*records, *records]).plans == MANY.plans


def test_the_layout_is_stable() -> None:
    """Numbered places, each once and in order; records of one place sorted; one line end at the end."""
    lines = dumps(MANY).splitlines()
    places = [line for line in lines if re.fullmatch(r"# [0-9a-f]{2}", line)]
    assert places == [f"# {number:02x}" for number in range(256)]
    assert dumps(MANY).endswith("# ff\n") or not dumps(MANY).endswith("\n\n\n")
    assert "\r" not in dumps(MANY)
    assert dumps(Lock()).splitlines()[:4] == [
        "# Written by `stowplan lock`. Commit it; do not edit it.",
        "# Numbered comments keep records apart, so that git merges what two branches add.",
        "version = 2",
        "",
    ]
    assert said(dumps(Lock()))[2:] == ["version = 2"]


def test_line_ends_and_comments_say_nothing() -> None:
    assert loads(LEDGER.replace("\n", "\r\n")) == loads(LEDGER)
    assert loads("\n".join(line for line in LEDGER.splitlines() if not line.startswith("#"))) == loads(LEDGER)


def test_the_same_lock_has_the_same_bytes_for_ever() -> None:
    """A new release may not rewrite every lock: the bytes of one are here."""
    plan = PlanSpec(
        "p",
        "default",
        (
            NamedSpec(
                "p",
                ("a",),
                ImageSpec(ExternalImage(ref("python:3"), Digest("1" * 64)), (InstallApt(("git",)),)),
            ),
        ),
    )
    assert said(dumps(Lock((plan,))))[2:] == [
        "version = 2",
        *['[[stack]]', 'name = "default"'],
        *['[[image]]', 'pipeline = "p"', 'name = "p"', 'steps = ["a"]'],
        f'hash = "{plan.images[0].spec.hash}"',
        *['[image.parent]', 'reference = "docker.io/library/python:3"', f'digest = "sha256:{"1" * 64}"'],
        *['[[image.instruction]]', 'kind = "apt"', 'packages = ["git"]'],
    ]  # fmt: skip


# --- the ledger -----------------------------------------------------------------------------------------


def pushed(plan: BuildPlan, number: int = 0) -> Pushed:
    image = plan.images[number]
    return Pushed(
        image.hash, ref(f"localhost:5000/team/stowplan@{digest(image.name)}"), image.name, plan.stack
    )


def test_the_ledger_knows_what_was_pushed() -> None:
    plan = plan_of(steps={"a": {}, "b": {"user": "1"}}, stack=PROD)
    lock = Lock((plan.spec,)).with_pushed([pushed(plan, 1), pushed(plan, 0)])
    assert {entry.name for entry in lock.pushed} == {"training", "training/b"}
    assert loads(dumps(lock)) == lock
    assert lock.pushed_as(plan.images[0]) == pushed(plan)
    # For the repository that it goes to, and for the very image.
    assert lock.pushed_as(plan_of().images[0]) is None
    edited = plan_of(stack=PROD, world=World(entries=(file("train.py", "edited"),)))
    assert lock.pushed_as(edited.images[0]) is None


def test_the_ledger_forgets_what_an_image_no_longer_is() -> None:
    old, other = plan_of(stack=PROD), plan_of(name="other", stack=PROD)
    new = plan_of(stack=PROD, world=evolve(WORLD, entries=()))
    lock = Lock().with_pushed([pushed(old)]).with_pushed([pushed(other)])
    lock = lock.with_pushed([pushed(new)])
    assert {(entry.name, entry.image) for entry in lock.pushed} == {
        ("training", new.images[0].hash),
        ("other", other.images[0].hash),
    }


def test_the_ledger_keeps_other_stacks_and_other_images() -> None:
    lock = Lock().with_pushed([ENTRY])
    for other in (
        evolve(ENTRY, stack="prod", image=digest("2")),
        evolve(ENTRY, name="training/b", image=digest("2")),
    ):
        assert len(lock.with_pushed([other]).pushed) == 2
    # The same image in the same repository has one digest: the newest.
    again = evolve(ENTRY, name="training/b", reference=ref(f"localhost:5000/x@{digest('again')}"))
    assert lock.with_pushed([again]).pushed == (again,)


def test_what_goes_takes_its_entries_along() -> None:
    entries = [
        ENTRY,
        evolve(ENTRY, name="training/b", image=digest("b")),
        evolve(ENTRY, name="training-2", image=digest("c")),
        evolve(ENTRY, stack="prod", image=digest("d")),
    ]
    lock = Lock((spec_of(),), entries).without([("training", "default")])
    assert {(entry.name, entry.stack) for entry in lock.pushed} == {
        ("training-2", "default"),
        ("training", "prod"),
    }


@pytest.mark.parametrize("reference", ["localhost:5000/x", "localhost:5000/x:1", f"x:1@sha256:{'0' * 64}"])
def test_an_entry_is_a_reference_by_digest_and_nothing_else(reference: str) -> None:
    with pytest.raises(ValueError, match="not a reference by digest"):
        evolve(ENTRY, reference=ref(reference))
    if "@" not in reference:
        written = f"localhost:5000/x@{digest('manifest')}"
        assert written in LEDGER
        (problem,) = problems(LEDGER.replace(written, reference))
        assert "not a reference by digest" in problem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (str(digest("manifest")), str(digest("another"))),
        (str(digest("image")), str(digest("another"))),
        ("localhost:5000/x@", "localhost:5000/y@"),
        ('name = "training"\nstack = "default"\nhash', 'name = "other"\nstack = "default"\nhash'),
        ('stack = "default"\nhash', 'stack = "prod"\nhash'),
    ],
)
def test_an_entry_that_was_edited_is_found_by_its_hash(old: str, new: str) -> None:
    assert old in LEDGER
    (problem,) = problems(LEDGER.replace(old, new))
    assert re.fullmatch(
        r"stowplan\.lock: pushed: what was pushed of '\w+' was edited: its hash is not that of its content",
        problem,
    )


def test_an_entry_that_stands_twice_is_refused() -> None:
    block = LEDGER[LEDGER.index("[[pushed]]") :].split("\n\n")[0] + "\n"
    assert problems(LEDGER + block) == ["stowplan.lock: 'training' is listed twice among the pushed images"]


def test_the_names_in_the_ledger_are_names() -> None:
    for old, new in (('stack = "default"', 'stack = "a b"'), ('name = "training"', 'name = "<b>"')):
        assert f"{old}\n" in LEDGER
        assert any("not a name" in problem for problem in problems(LEDGER.replace(old, new)))


def test_images_that_are_built_on_one_another_without_end_are_refused() -> None:
    """A builder could not make them, and reading them would end in a stack that overflows."""
    parent: ExternalImage | ImageSpec = ExternalImage(ref("python:3.12"), digest("old"))
    images = []
    for index in range(129):
        parent = ImageSpec(parent, (SetUser(str(index)),))
        images.append(NamedSpec(f"training/s{index:03}", (f"s{index}",), parent))
    deep = Lock((PlanSpec("training", "default", tuple(images[:-1])),))
    # The last stands first: it is read with all the others.
    assert of_records(reversed(list(records_of(deep)))) == deep
    deeper = Lock((PlanSpec("training", "default", tuple(images)),))
    with pytest.raises(PlannerError, match="more than 127 images are built on one another"):
        of_records(reversed(list(records_of(deeper))))


# --- what is no lock ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["[something]\nnew = 1\n", "image = 5\n", ""])
def test_a_newer_schema_is_refused_by_its_version(rest: str) -> None:
    """Before anything else of it is looked at: who knows what it says."""
    with pytest.raises(PlannerError) as refused:
        loads(f"version = 4\n{rest}")
    (problem,) = refused.value.problems
    assert str(problem) == (
        "stowplan.lock: of a newer stowplan (schema 4; this one reads up to 3): upgrade stowplan"
    )
    assert problem.code == "newer-lock"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "unknown schema None"),
        ("version = 0", "unknown schema 0"),
        ("version = true", "unknown schema True"),
        ('version = "1"', "unknown schema '1'"),
        ('version = "2"', "unknown schema '2'"),
        ("version = 1.5", "unknown schema 1.5"),
    ],
)
def test_a_version_that_never_was(text: str, found: str) -> None:
    assert problems(text) == [f"stowplan.lock: {found}"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version = 2", "version = 2\nextra = 1", "unknown name 'extra'"),
        ("version = 2", "version = 2\n[extra]\na = 1", "unknown name 'extra'"),
        ("version = 2", "version = 2\n[[plan]]\na = 1", "unknown name 'plan'"),
        ('pipeline = "training"', 'pipeline = "training"\nnote = "x"', "image[0]: extra fields found (note)"),
        ('name = "torch"', 'name = "torch"\nnote = "x"', "package[1]: extra fields found (note)"),
        ('name = "training"\nhash', 'note = "x"\nname = "training"\nhash',
        "resolution[0]: extra fields found (note)"),
        ('name = "training"\nhash', 'name = "<b>"\nhash', "resolution[0]: 'name' must match"),
        ('python = "3.11.2"', 'python = "3"', "resolution[0]: 'python' must match"),
        ('platform = "x86_64-', 'platform = "*-', "resolution[0]: 'platform' must match"),
        ('size = 1000', 'size = "1000"', "expected int, found a string"),
        ('resolution = "training"', 'resolution = "x"', "the resolution 'x' is not in the lock"),
        ('resolution = "training"\n', "", "the source 'requirements' has no packages"),
        ('[[stack]]\n', '[[stack]]\nnote = "x"\n', "stack[0]: extra fields found (note)"),
        ('reference = "docker', 'tag = "x"\nreference = "docker', "parent: extra fields found (tag)"),
        ('kind = "apt"', 'kind = "apt"\nupdate = true', "extra fields found (update)"),
        ('kind = "apt"', 'kind = "yum"', "image 'training': unknown kind of instruction: 'yum'"),
        ('kind = "apt"\n', "", "an instruction without a kind"),
        ('user = "1000"', "user = 1000", "user: expected str, found an integer"),
        ("runtime = false", 'runtime = "false"', "runtime: expected bool, found a string"),
        ("runtime = false", "runtime = 0", "runtime: expected bool, found an integer"),
        ("[\n    \"load\",\n    \"train\",\n]", "[1, 2]",
        "image[0].steps[0]: expected str, found an integer"),
        ('pipeline = "training"', "pipeline = 5", "image[0].pipeline: expected str, found an integer"),
        ('pipeline = "training"\n', "", "image[0].pipeline: required field missing"),
        ('name = "six"\n', "", "package[0].name: required field missing"),
        ('name = "six"\nversion = "1.0"\n', 'name = "six"\n', "package 'six': 'six' has no version"),
        ('reference = "docker.io', 'reference = "Docker.io/X', "not an image reference"),
        ('digest = "sha256:', 'digest = "sha512:', "image[0].parent.digest"),
        ('kind = "manifest"', 'kind = "list"', "image[0].parent.kind"),
        ('version = "0.13.9"', "version = 13", "expected str, found an integer"),
        ('name = "uv"', 'name = "conda"', "expected an installer, uv or pip, found 'conda'"),
        ('name = "uv"', 'name = "uv"\nsource = "x"', "unknown key 'source'"),
        ('timeout = "10"', "timeout = 1.5", "timeout: not a value of an option: a number"),
        ('timeout = "10"', "timeout = 2020-01-01", "timeout: not a value of an option: date"),
        (
            '    "six",\n    "torch==2.1.0",',
            '    "six==",\n    "torch==2.1.0",',
            "'six==' is not a requirement",
        ),
        ('name = "six"\nversion = "1.0"', 'name = "six"\nversion = "=="', "six==== is not a version"),
        ('name = "six"\nversion = "1.0"', 'name = "six"\nurl = "./six"', "the local package"),
        ('name = "six"\nversion = "1.0"', 'name = "six"\nurl = "https://u:p@h/six.whl"', "credentials"),
        ('name = "six"\nversion = "1.0"', 'name = "six"\nurl = "git+https://h/six@main"', "not pinned to"),
        ('hash = "sha256:', 'hash = "sha1:', "is not a strong hash"),
        ('name = "six-1.0', 'name = "../six-1.0', "package[0].files[0]: 'name' must match"),
    ],
)  # fmt: skip
def test_a_lock_is_read_strictly(old: str, new: str, expected: str) -> None:
    assert old in TEXT
    found = problems(TEXT.replace(old, new, 1))
    assert found[0].startswith("stowplan.lock: ")
    assert expected in found[0]
    assert "u:p@" not in found[0]


def test_all_problems_come_at_once() -> None:
    text = LEDGER.replace('pipeline = "training"', "pipeline = 5\nx = 1").replace(
        'name = "torch"', "name = 1"
    )
    found = problems(text.replace("[[pushed]]", "[[pushed]]\ny = 1"))
    assert {problem.partition(": ")[2].partition(":")[0] for problem in found} == {
        "image[0].pipeline", "image[0]", "package[1].name", "pushed[0]",
    }  # fmt: skip
    both = LEDGER.replace('packages = ["git"]', 'packages = ["vim"]').replace(
        str(digest("manifest")), str(digest("x"))
    )
    assert len(problems(both)) == 2


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>", "a b", "", "../x", "a\\nb", "a\\u001b[31mb", "a\\u0000", "# title",
        "@everyone", "x" * 101, "a|b", "`x`", "\\u202e", "a\\n", "training/<b>",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("old", "kind"),
    [
        ('pipeline = "training"', "image"),
        ('name = "training"\nsteps', "image"),
        ('    "load",', "image"),
        ('[[stack]]\nname = "default"', "stack"),
        ('name = "training"\nstack = "default"\nhash', "pushed"),
        ('stack = "default"\nhash', "pushed"),
    ],
)
def test_names_are_names(old: str, kind: str, name: str) -> None:
    """They reach terminals and Markdown; a lock is what somebody else may have written."""
    assert old in LEDGER
    value = re.findall(r'"([^"]*)"', old)[0]
    edited = LEDGER.replace(old, old.replace(f'"{value}"', f'"{name}"', 1), 1)
    found = problems(edited)
    assert any(problem.startswith(f"stowplan.lock: {kind}[0]") for problem in found), found
    assert all(problem.isprintable() or "not a name" in problem for problem in found)
    assert all("\n" not in problem and "\x1b" not in problem for problem in found)


def test_the_spelling_of_a_requirement_says_nothing() -> None:
    old = '    "six",\n    "torch==2.1.0",'
    assert old in TEXT
    assert loads(TEXT.replace(old, '    " Six",\n    "Torch == v2.1.0",')) == loads(TEXT)
    (problem,) = problems(TEXT.replace(old, f"{old[:8]}; os.name == 'nt'{old[8:]}"))
    assert problem == "stowplan.lock: resolution 'training': its hash is not that of its content"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "torch"\nversion = "2.1.0"', 'name = "torch"\nversion = "2.1.1"'),
        ('sha256:' + digest("torch==2.1.0").hex, 'sha256:' + "0" * 64),
        ('python = "3.11.2"', 'python = "3.12.2"'),
        ('    "six",\n    "torch==2.1.0",', '    "six",\n    "torch==2.1.1",'),
        ('inputs = "sha256:', f'inputs = "sha256:{"0" * 64}" # '),
    ],
)  # fmt: skip
def test_a_resolution_that_was_edited_by_hand_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    assert problems(TEXT.replace(old, new, 1)) == [
        "stowplan.lock: resolution 'training': its hash is not that of its content"
    ]


def test_what_does_not_count_of_a_package_survives() -> None:
    """Sizes, who wants what and which index: nothing that a hash is over."""
    world = World(index={"six": {"1.0": ["attrs"]}})
    (image,) = loads(dumps(Lock((spec_of({"requirements": ["six"]}, world=world),)))).plans[0].images
    attrs, six = image.spec.packages
    assert (six.requires, six.size, attrs.requires) == (("attrs",), 1000, ())


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("--pre=1", "the unknown option '--pre=1'"),
        ("pre", "the unknown option 'pre'"),
        ("--requirement=x.txt", "the unknown option '--requirement=x.txt'"),
        ("--index-url=file:///srv", "--index-url of 'file:///srv'"),
        ("--index-url=https://u:p@h", "credentials in the URL https://***@h"),
    ],
)
@pytest.mark.parametrize("text", [text_of("v1.lock"), dumps(VERSION_1)], ids=["version 1", "version 2"])
def test_options_of_requirements_are_read_strictly(text: str, option: str, found: str) -> None:
    assert '"--pre"' in text
    assert found in problems(text.replace('"--pre"', f'"{option}"'))[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('packages = ["git"]', 'packages = ["vim"]'),
        ('A = "${TOKEN}"', 'A = "x"'),
        ('owner = "1000"', 'owner = "0"'),
        ('owner = "1000"\n', ""),
        (str(PLAN.images[0].spec.external.digest), str(digest("another"))),
        (f'digest = "{PLAN.images[0].spec.external.digest}"\n', ""),
        ("runtime = false", "runtime = true"),
        ('version = "0.13.9"', 'version = "0.13.8"'),
        (str(PLAN.images[0].spec.hash), str(digest("another"))),
    ],
)
def test_an_image_that_was_edited_by_hand_is_refused(old: str, new: str) -> None:
    """The hash of an image is over what it says, so that a lock that lies is found out when it is read."""
    assert old in TEXT
    assert problems(TEXT.replace(old, new, 1)) == [
        "stowplan.lock: image 'training': its hash is not that of its content"
    ]


def test_two_images_of_one_name_are_refused() -> None:
    """`apply --frozen` once took the first one's base."""
    block = TEXT[TEXT.index("[[image]]") :].partition("\n# ")[0]
    other = spec_of({"user": "2"}, ("load", "train"))
    text = dumps(Lock((other,)))
    second = text[text.index("[[image]]") :].partition("\n# ")[0]
    assert problems(TEXT + second) == ["stowplan.lock: image: two images 'training' on 'default'"]
    assert loads(TEXT + block) == loads(TEXT)


def test_a_merge_conflict_is_named_with_its_line() -> None:
    lines = TEXT.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("hash"))
    lines[at : at + 1] = ["<<<<<<< HEAD", lines[at], "=======", "hash = 1", ">>>>>>> theirs"]
    with pytest.raises(PlannerError) as refused:
        loads("\n".join(lines))
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == ("stowplan.lock", at + 1)
    assert problem.found == "an unresolved merge conflict"
    assert "stowplan lock" in problem.fix


def test_a_merge_conflict_inside_a_list_is_named_too() -> None:
    conflict = TEXT.replace('    "load",\n', '<<<<<<< HEAD\n    "load",\n=======\n>>>>>>> theirs\n')
    line = conflict.splitlines().index("<<<<<<< HEAD") + 1
    assert problems(conflict) == [f"stowplan.lock:{line}: an unresolved merge conflict"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version = 2\n\nimage = \n", 3),
        ("version = 2\nversion = 2\n", 2),
        ('version = "2\n', 1),
        ("[[image]\n", 1),
    ],
)
def test_broken_toml_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(PlannerError) as refused:
        loads(text)
    (problem,) = refused.value.problems
    assert (problem.where.file, problem.where.line) == ("stowplan.lock", line)
    assert problem.found.startswith("not TOML: ")


@pytest.mark.parametrize(
    "text",
    ["version = 2\nimage = 5", 'version = 2\nimage = "abc"', "version = 2\nimage = [1]",
     "version = 2\npushed = [[]]", "version = 2\n[image]\na = 1", "version = 2\n[[image]]\nparent = 1",
     "version = 2\nimage = [{instruction = [1]}]", "version = 2\npackage = [{files = 1}]",
     "version = 2\nresolution = [{source = 1}]",
     "version = 1\nplan = 5", 'version = 1\nplan = "abc"', "version = 1\nplan = [1]",
     "version = 1\npushed = [[]]", "version = 1\n[plan]\na = 1", "version = 1\n[[plan]]\nimage = 1",
     '[version]\na = 1', "a" * 100_000, "\x00", "version = 2\n[[stack]]\nname = []"],
)  # fmt: skip
def test_anything_else_is_a_problem_and_not_a_crash(text: str) -> None:
    assert problems(text)


def test_no_value_of_a_lock_can_crash_its_reading() -> None:
    """Each value in turn is replaced by values of other types: a problem, or a lock; never another error."""
    lines = dumps(VERSION_1).splitlines()
    values = ("5", "-1", "1.5", "true", "[]", "{}", '""', '"\\u0000"', "2020-01-01", "[[1]]", "{a = 1}")
    for number, value in itertools.product(range(len(lines)), values):
        name, equals, _ = lines[number].partition(" = ")
        if not equals or name.startswith("#") or lines[number].endswith("["):
            continue
        text = "\n".join([*lines[:number], f"{name} = {value}", *lines[number + 1 :]])
        try:
            loads(text)
        except PlannerError as error:
            assert error.problems  # noqa: PT017  # either way is right


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each value in TOML data."""
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


SHAPES: Final[tuple[Any, ...]] = (
    5, True, "x", dt.date(2020, 1, 1), [], ["x"], [["x"]], {}, {"a": 1}, [{"a": 1}],
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEDGER, "expected 'index' or 'manifest', found a table"),
        (dumps(VERSION_1), "expected an installer, uv or pip, found 'x'"),
    ],
    ids=["resolved", "unresolved"],
)
def test_what_has_another_shape_is_said_in_words_of_the_lock(text: str, words: str) -> None:
    """And not in those of the library that reads it, or of Python."""
    data = toml.parse(text)
    found = set()
    # One of each: instructions are of several kinds, all others of a list are alike.
    every = {
        tuple(key for key in path if "instruction" in path or isinstance(key, str)): path
        for path in _paths(data)
    }
    for path, value in itertools.product(every.values(), SHAPES):
        changed: Any = copy.deepcopy(data)
        *above, last = path
        at = changed
        for key in above:
            at = at[key]
        at[last] = value
        try:
            loads(tomlkit.dumps(changed))
        except PlannerError as error:
            found |= {problem.found for problem in error.problems}
    assert {"expected a table, found a string", "expected a list, found a string", words} <= found
    foreign = "unknown error|object|attribute|typing|invalid value|is not a valid|None|planner"
    assert [each for each in sorted(found) if re.search(foreign, each)] == []


IN_PYTHON = evolve(VERSION_1, sources={"training": PipelineSource("team.jobs:daily.training")})


def test_how_a_pipeline_is_named_is_kept() -> None:
    text = dumps(IN_PYTHON)
    assert "\nversion = 3\n" in text
    assert '[[pipeline]]\nname = "training"\nsource = "team.jobs:daily.training"\n' in text
    assert loads(text) == IN_PYTHON
    # A lock that says nothing of it is what it was.
    assert dumps(evolve(IN_PYTHON, sources={})) == dumps(VERSION_1)
    configured = {"a": PipelineSource(config="configs/run é.yaml")}
    assert loads(dumps(evolve(IN_PYTHON, sources=configured))).sources == configured
    pairs = [(plan.pipeline, plan.stack) for plan in VERSION_1.plans]
    assert IN_PYTHON.without(pairs[:1]).sources == IN_PYTHON.sources
    assert IN_PYTHON.without(pairs).sources == {}
    assert IN_PYTHON.with_sources({"training": PipelineSource(), **configured}).sources == configured


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("team.jobs:daily", "../x:y"), "source"),
        (("source =", 'config = "/etc/passwd"\nsource ='), "config"),
        (("source =", 'config = "../x.yaml"\nsource ='), "config"),
        (("source =", 'config = "a/../../x.yaml"\nsource ='), "config"),
        (
            ("[[pipeline]]", '[[pipeline]]\nname = "training"\nsource = "a:b"\n[[pipeline]]'),
            "is listed twice",
        ),
    ],
)
def test_a_place_in_python_that_is_none_is_refused(change: tuple[str, str], found: str) -> None:
    with pytest.raises(PlannerError, match=found):
        loads(dumps(IN_PYTHON).replace(*change))
