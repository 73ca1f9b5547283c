"""YAML: the line of everything in it, and texts that are refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.config.yaml import read_yaml
from planner import PlannerError


@pytest.fixture(params=["with libyaml", "in Python"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML has libyaml where its wheel does: nothing may depend on that."""
    if request.param == "in Python":
        monkeypatch.delattr(pyyaml, "CSafeLoader", raising=False)


def refused(text: str) -> str:
    with pytest.raises(PlannerError) as error:
        read_yaml(text, "run.yaml")
    (problem,) = error.value.problems
    return f"{problem.where}: {problem.found}"


def test_every_key_and_item_has_its_line() -> None:
    found = read_yaml(
        "a: 1\nb:\n  # c\n  - x\n\n  - y: 2\n    z: |\n      long\nc: {d: 3,\n  e: [4,\n 5]}\n", "f"
    )
    assert found.data == {"a": 1, "b": ["x", {"y": 2, "z": "long\n"}], "c": {"d": 3, "e": [4, 5]}}
    assert found.lines == {
        ("a",): 1, ("b",): 2, ("b", 0): 4, ("b", 1): 6, ("b", 1, "y"): 6, ("b", 1, "z"): 7,
        ("c",): 9, ("c", "d"): 9, ("c", "e"): 10, ("c", "e", 0): 10, ("c", "e", 1): 11,
    }  # fmt: skip


SCALARS = """
1 0x1f 010 1_000 -5 +5 1.5 1e3 1.0e+3 .5 .inf -.INF 1:30 yes No on OFF true ~ null x 'yes' "1" '12' 1.2.3
0.10 0o14 0b11
"""


def test_values_are_those_of_pyyaml() -> None:
    text = "".join(f"- {scalar}\n" for scalar in SCALARS.split())
    assert read_yaml(text, "f").data == pyyaml.safe_load(text)
    assert read_yaml("[!!str 1, !!int '12', !!float 1, !!map {a: 1}, !!seq [1]]", "f").data == [
        "1", 12, 1.0, {"a": 1}, [1],
    ]  # fmt: skip


def test_a_date_is_its_text_and_so_is_a_key() -> None:
    found = read_yaml("a: 2024-01-01\nb: 2024-01-01 10:00:00\non: 1\n1: 2\n~: 3\n=: =\n", "f")
    assert found.data == {
        "a": "2024-01-01", "b": "2024-01-01 10:00:00", "on": 1, "1": 2, "~": 3, "=": "=",
    }  # fmt: skip


def test_how_a_value_is_written_that_is_no_text() -> None:
    found = read_yaml("a: 1.10\nb: on\nc: x\nd: [010]\n", "f")
    assert found.texts == {("a",): "1.10", ("b",): "on", ("d", 0): "010"}


def test_aliases_stand_for_what_is_anchored_where_it_is_written() -> None:
    found = read_yaml("a: &x\n  k: 1\nb: *x\nc: &n 5\nd: *n\n", "f")
    assert found.data == {"a": {"k": 1}, "b": {"k": 1}, "c": 5, "d": 5}
    assert (found.lines["b",], found.lines["b", "k"], found.lines["d",]) == (3, 2, 5)


def test_a_mapping_takes_over_others() -> None:
    text = (
        "a: &a {x: 1, y: 1}\nb: &b\n  <<: *a\n  z: 1\n  x: 2\nc:\n  x: 3\n  <<: [{w: 4}, *b, {w: 5, z: 6}]\n"
    )
    found = read_yaml(text, "f")
    assert found.data == pyyaml.safe_load(text)
    assert found.data["c"] == {"x": 3, "w": 4, "z": 1, "y": 1}
    assert found.lines["c", "y"] == 1
    assert found.twice == {}


def test_a_key_that_says_two_things_is_told_and_one_that_says_one_twice_is_not() -> None:
    found = read_yaml("a: 1\nb:\n  c: 1\n  c: 2\na: 1\n", "f")
    assert found.twice == {("b", "c"): 4}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "---\n...\n", "~"])
def test_nothing_is_read_as_nothing(text: str) -> None:
    assert read_yaml(text, "f").data is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n---\nb: 2\n", "run.yaml:2: a second document begins here"),
        ("a: !env HOME\n", "run.yaml:1: the tag !env means nothing here"),
        ("a: !!python/object/apply:os.system [ls]\n",
         "run.yaml:1: the tag !!python/object/apply:os.system means nothing here"),
        ("a: !!binary aGk=\n", "run.yaml:1: the tag !!binary means nothing here"),
        ("a: !!set {x, y}\n", "run.yaml:1: the tag !!set means nothing here"),
        ("a: !!int x\n", "run.yaml:1: no value of the kind that is meant (int)"),
        ("a: !!bool x\n", "run.yaml:1: no value of the kind that is meant (bool)"),
        ("a: *x\n", "run.yaml:1: *x refers to no anchor above it"),
        ("a: &x [1, *x]\n", "run.yaml:1: *x is a part of itself"),
        ("a: &x\n  b: *x\n", "run.yaml:2: *x is a part of itself"),
        ("a:\n  <<: 5\n", "run.yaml:2: << takes over no mapping"),
        ("? [a, b]\n: 1\n", "run.yaml:1: a key that is not text"),
        ("a: " + "9" * 5000 + "\n", "run.yaml:1: no value of the kind that is meant (int)"),
        ("a: " + "[" * 100 + "]" * 100, "run.yaml:1: nested more than 64 deep"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, expected: str) -> None:
    assert refused(text) == expected


@pytest.mark.parametrize(
    "text",
    ["a: [1\n", "a: b: c\n", "a:\n\tb: 1\n", "a: 'x\n", "%YAML 9\n", "a: \x07\n", "}\n", "a: 1\n b: 2\n"],
)
def test_what_is_no_yaml_is_named_with_its_line_where_it_is_known(text: str) -> None:
    assert refused(text).startswith("run.yaml")
    assert ": not YAML: " in refused(text)


BOMBS = {
    "lists": "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(12)
    ),
    "mappings": "".join(
        f"a{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(9)) if n else 'x: 1'}}}\n"
        for n in range(12)
    ),
    "what is taken over": "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" if n else "a0: &a0 {}\n" for n in range(40)
    ),
    "a chain": "".join(f"a{n}: &a{n} [*a{n - 1}]\n" if n else "a0: &a0 [x]\n" for n in range(5000)),
    "a chain of what is taken over": "".join(
        f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" if n else "a0: &a0 {x: 1}\n" for n in range(5000)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_aliases_that_come_to_more_than_was_written_are_refused(name: str) -> None:
    found = refused(BOMBS[name])
    assert found.endswith(("holds more than 100000 values", "nested more than 64 deep"))


DATA: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DATA)
def test_what_pyyaml_writes_is_read_back(data: Any) -> None:
    assert read_yaml(pyyaml.safe_dump(data), "f").data == data
