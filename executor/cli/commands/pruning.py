"""The commands that remove what was built: builds delete and prune."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.options import engine_chooser, options, project_root
from executor.cli.output import print_error, print_json, print_lines, print_markdown
from executor.cli.render.pruning import pruned_data, pruned_lines, pruned_markdown
from executor.cli.times import age_option
from executor.engines.names import asked_engine
from executor.errors import ExecutorError, UsageError
from executor.observe.branches import locks_of
from executor.records.store import Record, Records
from executor.workflow.build_files import is_build_file, named_build
from executor.workflow.pruning import Pruned, named_by, prunable, prune
from executor.workflow.removal import delete_build_images, remove_image
from planner.build import Build

__all__ = ["COMMANDS"]


@click.command(
    "delete",
    cls=Command,
    examples=(("stowplan builds delete 1f2e3d --image", "Forget a build, and remove its images."),),
)
@click.argument("build", nargs=-1, required=True, shell_complete=names_of("build"))
@click.option(
    "--image", "with_image", is_flag=True, help="Remove the images from their engine, or that of --engine."
)
@options("project", "engine")
def builds_delete(build: tuple[str, ...], with_image: bool, project: Path | None, engine: str | None) -> None:
    """Delete builds, by id, or records of images, by number or image hash.

    Pushed images stay in their registry. An image that another build uses stays, too.
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


@click.command(
    "prune",
    cls=Command,
    examples=(
        ("stowplan builds prune --dry-run", "What would be removed."),
        ("stowplan builds prune --keep 2w --yes", "Remove it, without a question."),
    ),
)
@click.option(
    "--keep",
    "before",
    metavar="AGE",
    default="7d",
    show_default=True,
    callback=age_option,
    help="Keep what was built or used since: 30m, 12h, 7d, 2w.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@options("project", "output")
def builds_prune(before: str, dry_run: bool, yes: bool, project: Path | None, output: str) -> int:
    """Remove local images, records and builds that are no longer needed.

    Whatever a lock of any branch or a run refers to stays, and so does the newest build of each pipeline on
    each stack. Pushed images stay in their registry.
    """
    root = project_root(project)
    records = Records(root)
    locks = locks_of(root)
    chosen = prunable(
        records.all(),
        records.builds().builds,
        specs=records.spec_hashes(),
        named=named_by(locks.values()),
        used_by_runs=records.builds_of_runs(),
        before=before,
    )
    engines = functools.cache(engine_chooser)
    asks = not (dry_run or yes)
    found = prune(records, chosen, engines, dry_run=dry_run or asks)
    if asks and (found.records or found.builds):
        if not _agreed(found):
            print_lines(["Nothing was removed."], err=True)
            return 0
        found = prune(records, chosen, engines, dry_run=False)
    if output == "json":
        print_json(pruned_data(found, tuple(locks), dry_run=dry_run))
    elif output == "markdown":
        print_markdown(pruned_markdown(found))
    else:
        print_lines(pruned_lines(found, dry_run=dry_run))
        for error in found.errors:
            print_error(error)
    return ExecutorError.joined(found.errors).exit_code if found.errors else 0


def _agreed(found: Pruned) -> bool:
    """Ask whether this is to be removed. UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError.of(
            "command line",
            "there is no terminal to ask for confirmation",
            "pass --yes, or look first with --dry-run",
        )
    print_lines(pruned_lines(found, dry_run=True), err=True)
    return click.confirm("Remove it?", err=True)


COMMANDS = {"delete": builds_delete, "prune": builds_prune}
