"""Where the process begins, before anything else is imported.

Owns Ctrl-C while the command line is being imported: there is nothing to tidy up then, and nobody to tell
whoever pressed it what an import is. Imports only what every Python has loaded when it begins, not even the
module `signal`: until the handlers are there, a Ctrl-C is answered by Python itself.
"""

import _signal  # type: ignore[import-not-found]  # `signal` without its names, which typeshed does not have
import os

__all__ = ["main"]


def main() -> None:
    """Be the command line, and end the process with its exit code."""
    for number in (_signal.SIGINT, _signal.SIGTERM):
        # What was started with `nohup` or `&` is not meant to notice.
        if _signal.getsignal(number) is not _signal.SIG_IGN:
            _signal.signal(number, _stop)
    try:
        from executor.cli.main import main as run  # noqa: PLC0415  # the handlers come first

        run()
    except Exception as error:
        # What the command line itself has no words for is that it, or those words, cannot be loaded.
        found = f"error: stowplan cannot be loaded ({type(error).__name__})"
        _end(70, f"{found}\n       check its installation, and the limits of memory and open files")


def _stop(*_: object) -> None:
    _end(130, "interrupted")


def _end(code: int, words: str) -> None:
    try:
        os.write(2, f"{words}\n".encode())
    finally:
        os._exit(code)
