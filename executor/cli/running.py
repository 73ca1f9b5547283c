"""What a person sees while steps run: their lines, and on a terminal how each stands.

Everything goes to standard error. Refuses to be needed: without it, a run does the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle

from executor.cli.live import live_lines
from executor.cli.look import look
from executor.cli.output import print_progress
from executor.cli.render.line import VOICES, Style
from executor.run.outcome import OnStepEvent, StepEvent, StepEventKind

__all__ = ["running"]


@contextlib.contextmanager
def running(steps: Sequence[str]) -> Iterator[OnStepEvent]:
    """Show what happens to some steps, for as long as the context lasts."""
    with _shown(steps) as on_event:
        yield on_event


def _shown(steps: Sequence[str]) -> contextlib.AbstractContextManager[OnStepEvent]:
    if look.quiet:
        return contextlib.nullcontext(lambda _: None)
    voices = dict(zip(steps, cycle(VOICES), strict=False))
    if look.is_live(sys.stderr):
        return _live(voices)
    return contextlib.nullcontext(partial(_plain, voices))


def _plain(voices: Mapping[str, Style], event: StepEvent) -> None:
    """What steps write, and that they begin. How they ended is the result, which comes after."""
    match event.kind:
        case StepEventKind.LINE:
            print_progress(event.step, event.text, voices[event.step])
        case StepEventKind.STARTED:
            print_progress(event.step, "started", voices[event.step])
        case StepEventKind.ENDED:
            pass


@contextlib.contextmanager
def _live(voices: Mapping[str, Style]) -> Iterator[OnStepEvent]:
    from executor.cli.render.runs import status_part  # noqa: PLC0415  # loaded while an engine works

    with live_lines(voices, "waiting") as lines:

        def on_event(event: StepEvent) -> None:
            match event.kind:
                case StepEventKind.STARTED:
                    lines.going(event.step, "running")
                case StepEventKind.ENDED:
                    assert event.outcome is not None  # noqa: S101  # a step that ended has one
                    status = status_part(event.outcome.status)
                    words = "succeeded before" if event.outcome.kept else status.text
                    lines.ended(event.step, words, status.style or Style.NOTE)
                case StepEventKind.LINE:
                    print_progress(event.step, event.text, voices[event.step])

        yield on_event
