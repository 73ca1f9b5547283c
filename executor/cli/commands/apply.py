"""`stowplan apply`: build and push what does not exist."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.making import made, picked, show_made
from executor.cli.options import engine_chooser, loaded_project, options
from executor.engines.names import possible_builders

__all__ = ["COMMANDS"]


@click.command("apply")
@click.argument("source", required=False, metavar="[SOURCE|FILE]")
@options(
    "project",
    "config",
    "stack",
    "engine",
    "python",
    "jobs",
    "output",
    "locked",
    "frozen",
    "build",
    "prevent-reuse",
)
def apply_command(
    source: str | None,
    jobs: int,
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
    """Build what no engine, registry or ledger has, push it, and record it.

    A stale lock is brought up to date first, as far as this plan goes: --locked refuses it instead, and
    --frozen takes it as it is.

    FILE is a plan that `stowplan plan --out FILE` saved: exactly it is applied. If anything is not as it was
    when it was planned, what moved is printed, and nothing is done.
    """
    loaded = loaded_project(project)
    saved = None
    if source is not None and source.endswith(".json"):
        from executor.workflow.saved_plans import read_saved_plan  # noqa: PLC0415  # few plans are saved

        given = {
            "--config": config, "--stack": stack, "--build": build, "--frozen": frozen,
            "--prevent-build-reuse": prevent_reuse,
        }  # fmt: skip
        if names := [name for name, value in given.items() if value]:
            raise click.UsageError(f"a saved plan has been made without {names[0]}: leave it out")
        saved = read_saved_plan(Path(source))
        pipeline, place = saved.chosen(loaded)
        frozen, prevent_reuse = saved.frozen, saved.prevent_reuse
    else:
        pipeline, place = picked(loaded, source, config), loaded.stack(stack)
    result = made(
        loaded,
        pipeline,
        place,
        engine=engine_chooser(engine),
        builders=possible_builders(engine),
        jobs=jobs,
        locked=locked,
        frozen=frozen,
        build=build,
        prevent_reuse=prevent_reuse,
        output=output,
        saved=saved,
    )
    return show_made(result, output)


COMMANDS = {"apply": apply_command}
