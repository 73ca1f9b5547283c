"""What a person sees while images are built: a line for each image on a terminal, plain lines elsewhere.

Everything goes to standard error. Refuses to be needed: without it, `apply` does the same.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator

from executor.apply.outcome import Event, EventKind, OnEvent
from executor.cli.live import live_lines
from executor.cli.look import look
from executor.cli.output import print_note, print_progress
from executor.cli.render.text import RESULTS
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
    if not look.is_live(sys.stderr):
        yield
        return
    over = threading.Event()

    def show() -> None:
        if over.wait(_PATIENCE_SECONDS):
            return
        with live_lines([words], "") as lines:
            lines.going(words, "")
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
    with _retries(), _shown(plan) as on_event:
        yield on_event


def _shown(plan: BuildPlan) -> contextlib.AbstractContextManager[OnEvent]:
    if look.quiet:
        return contextlib.nullcontext(lambda _: None)
    return _live(plan) if look.is_live(sys.stderr) else contextlib.nullcontext(_plain)


def _plain(event: Event) -> None:
    """A line for each thing that begins. How images ended is the result, which comes after."""
    if event.kind is EventKind.LINE and not (look.verbose and event.text.strip()):
        return
    if event.kind is not EventKind.ENDED:
        print_progress(event.image, _words(event))


def _words(event: Event) -> str:
    """What an event says: `building`, `[3/6] requirements`, `waiting for …`, a line of the engine."""
    match event.kind:
        case EventKind.LINE | EventKind.LAYER:
            return event.text
        case EventKind.WAITING:
            return f"waiting {event.text}"
        case EventKind.BUILDING | EventKind.PUSHING:
            return str(event.kind)
        case EventKind.ENDED:
            return str(event.result)


@contextlib.contextmanager
def _live(plan: BuildPlan) -> Iterator[OnEvent]:
    with live_lines([image.name for image in plan.images], "waiting") as lines:

        def on_event(event: Event) -> None:
            match event.kind:
                case EventKind.ENDED:
                    assert event.result is not None  # noqa: S101  # what ended has a result
                    lines.ended(event.image, _words(event), RESULTS[event.result])
                case EventKind.LINE:
                    if look.verbose:
                        print_progress(event.image, event.text)
                case _:
                    lines.going(event.image, _words(event))

        yield on_event
