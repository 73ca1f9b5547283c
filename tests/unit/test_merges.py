"""What git makes of a lock that two branches changed: what does not contradict each other merges by itself.

Every shape is committed on two branches and merged by a real git. Records stand at one of 256 places by a
hash of their names; the names here were chosen so that no two fall together by chance. How often they do is
measured at the end.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from planner import Lock, Pin, Pins, PlanSpec, Pushed, Stack, dumps, loads
from planner.lock.repair import repair
from tests.builders import PARENT, World, digest, ref, spec_of

DEFAULT, PROD = Stack(), Stack(name="prod", container_registry={"uri": "localhost:5000/team"})
OLD, NEW, NEWER = (World(pins={PARENT: Pin(digest(text))}) for text in ("old", "new", "newer"))
Table = Mapping[str, Any]


@frozen
class Project:
    """The pipelines of a project, by name: the settings of each and of its steps; and its stacks."""

    pipelines: Mapping[str, tuple[Table, Table]]
    stacks: tuple[Stack, ...] = (DEFAULT,)

    def lock(self, before: Lock = Lock(), world: World = OLD, **release: Any) -> Lock:  # noqa: B008  # frozen
        """The lock that `stowplan lock` makes of the one that was there."""
        pins = Pins(before, **release)
        plans = [
            spec_of(settings, steps, name=name, stack=stack, world=world, pins=pins)
            for name, (settings, steps) in self.pipelines.items()
            for stack in self.stacks
        ]
        known = {(plan.pipeline, plan.stack) for plan in plans}
        gone = [(plan.pipeline, plan.stack) for plan in before.plans]
        return before.without([pair for pair in gone if pair not in known]).with_plans(plans)

    def also(self, **pipelines: tuple[Table, Table]) -> Project:
        """The project with some pipelines more, or others in place of those of the same names."""
        return evolve(self, pipelines={**self.pipelines, **pipelines})

    def without(self, name: str) -> Project:
        """The project without a pipeline."""
        return evolve(self, pipelines={key: item for key, item in self.pipelines.items() if key != name})


SIX = {"requirements": ["six==1.0", "attrs"]}
TRAINING: tuple[Table, Table] = (SIX, {"load": {}, "train": {"apt_packages": ["git"]}, "eval": {"user": "1"}})
BASE = Project({"training": TRAINING, "etl": ({"requirements": ["six==1.0"]}, {"copy": {}})})
PLAIN: tuple[Table, Table] = ({}, {"run": {}})


def entry(name: str, content: str, stack: str = "prod") -> Pushed:
    """An entry of the ledger."""
    reference = ref(f"localhost:5000/team/stowplan@{digest(f'manifest {content}')}")
    return Pushed(digest(content), reference, name, stack)


# --- git ------------------------------------------------------------------------------------------------


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "x",
        "GIT_AUTHOR_EMAIL": "x@example.com",
        "GIT_COMMITTER_NAME": "x",
        "GIT_COMMITTER_EMAIL": "x@example.com",
    }
    return subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=False, capture_output=True, text=True
    )


def merged(root: Path, base: Lock, ours: Lock, theirs: Lock, *, style: str = "merge") -> tuple[bool, str]:
    """Whether git merges what two branches made of a lock by itself, and the text that it leaves."""
    path = root / "stowplan.lock"

    def commit(lock: Lock) -> None:
        path.write_text(dumps(lock), encoding="utf-8")
        assert git(root, "add", "stowplan.lock").returncode == 0
        assert git(root, "commit", "--quiet", "--allow-empty", "--message=x").returncode == 0

    assert git(root, "init", "--quiet", "--initial-branch=main").returncode == 0
    git(root, "config", "merge.conflictStyle", style)
    commit(base)
    git(root, "checkout", "--quiet", "-b", "theirs")
    commit(theirs)
    git(root, "checkout", "--quiet", "main")
    commit(ours)
    done = git(root, "merge", "--quiet", "--no-edit", "theirs")
    return done.returncode == 0, path.read_text(encoding="utf-8")


# --- what merges by itself ------------------------------------------------------------------------------

START = BASE.lock().with_pushed(
    entry(name, name) for name in ("training", "training/train", "training/eval", "etl")
)

Sides = tuple[Lock, Lock, Lock, Lock]
SHAPES: dict[str, Callable[[], Sides]] = {}


def shape(make: Callable[[], Sides]) -> Callable[[], Sides]:
    """A shape: the lock of the base, of both branches, and of the project that both changes make."""
    SHAPES[make.__name__.replace("_", " ")] = make
    return make


def both(one: Project, other: Project, whole: Project, start: Lock = START) -> Sides:
    """The locks that each of two projects, and the whole of them, make of one lock."""
    return start, one.lock(start), other.lock(start), whole.lock(start)


def added(one: str, other: str, first: tuple[Table, Table], second: tuple[Table, Table]) -> Sides:
    """Two branches that add a pipeline each."""
    left, right = BASE.also(**{one: first}), BASE.also(**{other: second})
    return both(left, right, left.also(**{other: second}))


@shape
def two_pipelines_whose_names_are_neighbours() -> Sides:
    return added("report_a", "report_b", PLAIN, ({"user": "2"}, {"run": {}}))


@shape
def two_pipelines_before_and_after_all_others() -> Sides:
    return added("aaa", "zzz", PLAIN, ({"user": "2"}, {"run": {}}))


@shape
def two_pipelines_before_all_others() -> Sides:
    return added("aaa", "aab", PLAIN, PLAIN)


@shape
def two_pipelines_behind_all_others() -> Sides:
    return added("zzy", "zzz", PLAIN, PLAIN)


@shape
def two_pipelines_of_the_same_settings() -> Sides:
    return added("report", "monitor", ({"requirements": ["polars==1.0"]}, {"run": {}}),
                 ({"requirements": ["polars==1.0"]}, {"run": {}}))  # fmt: skip


@shape
def two_pipelines_with_other_packages() -> Sides:
    return added("report", "monitor", ({"requirements": ["polars==1.0"]}, {"run": {}}),
                 ({"requirements": ["httpx==2.0", "rich"]}, {"run": {}}))  # fmt: skip


@shape
def two_pipelines_with_packages_that_are_there() -> Sides:
    return added("report", "monitor", ({"requirements": ["attrs"]}, {"run": {}}),
                 ({"requirements": ["six==1.0"]}, {"run": {}}))  # fmt: skip


@shape
def the_first_two_pipelines_of_a_project() -> Sides:
    one, other = Project({"report": PLAIN}), Project({"monitor": ({"user": "1"}, {"run": {}})})
    whole = one.also(**other.pipelines)
    return both(one, other, whole, Lock())


@shape
def two_images_of_one_pipeline() -> Sides:
    def with_step(name: str, table: Table) -> tuple[Table, Table]:
        return SIX, {**TRAINING[1], name: table}

    train = {"train": {"apt_packages": ["git", "vim"]}}
    evaluation = {"eval": {"user": "2"}}
    return both(
        BASE.also(training=with_step("train", train["train"])),
        BASE.also(training=with_step("eval", evaluation["eval"])),
        BASE.also(training=(SIX, {**TRAINING[1], **train, **evaluation})),
    )


@shape
def an_image_of_each_of_two_pipelines() -> Sides:
    etl: tuple[Table, Table] = ({"requirements": ["six==1.0"], "user": "7"}, {"copy": {}})
    training: tuple[Table, Table] = ({**SIX, "environment": {"A": "1"}}, TRAINING[1])
    return both(BASE.also(etl=etl), BASE.also(training=training), BASE.also(etl=etl, training=training))


@shape
def steps_with_images_of_their_own() -> Sides:
    one, other = {"report": {"user": "5"}}, {"deploy": {"apt_packages": ["curl"]}}
    start = TRAINING[1]
    return both(
        BASE.also(training=(SIX, {**start, **one})),
        BASE.also(training=(SIX, {**start, **other})),
        BASE.also(training=(SIX, {**start, **one, **other})),
    )


@shape
def a_stack_and_a_pipeline() -> Sides:
    one = evolve(BASE, stacks=(DEFAULT, PROD))
    return both(one, BASE.also(report=PLAIN), one.also(report=PLAIN))


@shape
def a_newer_base_and_a_pipeline_on_another() -> Sides:
    report: tuple[Table, Table] = ({"parent_image": "debian:12"}, {"run": {}})
    world = World(pins={PARENT: Pin(digest("new")), "debian:12": Pin(digest("debian"))})
    one = BASE.lock(START, NEW, all_released=True)
    other = BASE.also(report=report).lock(START, world)
    return START, one, other, BASE.also(report=report).lock(one, world)


@shape
def one_pipeline_goes_and_another_comes() -> Sides:
    return both(BASE.without("etl"), BASE.also(report=PLAIN), BASE.without("etl").also(report=PLAIN))


@shape
def a_package_moves_and_another_pipeline_comes_with_another_package() -> Sides:
    moved = BASE.also(
        training=({"requirements": ["six==1.1", "attrs"]}, TRAINING[1]),
        etl=({"requirements": ["six==1.1"]}, {"copy": {}}),
    )
    report: tuple[Table, Table] = ({"requirements": ["polars"]}, {"run": {}})
    return both(moved, BASE.also(report=report), moved.also(report=report))


@shape
def two_packages_move_that_other_images_ask_for() -> Sides:
    start = BASE.also(report=({"requirements": ["polars==1.0"]}, {"run": {}}))
    one = start.also(etl=({"requirements": ["six==1.1"]}, {"copy": {}}))
    report: tuple[Table, Table] = ({"requirements": ["polars==2.0"]}, {"run": {}})
    return both(one, start.also(report=report), one.also(report=report), start.lock(START))


@shape
def each_edits_the_code_of_another_image_and_pushes() -> Sides:
    ours, theirs = entry("training/train", "tt2"), entry("training/eval", "te2")
    return START, START.with_pushed([ours]), START.with_pushed([theirs]), START.with_pushed([ours, theirs])


@shape
def a_pipeline_comes_and_another_is_pushed() -> Sides:
    pushed = [entry("etl", "e2")]
    one = BASE.also(report=PLAIN).lock(START)
    return START, one, START.with_pushed(pushed), one.with_pushed(pushed)


@shape
def both_push_the_first_time() -> Sides:
    start = BASE.lock()
    ours, theirs = entry("training", "t5"), entry("etl", "e5")
    return start, start.with_pushed([ours]), start.with_pushed([theirs]), start.with_pushed([ours, theirs])


@shape
def both_make_the_same_change() -> Sides:
    made = BASE.also(report=PLAIN)
    return both(made, made, made)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("turned", [False, True], ids=["ours", "theirs"])
def test_git_merges_what_does_not_contradict_each_other(name: str, turned: bool, tmp_path: Path) -> None:
    base, ours, theirs, expected = SHAPES[name]()
    assert ours != base
    assert theirs != base
    by_itself, text = merged(tmp_path, base, *((theirs, ours) if turned else (ours, theirs)))
    assert by_itself, text
    assert "<<<<<<<" not in text
    assert loads(text) == expected


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) >= 12


# --- each edits the code and pushes the same image ------------------------------------------------------


def test_two_that_push_one_image_after_an_edit_of_the_code_keep_both_entries(tmp_path: Path) -> None:
    """Each branch replaced the same entry by its own. The merged code is a third image: nothing is lost."""
    ours = START.with_pushed([entry("training", "ours")])
    theirs = START.with_pushed([entry("training", "theirs")])
    by_itself, text = merged(tmp_path, START, ours, theirs)
    assert by_itself, text
    lock = loads(text)
    assert lock.plans == START.plans
    assert set(lock.pushed) == {
        entry("training", "ours"),
        entry("training", "theirs"),
        *(item for item in START.pushed if item.name != "training"),
    }
    # The next push of the merged code takes the place of both.
    after = lock.with_pushed([entry("training", "merged")])
    assert [item.image for item in after.pushed if item.name == "training"] == [digest("merged")]


# --- what does contradict each other --------------------------------------------------------------------


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_two_digests_for_one_base_are_a_conflict_that_is_repaired(style: str, tmp_path: Path) -> None:
    ours, theirs = (BASE.lock(START, world, all_released=True) for world in (NEW, NEWER))
    by_itself, text = merged(tmp_path, START, ours, theirs, style=style)
    assert not by_itself
    made = repair(text)
    # Of each image one side's, and never the ancestor's or a mixture; the ledger is whole.
    assert made.lock.pushed == START.pushed
    assert made.lock.plans
    for plan in made.lock.plans:
        known = {
            image.spec
            for side in (ours, theirs)
            for image in (side.plan(plan.pipeline, plan.stack) or PlanSpec("", "")).images
        }
        assert {image.spec for image in plan.images} <= known
    # `stowplan lock` completes it, with all images on the first side's digest.
    again = BASE.lock(made.lock, OLD)
    digests = {image.spec.external.digest for plan in again.plans for image in plan.images}
    assert digests == {digest("new")}


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_two_edits_of_one_image_are_a_conflict_that_is_repaired(style: str, tmp_path: Path) -> None:
    def edited(**table: Any) -> Project:
        return BASE.also(training=(SIX, {**TRAINING[1], "train": table}))

    one, other = edited(apt_packages=["vim"]), edited(apt_packages=["curl"])
    pushed = entry("etl", "e7")
    ours, theirs = one.lock(START), other.lock(START).with_pushed([pushed])
    by_itself, text = merged(tmp_path, START, ours, theirs, style=style)
    assert not by_itself
    made = repair(text)
    assert made.lock.with_plans(ours.plans) == ours.with_pushed([pushed])
    # The pins of what was in the conflict are there still: nothing is asked for anew.
    whole = edited(apt_packages=["curl", "vim"])
    again = whole.lock(made.lock, NEWER)
    digests = {image.spec.external.digest for plan in again.plans for image in plan.images}
    assert digests == {digest("old")}


def test_two_versions_of_a_new_package_are_a_conflict_that_is_repaired_whole(tmp_path: Path) -> None:
    """A package stands at the place of its name, so that a version moves in one line; nothing is lost."""
    report: tuple[Table, Table] = ({"requirements": ["polars==1.0"]}, {"run": {}})
    monitor: tuple[Table, Table] = ({"requirements": ["polars==2.0"]}, {"run": {}})
    base, ours, theirs, whole = added("report", "monitor", report, monitor)
    by_itself, text = merged(tmp_path, base, ours, theirs)
    assert not by_itself
    made = repair(text)
    assert made.lock == whole
    assert made.dropped == ()


# --- how often names fall together ----------------------------------------------------------------------


def test_names_rarely_fall_together(tmp_path: Path) -> None:
    """Two records at one of 256 places, or at places beside each other, are a conflict: about 3 in 256."""
    chosen = random.Random(20)  # noqa: S311  # the same pairs each time
    pairs = [["".join(chosen.choices("abcdefghijkl", k=9)) for _ in range(2)] for _ in range(300)]
    plan = spec_of({"skip_build": True}, name="x", world=OLD)
    start = Lock((spec_of({"skip_build": True}, name="training", world=OLD),))

    def with_pipeline(name: str) -> Lock:
        images = tuple(evolve(image, name=name) for image in plan.images)
        return start.with_plans([evolve(plan, pipeline=name, images=images)])

    files = [tmp_path / name for name in ("ours", "base", "theirs")]
    files[1].write_text(dumps(start), encoding="utf-8")
    conflicts = 0
    for ours, theirs in pairs:
        files[0].write_text(dumps(with_pipeline(ours)), encoding="utf-8")
        files[2].write_text(dumps(with_pipeline(theirs)), encoding="utf-8")
        done = git(tmp_path, "merge-file", "--stdout", *map(str, files))
        conflicts += done.returncode != 0
        if done.returncode == 0:
            assert loads(done.stdout) == with_pipeline(ours).with_plans(with_pipeline(theirs).plans)
    print(f"{conflicts} of {len(pairs)} pairs of names are a conflict")  # noqa: T201  # shown with pytest -rP
    assert conflicts / len(pairs) < 0.03
