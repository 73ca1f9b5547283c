"""A group of commands that are loaded when they are used.

Owns how commands are found by their names. Refuses to import any before it is asked for:
`stowplan --version` does not pay for planning.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from executor.cli.command import Examples, summary, write_examples

__all__ = ["Group"]


class Group(click.Group):
    """Commands by their whole names, each with the module whose COMMANDS has it."""

    def __init__(self, homes: Mapping[str, str], *, examples: Examples = (), **settings: Any) -> None:
        super().__init__(**settings)
        self._homes = homes
        self.examples = tuple(examples)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, each with a whole sentence: click would cut it."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(command)) for name, command in found if command is not None])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the commands."""
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order they were given."""
        del ctx
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now; None if there is none."""
        del ctx
        home = self._homes.get(cmd_name)
        if home is None:
            return None
        command: click.Command = import_module(home).COMMANDS[cmd_name]
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that the arguments name; a name that is nearly right gets advice."""
        if args and not args[0].startswith("-") and args[0] not in self._homes:
            from planner.errors import did_you_mean  # noqa: PLC0415  # only a wrong name needs it

            ctx.fail(f"there is no command {args[0]!r}: {did_you_mean(args[0], self._homes)}")
        return super().resolve_command(ctx, args)
