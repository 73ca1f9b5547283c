"""How commands print: the only module that writes to standard output and standard error.

Results go to standard output, everything else to standard error. Whatever is given to a function here is
foreign text: it is masked and encoded here, and gets its colours after that. Only `Markdown` was encoded
before, by the one module that makes it. Refuses to be passed by: a test looks that nothing else prints.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from executor.cli.look import look
from executor.cli.render.encode import Markdown, json_text, terminal, yaml_text
from executor.cli.render.line import Line, Part, Style, broken, cells, note, padded, parts_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from planner.errors import Problem, StowplanError

__all__ = [
    "live_console", "live_text", "print_error", "print_exact", "print_json", "print_lines",
    "print_markdown", "print_note", "print_progress", "print_table", "print_usage", "print_yaml",
]  # fmt: skip

# A colour, and whether it is strong: names that click and rich both know. Never is a colour all that says it.
_LOOKS: Final[Mapping[Style, Mapping[str, Any]]] = {
    Style.GOOD: {"fg": "green"},
    Style.TODO: {"fg": "yellow"},
    Style.BAD: {"fg": "red", "bold": True},
    Style.NOTE: {"fg": "cyan"},
    Style.STRONG: {"bold": True},
    Style.FAINT: {"dim": True},
    Style.FIRST: {"fg": "cyan"},
    Style.SECOND: {"fg": "magenta"},
    Style.THIRD: {"fg": "blue"},
    Style.FOURTH: {"fg": "bright_black"},
}
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def print_lines(lines: Iterable[Line], *, err: bool = False) -> None:
    """Print lines, each part in its style; on a terminal they are broken between words to fit."""
    stream = sys.stderr if err else sys.stdout
    width = look.columns(stream)
    paint = look.in_color(stream)
    for line in lines:
        parts = tuple(Part(terminal(part.text), part.style) for part in parts_of(line))
        for shown in (parts,) if width is None else broken(parts, width):
            if err and _drawn:
                # What is drawn again and again is below.
                _drawn[-1].print(live_text(shown), soft_wrap=True)
                continue
            text = "".join(_painted(part) if paint else part.text for part in shown)
            # click would look at the terminal again, and take the colours out.
            click.echo(text, err=err, color=True)


def _painted(part: Part) -> str:
    """Encoded text in its style."""
    return part.text if part.style is None else click.style(part.text, **_LOOKS[part.style])


def print_note(text: str) -> None:
    """Print a note to standard error, unless only results and errors are asked for."""
    if not look.quiet:
        print_lines([note(text)], err=True)


def print_progress(image: str, text: str, style: Style = Style.FAINT) -> None:
    """Print what happens to an image, or a step, to standard error, each line of it with its name in a style.

    It is one write: what is said of images that are built side by side does not mix.
    """
    lines = [f"[{image}] {line.expandtabs()}" for line in text.split("\n")]
    if _drawn or look.in_color(sys.stderr):
        head = f"[{image}] "
        print_lines([(Part(head, style), line.removeprefix(head)) for line in lines], err=True)
        return
    # Not through click, which takes ten times as long for a line, and there can be millions.
    sys.stderr.write("".join(f"{terminal(line)}\n" for line in lines))
    sys.stderr.flush()


def print_error(error: StowplanError, *, as_json: bool = False) -> None:
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
    fix = [f"       {line.expandtabs()}" for line in problem.fix.split("\n")]
    print_lines([(_ERROR, f": {where}{problem.found}"), *fix], err=True)


def print_usage(found: str, fix: str, command: str) -> None:
    """Say what is wrong with a command line, and what to do about it."""
    help_ = f"see `{command} --help`"
    print_lines([(_ERROR, f": {found}"), f"       {fix}; {help_}" if fix else f"       {help_}"], err=True)


_ERROR: Final = Part("error", Style.BAD)


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
    """Print a table. Where it does not fit on a terminal, columns that are `spare` go, one after the other.

    No word is cut: what still does not fit is broken as other lines are.
    """
    # Encoded here, since what is shown is measured; encoding it again changes nothing.
    texts = [[terminal(item) for item in row] for row in rows]
    widths = {
        head: max(cells(head), *(cells(row[index]) for row in texts)) for index, head in enumerate(heads)
    }
    width = look.columns(sys.stdout)
    for head in spare:
        if width is None or sum(widths.values()) + _GAP * (len(widths) - 1) <= width:
            break
        del widths[head]

    def line(items: Sequence[str], style: Style | None = None) -> Iterator[str | Part]:
        shown = [(item, widths[head]) for head, item in zip(heads, items, strict=True) if head in widths]
        for item, room in shown[:-1]:
            yield from padded(Part(item, style), room + _GAP)
        yield Part(shown[-1][0], style)

    print_lines(
        tuple(line(items, style)) for items, style in [(heads, Style.STRONG), *((row, None) for row in texts)]
    )


_GAP: Final = 2


@contextlib.contextmanager
def live_console() -> Iterator[Console]:
    """Where what goes on is redrawn: standard error. What is printed there meanwhile goes above.

    Whoever draws on it takes `live_text` for what is drawn.
    """
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs it

    # A width that the user names is that of `look`, since rich takes any number; else the terminal is asked
    # each time that it is drawn on.
    named = "COLUMNS" in os.environ
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    console = Console(
        stderr=True,
        width=look.columns(sys.stderr) if named else None,
        no_color=not look.in_color(sys.stderr),
        highlight=False,
        _environ=environ,
    )
    _drawn.append(console)
    try:
        yield console
    finally:
        _drawn.remove(console)


_drawn: Final[list[Console]] = []


def live_text(line: Line) -> Text:
    """A line for `live_console`, encoded and in its styles."""
    from rich.text import Text  # noqa: PLC0415  # as above

    made = Text(no_wrap=True, overflow="crop")
    for part in parts_of(line):
        how = _LOOKS[part.style] if part.style else {}
        words = [str(how["fg"])] if "fg" in how else []
        made.append(terminal(part.text), " ".join(words + [name for name in ("bold", "dim") if name in how]))
    return made
