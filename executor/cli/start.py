"""Where the process begins, before anything else is imported.

Owns Ctrl-C while the command line is being imported: there is nothing to tidy up then, and nobody to tell
whoever pressed it what an import is. Refuses to import what takes time.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Be the command line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # What was started with `nohup` or `&` is not meant to notice.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    from executor.cli.main import main as run  # noqa: PLC0415  # the handlers come first

    run()


def _stop(*_: object) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(130)
