"""What a person sees while images are built: a line for each image on a terminal, plain lines elsewhere.

Everything goes to standard error. Refuses to be needed: without it, `apply` does the same.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Final

from executor.apply.outcome import Event, EventKind, OnEvent, Result
from executor.cli.live import live_lines
from executor.cli.output import live_console, print_note, print_progress
from executor.cli.render.encode import terminal
from planner.image.plan import BuildPlan

__all__ = ["progress", "waiting"]

_PATIENCE_SECONDS = 1.0


class _Notes(logging.Handler):
    """Prints what is logged as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        print_note(record.getMessage())


@contextlib.contextmanager
def _retries() -> Iterator[None]:
    """Say when a registry is asked again, whoever asks it."""
    log, notes = logging.getLogger("stowplan.registry"), _Notes()
    log.setLevel(logging.INFO)
    log.addHandler(notes)
    try:
        yield
    finally:
        log.removeHandler(notes)


@contextlib.contextmanager
def waiting(words: str) -> Iterator[None]:
    """Say what is waited for: a registry that is asked again, and `words` on a terminal after a second."""
    with _retries(), _status(words):
        yield


@contextlib.contextmanager
def _status(words: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()

    def show() -> None:
        if over.wait(_PATIENCE_SECONDS):
            return
        with live_console().status(words):
            over.wait()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def progress(plan: BuildPlan) -> Iterator[OnEvent]:
    """Show what happens to the images of a plan, for as long as the context lasts."""
    with _retries(), _live(plan) if sys.stderr.isatty() else contextlib.nullcontext(_plain) as on_event:
        yield on_event


# Nothing happened to these, and the result says so.
_NOTHING_DONE: Final = (Result.REUSED, Result.PARENT)


def _plain(event: Event) -> None:
    if event.result in _NOTHING_DONE or (event.kind is EventKind.LINE and not event.text.strip()):
        return
    print_progress(event.image, _words(event))


def _words(event: Event) -> str:
    match event.kind:
        case EventKind.LINE:
            return event.text
        case EventKind.ENDED:
            return f"{event.result} {event.text}"
        case EventKind.BUILDING | EventKind.PUSHING | EventKind.WAITING:
            return f"{event.kind} {event.text}"


@contextlib.contextmanager
def _live(plan: BuildPlan) -> Iterator[OnEvent]:
    with live_lines([image.name for image in plan.images], "waiting") as (shown, tasks):

        def on_event(event: Event) -> None:
            task = tasks[event.image]
            match event.kind:
                case EventKind.ENDED:
                    shown.update(task, description=str(event.result), completed=1)
                case EventKind.LINE | EventKind.WAITING:
                    shown.start_task(task)
                    shown.update(task, description=terminal(event.text.expandtabs()))
                case EventKind.BUILDING | EventKind.PUSHING:
                    shown.start_task(task)
                    shown.update(task, description=str(event.kind))

        yield on_event
