"""What a person sees while steps run: their lines, and on a terminal how each stands.

Everything goes to standard error. Refuses to be needed: without it, a run does the same.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from executor.cli.live import live_lines
from executor.cli.output import print_progress
from executor.cli.render.encode import terminal
from executor.run.outcome import OnStepEvent, StepEvent, StepEventKind

__all__ = ["running"]

# Those of a terminal that are told from each other, and from an error.
_COLOURS: Final = ("cyan", "magenta", "blue", "green", "yellow", "bright_black")


@contextlib.contextmanager
def running(steps: Sequence[str]) -> Iterator[OnStepEvent]:
    """Show what happens to some steps, for as long as the context lasts."""
    with _live(steps) if sys.stderr.isatty() else contextlib.nullcontext(_plain) as on_event:
        yield on_event


def _plain(event: StepEvent) -> None:
    match event.kind:
        case StepEventKind.LINE:
            print_progress(event.step, event.text)
        case StepEventKind.STARTED:
            print_progress(event.step, "started")
        case StepEventKind.ENDED:
            print_progress(event.step, _words(event))


def _words(event: StepEvent) -> str:
    outcome = event.outcome
    assert outcome is not None  # noqa: S101  # a step that ended has one
    if outcome.kept:
        return "had succeeded before"
    return f"{outcome.status} in {outcome.seconds:.1f} s" if outcome.started else str(outcome.status)


@contextlib.contextmanager
def _live(steps: Sequence[str]) -> Iterator[OnStepEvent]:
    from rich.text import Text  # noqa: PLC0415  # only a terminal needs it

    colours = {step: _COLOURS[index % len(_COLOURS)] for index, step in enumerate(steps)}
    lock = threading.Lock()
    with live_lines(steps, "waits") as (shown, tasks):

        def on_event(event: StepEvent) -> None:
            task = tasks[event.step]
            match event.kind:
                case StepEventKind.STARTED:
                    shown.start_task(task)
                    shown.update(task, description="runs")
                case StepEventKind.ENDED:
                    shown.update(task, description=_words(event), completed=1)
                case StepEventKind.LINE:
                    line = Text.assemble(
                        (f"[{terminal(event.step)}] ", colours[event.step]),
                        terminal(event.text.expandtabs()),
                    )
                    with lock:
                        shown.console.print(line, soft_wrap=True, highlight=False, markup=False)

        yield on_event
