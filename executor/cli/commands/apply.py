"""`stowplan apply`: build and push what does not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.making import made, picked, show_made
from executor.cli.options import engine_chooser, loaded_project, options
from executor.engines.names import possible_builders

__all__ = ["COMMANDS"]

# What was asked for when a plan was saved.
_SAVED: Final = frozenset({"config", "stack", "build", "frozen", "prevent_reuse"})


@click.command(
    "apply",
    cls=Command,
    examples=(
        ("stowplan apply", "Build the missing images."),
        ("stowplan apply --stack prod --locked", "Push what was reviewed, and nothing else."),
        ("stowplan apply plan.json", "Apply a saved plan."),
    ),
)
@click.argument("source", required=False, shell_complete=names_of("pipeline"), metavar="[SOURCE|FILE]")
@options(
    "project",
    "config",
    "stack",
    "engine",
    "python",
    "jobs",
    "output",
    "locked",
    "frozen",
    "build",
    "prevent-reuse",
    "quiet",
    "verbose",
)
def apply_command(
    source: str | None,
    jobs: int,
    project: Path | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
    build: str | None,
    prevent_reuse: bool,
) -> int:
    """Build the images that do not exist yet, push them, and record them.

    A stale lock is updated first, for this plan alone. With --locked, that is an error. With --frozen, the
    lock is used as it is.

    FILE is a plan that `stowplan plan --out FILE` saved: exactly that plan is applied. If anything has
    changed since then, the changes are printed, and nothing is done.
    """
    loaded = loaded_project(project)
    saved = None
    if source is not None and source.endswith(".json"):
        from executor.workflow.saved_plans import read_saved_plan  # noqa: PLC0415  # few plans are saved

        _refuse_asked_again()
        saved = read_saved_plan(Path(source))
        pipeline, place = saved.chosen(loaded)
        frozen, prevent_reuse, build = saved.frozen, saved.prevent_reuse, None
    else:
        pipeline, place = picked(loaded, source, config), loaded.stack(stack)
    result = made(
        loaded,
        pipeline,
        place,
        engine=engine_chooser(engine),
        builders=possible_builders(engine),
        jobs=jobs,
        locked=locked,
        frozen=frozen,
        build=build,
        prevent_reuse=prevent_reuse,
        output=output,
        saved=saved,
    )
    return show_made(result, output)


def _refuse_asked_again() -> None:
    """UsageError for an option that says what a saved plan says. A variable says it of all other commands."""
    context = click.get_current_context()
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _SAVED and source is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[-1]} is part of the saved plan: leave it out")


COMMANDS = {"apply": apply_command}
