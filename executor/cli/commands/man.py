"""`stowplan man`: the manual page."""

from __future__ import annotations

from importlib.metadata import version

import click

from executor.cli.command import Command
from executor.cli.output import print_exact
from executor.cli.render.man import manual

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan man | man -l -", "Read it."),
        ("stowplan man > ~/.local/share/man/man1/stowplan.1", "Install it: `man stowplan` finds it."),
    ),
)
@click.pass_context
def man(context: click.Context) -> int:
    """Print the manual page of all commands, with their options and examples.

    It is written for the program `man`, which reads it from a file or a pipe.
    """
    root = context.find_root().command
    assert isinstance(root, click.Group)  # noqa: S101  # it has this command
    print_exact(manual(root, version("stowplan")), anywhere=True)
    return 0


COMMANDS = {"man": man}
