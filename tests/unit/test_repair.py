"""What is kept of a broken lock: every record that is whole and says what its hash says, and nothing else."""

from __future__ import annotations

import pytest
from attrs import evolve

from planner import Lock, Pin, PlannerError, Pushed, Stack, dumps, loads
from planner.lock.lock import PipelineSource
from planner.lock.repair import repair
from tests.builders import PARENT, World, digest, ref, spec_of

PROD = Stack(name="prod", container_registry={"uri": "localhost:5000/team"})
STEPS = {
    "load": {"requirements": ["six==1.0", "attrs"]},
    "train": {"requirements": ["six==1.1"], "apt_packages": ["git"]},
    "eval": {"environment": {"A": "[[pushed]]"}},
}


def entry(name: str, number: int = 0, stack: str = "prod") -> Pushed:
    """An entry of the ledger."""
    reference = ref(f"localhost:5000/team/stowplan@{digest(f'manifest {name} {number}')}")
    return Pushed(digest(f"image {name} {number}"), reference, name, stack)


LOCK = Lock(
    (spec_of(steps=STEPS), spec_of(steps=STEPS, stack=PROD), spec_of({"user": "1"}, name="etl", stack=PROD)),
    [entry("training/train"), entry("etl"), entry("training/load")],
    {"etl": PipelineSource("jobs.daily:etl", "run.yaml")},
)
TEXT = dumps(LOCK)


def assert_part_of(found: Lock, whole: Lock = LOCK) -> None:
    """Nothing was made up: each image and each entry is one of the whole lock."""
    assert set(found.pushed) <= set(whole.pushed)
    assert set(found.sources.items()) <= set(whole.sources.items())
    for plan in found.plans:
        known = whole.plan(plan.pipeline, plan.stack)
        assert known is not None
        assert set(plan.images) <= set(known.images)


def test_a_whole_lock_is_kept_as_it_is() -> None:
    made = repair(TEXT)
    assert made.lock == LOCK
    assert made.dropped == ()


@pytest.mark.parametrize(
    "text", ["\ufeff" + TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT.replace("\n", "\r\n")]
)
def test_what_an_editor_left_is_mended(text: str) -> None:
    """A byte order mark, and the line ends of another system."""
    assert repair(text).lock == LOCK
    assert repair(text).dropped == ()


@pytest.mark.parametrize(
    "text", ["", "\ufeff", "\n", "garbage", "[[", "\0", "version = 2", "<<<<<<<", "[[image]]"]
)
def test_of_what_is_no_lock_nothing_is_kept(text: str) -> None:
    assert repair(text).lock == Lock()


def test_what_is_no_lock_does_not_take_for_ever() -> None:
    assert repair("[[image]]\n" * 2000).lock == Lock()


@pytest.mark.parametrize("version", [4, 99])
def test_a_newer_lock_is_refused_still(version: int) -> None:
    """It is not broken, and what it says is not known."""
    with pytest.raises(PlannerError, match="upgrade stowplan"):
        repair(TEXT.replace("version = 3", f"version = {version}"))
    with pytest.raises(PlannerError, match="upgrade stowplan"):
        repair("\ufeff" + TEXT.replace("version = 3", f"version = {version}"))


def test_a_lock_that_was_cut_keeps_what_is_whole() -> None:
    data = TEXT.encode()
    counts = []
    for length in range(0, len(data), 97):
        text = data[:length].decode(errors="ignore")
        made = repair(text)
        assert_part_of(made.lock)
        # An entry that stands there with its last line is kept.
        whole = {item for item in LOCK.pushed if f'hash = "{item.hash}"\n' in text}
        assert whole <= set(made.lock.pushed)
        counts.append(len(made.lock.pushed) + sum(len(plan.images) for plan in made.lock.plans))
    assert counts[0] == 0
    assert counts[-1] > 0


def test_a_lock_whose_start_is_gone_keeps_what_is_whole() -> None:
    data = TEXT.encode()
    for start in range(0, len(data), 97):
        made = repair(data[start:].decode(errors="ignore"))
        assert_part_of(made.lock)


def test_a_lock_with_a_hole_keeps_what_is_whole() -> None:
    lines = TEXT.splitlines(keepends=True)
    said = [number for number, line in enumerate(lines) if not line.startswith("#") and line.strip()]
    specs = {image.spec for plan in LOCK.plans for image in plan.images}
    for number in said:
        found = repair("".join(lines[:number] + lines[number + 1 :])).lock
        # Which steps and stacks an image is for is under no hash, so a list of those may be shorter.
        assert {image.spec for plan in found.plans for image in plan.images} <= specs
        assert set(found.pushed) <= set(LOCK.pushed)


# --- what was edited ------------------------------------------------------------------------------------


def test_an_edited_image_is_dropped_and_said() -> None:
    edited = TEXT.replace('packages = ["git"]', 'packages = ["vim"]')
    assert edited != TEXT
    made = repair(edited)
    assert made.dropped == ("image 'training/train': its hash is not that of its content",)
    assert made.lock.pushed == LOCK.pushed
    assert {image.name for plan in made.lock.plans for image in plan.images} == {
        "training/load", "training/eval", "etl",
    }  # fmt: skip


