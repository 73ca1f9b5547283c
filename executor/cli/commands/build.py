"""`stowplan build`: a build ahead of a run."""

from __future__ import annotations

from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.completion import names_of
from executor.cli.making import made, picked, show_made
from executor.cli.options import engine_chooser, loaded_project, options
from executor.cli.output import print_json, print_lines, print_yaml
from executor.engines.names import possible_builders
from executor.records.documents import build_data
from executor.workflow.build_files import is_build_file, write_build

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan build", "Build, and print the id of the build."),
        ("stowplan build -o build.json", "Export it for another machine."),
    ),
)
@click.argument("source", required=False, shell_complete=names_of("pipeline"))
@options(
    "project",
    "config",
    "stack",
    "engine",
    "python",
    "jobs",
    "output-file",
    "locked",
    "frozen",
    "prevent-reuse",
    "quiet",
    "verbose",
)
def build(
    source: str | None,
    jobs: int,
    project: Path | None,
    config: Path | None,
    stack: str | None,
    engine: str | None,
    output: str,
    locked: bool,
    frozen: bool,
    prevent_reuse: bool,
) -> int:
    """Build the images of a pipeline like `apply`, and print the id of the build, for a later run."""
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
        build=None,
        prevent_reuse=prevent_reuse,
        output=output,
    )
    if result.build is None:
        return show_made(result, output)
    if output == "json":
        print_json(build_data(result.build))
    elif output == "yaml":
        print_yaml(build_data(result.build))
    else:
        show_made(result, "text")
        print_lines([f"build {result.build.id}"])
        if is_build_file(output):
            write_build(result.build, Path(output))
    return 0


COMMANDS = {"build": build}
