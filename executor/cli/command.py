"""A command with examples, which `--help` and the man page show.

Owns how examples are written down and shown. Refuses to know any command.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import click

__all__ = ["Command", "Examples", "summary", "write_examples"]

Examples: TypeAlias = Sequence[tuple[str, str]]
"""What is typed, and what it does."""
# What is typed and is longer has its words on the next line.
_COLUMN: Final = 38


class Command(click.Command):
    """A command and its examples."""

    def __init__(self, *arguments: Any, examples: Examples = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


def write_examples(examples: Examples, formatter: click.HelpFormatter) -> None:
    """Write a section of examples, if there are any."""
    if examples:
        with formatter.section("Examples"):
            formatter.write_dl(examples, col_max=_COLUMN)


def summary(command: click.Command) -> str:
    """The first sentence of what a command does, without its stop."""
    paragraph = " ".join(inspect.cleandoc(command.help or "").partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")
