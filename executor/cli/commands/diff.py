"""`stowplan diff`: two plans compared."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.options import CHANGES, LOOKING, engine_chooser, options, project_root
from executor.cli.output import print_json, print_lines, print_markdown, print_note
from executor.cli.progress import waiting
from executor.state import LARGEST_LOCK_BYTES
from executor.workflow.comparing import compare_sides
from executor.workflow.sides import Asked
from planner.compare.comparison import Comparison

__all__ = ["COMMANDS", "show_comparisons"]


@click.command(
    "diff",
    cls=Command,
    examples=(
        ("stowplan diff", "What has changed since the lock."),
        ("stowplan diff main", "What this branch changes."),
        ("stowplan diff v1.0 v1.1 -o markdown", "Two releases, as a table."),
    ),
)
@click.argument("before", default="lock", metavar="[A]")
@click.argument("after", default="now", metavar="[B]")
@options(
    "project",
    "all-pipelines",
    "config",
    "all-stacks",
    "engine",
    "python",
    "output",
    "offline",
    "detailed",
)
def diff_command(
    before: str,
    after: str,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    offline: bool,
    detailed_exitcode: bool,
) -> int:
    """Compare two plans. Without arguments, the lock and the project as it is now.

    A and B are git revisions (main, HEAD~3, v1.0, a hash), files with a lock or a saved plan, - for standard
    input, `lock`, or `now`, which is the default of B. Nothing is checked out for a revision.
    """
    asked = Asked(
        partial(project_root, project),
        _stdin,
        pipeline,
        stack,
        config,
        asks=not offline,
        engine=engine_chooser(engine),
    )
    with waiting(LOOKING):
        one, other, compared = compare_sides(before, after, asked)
    changes = any(comparison.changes for comparison in compared)
    if output == "json":
        from executor.cli.render.data import diff_data  # noqa: PLC0415  # only what is printed

        print_json(diff_data((one, other), compared))
    elif output == "markdown":
        from executor.cli.render.markdown import diff_markdown  # noqa: PLC0415  # as above

        print_markdown(diff_markdown((one, other), compared))
    else:
        for note in (*one.notes, *other.notes):
            print_note(note)
        show_comparisons(compared, output)
        if not changes:
            print_lines(["no changes"])
    return CHANGES if detailed_exitcode and changes else 0


def _stdin() -> bytes:
    # One byte more than is taken tells that there is more.
    return sys.stdin.buffer.read(LARGEST_LOCK_BYTES + 1)


def show_comparisons(compared: Iterable[Comparison], output: str) -> None:
    """Print what changed in each plan, as text or Markdown."""
    if output == "markdown":
        from executor.cli.render.markdown import comparisons_markdown  # noqa: PLC0415  # only what is printed

        print_markdown(comparisons_markdown(compared))
        return
    from executor.cli.render.text import comparison_lines, same_on_stacks  # noqa: PLC0415  # as above

    for title, comparison in same_on_stacks(compared):
        print_lines(comparison_lines(title, comparison))


COMMANDS = {"diff": diff_command}
