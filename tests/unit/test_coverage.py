"""`docs/coverage.md`: each section of the reference has promises, each of which has tests that exist."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/coverage.md"


@frozen
class Row:
    """One promise of a section, and the tests that show it."""

    section: str
    promise: str
    tests: tuple[str, ...]


def sections() -> list[str]:
    """The sections as the list at the top of the page has them."""
    return re.findall(r"^- \[(.+)\]\(#.+\)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)


def rows() -> Iterator[Row]:
    """The rows of all tables of the page."""
    section = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and line not in ("| promise | test |", "| --- | --- |"):
            promise, tests = line.strip("| ").rsplit(" | ", 1)
            yield Row(section, promise, tuple(each.strip("`") for each in tests.split("<br>")))


@functools.cache
def names_in(file: str) -> frozenset[str]:
    """The tests that pytest collects from a module of tests: its functions whose names begin so."""
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    return frozenset(
        item.name for item in tree.body if isinstance(item, ast.FunctionDef) and item.name.startswith("test_")
    )


def test_the_page_has_each_section_once() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    assert headings == sections()
    assert len(set(headings)) == len(headings) > 30


@pytest.mark.parametrize("section", sections())
def test_each_section_has_promises(section: str) -> None:
    assert [row.promise for row in rows() if row.section == section]


def test_no_promise_stands_twice_in_a_section() -> None:
    said = [(row.section, row.promise) for row in rows()]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row.promise[:40])
def test_each_promise_has_tests_that_exist(row: Row) -> None:
    assert row.tests
    for test in row.tests:
        file, _, name = test.partition("::")
        assert re.fullmatch(r"(unit|property|contract|e2e)/test_\w+\.py", file)
        assert name in names_in(file), test
