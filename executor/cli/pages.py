"""What the commands that draw a page share: it is written, and the user is told what to know of its file."""

from __future__ import annotations

from pathlib import Path

from executor.cli.output import print_note
from executor.cli.render.encode import Html
from executor.config.project import Project
from executor.state import STATE_DIRECTORY, state_directory
from executor.workflow.copied import is_copied
from executor.workflow.pages import write_page
from executor.workflow.plans import Planned

__all__ = ["save_page"]


def save_page(path: Path, page: Html, project: Project, planned: Planned) -> None:
    """Write a page, and say so in a note: standard output has what the command prints."""
    if path.absolute().parent == project.root.absolute() / STATE_DIRECTORY:
        state_directory(project.root)
    write_page(path, page)
    print_note(f"wrote {path}: open it in a browser")
    if is_copied(planned.facts, project.root, path):
        print_note(
            f"{path} is among the files that are copied into images, so that the next plan differs: write it "
            f"into {STATE_DIRECTORY}, outside of the project, or add it to .dockerignore"
        )
