"""`stowplan run`: run the steps of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from executor.ahead import ask_ahead, load_ahead
from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.making import made, picked, show_made
from executor.cli.options import engine_chooser, loaded_project, options
from executor.cli.output import print_error, print_json, print_lines, print_note
from executor.cli.running import running
from executor.engines.names import possible_builders
from executor.errors import UsageError
from executor.run.outcome import exit_code
from executor.workflow.runs import Images, Ran, check_runnable, run_pipeline, runs_locally

__all__ = ["COMMANDS"]

_INTERRUPTED: Final = 130
_BUILD_JOBS: Final = 2


@click.command(
    "run",
    cls=Command,
    examples=(
        ("stowplan run", "Run the only pipeline in containers."),
        ("stowplan run --rerun-failed", "Carry on where the newest run failed."),
        ("stowplan run --local", "Run it without containers."),
    ),
)
@click.argument("source", required=False, shell_complete=names_of("pipeline"))
@click.option("--local", is_flag=True, help="Run the steps in the active environment, not in containers.")
@click.option(
    "--rerun-failed", is_flag=True, help="Continue the newest run: steps that succeeded do not run again."
)
@options(
    "project",
    "config",
    "stack",
    "engine",
    "python",
    "jobs-of-run",
    "output",
    "locked",
    "frozen",
    "build",
    "prevent-reuse",
    "quiet",
    "verbose",
)
def run_command(
    source: str | None,
    jobs: int,
    local: bool,
    rerun_failed: bool,
    project: Path | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
    build: str | None,
    prevent_reuse: bool,
) -> int:
    """Run the steps of a pipeline, each in a container of its image.

    Missing images are built first. A pipeline without image settings runs in the active environment, and so
    does any pipeline with --local.
    """
    choose = engine_chooser(engine)
    loaded = loaded_project(project)
    chosen, on = picked(loaded, source, config), loaded.stack(stack)
    pipeline = chosen.pipeline
    check_runnable(loaded, pipeline)
    images: Images | None = None
    if local and build is not None:
        raise UsageError.of("command line", "--build and --local contradict", "leave out one of them")
    named = build is not None or chosen.build is not None
    if not local and (named or not runs_locally(pipeline, on)):
        # Podman takes half as long to say that it is there as a plan takes.
        ask_ahead(choose)
        result = made(
            loaded,
            chosen,
            on,
            engine=choose,
            builders=possible_builders(engine),
            jobs=_BUILD_JOBS,
            locked=locked,
            frozen=frozen,
            build=build,
            prevent_reuse=prevent_reuse,
            output=output,
        )
        for note in result.notes:
            print_note(str(note))
        if any(item.error is not None for item in result.outcomes):
            return show_made(result, output)
        if result.error is not None:
            print_note(str(result.error.problems[0]))
        images = Images(result, choose())
    load_ahead("executor.cli.render.runs")
    with running([step.name for step in pipeline.steps]) as on_event:
        ran = run_pipeline(
            loaded,
            pipeline,
            on,
            images,
            jobs=jobs,
            rerun=rerun_failed,
            on_event=on_event,
            on_note=print_note,
        )
    return _show(ran, source, output)


def _show(ran: Ran, source: str | None, output: str) -> int:
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
        again = f"stowplan run {source or ran.record.pipeline} --rerun-failed"
        print_lines([f"interrupted: what had finished is kept, go on with `{again}`"], err=True)
        return _INTERRUPTED
    return exit_code(ran.outcomes)


COMMANDS = {"run": run_command}
