"""`stowplan run`: run the steps of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from executor.apply.outcome import Outcome
from executor.apply.outcome import exit_code as images_exit_code
from executor.apply.scheduler import apply
from executor.cli.options import LOOKING, engine_chooser, loaded_project, options
from executor.cli.output import print_error, print_json, print_lines, print_note
from executor.cli.progress import progress, waiting
from executor.cli.running import running
from executor.engines.names import possible_builders
from executor.run.outcome import exit_code
from executor.workflow.locks import renew
from executor.workflow.plans import locating, plan
from executor.workflow.runs import Images, Ran, check_runnable, run_pipeline, runs_locally
from planner.image.plan import BuildPlan
from planner.lock.lock import LOCK_NAME

__all__ = ["COMMANDS"]

_INTERRUPTED: Final = 130
_BUILD_JOBS: Final = 2


@click.command("run")
@click.argument("pipeline", required=False)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Steps that run side by side."
)
@click.option("--local", is_flag=True, help="Run the steps in the active environment, in no containers.")
@click.option(
    "--rerun-failed", is_flag=True, help="Carry on the newest run: what had succeeded does not run again."
)
@options("project", "stack", "engine", "python", "output", "locked", "frozen")
def run_command(
    pipeline: str | None,
    jobs: int,
    local: bool,
    rerun_failed: bool,
    project: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
) -> int:
    """Run the steps of a pipeline in the order of their data, each in a container of its image.

    Images that are not there are built first. A pipeline that says nothing of images runs in the active
    environment, and so does any with --local.
    """
    choose = engine_chooser(engine)
    loaded = loaded_project(project)
    chosen, on = loaded.pipeline(pipeline), loaded.stack(stack)
    check_runnable(loaded, chosen)
    images: Images | None = None
    if not local and not runs_locally(chosen, on):
        with waiting(LOOKING):
            planned = plan(
                loaded,
                chosen,
                on,
                engine=choose,
                locked=locked,
                frozen=frozen,
                builders=possible_builders(engine),
            )
        if not (frozen or locked) and renew(loaded, planned.lock, planned.plan) and output != "json":
            print_note(f"brought {LOCK_NAME} up to date")
        with locating(loaded), progress(planned.plan) as on_image_event:
            made = apply(
                planned.plan,
                planned.facts,
                root=loaded.root,
                engine=choose,
                jobs=_BUILD_JOBS,
                on_event=on_image_event,
            )
        if any(item.error is not None for item in made):
            return _not_made(planned.plan, made, output)
        images = Images(planned.plan, planned.facts, made, choose())
    with running([step.name for step in chosen.steps]) as on_event:
        ran = run_pipeline(
            loaded,
            chosen,
            on,
            images,
            jobs=jobs,
            rerun=rerun_failed,
            on_event=on_event,
            on_note=print_note,
        )
    return _show(ran, output)


def _not_made(made_plan: BuildPlan, outcomes: tuple[Outcome, ...], output: str) -> int:
    """Say which images are not there, so that no step runs; the exit code."""
    if output == "json":
        from executor.cli.render.data import outcome_data  # noqa: PLC0415  # only what is printed

        print_json(outcome_data(made_plan, outcomes))
    else:
        from executor.cli.render.text import outcome_lines  # noqa: PLC0415  # as above

        print_lines(outcome_lines(outcomes))
        for item in outcomes:
            if item.error is not None:
                print_lines([f"{item.name}:"], err=True)
                print_error(item.error)
    return images_exit_code(outcomes)


def _show(ran: Ran, output: str) -> int:
    """Print what came of a run; the exit code."""
    if output == "json":
        from executor.cli.render.runs import ran_data  # noqa: PLC0415  # only what is printed

        print_json(ran_data(ran))
    else:
        from executor.cli.render.runs import ran_lines  # noqa: PLC0415  # as above

        for item in ran.outcomes:
            for note in item.notes:
                print_note(f"{item.step}: {note}")
        print_lines(ran_lines(ran))
        for item in ran.outcomes:
            if item.error is not None:
                print_error(item.error)
                print_lines(item.traceback.splitlines(), err=True)
    if ran.interrupted:
        print_lines(
            ["interrupted: what had finished is kept, go on with `stowplan run --rerun-failed`"], err=True
        )
        return _INTERRUPTED
    return exit_code(ran.outcomes)


COMMANDS = {"run": run_command}
