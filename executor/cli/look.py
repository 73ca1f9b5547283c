"""How a command's output is to look: in colour or not, how wide, alive or not, and how much of it.

The command line says so, then the environment, then what the stream is. Refuses to print.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import Final, TextIO

__all__ = ["Look", "Loudness", "look"]

# What a terminal is called that obeys no control sequence.
_DUMB: Final = ("", "dumb", "unknown")
_OFF: Final = ("", "0")
_SIZE_DIGITS: Final = 5
_NARROWEST: Final = 20


class Loudness(IntEnum):
    """How much is said."""

    QUIET = 0
    """Results and errors."""
    USUAL = 1
    VERBOSE = 2
    """What engines say, too."""


# Even `--version` has one: no attrs, which takes longer to load than that takes to print.
class Look:
    """What the command line says of the output. One process has one."""

    def __init__(self, color: str = "auto", loudness: Loudness = Loudness.USUAL) -> None:
        self.color = color
        self.loudness = loudness

    def in_color(self, stream: TextIO) -> bool:
        """Whether what is written to a stream is in colour. NO_COLOR (no-color.org) wins over variables."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        if any(os.environ.get(name, "") not in _OFF for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
            return True
        return os.environ.get("CLICOLOR") != "0" and stream.isatty() and not _is_dumb()

    def is_live(self, stream: TextIO) -> bool:
        """Whether lines on a stream may be drawn again."""
        return self.loudness is not Loudness.QUIET and stream.isatty() and not _is_dumb()

    @property
    def quiet(self) -> bool:
        """Whether only results and errors are printed."""
        return self.loudness is Loudness.QUIET

    @property
    def verbose(self) -> bool:
        """Whether everything is printed."""
        return self.loudness is Loudness.VERBOSE

    def columns(self, stream: TextIO) -> int | None:
        """How wide the terminal is that a stream is; None for anything else, which is not broken."""
        if not stream.isatty():
            return None
        said = os.environ.get("COLUMNS", "")
        # Python takes no number of more than 4,300 digits.
        if said.isdecimal() and len(said) <= _SIZE_DIGITS and int(said):
            found = int(said)
        else:
            try:
                found = os.get_terminal_size(stream.fileno()).columns
            except (OSError, ValueError):
                found = 0
        import shutil  # noqa: PLC0415  # only a terminal needs it

        return max(found or shutil.get_terminal_size().columns, _NARROWEST)


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in _DUMB


look: Final = Look()
"""That of this process."""
