"""`stowplan schema NAME`: the JSON Schemas of what stowplan reads and prints."""

from __future__ import annotations

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import options
from executor.cli.output import print_json, print_lines
from executor.errors import UsageError
from planner.errors import did_you_mean

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan schema project", "The schema of stowplan.toml, for editors."),
        ("stowplan schema plan", "The schema of what `plan -o json` prints."),
    ),
)
@click.argument("name", required=False, shell_complete=names_of("schema"))
@options()
def schema(name: str | None) -> None:
    """Print the JSON Schema of what NAME is, or the names that there are.

    NAME is `project`, `run-configuration`, or the middle of what "schema" says in an object that `-o json`
    prints: `plan` of `stowplan/plan/2`.
    """
    from executor.schemas.known import SCHEMAS  # noqa: PLC0415  # it loads all that is read and printed

    if name is None:
        print_lines(SCHEMAS)
        return
    known = name.removeprefix("stowplan/").partition("/")[0]
    if known not in SCHEMAS:
        raise UsageError.of("command line", f"there is no schema {name!r}", did_you_mean(known, SCHEMAS))
    print_json(SCHEMAS[known]())


COMMANDS = {"schema": schema}
