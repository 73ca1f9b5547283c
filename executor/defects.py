"""What no other code has words for: a short error, and a file with the details.

Owns that file. It says which code was running, by file and line, and nothing that this code worked with: no
message of an error, no variable, no argument, no environment, since any of them can hold a secret. Refuses
to fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from executor.errors import ExecutorError, Failure, remedy
from executor.state import state_directory
from planner.errors import Place, Problem

__all__ = ["explained"]

# Of a recursion that has no end, both ends say enough.
_FRAMES: Final = 40
_CAUSES: Final = 10
_OURS: Final = ("executor", "planner")


def explained(error: Exception, root: Path | None) -> ExecutorError:
    """An error that is not ours as one that is: what the system refused, or a defect of stowplan.

    The details are written to a file below `root`, which is the project, or else where temporary files are.
    """
    if isinstance(error, MemoryError):
        problem = Problem(Place(), "there is not enough memory", "close some programs", "no-memory")
        return ExecutorError([problem])
    name = ""
    with contextlib.suppress(Exception):
        name = _written(_report(error), root)
    details = f"the details are in {name}" if name else "no file could be written for the details"
    if isinstance(error, OSError) and error.strerror:
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        problem = Problem(Place(file=where), error.strerror, f"{remedy(error)}; {details}", "system")
        return ExecutorError([problem])
    found = f"{type(error).__name__} in {_place(error)}, which is a defect of stowplan"
    fix = f"report it to the developers of stowplan, with {name}" if name else f"report it; {details}"
    return ExecutorError([Problem(Place(), found, fix, "defect")], Failure.DEFECT)


def _report(error: BaseException) -> str:
    """The details of an error, for those who know the code."""
    import platform  # noqa: PLC0415  # few errors have no words

    lines = [f"stowplan {_version()}, Python {platform.python_version()}, {platform.platform()}"]
    lines += ["", "Where it happened, the newest call last. Messages and values are left out.", ""]
    chain = list(_chain(error))
    for number, each in enumerate(reversed(chain)):
        if number:
            lines += ["", "and while that was handled, or because of it:", ""]
        lines += _frames(each.__traceback__)
        lines.append(type(each).__qualname__ + _errno(each))
    return "\n".join([*lines, ""])


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it."""
    current: BaseException | None = error
    for _ in range(_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _frames(trace: TracebackType | None) -> Iterator[str]:
    import linecache  # noqa: PLC0415  # see _report

    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append((code.co_filename, trace.tb_lineno, code.co_name))
        trace = trace.tb_next
    for number, (file, line, name) in enumerate(frames):
        if number == _FRAMES and len(frames) > 2 * _FRAMES:
            yield f"  … {len(frames) - 2 * _FRAMES} more calls …"
        if not _FRAMES <= number < len(frames) - _FRAMES:
            yield f"  {file}:{line}, in {name}"
            yield f"    {linecache.getline(file, line).strip()}"


def _errno(error: BaseException) -> str:
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""


def _place(error: BaseException) -> str:
    """The line of our own code that is nearest to the error."""
    found, trace = "code that is not known", error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if any(parent.name in _OURS for parent in path.parents):
            found = f"{path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  # few errors are defects

    try:
        return version("stowplan")
    except PackageNotFoundError:
        return "(not installed)"


def _written(text: str, root: Path | None) -> str:
    """The name of the file that a report was written to; empty where none could be."""
    # The same report gets the same name: what fails again and again does not fill the disk.
    name = f"report-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
    if root is not None:
        with contextlib.suppress(Exception):
            return _write(state_directory(root) / name, text)
    with contextlib.suppress(Exception):
        import tempfile  # noqa: PLC0415  # few errors are defects

        return _write(Path(tempfile.gettempdir()) / f"stowplan-{name}", text)
    return ""


def _write(path: Path, text: str) -> str:
    try:
        # Somebody else may have put a link there.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        if path.is_symlink() or path.stat().st_uid != os.geteuid():
            raise
        return str(path)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return str(path)
