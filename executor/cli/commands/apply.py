"""`stowplan apply`: build and push what does not exist."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.making import made, picked, show_made
from executor.cli.options import engine_chooser, loaded_project, options
from executor.engines.names import possible_builders

__all__ = ["COMMANDS"]


@click.command("apply")
@click.argument("source", required=False)
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
    """
    loaded = loaded_project(project)
    result = made(
        loaded,
        picked(loaded, source, config),
        loaded.stack(stack),
        engine=engine_chooser(engine),
        builders=possible_builders(engine),
        jobs=jobs,
        locked=locked,
        frozen=frozen,
        build=build,
        prevent_reuse=prevent_reuse,
        output=output,
    )
    return show_made(result, output)


COMMANDS = {"apply": apply_command}
