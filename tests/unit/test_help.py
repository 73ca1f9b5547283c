"""What `--help` and the manual page say of the commands: examples that are right, and everything."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from executor.cli.main import cli, run
from executor.cli.render.man import manual

REFERENCE = Path(__file__).parents[2] / "docs/reference.md"


def _commands(
    command: click.Command, words: tuple[str, ...] = ("stowplan",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*words, name))


_EXAMPLES = [
    (words, typed)
    for words, command in _commands(cli)
    for typed, _ in getattr(command, "examples", ())
]  # fmt: skip


@pytest.mark.parametrize(("words", "typed"), _EXAMPLES, ids=[typed for _, typed in _EXAMPLES])
def test_an_example_is_one_of_its_command(words: tuple[str, ...], typed: str) -> None:
    arguments = shlex.split(re.split(r" [|>] ", typed)[0])
    assert tuple(arguments[: len(words)]) == words
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        _, found, arguments = command.resolve_command(context, arguments[1:])
        assert found is not None
        command, arguments = found, ["", *arguments]
    # Raises for what the command does not take.
    command.make_context("stowplan", arguments[1:], obj={})


def test_each_command_has_examples() -> None:
    commands = {words for words, command in _commands(cli) if not isinstance(command, click.Group)}
    assert {words for words, _ in _EXAMPLES} >= commands


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["builds", "prune", "--help"]])
def test_help_ends_with_the_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    section = capsys.readouterr().out.partition("\nExamples:\n")[2]
    typed = ["stowplan", *arguments[:-1]]
    assert section.startswith(f"  {' '.join(typed)} " if len(typed) > 1 else "  stowplan init ")


def test_help_has_a_whole_sentence_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert "  doctor " in text
    assert ".." not in text.replace("[ARGS]...", "")


def test_the_manual_page_has_each_command_option_and_example() -> None:
    page = manual(cli, "1.2.3").replace(r"\-", "-")
    for words, command in _commands(cli):
        if isinstance(command, click.Group):
            continue
        section = page.partition(f"\n.SS {' '.join(words)}")[2].partition("\n.SS ")[0]
        assert section
        for option in command.params:
            if isinstance(option, click.Option):
                assert re.search(rf"(^|[ ,]){re.escape(option.opts[-1])}\b", section, re.MULTILINE), words
        for typed, _ in getattr(command, "examples", ()):
            assert f"\n$ {typed}\n" in section


def test_the_manual_page_has_the_exit_codes_of_the_reference() -> None:
    section = manual(cli, "1").partition("\n.SH EXIT STATUS\n")[2]
    said = re.findall(r"^\.TP\n\.B (\d+)$", section, re.MULTILINE)
    table = REFERENCE.read_text("utf-8").partition("\n## Exit codes\n")[2].split("\n\n")[0]
    assert said == re.findall(r"^\| (\d+) \|", table, re.MULTILINE)


def _groff(page: str) -> str:
    """What a page looks like, which must be without fault."""
    if not (program := shutil.which("groff")):
        words = "groff is not there: apt-get install groff-base"
        if os.environ.get("STOWPLAN_REQUIRE_ENGINES"):
            pytest.fail(words)
        pytest.skip(words)
    done = subprocess.run(
        (program, "-man", "-Tutf8", "-ww", "-rLL=2000n", "-P-cbou"),
        input=page, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_the_manual_page_reads_as_it_is_meant() -> None:
    text = _groff(manual(cli, "1.2.3"))
    assert "\n       --upgrade-package NAME[==V]\n" in text
    assert "\n           $ stowplan lock --upgrade-package numpy\n" in text


@pytest.mark.parametrize("words", [r"a \ b", ".TH", "'br", "5 … µ", "-x --y", r"\fBx\fP", r"\*[x]", '"q"'])
def test_whatever_help_says_is_text(words: str) -> None:
    root = click.Group(help="Does it.", commands={"do": click.Command("do", help=f"{words}\n\nEnd.")})
    assert f"\n       {words}\n" in _groff(manual(root, "1"))
