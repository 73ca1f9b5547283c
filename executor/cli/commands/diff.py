"""`stowplan diff`: two plans compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from executor.cli.options import CHANGES, LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_markdown
from executor.cli.progress import waiting
from executor.errors import UsageError
from executor.state import read_lock_file
from executor.workflow.locks import Comparison, check_lock, compare, missing_pairs
from planner.image.plan import PlanSpec
from planner.lock.lock import Lock

__all__ = ["COMMANDS", "show_comparisons"]


@click.command("diff")
@click.argument("before", required=False, metavar="[A]")
@click.argument("after", required=False, metavar="[B]")
@options("project", "pipeline", "config", "all-stacks", "engine", "python", "output", "offline", "detailed")
def diff_command(
    before: str | None,
    after: str | None,
    project: Path | None,
    pipeline: str | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    offline: bool,
    detailed_exitcode: bool,
) -> int:
    """Compare two plans: the lock and now, the lock file A and now, or the lock files A and B."""
    old = _lock_file(before) if before else None
    if after:
        plans: tuple[PlanSpec, ...] = _lock_file(after).plans
        old = old or Lock()
    else:
        loaded = loaded_project(project)
        with waiting(LOOKING):
            checked = check_lock(
                loaded,
                pipeline,
                stack,
                config,
                asks=not offline,
                engine=engine_chooser(engine),
            )
        plans = checked.plans
        if pipeline or config:
            pipeline = checked.chosen[0].pipeline.name
        old = old or checked.lock or Lock()
    compared = compare(
        old,
        [made for made in plans if _is_named((made.pipeline, made.stack), pipeline, stack)],
        [pair for pair in missing_pairs(old, plans) if _is_named(pair, pipeline, stack)],
    )
    changes = [change for comparison in compared for change in comparison.changes]
    if output == "json":
        from executor.cli.render.data import comparison_data  # noqa: PLC0415  # only what is printed

        print_json({
            "schema": "stowplan/diff/2",
            "changes": [change for comparison in compared for change in comparison_data(comparison)],
        })  # fmt: skip
    else:
        show_comparisons(compared, output)
        if not changes:
            print_lines(["no changes"])
    return CHANGES if detailed_exitcode and changes else 0


def _is_named(pair: tuple[str, str], pipeline: str | None, stack: str | None) -> bool:
    return (pipeline or pair[0], stack or pair[1]) == pair


def _lock_file(name: str) -> Lock:
    found = read_lock_file(Path(name))
    if found is None:
        raise UsageError.of(name, "no such file", "name a lock file")
    return found


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
