"""`stowplan apply`: build and push what does not exist."""

from __future__ import annotations

from pathlib import Path

import click

from executor.apply.outcome import exit_code
from executor.apply.scheduler import apply
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_error, print_json, print_lines, print_markdown, print_note
from executor.cli.progress import progress, waiting
from executor.engines.names import possible_builders
from executor.workflow.locks import renew
from executor.workflow.plans import locating, plan
from planner.compare.changes import Change
from planner.lock.lock import LOCK_NAME

__all__ = ["COMMANDS"]


@click.command("apply")
@click.argument("pipeline", required=False)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Images built side by side."
)
@options("project", "stack", "engine", "python", "output", "locked", "frozen")
def apply_command(
    pipeline: str | None,
    jobs: int,
    project: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
) -> int:
    """Build what no engine, registry or ledger has, push it, and record it.

    A stale lock is brought up to date first, as far as this plan goes: --locked refuses it instead, and
    --frozen takes it as it is.
    """
    choose = engine_chooser(engine)
    loaded = loaded_project(project)
    with waiting(LOOKING):
        planned = plan(
            loaded,
            loaded.pipeline(pipeline),
            loaded.stack(stack),
            engine=choose,
            locked=locked,
            frozen=frozen,
            builders=possible_builders(engine),
        )
    moved: tuple[Change, ...] = ()
    if not (frozen or locked):
        moved = renew(loaded, planned.lock, planned.plan)
        if moved and output != "json":
            print_note(f"brought {LOCK_NAME} up to date:")
            for change in moved:
                print_note(f"  {change.image}: {change.text}")
    with locating(loaded), progress(planned.plan) as on_event:
        outcomes = apply(
            planned.plan, planned.facts, root=loaded.root, engine=choose, jobs=jobs, on_event=on_event
        )
    match output:
        case "json":
            from executor.cli.render.data import outcome_data  # noqa: PLC0415  # only what is printed

            print_json(outcome_data(planned.plan, outcomes, moved))
        case "markdown":
            from executor.cli.render.markdown import outcome_markdown  # noqa: PLC0415  # as above

            print_markdown(outcome_markdown(outcomes))
        case _:
            from executor.cli.render.text import outcome_lines  # noqa: PLC0415  # as above

            for note in planned.plan.notes:
                print_note(str(note))
            print_lines(outcome_lines(outcomes))
    for item in outcomes:
        if item.error is not None and output != "json":
            print_lines([f"{item.name}:"], err=True)
            print_error(item.error)
    return exit_code(outcomes)


COMMANDS = {"apply": apply_command}
