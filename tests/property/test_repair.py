"""A broken lock, however it was broken: what is kept of it was in it, and nothing is raised but that it is of
a newer version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import Digest, Lock, PlannerError, dumps, loads
from planner.lock.repair import Repaired, repair
from tests.property import shapes
from tests.property import strategies as some

VALUES = (
    "1", "-1", "1.5", "true", '""', '"x"', "[]", "[1]", '["x"]', "[[]]", "{}", '{ x = "x" }', "[{}]",
    "2020-01-01", f'"sha256:{"0" * 64}"', "nan",
)  # fmt: skip
SCRAPS = (
    "[", "]", '"', "=", "\n", "[[image]]\n", "[[pushed]]\n", "[[package]]\n", "version = 1\n", "\r", "\0",
    "<<<<<<< ours\n", "=======\n", ">>>>>>> theirs\n", "||||||| base\n", "\ufeff", "[[image.instruction]]\n",
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn, text: str) -> str:
    """The text with some lines gone, swapped, twice there, or with other values, or cut in characters."""
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["less", "swap", "again", "value", "cut", "put", "end"])):
            case "less":
                del lines[at : at + draw(st.integers(1, 8))]
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "again":
                lines[at:at] = lines[other : other + draw(st.integers(1, 30))]
            case "value":
                name, equals, _ = lines[at].partition(" = ")
                lines[at] = f"{name}{equals}{draw(st.sampled_from(VALUES))}" if equals else lines[at]
            case "put":
                column = draw(st.integers(0, len(lines[at])))
                scrap = draw(st.sampled_from(SCRAPS))
                lines[at] = lines[at][:column] + scrap + lines[at][column:]
            case "cut":
                column = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:column] + lines[at][column + draw(st.integers(1, 4)) :]
            case _:
                del lines[at:]
        text = "\n".join(lines)
    return text


def _attempt(text: str) -> Repaired | None:
    try:
        return repair(text)
    except PlannerError as error:
        assert [problem.code for problem in error.problems] == ["newer-lock"]  # noqa: PT017
        assert re.search(r"^version = [1-9]", text, re.MULTILINE)
        return None


def _images(locks: Iterable[Lock]) -> set[Digest]:
    """The images of locks by what they are; whose step runs in which is not what a hash can tell."""
    return {image.spec.hash for lock in locks for plan in lock.plans for image in plan.images}


@some.examples(50)
@given(st.data())
def test_only_what_was_there_is_kept(data: st.DataObject) -> None:
    lock = data.draw(shapes.locks())
    repaired = _attempt(data.draw(broken(dumps(lock))))
    if repaired is not None:
        assert set(repaired.lock.pushed) <= set(lock.pushed)
        assert _images([repaired.lock]) <= _images([lock])
        # What was kept is whole: it is written and read as any lock.
        assert loads(dumps(repaired.lock)) == repaired.lock


@some.examples(40)
@given(st.data())
def test_a_broken_lock_is_read_or_refused(data: st.DataObject) -> None:
    lock = data.draw(shapes.locks())
    text = data.draw(broken(dumps(lock)))
    try:
        read = loads(text)
    except PlannerError as error:
        assert error.problems  # noqa: PT017
        assert all(problem.where.file == "stowplan.lock" for problem in error.problems)  # noqa: PT017
    else:
        assert set(read.pushed) <= set(lock.pushed)
        assert _images([read]) <= _images([lock])


@some.examples(12)
@given(shapes.locks(), shapes.locks())
def test_of_a_conflict_both_sides_are_kept(one: Lock, other: Lock) -> None:
    """The ledger first: nothing else knows what was pushed."""
    text = f"<<<<<<< ours\n{dumps(one)}=======\n{dumps(other)}>>>>>>> theirs\n"
    repaired = repair(text).lock
    keys = {(entry.image, entry.reference.name) for entry in one.pushed} & {
        (entry.image, entry.reference.name) for entry in other.pushed
    }
    apart = {
        entry for entry in (*one.pushed, *other.pushed) if (entry.image, entry.reference.name) not in keys
    }
    assert apart <= set(repaired.pushed) <= {*one.pushed, *other.pushed}
    assert _images([repaired]) <= _images([one, other])


@some.examples(100)
@given(st.text() | st.lists(st.sampled_from([*SCRAPS, *VALUES, "a", "version"])).map("".join))
def test_any_text_is_repaired_to_a_lock(text: str) -> None:
    repaired = _attempt(text)
    assert repaired is None or repaired.lock == Lock()


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{ a = " * 10_000,
        f"version = {'9' * 5_000}",
        f"version = 2\n[[stack]]\nname = {'9' * 5_000}",
        "version = true",
        "version = 1.0",
        "version = 1\nplan = 5",
        "version = 1\nplan = [5]\npushed = [{}]",
        'version = 1\nplan = "x"\npushed = true',
        "version = 1\n[[plan]]\npipeline = 1\nstack = []\n",
        'version = 1\n[[plan]]\npipeline = "p"\nstack = "s"\nimage = 5\n',
        "version = 2\n[[image]]\n",
        "version = 2\nimage = 5",
        "version = 2\n[[nothing]]\n",
    ],
    ids=lambda text: text[:30],
)
def test_what_no_lock_looks_like_is_refused_and_repaired_to_nothing(text: str) -> None:
    with pytest.raises(PlannerError) as refused:
        loads(text)
    assert all(problem.where.file == "stowplan.lock" for problem in refused.value.problems)
    assert repair(text).lock == Lock()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "where",
    ["instruction", "instruction.requirements", "instruction.requirements.packages", "instruction.installer",
     "instruction.installer.arguments", "instruction.variables", "instruction.kind", "parent", "options",
     "parent.reference", "steps", "stacks"],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused(where: str, value: str) -> None:
    """A merge by hand leaves tables where texts belong."""
    kind = value if where == "instruction.kind" else '"requirements"'
    rest = value if where == "instruction" else f'[{{ kind = {kind}, source = "x", {_inner(where, value)} }}]'
    parent = "" if where.startswith("parent") else 'parent = { reference = "python:3.11" }\n'
    own = "" if where.startswith("instruction") else f"{where} = {value}\n"
    steps = "" if where == "steps" else 'steps = ["a"]\n'
    text = (
        f'version = 2\n[[stack]]\nname = "s"\n[[image]]\npipeline = "p"\nname = "p"\n'
        f'hash = "sha256:{"0" * 64}"\n{steps}{parent}{own}instruction = {rest}\n'
    )
    with pytest.raises(PlannerError):
        loads(text)
    assert repair(text).lock == Lock()


def _inner(where: str, value: str) -> str:
    """The tables of an instruction, one of whose values is another."""
    match where.removeprefix("instruction.").split("."):
        case ["requirements", "packages"]:
            return f"requirements = {{ packages = {value} }}"
        case ["installer", "arguments"]:
            return f'requirements = {{}}, installer = {{ name = "uv", arguments = {value} }}'
        case [name]:
            return f"{name if name != 'kind' else 'x'} = {value}"
        case _:
            return "requirements = {}"
