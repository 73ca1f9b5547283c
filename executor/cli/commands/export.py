"""`stowplan export IMAGE`: the packages of an image in a format that other programs read."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_exact
from executor.cli.progress import waiting
from executor.workflow.exports import FORMATS, Format
from executor.workflow.exports import export as exported
from executor.workflow.plans import image_spec

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan export training", "A requirements file with hashes."),
        ("stowplan export training --format pylock", "A pylock.toml."),
    ),
)
@click.argument("image", shell_complete=names_of("image"))
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="requirements",
    show_default=True,
    help="A requirements file of pip with hashes, or a pylock.toml (PEP 751).",
)
@options("project", "pipeline", "config", "stack", "engine", "offline")
def export(
    image: str,
    format_: Format,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    offline: bool,
) -> None:
    """Print the packages of an image in a format that scanners and update bots read."""
    loaded = loaded_project(project)
    with waiting(LOOKING):
        found = image_spec(
            loaded, image, pipeline, stack, config, asks=not offline, engine=engine_chooser(engine)
        )
        text = exported(found, format_, loaded.root, asks=not offline)
    print_exact(text)


COMMANDS = {"export": export}
