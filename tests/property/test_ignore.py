"""What holds for every ignore file."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.errors import PlannerError, Problem
from planner.files.ignore import IgnoreRules
from planner.files.wildcards import ANY_DIRECTORIES, ANY_NAME, START, TO_THE_END, expression, matches

# Few names, so that patterns and paths meet.
NAMES = st.sampled_from(["a", "b", "ab", "a.b", "!a", "x\ny", "\u00e9", "e\u0301", "^a", "a b", "#a", "[a]"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
GLOBS = st.sampled_from(
    ["a", "b", "ab", "*", "**", "?", "a*", "*b", "a**", "**b", "[ab]", "[^a]", "\\!a", "^a", "x?y"]
)
LINES = st.builds(
    lambda sign, parts: sign + "/".join(parts),
    st.sampled_from(["", "", "!", "/", "!/", " "]),
    st.lists(GLOBS, min_size=1, max_size=3),
)
FILES = st.lists(LINES, max_size=6)
NOISE = st.sampled_from(["", "  ", "# a comment", "#[", "\t", "\r", ".", "/", "!.."])


def parse(lines: list[str]) -> IgnoreRules:
    return IgnoreRules.parse("\n".join(lines), file=".dockerignore")


def escaped(path: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]\\!#^" else character for character in path)


@given(st.one_of(st.text(), st.text("!*?[]^-\\/.{}|()+$#ab1 \r\n\ufeff")))
def test_any_text_is_rules_or_a_planner_error(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    found = IgnoreRules()
    try:
        found = IgnoreRules.parse(text, file="images/.dockerignore")
    except PlannerError as error:
        problems = error.problems
    assert all(each.where.file == "images/.dockerignore" and each.where.line for each in problems)
    assert not (problems and found.patterns)
    found.ignores("a/b/c")
    found.prunes("a/b")
    assert IgnoreRules(found.patterns) == found


@given(FILES, PATHS, PATHS)
def test_below_a_pruned_directory_everything_is_ignored(lines: list[str], directory: str, below: str) -> None:
    found = parse(lines)
    if found.prunes(directory):
        assert found.ignores(directory)
        assert found.ignores(f"{directory}/{below}")
        assert found.prunes(f"{directory}/{below}")


@given(FILES, PATHS)
def test_without_re_inclusion_ignored_is_pruned(lines: list[str], path: str) -> None:
    found = parse([line for line in lines if "!" not in line])
    assert found.prunes(path) == found.ignores(path)


@given(FILES, st.data())
def test_comments_and_blank_lines_do_not_change_the_value(lines: list[str], data: st.DataObject) -> None:
    noisy = [part for line in lines for part in (data.draw(NOISE), line)] + [data.draw(NOISE)]
    assert parse(noisy) == parse(lines)
    assert hash(parse(noisy)) == hash(parse(lines))


@pytest.mark.parametrize(("sign", "ignored"), [("", True), ("!", False)])
@given(lines=FILES, path=PATHS, below=PATHS)
def test_a_rule_added_last_wins_for_the_path_it_names(
    sign: str, ignored: bool, lines: list[str], path: str, below: str
) -> None:
    assume("\n" not in path)  # a line of the file cannot name it
    found = parse([*lines, sign + escaped(path)])
    assert found.ignores(path) is ignored
    assert not ignored or parse([escaped(path)]).ignores(f"{path}/{below}")


@given(FILES, st.lists(PATHS, max_size=8), st.randoms())
def test_the_answer_does_not_depend_on_what_was_asked_before(
    lines: list[str], paths: list[str], random: Random
) -> None:
    asked = parse(lines)
    shuffled = random.sample(paths, k=len(paths))
    assert {path: asked.ignores(path) for path in shuffled} == {
        path: parse(lines).ignores(path) for path in paths
    }


PARTS = st.one_of(
    st.sampled_from([ANY_NAME, ANY_DIRECTORIES, START]),
    st.sampled_from(["a", "b", "/", "[^/]", "[^a]", "[ab]", re.escape("."), re.escape("\n")]),
)


@given(st.lists(PARTS, min_size=1, max_size=7), st.booleans(), st.text("ab/.\n", min_size=1, max_size=9))
def test_both_ways_to_match_agree(parts: list[str], open_end: bool, path: str) -> None:
    parts += [TO_THE_END] if open_end else []
    assert matches(parts, path) is (re.fullmatch("".join(parts), path) is not None)
    if made := expression(parts):
        assert matches(parts, path) is (re.fullmatch("".join(made), path) is not None)
