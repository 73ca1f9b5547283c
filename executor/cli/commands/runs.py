"""The commands about what ran: runs list and show."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.group import Group
from executor.cli.options import options, project_root
from executor.cli.output import print_json, print_lines, print_markdown, print_table
from executor.cli.render.runs import record_data, record_lines
from executor.errors import UsageError
from executor.records.runs import Runs

__all__ = ["runs"]


@click.group(cls=Group, homes=dict.fromkeys(("list", "show"), __name__))
def runs() -> None:
    """List and show runs."""


@click.command(
    "list",
    cls=Command,
    examples=(("stowplan runs list --limit 5", "The five newest runs."),),
)
@click.option("--pipeline", metavar="NAME", help="Only the runs of this pipeline.")
@click.option("--limit", type=click.IntRange(1), help="Show at most this many, newest first.")
@options("project", "output")
def runs_list(pipeline: str | None, limit: int | None, project: Path | None, output: str) -> None:
    """List the runs, newest first."""
    found = Runs(project_root(project)).all(pipeline, limit)
    if output == "json":
        print_json({"schema": "stowplan/runs/1", "runs": [record_data(record) for record in found]})
        return
    heads = ["id", "started", "status", "pipeline", "stack", "engine", "steps", "seconds"]
    rows = [
        [
            record.id, record.started.replace("+00:00", "Z"), record.status, record.pipeline, record.stack,
            record.engine, str(len(record.steps)), f"{record.seconds:.1f}",
        ]
        for record in found
    ]  # fmt: skip
    if output == "markdown":
        from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # only what is printed

        print_markdown(table_markdown(heads, rows))
    elif found:
        # What a narrow terminal can do without, first what matters least.
        print_table(heads, rows, spare=["seconds", "steps", "engine", "stack", "started"])
    else:
        print_lines(["nothing ran yet"])


@click.command(
    "show",
    cls=Command,
    examples=(("stowplan runs show", "The newest run, with its outputs and logs."),),
)
@click.argument("run", required=False, shell_complete=names_of("run"))
@options("project", "output")
def runs_show(run: str | None, project: Path | None, output: str) -> None:
    """Show the steps, outputs and logs of a run. Default: the newest run."""
    known = Runs(project_root(project))
    found = next(iter(known.all(None, 1)), None) if run is None else known.find(run)
    if found is None:
        what, fix = (
            ("nothing ran yet", "run a pipeline with `stowplan run`")
            if run is None
            else (f"there is no run {run!r}", "see `stowplan runs list`")
        )
        raise UsageError.of("command line", what, fix)
    if output == "json":
        print_json({"schema": "stowplan/runs/1", "runs": [record_data(found)]})
    elif output == "markdown":
        from executor.cli.render.markdown import table_markdown  # noqa: PLC0415  # only what is printed

        heads = ["step", "status", "seconds", "log"]
        print_markdown(
            table_markdown(
                heads, [[each.step, each.status, f"{each.seconds:.1f}", each.log] for each in found.steps]
            )
        )
    else:
        print_lines(record_lines(found))


COMMANDS = {"runs": runs, "list": runs_list, "show": runs_show}
