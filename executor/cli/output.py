"""How commands print: the only module that writes to standard output and standard error.

Results go to standard output, everything else to standard error. Whatever is given to a function here is
foreign text: it is masked and encoded here, and gets its colours after that. Only `Markdown` was encoded
before, by the one module that makes it. Refuses to be passed by: a test looks that nothing else prints.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from executor.cli.render.encode import Markdown, json_text, terminal, yaml_text

if TYPE_CHECKING:
    from rich.console import Console

    from executor.errors import ExecutorError
    from planner.errors import PlannerError, Problem

__all__ = [
    "live_console", "print_error", "print_exact", "print_json", "print_lines",
    "print_markdown", "print_note", "print_progress", "print_table", "print_usage", "print_yaml",
]  # fmt: skip

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
    "✓": "green",
    "!": "yellow",
    "✗": "red",
}
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_NO_TERMINAL_COLUMNS: Final = 1000
# Variables that give the size of a terminal, and how many digits one can have.
_SIZES: Final = ("COLUMNS", "LINES")
_SIZE_DIGITS: Final = 5


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines, the first word of each in its colour."""
    for line in lines:
        click.echo(_coloured(terminal(line)), err=err)


def _coloured(line: str) -> str:
    """An encoded line with its first word in colour, which click drops where there is no terminal."""
    word = line.split(maxsplit=1)[0] if line.strip() else ""
    return line.replace(word, click.style(word, fg=_STYLES[word]), 1) if word in _STYLES else line


def print_note(text: str) -> None:
    """Print a note to standard error."""
    print_lines([f"note: {text}"], err=True)


def print_progress(image: str, text: str) -> None:
    """Print what happens to an image to standard error, each line of it with the image's name.

    It is one write: what is said of images that are built side by side does not mix.
    """
    # Not through click, which takes ten times as long for a line, and there can be millions.
    sys.stderr.write("".join(terminal(f"[{image}] {line.expandtabs()}") + "\n" for line in text.split("\n")))
    sys.stderr.flush()


def print_error(error: PlannerError | ExecutorError, *, as_json: bool = False) -> None:
    """All problems at once, each with its place and its remedy: to standard error, or as JSON."""
    if as_json:
        from executor.cli.render.data import problem_data  # noqa: PLC0415  # only what is printed

        print_json(
            {"schema": "stowplan/error/2", "problems": [problem_data(item) for item in error.problems]}
        )
        return
    for problem in error.problems:
        _print_problem(problem)


def _print_problem(problem: Problem) -> None:
    where = f"{problem.where}: " if str(problem.where) else ""
    fix = "\n       ".join(terminal(line.expandtabs()) for line in problem.fix.split("\n"))
    click.echo(f"{_error_word()}: {terminal(where + problem.found)}\n       {fix}", err=True)


def print_usage(message: str, command: str) -> None:
    """Say what is wrong with a command line."""
    click.echo(f"{_error_word()}: {terminal(message)}\nSee `{command} --help`.", err=True)


def _error_word() -> str:
    return click.style("error", fg="red", bold=True)


def print_json(data: Mapping[str, Any]) -> None:
    """Print an object, and nothing else, to standard output."""
    text = json_text(data)
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        # What the output's encoding does not have is an escape, and has to be one of JSON's.
        text = _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], text)
    click.echo(text)


def print_yaml(data: Mapping[str, Any]) -> None:
    """Print an object as YAML, and nothing else, to standard output."""
    click.echo(yaml_text(data), nl=False)


def print_markdown(text: Markdown) -> None:
    """Print a document, unless it is empty."""
    if text:
        click.echo(text.removesuffix("\n"))


def print_exact(text: str, *, anywhere: bool = False) -> None:
    """Print what other programs read, byte for byte; a terminal gets it encoded, unless `anywhere`."""
    if not anywhere and sys.stdout.isatty():
        lines = (terminal(line.expandtabs()) for line in text.split("\n"))
        text = "\n".join(lines)
    # Not through click, which takes colours out of what no terminal shows.
    sys.stdout.write(text)
    sys.stdout.flush()


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, spare: Sequence[str] = ()) -> None:
    """Print a table, cut to a terminal's width and never where there is none.

    On a terminal that is too narrow, columns that are `spare` are left out, one after the other.
    """
    from rich.table import Table  # noqa: PLC0415  # only tables need it
    from rich.text import Text  # noqa: PLC0415  # see above

    console = _console(width=None if sys.stdout.isatty() else _NO_TERMINAL_COLUMNS)
    texts = [[Text(terminal(item)) for item in row] for row in rows]
    widths = {
        head: max(len(head), *(row[index].cell_len for row in texts)) + 2 for index, head in enumerate(heads)
    }
    for head in spare:
        if sum(widths.values()) - 2 <= console.width:
            break
        del widths[head]
    shown = Table(box=None, pad_edge=False)
    for head in widths:
        shown.add_column(head, no_wrap=True)
    for row in texts:
        shown.add_row(*(item for head, item in zip(heads, row, strict=True) if head in widths))
    console.print(shown)


def live_console() -> Console:
    """Where what goes on is redrawn: standard error. Whoever draws on it encodes what is drawn."""
    return _console(stderr=True)


def _console(*, width: int | None = None, stderr: bool = False) -> Console:
    from rich.console import Console  # noqa: PLC0415  # see print_table

    # rich takes any number for a size, and Python no number of more than 4,300 digits.
    environ = {
        name: value for name, value in os.environ.items() if name not in _SIZES or len(value) <= _SIZE_DIGITS
    }
    return Console(width=width, stderr=stderr, _environ=environ)
