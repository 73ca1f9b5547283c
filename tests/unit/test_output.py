"""What is printed where, without a process."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping

import click
import pytest

from executor.apply.outcome import Event, EventKind, Result
from executor.cli.look import Loudness, look
from executor.cli.output import (
    live_console,
    print_error,
    print_lines,
    print_note,
    print_table,
    print_usage,
)
from executor.cli.progress import progress
from executor.cli.render.line import Line, Part, Style
from executor.cli.render.markdown import outdated_markdown
from executor.cli.streams import SYMBOLS
from executor.errors import ExecutorError
from executor.workflow.outdated import Newer, Outdated
from planner import BuildPlan, Place, Problem
from tests.builders import digest, plan_of


@pytest.fixture
def plan() -> BuildPlan:
    return plan_of({"environment": {"A": "1"}})


def test_a_reason_is_in_no_column_of_a_version() -> None:
    newer = Newer("python:3.11", "image", str(digest("1")), str(digest("2")), 3)
    found = Outdated((newer,), (("redis:7", "docker.io did not answer @ all"),))
    heads, _, row, *rest = outdated_markdown(found).splitlines()
    assert heads == "| name | locked | newest | images |"
    assert row == f"| `python:3.11` | `{digest('1').short}` | `{digest('2').short}` | 3 |"
    assert rest == ["", "- `redis:7`: not known: docker.io did not answer @ all"]
    assert outdated_markdown(Outdated((), found.unknown)).splitlines() == rest[1:]


def test_progress_says_one_thing_a_line(
    plan: BuildPlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: dict[Loudness, list[str]] = {}
    for loudness in Loudness:
        monkeypatch.setattr(look, "loudness", loudness)
        with progress(plan) as on_event:
            on_event(Event("training", EventKind.BUILDING, "localhost/x:1"))
            on_event(Event("training", EventKind.LAYER, "[1/2] a\n[other] b\x07"))
            on_event(Event("training", EventKind.LINE, "\x1b[2Ja\tb\rc"))
            on_event(Event("training", EventKind.LINE, "  "))
            # The result says so, and nothing is printed twice.
            on_event(Event("training", EventKind.ENDED, "no", Result.FAILED))
        said[loudness] = capsys.readouterr().err.splitlines()
    usual = ["[training] building", "[training] [1/2] a", "[training] [other] b\\x07"]
    assert said == {
        Loudness.QUIET: [],
        Loudness.USUAL: usual,
        Loudness.VERBOSE: [*usual, "[training] \\x1b[2Ja   b\\rc"],
    }


def test_an_error_is_one_error_however_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(Place(file="a\nb"), "no\x1b[0m\nerror: forged", "do\n  this\x07")
    print_error(ExecutorError([problem]))
    assert capsys.readouterr().err.splitlines() == [
        "error: a\\nb: no\\x1b[0m\\nerror: forged",
        "       do",
        "         this\\x07",
    ]
    print_note("a\nb\x1b[0m")
    print_usage("no such option: --\x1b[0m\n", "leave it out", "stowplan plan")
    assert capsys.readouterr().err.splitlines() == [
        "note: a\\nb\\x1b[0m",
        "error: no such option: --\\x1b[0m\\n",
        "       leave it out; see `stowplan plan --help`",
    ]


def test_a_table_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "status"], [["1", "[red]a[/red]\n\x1b]8;;x"], ["2", "\u202eb"]])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "id  status",
        "1   [red]a[/red]\\n\\x1b]8;;x",
        "2   \\u202eb",
    ]


@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
def test_a_table_does_not_care_for_a_size_that_no_terminal_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "9" * 5000)
    print_table(["id"], [["1"]])
    assert capsys.readouterr().out.split() == ["id", "1"]
    with live_console() as console:
        assert console.size.width > 0


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        (60, "id          pipeline  stack    engine"),
        (37, "id          pipeline  stack    engine"),
        (36, "id          pipeline  stack"),
        (29, "id          pipeline  stack"),
        (28, "id          pipeline"),
        (20, "id          pipeline"),
    ],
)
def test_a_narrow_terminal_shows_the_columns_that_matter_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, heads: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = [["g123456789", "training", "default", "docker"]]
    print_table(["id", "pipeline", "stack", "engine"], rows, spare=["engine", "stack"])
    head, row = (click.unstyle(line).rstrip() for line in capsys.readouterr().out.splitlines())
    assert head == heads
    assert row.startswith("g123456789  training")


PARTS: tuple[Line, ...] = (
    ("  ", Part("+ build", Style.TODO), "  training  steps load, report"),
    "  a-word-that-no-narrow-terminal-has-room-for-at-all and more",
    (Part("note:", Style.NOTE), " ünïcode ↑ → …"),
)
PLAIN = (
    "  + build  training  steps load, report",
    "  a-word-that-no-narrow-terminal-has-room-for-at-all and more",
    "note: ünïcode ↑ → …",
)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, PLAIN),
        (
            30,
            (
                "  + build  training  steps",
                "           load, report",
                "  a-word-that-no-narrow-terminal-has-room-for-at-all",
                "    and more",
                "note: ünïcode ↑ → …",
            ),
        ),
    ],
)
def test_lines_are_broken_between_words_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, shown: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")
    print_lines(PARTS)
    assert capsys.readouterr().out.splitlines() == list(PLAIN)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_lines(PARTS)
    assert capsys.readouterr().out.splitlines() == list(shown)


COLOURED = "  \x1b[33m+ build\x1b[0m  training  steps load, report"


@pytest.mark.parametrize(
    ("color", "is_terminal", "variables", "painted"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {"CLICOLOR": "0"}, False),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", False, {"CLICOLOR_FORCE": "1"}, True),
        ("auto", False, {"FORCE_COLOR": "0"}, False),
        ("auto", True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("auto", True, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("always", False, {"TERM": "dumb"}, True),
        ("never", True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_what_decides_about_colour(
    monkeypatch: pytest.MonkeyPatch,
    color: str,
    is_terminal: bool,
    variables: Mapping[str, str],
    painted: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "COLUMNS": "80", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(look, "color", color)
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", written)
    print_lines(PARTS[:1])
    assert written.getvalue() == (COLOURED if painted else PLAIN[0]) + "\n"


def test_symbols_have_a_form_in_ascii() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "ascii", SYMBOLS)
    stream.write("↑ a → b… é\n")
    stream.flush()
    assert written.getvalue() == b"^ a -> b... \\xe9\n"
