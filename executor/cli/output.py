"""How commands print: results to standard output, everything else to standard error.

Everything foreign has passed an encoder of `render` before it comes here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from executor.cli.render.encode import terminal
from executor.errors import ExecutorError
from planner.errors import PlannerError

__all__ = ["print_error", "print_json", "print_lines", "print_note", "styled"]


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, the first word of each in its colour."""
    for line in lines:
        click.echo(styled(line))


def print_note(text: str) -> None:
    """Print a note to standard error."""
    click.echo(styled(f"note: {terminal(text)}"), err=True)


def print_error(error: PlannerError | ExecutorError, *, as_json: bool = False) -> None:
    """All problems at once, each with its place and its remedy: to standard error, or as JSON."""
    if as_json:
        from executor.cli.render.data import problem_data  # noqa: PLC0415  # only what is printed

        print_json(
            {"schema": "stowplan/error/2", "problems": [problem_data(item) for item in error.problems]}
        )
        return
    for problem in error.problems:
        where = f"{problem.where}: " if str(problem.where) else ""
        word = click.style("error", fg="red", bold=True)
        fix = "\n       ".join(map(terminal, problem.fix.split("\n")))
        click.echo(f"{word}: {terminal(where + problem.found)}\n       {fix}", err=True)


def print_json(data: Mapping[str, Any]) -> None:
    """Print an object, and nothing else, to standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


_STYLES: Final = {
    "build": "yellow",
    "push": "yellow",
    "reuse": "green",
    "parent": "green",
    "built": "green",
    "built,": "green",
    "pushed": "green",
    "reused": "green",
    "failed": "red",
    "interrupted": "red",
    "note:": "cyan",
}


def styled(line: str) -> str:
    """The line with its first word in colour, which click drops where there is no terminal."""
    word = line.split(maxsplit=1)[0] if line.strip() else ""
    return line.replace(word, click.style(word, fg=_STYLES[word]), 1) if word in _STYLES else line
