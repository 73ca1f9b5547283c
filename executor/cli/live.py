"""Lines on a terminal that live while something goes on: one for each image, or for each step.

Refuses to be shown anywhere else: whoever wants it looks that standard error is a terminal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from executor.cli.output import live_console
from executor.cli.render.encode import terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["live_lines"]


@contextlib.contextmanager
def live_lines(names: Iterable[str], words: str) -> Iterator[tuple[Progress, Mapping[str, TaskID]]]:
    """A line for each name: the name, what is going on, which is `words` at first, and for how long it has.

    The lines are gone in the end. Whoever changes one encodes what it says.
    """
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415  # only a terminal needs it
    from rich.table import Column  # noqa: PLC0415  # see above

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.fields[name]}", markup=False, table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=live_console(), transient=True, expand=True) as shown:
        yield (
            shown,
            {name: shown.add_task(words, name=terminal(name), total=1, start=False) for name in names},
        )
