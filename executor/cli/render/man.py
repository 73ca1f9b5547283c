r"""The manual page, in roff for man(1), of the values that `--help` is made of.

Options that several commands have in common stand once, in a section of their own. The escapes are those of
groff_char(7): `\-` is a minus that can be copied, and what is not ASCII is named by its code.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import click

from executor.cli.command import summary

__all__ = ["manual"]

_Record: TypeAlias = tuple[str, str]
"""How an option is written, and what it means."""
# From so many commands on, what an option says is said once.
_COMMON: Final = 3
_EXIT_CODES: Final[Mapping[int, str]] = {
    0: "All is fine.",
    1: "Something failed; or the lock is stale, with `--check` or `--locked`.",
    2: "There are changes, with `--detailed-exitcode`; or something newer, with `--exit-code`.",
    64: "The command line is wrong.",
    70: "A defect of stowplan. The error names a file with the details.",
    74: "Standard output could not be written.",
    75: "Trying again later may help with all that failed.",
    130: "It was interrupted.",
}


def manual(root: click.Group, version: str) -> str:
    """The page of a program and all of its commands."""
    commands = [(context, command) for context, command in _below(click.Context(root, info_name="stowplan"))]
    records = {id(command): _records(context) for context, command in commands}
    counted = Counter(record for found in records.values() for record in found)
    common = [record for record in counted if counted[record] >= _COMMON]
    return "".join(
        line + "\n"
        for line in (
            f'.TH STOWPLAN 1 "" "stowplan {_escaped(version)}" "User Commands"',
            # Words are not taken apart: an option has to be found in one piece.
            *(".nr HY 0", ".nh", ".ad l"),
            ".SH NAME",
            rf"stowplan \- {_escaped(summary(root))}",
            ".SH SYNOPSIS",
            ".B stowplan",
            _escaped("COMMAND [OPTIONS] [ARGUMENTS]"),
            *_examples(root),
            ".SH COMMANDS",
            *(line for context, command in commands for line in _command(context, command, records, common)),
            ".SH COMMON OPTIONS",
            "What these mean is the same in each command that has them.",
            *(line for record in common for line in _option(record)),
            ".SH EXIT STATUS",
            *(line for code, meaning in _EXIT_CODES.items() for line in _option((str(code), meaning))),
        )
    )


def _below(context: click.Context) -> Iterator[tuple[click.Context, click.Command]]:
    """All commands that do something, in the order of `--help`."""
    group = context.command
    assert isinstance(group, click.Group)  # noqa: S101  # the one caller
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            below = click.Context(command, info_name=name, parent=context)
            if isinstance(command, click.Group):
                yield from _below(below)
            else:
                yield below, command


def _records(context: click.Context) -> list[_Record]:
    """Its options, but for `--help`, which all have."""
    records = (
        option.get_help_record(context)
        for option in context.command.params
        if isinstance(option, click.Option)
    )
    return [record for record in records if record is not None]


def _command(
    context: click.Context,
    command: click.Command,
    records: dict[int, list[_Record]],
    common: Sequence[_Record],
) -> Iterator[str]:
    yield f".SS {_escaped(' '.join((context.command_path, *command.collect_usage_pieces(context))))}"
    yield from _prose(command)
    own = [record for record in records[id(command)] if record not in common]
    others = [record for record in records[id(command)] if record in common]
    for record in own:
        yield from _option(record)
    if others:
        yield ".PP"
        names = (re.findall(r"--[a-z-]+", written)[0] for written, _ in others)
        yield _escaped(f"Common options: {', '.join(names)}.")
    yield from _typed(command)


def _prose(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _option(record: _Record) -> Iterator[str]:
    written, meaning = record
    yield ".TP"
    yield f".B {_escaped(written)}"
    yield _escaped(" ".join(meaning.split()))


def _examples(root: click.Command) -> Iterator[str]:
    lines = tuple(_typed(root))
    yield from (".SH EXAMPLES", *lines) if lines else ()


def _typed(command: click.Command) -> Iterator[str]:
    """The examples of a command."""
    for typed, meaning in getattr(command, "examples", ()):
        yield ".PP"
        yield _escaped(meaning)
        yield from (".RS 4", ".EX", _escaped(f"$ {typed}"), ".EE", ".RE")


def _escaped(text: str) -> str:
    r"""Text as a line of roff; `NAME` in backticks is bold."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    text = re.sub(r"[^\x20-\x7e]", lambda found: rf"\[u{ord(found[0]):04X}]", text)
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    # At the start of a line a dot or a quote would be a request.
    return rf"\&{text}" if text.startswith((".", "'")) else text
