"""`stowplan explain IMAGE`: what the hash of an image is made of."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown
from executor.cli.progress import waiting
from executor.workflow.explanations import explain as explain_image

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan explain train", "What its hash is made of, and the closest earlier image."),
        ("stowplan explain train --against 4", "How it differs from the image of record 4."),
    ),
)
@click.argument("image", shell_complete=names_of("image"))
@click.option(
    "--against",
    metavar="BUILD|HASH",
    shell_complete=names_of("build"),
    help="Compare with the image of this build, record or image hash. Default: the closest of the last ones.",
)
@options("project", "pipeline", "config", "stack", "engine", "python", "output", "offline")
def explain(
    image: str,
    against: str | None,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    offline: bool,
) -> None:
    """Say what the hash of an image is made of, where each value comes from, and what it missed.

    Everything that is listed counts: if a value changes, the image is another one and is built again.
    """
    loaded = loaded_project(project)
    with waiting(LOOKING):
        found = explain_image(
            loaded,
            image,
            pipeline,
            stack,
            config,
            against=against,
            asks=not offline,
            engine=engine_chooser(engine),
        )
    from executor.cli.render import explain as render  # noqa: PLC0415  # only once there is something to print

    match output:
        case "json":
            print_json(render.explained_data(found))
        case "markdown":
            print_markdown(render.explained_markdown(found))
        case _:
            print_lines(render.explained_lines(found))


COMMANDS = {"explain": explain}
