"""Standard output and standard error as the command line writes to them.

Owns what happens when they cannot be written: nothing, until the command is over. A full disk, a closed
terminal or a reader that has gone stops no build and loses no outcome. Characters that the encoding does not
have are written as escapes, and our own symbols as ASCII.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["SYMBOLS", "Output", "open_streams"]

_STREAMS: Final = (0, 1, 2)
# Symbols of our own words. Spinners have other ones where these are needed.
_IN_ASCII: Final = {"→": "->", "↑": "^", "…": "...", "✓": "+", "✗": "x", "·": "-"}
SYMBOLS: Final = "stowplan-symbols"
"""The name of the handler of what an encoding does not have."""


class Output(io.RawIOBase):
    """What is written to a descriptor. `error` is why something could not be, and the rest is dropped."""

    def __init__(self, descriptor: int, before: object) -> None:
        super().__init__()
        self._descriptor = descriptor
        # It would close the descriptor at its own end.
        self._before = before
        self.error: OSError | None = None

    def writable(self) -> bool:
        """It is for writing only."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what can be written now; how many bytes are done with."""
        while self.error is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                # Another program that shares the terminal or the pipe may have asked not to wait.
                with contextlib.suppress(OSError, ValueError):
                    select.select([], [self._descriptor], [])
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


def open_streams() -> Output:
    """Open standard output and error anew, as `sys.stdout` and `sys.stderr`; returns standard output."""
    for descriptor in _STREAMS:
        try:
            os.fstat(descriptor)
        except OSError:
            # The next file that is opened would get the number, and whatever is written to the stream would
            # end up in it. What is opened for reading refuses to be written, as the closed one does.
            os.open(os.devnull, os.O_RDONLY)
    output, errors = Output(1, sys.stdout), Output(2, sys.stderr)
    sys.stdout, sys.stderr = _text(sys.stdout, output), _text(sys.stderr, errors)
    return output


def _text(before: object, raw: Output) -> io.TextIOWrapper:
    if isinstance(before, io.TextIOBase):
        with contextlib.suppress(OSError, ValueError):
            before.flush()
    encoding = getattr(before, "encoding", None) or "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, SYMBOLS, line_buffering=raw.isatty() or raw.fileno() == 2
    )


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written instead of a character that an encoding does not have: the handler of a codec."""
    if isinstance(error, UnicodeEncodeError) and (symbol := _IN_ASCII.get(error.object[error.start])):
        return symbol, error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error(SYMBOLS, _replaced)
