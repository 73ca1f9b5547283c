"""`stowplan outdated`: what newer there is than what the lock pins."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.options import CHANGES, loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown
from executor.cli.progress import waiting
from executor.errors import FAILURES, Failure
from executor.workflow.outdated import outdated
from executor.workflow.plans import required_lock

__all__ = ["COMMANDS"]


@click.command(
    "outdated",
    cls=Command,
    examples=(
        ("stowplan outdated", "What is newer than what the lock pins."),
        ("stowplan outdated --exit-code", "Exit with 2 if anything is."),
    ),
)
@click.option("--exit-code", is_flag=True, help="Exit with 2 if there is something newer.")
@options("project", "output")
def outdated_command(exit_code: bool, project: Path | None, output: str) -> int:
    """List newer versions of what stowplan.lock pins. Asks registries and indexes, and changes nothing."""
    loaded = loaded_project(project)
    lock = required_lock(loaded)
    with waiting("asking registries and package indexes"):
        found = outdated(loaded, lock)
    match output:
        case "json":
            from executor.cli.render.data import outdated_data  # noqa: PLC0415  # only what is printed

            print_json(outdated_data(found))
        case "markdown":
            from executor.cli.render.markdown import outdated_markdown  # noqa: PLC0415  # as above

            print_markdown(outdated_markdown(found))
        case _:
            from executor.cli.render.text import outdated_lines  # noqa: PLC0415  # as above

            print_lines(outdated_lines(found))
    if found.unknown:
        failure = Failure.REGISTRY_UNAVAILABLE if found.transient else Failure.REGISTRY_REFUSED
        return FAILURES[failure].code
    return CHANGES if exit_code and found.newer else 0


COMMANDS = {"outdated": outdated_command}
