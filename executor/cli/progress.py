"""What a person sees while images are built: a line for each image on a terminal, plain lines elsewhere.

Everything goes to standard error. Refuses to be needed: without it, `apply` does the same.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeAlias

from executor.apply.outcome import Event, EventKind, OnEvent
from executor.cli.live import live_lines
from executor.cli.look import look
from executor.cli.output import print_note, print_progress
from executor.cli.render.line import duration
from executor.cli.render.text import RESULTS, amount
from executor.workflow.forecast import Forecast
from planner.image.plan import BuildPlan

__all__ = ["progress", "waiting"]

_PATIENCE_SECONDS: Final = 1.0
UNKNOWN: Final = Forecast(None, 0)
"""Where nothing is known of earlier builds."""

OnForecast: TypeAlias = Callable[[str], Forecast]


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
def progress(plan: BuildPlan, forecast: OnForecast = lambda _: UNKNOWN) -> Iterator[OnEvent]:
    """Show what happens to the images of a plan, for as long as the context lasts.

    `forecast` is asked about an image that begins to be built, by its name.
    """
    with _retries(), _shown(plan, forecast) as on_event:
        yield on_event


def _shown(plan: BuildPlan, forecast: OnForecast) -> contextlib.AbstractContextManager[OnEvent]:
    if look.quiet:
        return contextlib.nullcontext(lambda _: None)
    if look.is_live(sys.stderr):
        return _live(plan, forecast)
    return contextlib.nullcontext(partial(_plain, forecast))


def _plain(forecast: OnForecast, event: Event) -> None:
    """A line for each thing that begins. How images ended is the result, which comes after."""
    match event.kind:
        case EventKind.ENDED:
            return
        case EventKind.LINE if not (look.verbose and event.text.strip()):
            return
        case EventKind.BUILDING:
            expected = forecast(event.image)
            time = f"about {duration(expected.seconds)}" if expected.seconds is not None else ""
            size = f"up to {amount(expected.size)} to download" if expected.size else ""
            words = ", ".join(filter(None, (time, size)))
            print_progress(event.image, f"building: {words}" if words else "building")
        case _:
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
def _live(plan: BuildPlan, forecast: OnForecast) -> Iterator[OnEvent]:
    with live_lines([image.name for image in plan.images], "waiting") as lines:

        def on_event(event: Event) -> None:
            match event.kind:
                case EventKind.ENDED:
                    assert event.result is not None  # noqa: S101  # what ended has a result
                    lines.ended(event.image, _words(event), RESULTS[event.result])
                case EventKind.LINE:
                    if look.verbose:
                        print_progress(event.image, event.text)
                case EventKind.BUILDING:
                    lines.going(event.image, _words(event), expected=forecast(event.image).seconds)
                case _:
                    lines.going(event.image, _words(event))

        yield on_event
