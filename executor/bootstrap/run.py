"""The mode that runs a step: the job is on the standard input, and the exit code is that of the step.

`python bootstrap.pyz run [DIRECTORY]`: the exchange directory, by default `/stowplan/exchange`. Its
`result.json` says what could not be done, or what the step raised.
"""

from __future__ import annotations

import _thread
import contextlib
import importlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from . import function, job, result
from .errors import WRONG, Refused, reason

__all__ = ["main"]

EXCHANGE = "/stowplan/exchange"
STEP_FAILED = 1
TERMINATED = 128 + signal.SIGTERM
INTERRUPTED = 128 + signal.SIGINT

_OURS = str(Path(__file__).parent)


class _Terminated(BaseException):
    """The step was asked to end."""


def main(arguments: list[str]) -> int:
    """Run the step of a job.

    0 if it ended well, 1 if a function raised an error, the exit code of a command, 143 or 130 if it was
    asked to end; 75 if it could not be run now, 78 if it cannot be run like this.
    """
    exchange = Path(arguments[0] if arguments else EXCHANGE).absolute()
    try:
        signal.signal(signal.SIGTERM, _terminate)
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_leave_to_child)
        try:
            return _run(job.read(sys.stdin.buffer), exchange)
        except OSError as error:
            raise _not_written(error) from None
    except Refused as error:
        _tell(exchange, result.refused(error))
        return error.exit_code
    except Exception as error:
        # Nothing of the step comes here. Whoever repairs it needs all of it.
        sys.excepthook(type(error), error, error.__traceback__)
        _tell(exchange, result.refused(_defect(error)))
        return WRONG
    except _Terminated:
        _tell(exchange, result.ended("it was asked to end (SIGTERM)", "Terminated"))
        return TERMINATED
    except KeyboardInterrupt:
        _tell(exchange, result.ended("it was interrupted (SIGINT)", "Interrupted"))
        return INTERRUPTED


def _run(given: job.Job, exchange: Path) -> int:
    # The job may hold a login, and is not for the step.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if given.code is not None:
        from . import code  # noqa: PLC0415  # brings what reaches networks

        code.place(given.code, Path(given.directory), exchange)
        # Where PYTHONPATH has the directory, modules have been looked for there.
        importlib.invalidate_caches()
    _enter(given.directory)
    if given.command is not None:
        from . import command  # noqa: PLC0415  # a function needs nothing that starts programs

        exit_code = command.run(given.command, given.directory)
        if exit_code:
            _tell(exchange, result.ended(f"the command ended with exit code {exit_code}"))
        else:
            _tell(exchange, result.finished({}, []))
        return exit_code
    return _call(given, exchange)


def _call(given: job.Job, exchange: Path) -> int:
    assert given.function is not None  # noqa: S101  # a job has one of the two
    for stream in (sys.stdout, sys.stderr):
        # Lines are read while the step runs. Where the language of the image has no words for a letter, the
        # step does not fail for printing it.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    # Before the inputs: they may be of classes of the project.
    sys.path.insert(0, given.directory)
    arguments = function.inputs(given, exchange)
    try:
        called, value = function.run(given.function, arguments)
    except (_Terminated, KeyboardInterrupt, function.FunctionMissing):
        raise
    except SystemExit as error:
        _tell(exchange, result.ended(f"the step ended Python (SystemExit: {error.code})", "SystemExit"))
        return _exit_code(error.code)
    except BaseException as error:
        _tell(exchange, result.failed(error, _OURS))
        return STEP_FAILED
    outputs = function.returned(value, given.outputs)
    written = {name: result.put(exchange, name, output) for name, output in outputs.items()}
    result.write(exchange, result.finished(written, function.notes(called, outputs)))
    return 0


def _exit_code(code: Any) -> int:
    """What a step that ends Python ends with: it did not return, so that it is no success."""
    return code if isinstance(code, int) and 0 < code < 256 else STEP_FAILED


def _enter(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise Refused(
            "directory-missing",
            f"the directory of the code, {directory}, cannot be entered: {reason(error)}",
            "make it in the image, for the user that the step runs as",
        ) from None


def _defect(error: Exception) -> Refused:
    found = f"{type(error).__name__}: {reason(error)}"
    return Refused("defect", f"a defect of stowplan, or of the Python of the image: {found}", "report it")


def _not_written(error: OSError) -> Refused:
    return Refused(
        "not-written",
        "{} cannot be written: {}".format(error.filename or "a file", reason(error)),
        f"let the user of the image, {os.getuid()}, write there",
    )


def _tell(exchange: Path, told: dict[str, Any]) -> None:
    """Write the result. Where that cannot be done, standard error has it."""
    try:
        result.write(exchange, told)
    except OSError as error:
        sys.stderr.write(f"stowplan: {exchange / result.RESULT} cannot be written: {reason(error)}\n")
        if told["error"] is not None:
            sys.stderr.write("{type}: {message}\n{traceback}".format(**told["error"]))


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # what signal calls
    # Asked twice, it does not stop to clean up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated


# The signals that threads which fork had blocked themselves, by the thread.
_held: dict[int, Any] = {}


def _hold() -> None:
    """Keep SIGTERM waiting while the step forks: Python forgets what reaches a child in this moment."""
    _held[_thread.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.pop(_thread.get_ident()))


def _leave_to_child() -> None:
    """A process that the step forks ends as any other: a pool ends its workers by this signal."""
    if signal.getsignal(signal.SIGTERM) is _terminate:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _release()
