"""The commands about what was built: builds list, show and delete."""

from __future__ import annotations

from pathlib import Path

import click
from attrs import asdict

from executor.cli.group import Group
from executor.cli.options import engine_chooser, options, project_root
from executor.cli.output import print_json
from executor.cli.progress import show_table
from executor.cli.render.encode import cell, table
from executor.errors import UsageError
from executor.records.store import Record, Records

__all__ = ["builds"]


@click.group(cls=Group, homes=dict.fromkeys(("list", "show", "delete"), __name__))
def builds() -> None:
    """What was built of this project."""


@click.command("list")
@click.option("--pipeline", metavar="NAME", help="Only the builds of this pipeline.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, newest first.")
@options("project", "output")
def builds_list(pipeline: str | None, limit: int | None, project: Path | None, output: str) -> None:
    """List the builds, newest first."""
    found = Records(project_root(project)).all(pipeline=pipeline, limit=limit)
    if output == "json":
        print_json({"schema": "stowplan/builds/1", "builds": [asdict(record) for record in found]})
        return
    heads = ["id", "finished", "status", "image", "stack", "hash", "engine", "seconds"]
    rows = [
        [
            str(record.id), record.finished, record.status, record.image, record.stack,
            record.hash.removeprefix("sha256:")[:12], record.engine, f"{record.seconds:.1f}",
        ]
        for record in found
    ]  # fmt: skip
    if output == "markdown":
        click.echo(table(heads, [[cell(item) for item in row] for row in rows]))
    elif found:
        show_table(heads, rows)
    else:
        click.echo("nothing was built yet")


@click.command("show")
@click.argument("build")
@options("project", "output")
def builds_show(build: str, project: Path | None, output: str) -> None:
    """Show a build by its number, or by the start of its image's hash."""
    record = _record(Records(project_root(project)), build)
    data = asdict(record)
    if output == "json":
        print_json({"schema": "stowplan/build/1", **data})
        return
    for name, value in data.items():
        if value not in (None, ""):
            click.echo(f"- **{name}**: {cell(str(value))}" if output == "markdown" else f"{name:<10} {value}")


@click.command("delete")
@click.argument("build", nargs=-1, required=True)
@click.option("--image", "with_image", is_flag=True, help="Remove the image from the engine too.")
@options("project", "engine")
def builds_delete(build: tuple[str, ...], with_image: bool, project: Path | None, engine: str | None) -> None:
    """Forget builds. What was pushed stays where it is."""
    records = Records(project_root(project))
    for record in [_record(records, name) for name in build]:
        if with_image:
            engine_chooser(engine)().remove(record.reference)
        records.delete(record.id)
        click.echo(f"deleted build {record.id} of {record.image}")


def _record(records: Records, name: str) -> Record:
    found = records.find(name)
    if not found:
        raise UsageError.of("command line", f"there is no build {name!r}", "see `stowplan builds list`")
    return found[0]


COMMANDS = {"builds": builds, "list": builds_list, "show": builds_show, "delete": builds_delete}
