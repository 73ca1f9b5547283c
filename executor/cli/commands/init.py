"""`stowplan init`: make a project of a folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from executor.cli.command import Command
from executor.cli.options import options
from executor.cli.output import print_exact, print_lines, print_note
from executor.cli.progress import waiting
from executor.config.project import find_project, has_project
from executor.errors import ExecutorError
from executor.scaffold.folder import Folder
from executor.scaffold.project_text import described_pipelines, written_pipelines
from executor.workflow.scaffold import Scaffold, scaffold

__all__ = ["COMMANDS"]


@click.command(
    cls=Command,
    examples=(
        ("stowplan init", "Write a stowplan.toml for this directory."),
        ("stowplan init --dry-run", "Look at it first."),
    ),
)
@options("new-project")
@click.option("--pyproject", is_flag=True, help="Add to pyproject.toml, in place of a stowplan.toml.")
@click.option("--dry-run", is_flag=True, help="Print the project file, and write nothing.")
def init(project: Path | None, pyproject: bool, dry_run: bool) -> int:
    """Look at a directory, and write a stowplan.toml for what is there.

    Reads pyproject.toml, requirements files, the Dockerfile, scripts, pipelines in Python, run configurations
    and the git remote, and runs none of it. Writes a .dockerignore if there is none. Overwrites nothing.
    """
    try:
        root = Path(os.path.realpath(project or Path.cwd()))
    except FileNotFoundError:
        raise ExecutorError.of("working directory", "does not exist any more", "change to another") from None
    above = find_project(root.parent)
    if above != root.parent or has_project(above):
        print_note(f"{above} is a project too: commands in {root} will be about this one")
    with waiting("looking at the directory"):
        made = scaffold(root, os.environ, pyproject=pyproject)
    for text in made.folder.unread:
        print_note(f"not read: {text}")
    if dry_run:
        print_exact(made.text)
        return 0
    if made.exists is not None:
        # What it would have been is worth having where it cannot be written.
        print_exact(made.text)
    written = made.write()
    print_lines(_lines(made, written, project))
    return 0


def _lines(made: Scaffold, names: tuple[str, ...], project: Path | None) -> Iterator[str]:
    found = tuple(_found(made.folder))
    yield "Found:" if found else "Found no scripts, no pipelines and no requirements."
    yield from (f"  {each}" for each in found)
    yield from (f"Wrote {name}." for name in names)
    for settings, why in made.installed.refused:
        said = ", ".join(str(value) for value in settings.values())
        yield f"note: {said} is left out: {why}"
    written = written_pipelines(made.folder)
    if not described_pipelines(made.folder) and not all(each.commands for each in written.values()):
        yield f"note: what the steps run is not known: say it in {made.file}"
    yield ""
    yield "Next:"
    where = "" if project is None else f" --project {shlex.quote(str(project))}"
    for arguments in _plans(made.folder):
        yield f"  stowplan plan{where}{arguments}"


def _plans(folder: Folder) -> Iterator[str]:
    """What `stowplan plan` is given to plan each pipeline."""
    described = described_pipelines(folder)
    config = next((each.path for each in folder.configurations), "FILE")
    names = described or written_pipelines(folder)
    for name in names:
        chosen = "" if len(names) == 1 else f" {name}"
        given = name in described and described[name].parameters
        yield chosen + (f" --config {shlex.quote(config)}" if given else "")


def _found(folder: Folder) -> Iterator[str]:
    yield from (f"pipeline {each.name} ({each.file})" for each in folder.pipelines)
    if not folder.pipelines:
        yield from (f"script {each.path}" for each in folder.scripts)
    yield from folder.requirements
    if folder.project or folder.groups:
        yield "pyproject.toml"
    if folder.dockerfile:
        yield folder.dockerfile
    yield from (f"run configuration {each.path}" for each in folder.configurations)
    if folder.repository:
        yield f"remote {folder.repository.name}"


COMMANDS = {"init": init}