def test_an_edited_entry_is_dropped_and_said() -> None:
    gone = entry("etl")
    made = repair(TEXT.replace(str(gone.digest), str(digest("another"))))
    assert made.dropped == ("what was pushed of 'etl' was edited: its hash is not that of its content",)
    assert set(made.lock.pushed) == set(LOCK.pushed) - {gone}
    assert made.lock.plans == LOCK.plans


def test_a_record_that_cannot_be_read_is_said_with_its_line() -> None:
    gone = entry("etl")
    text = TEXT.replace(f'image = "{gone.image}"', "image = 5")
    made = repair(text)
    lines = text.splitlines()
    line = max(n for n in range(lines.index("image = 5")) if lines[n] == "[[pushed]]") + 1
    assert made.dropped == (f"pushed in line {line}: it cannot be read",)
    assert set(made.lock.pushed) == set(LOCK.pushed) - {gone}


def test_a_package_that_cannot_be_read_costs_the_images_that_ask_for_it_and_no_others() -> None:
    made = repair(TEXT.replace('name = "attrs"\nversion = "1.0"', 'name = "attrs"\nversion = "=="'))
    assert "package 'attrs': it cannot be read" in made.dropped
    assert "image 'training/load': the package 'attrs' is not in the lock" in made.dropped
    assert {image.name for plan in made.lock.plans for image in plan.images} == {
        "training/train", "training/eval", "etl",
    }  # fmt: skip


def test_what_is_said_cannot_move_a_terminal() -> None:
    for hostile in ("\\u001b[31m", "\\n", "<script>"):
        made = repair(TEXT.replace('name = "attrs"', f'name = "{hostile}"').replace("version = 3", ""))
        assert all(words.isprintable() for words in (*made.dropped, *made.kept))


def test_entries_that_contradict_each_other_are_both_dropped_and_said() -> None:
    """Which of them is right nobody here can tell; the registry can."""
    one = LOCK.pushed[0]
    other = evolve(one, reference=ref(f"localhost:5000/team/stowplan@{digest('other')}"))
    block = dumps(Lock((), [other]))
    made = repair(TEXT + block[block.index("[[pushed]]") :].split("\n\n")[0] + "\n")
    assert made.dropped == (f"{one.name!r} as pushed: the two sides have different digests",)
    assert set(made.lock.pushed) == set(LOCK.pushed) - {one}


def test_an_entry_that_stands_twice_is_kept_once() -> None:
    block = TEXT[TEXT.index("[[pushed]]") :].split("\n\n")[0] + "\n"
    made = repair(TEXT + block)
    assert made.lock == LOCK
    assert made.dropped == ()


# --- conflicts ------------------------------------------------------------------------------------------


def conflicted(ours: str, theirs: str, base: str | None = None) -> str:
    """All of two texts in one conflict, as git writes it; with `base`, in the style of diff3."""
    middle = f"||||||| merged common ancestors\n{base}" if base is not None else ""
    return f"<<<<<<< HEAD\n{ours}{middle}=======\n{theirs}>>>>>>> theirs\n"


A = Lock((spec_of(name="aa"),), [entry("aa")])
B = Lock((spec_of({"requirements": ["six"]}, name="bb"),), [entry("bb")])
OLD = Lock((spec_of(name="old"),), [entry("old")])


@pytest.mark.parametrize("base", [None, "", dumps(OLD)])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_both_sides_of_a_conflict_are_kept_and_the_ancestor_is_not(base: str | None, ends: str) -> None:
    made = repair(conflicted(dumps(A), dumps(B), base).replace("\n", ends))
    assert made.lock == A.with_plans(B.plans).with_pushed(B.pushed)
    assert made.dropped == ()


def test_a_conflict_inside_a_record_keeps_the_record_of_each_side() -> None:
    block = TEXT.replace(
        f'hash = "{entry("etl").hash}"\n',
        conflicted(f'hash = "{entry("etl").hash}"\n', f'hash = "{digest("broken")}"\n'),
    )
    made = repair(block)
    assert set(made.lock.pushed) == set(LOCK.pushed)
    assert made.lock.plans == LOCK.plans
    assert made.dropped == ("what was pushed of 'etl' was edited: its hash is not that of its content",)


def test_of_an_image_that_both_sides_have_the_first_is_kept_and_the_second_is_said() -> None:
    ours, theirs = (
        Lock((spec_of(world=World(pins={PARENT: Pin(digest(text))})),)) for text in ("ours", "theirs")
    )
    made = repair(conflicted(dumps(ours), dumps(theirs)))
    assert made.lock == ours
    assert made.dropped == ("image 'training': the two sides differ, the first side's is kept",)


def test_of_an_image_that_both_sides_have_the_one_that_is_whole_is_kept() -> None:
    edited = TEXT.replace('packages = ["git"]', 'packages = ["vim"]')
    for sides in ((edited, TEXT), (TEXT, edited)):
        made = repair(conflicted(*sides))
        assert made.lock == LOCK
        which = "first" if sides[0] is TEXT else "second"
        assert made.dropped == (f"image 'training/train': the two sides differ, the {which} side's is kept",)


def test_a_repaired_lock_is_whole() -> None:
    for text in (conflicted(dumps(A), dumps(B)), TEXT[: len(TEXT) // 2], conflicted(TEXT, dumps(A), TEXT)):
        made = repair(text)
        assert loads(dumps(made.lock)) == made.lock


def test_what_was_kept_is_said() -> None:
    made = repair(conflicted(dumps(A), dumps(B)))
    assert made.kept == ("2 images", "2 entries of the ledger")
