"""`stowplan impact NAME`: what a change of something would build."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown
from executor.cli.progress import waiting
from executor.workflow.impact import impact_of

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan impact numpy", "Which images a new version of numpy builds."),
        ("stowplan impact src/model.py", "Which images an edit of a file builds."),
        ("stowplan impact python:3.11-slim", "What stands on a parent image."),
    ),
)
@click.argument("name", shell_complete=names_of("package", "parent", "secret", "own-integration", "setting"))
@options("project", "all-pipelines", "config", "stack", "engine", "python", "output", "offline")
def impact(
    name: str,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    offline: bool,
) -> None:
    """Say which images and steps something reaches, and what a change of it would build.

    NAME is a package, a file of the project, an environment variable, a parent image, a setting, an
    integration, a secret or a package index. A name that is several of these is said for each.
    """
    loaded = loaded_project(project)
    with waiting(LOOKING):
        found = impact_of(
            loaded, name, pipeline, stack, config, asks=not offline, engine=engine_chooser(engine)
        )
    from executor.cli.render import impact as render  # noqa: PLC0415  # only once there is something to print

    match output:
        case "json":
            print_json(render.impact_data(name, found))
        case "markdown":
            print_markdown(render.impact_markdown(found))
        case _:
            print_lines(render.impact_lines(found))


COMMANDS = {"impact": impact}
