"""The commands that remove what was built: builds delete and prune."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from executor.cli.options import engine_chooser, options, project_root
from executor.cli.output import print_lines
from executor.engines.names import asked_engine
from executor.errors import UsageError
from executor.records.store import Record, Records
from executor.workflow.build_files import is_build_file, named_build
from executor.workflow.removal import delete_build_images, remove_image
from planner.build import Build

__all__ = ["COMMANDS"]


@click.command("delete")
@click.argument("build", nargs=-1, required=True)
@click.option(
    "--image", "with_image", is_flag=True, help="Remove the images from their engine, or that of --engine."
)
@options("project", "engine")
def builds_delete(build: tuple[str, ...], with_image: bool, project: Path | None, engine: str | None) -> None:
    """Forget builds, by their ids, or records of images, by their numbers or image hashes.

    What was pushed stays where it is, and so does an image that others have in common.
    """
    asked = asked_engine(engine) if engine else None
    records = Records(project_root(project))
    # Two names may be those of one build.
    chosen = {found.id: found for found in [_named(records, name) for name in build]}
    engines = functools.cache(engine_chooser)
    for found in chosen.values():
        place = asked or found.engine
        if isinstance(found, Build):
            lines = delete_build_images(records, found, place, engines) if with_image else ()
            deleted = "deleted" if records.delete_build(found.id) else "no longer there:"
            print_lines([f"{deleted} build {found.id} of {found.pipeline} on {found.stack}"])
            print_lines(f"  {line}" for line in lines)
            continue
        removed = f": {remove_image(records, found, place, engines)}" if with_image else ""
        # Another process may have been faster.
        deleted = "deleted" if records.delete(found.id) else "no longer there:"
        print_lines([f"{deleted} record {found.id} of {found.image}{removed}"])


def _named(records: Records, name: str) -> Build | Record:
    if is_build_file(name):
        raise UsageError.of("command line", f"{name!r} is a file", "name the build by its id")
    return next(iter(records.find(name)), None) or named_build(records, name)


COMMANDS = {"delete": builds_delete}
