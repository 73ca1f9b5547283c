"""`stowplan export IMAGE`: the packages of an image in a format that other programs read."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_exact
from executor.cli.progress import waiting
from executor.workflow.plans import image_spec
from planner.requirements.packages import Package

__all__ = ["COMMANDS"]


@click.command()
@click.argument("image")
@options("project", "pipeline", "stack", "engine", "offline")
def export(
    image: str,
    project: Path | None,
    pipeline: str | None,
    stack: str | None,
    engine: str | None,
    offline: bool,
) -> None:
    """Print the packages of an image as a requirements file with hashes, for scanners and update bots."""
    loaded = loaded_project(project)
    with waiting(LOOKING):
        spec = image_spec(
            loaded, image, pipeline, stack, asks=not offline, engine=engine_chooser(engine)
        ).spec
    print_exact("".join(_lines(each) for each in sorted(spec.packages, key=lambda each: each.name)))


def _lines(package: Package) -> str:
    """A package with each hash on a line of its own."""
    return " \\\n    --hash=".join((package.text, *package.hashes)) + "\n"


COMMANDS = {"export": export}
