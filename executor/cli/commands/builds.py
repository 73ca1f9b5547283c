"""The commands about what was built: builds list, show and delete."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from executor.apply.outcome import Result
from executor.cli.group import Group
from executor.cli.options import engine_chooser, options, project_root
from executor.cli.output import print_json, print_lines, print_markdown, print_table
from executor.engines.names import asked_engine
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
        from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # only what is printed

        print_markdown(table_markdown(heads, rows))
    elif found:
        print_table(heads, rows)
    else:
        print_lines(["nothing was built yet"])


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
    facts = {name: _word(value) for name, value in data.items() if value not in (None, "")}
    if output == "markdown":
        from executor.cli.render.markdown import facts_markdown  # noqa: PLC0415  # only what is printed

        print_markdown(facts_markdown(facts))
        return
    for name, value in facts.items():
        first, *more = value.split("\n")
        print_lines([f"{name:<10} {first}", *(f"{'':<10} {line.expandtabs()}" for line in more)])


def _word(value: object) -> str:
    """A value of a record in words."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


@click.command("delete")
@click.argument("build", nargs=-1, required=True)
@click.option(
    "--image", "with_image", is_flag=True, help="Remove the image from its engine, or that of --engine."
)
@options("project", "engine")
def builds_delete(build: tuple[str, ...], with_image: bool, project: Path | None, engine: str | None) -> None:
    """Forget builds. What was pushed stays where it is, and an image that other builds have in common."""
    asked = asked_engine(engine) if engine else None
    records = Records(project_root(project))
    # Two names may be those of one build.
    chosen = {record.id: record for record in [_record(records, name) for name in build]}
    engines = functools.cache(engine_chooser)
    for record in chosen.values():
        removed = f": {_remove_image(records, record, asked or record.engine, engines)}" if with_image else ""
        # Another process may have been faster.
        deleted = "deleted" if records.delete(record.id) else "no longer there:"
        print_lines([f"{deleted} build {record.id} of {record.image}{removed}"])


def _remove_image(
    records: Records, record: Record, engine: str, engines: Callable[[str], Callable[[], Any]]
) -> str:
    """Remove the image of a build from an engine, before the build is forgotten; in words, what came of it.

    No other build of this engine may need it.
    """
    if not _has_image(record):
        return "it made no image"
    if not engine:
        return "its image is in no engine"
    for other in records.find(record.hash):
        same = (other.reference, other.engine) == (record.reference, engine)
        if same and other.id != record.id and _has_image(other):
            return f"{record.reference} stays, for build {other.id}"
    store = engines(engine)()
    info = store.inspect(record.reference)
    if info is not None and str(info.mark) != record.hash:
        return f"{record.reference} stays: what {engine} has there was not built from this plan"
    if info is not None and store.remove(record.reference):
        return f"removed {record.reference} from {engine}"
    return f"{engine} does not have {record.reference}"


def _has_image(record: Record) -> bool:
    return record.status not in (Result.FAILED, Result.INTERRUPTED)


def _record(records: Records, name: str) -> Record:
    found = records.find(name)
    if not found:
        raise UsageError.of("command line", f"there is no build {name!r}", "see `stowplan builds list`")
    return found[0]


COMMANDS = {"builds": builds, "list": builds_list, "show": builds_show, "delete": builds_delete}
