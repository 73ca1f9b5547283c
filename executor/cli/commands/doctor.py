"""`stowplan doctor`: what works on this machine, what does not, and what mends it."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.options import FAILED, engine_chooser, options, project_root
from executor.cli.output import print_json, print_lines, print_markdown
from executor.cli.progress import waiting
from executor.workflow.doctor import examined, works

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan doctor", "What does not work here, and what mends it."),
        ("stowplan doctor -o markdown", "The same as a table, for an issue."),
    ),
)
@options("project", "python", "output")
def doctor(project: Path | None, output: str) -> int:
    """Look at engines, builders, registries, logins, git, uv, disks, the project and its lock.

    Says for each what works, and what mends it if it does not. Changes nothing, and exits with 1 if something
    does not work that the project needs.
    """
    engine_chooser(None)
    root = project_root(project, sweeps=False)
    with waiting("looking at this machine"):
        checks = examined(root)
    fine = works(checks)
    match output:
        case "json":
            from executor.cli.render.doctor import doctor_data  # noqa: PLC0415  # only what is printed

            print_json(doctor_data(checks, works=fine))
        case "markdown":
            from executor.cli.render.doctor import doctor_markdown  # noqa: PLC0415  # as above

            print_markdown(doctor_markdown(checks))
        case _:
            from executor.cli.render.doctor import doctor_lines  # noqa: PLC0415  # as above

            print_lines(doctor_lines(checks))
    return 0 if fine else FAILED


COMMANDS = {"doctor": doctor}
