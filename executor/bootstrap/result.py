"""What a step left in the exchange directory: its outputs, and `result.json`, which is written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from . import serializers
from .errors import Refused

__all__ = ["RESULT", "Written", "ended", "failed", "finished", "put", "refused", "write"]

RESULT = "result.json"
VERSION = 1

# What a traceback may hold: the beginning and the end of a longer one.
_MOST_CHARACTERS = 200_000
# The host may be another user than that of the container.
_DIRECTORY_MODE = 0o777
_FILE_MODE = 0o644


class Written(NamedTuple):
    """An output in its file, whose path is from the exchange directory."""

    file: str
    serializer: str
    type: str
    sha256: str
    bytes: int


def put(exchange: Path, name: str, value: Any) -> Written:
    """Write an output. It has its name once it is whole. OSError if it cannot be written."""
    directory = exchange / "outputs"
    if not directory.is_dir():
        directory.mkdir()
        directory.chmod(_DIRECTORY_MODE)
    temporary = directory / f".{name}.part"
    try:
        serializer, digest = serializers.write(value, temporary, name)
        temporary.chmod(_FILE_MODE)
        size = temporary.stat().st_size
        temporary.replace(directory / name)
    except BaseException:
        if temporary.exists():
            temporary.unlink()
        raise
    kind = type(value)
    where = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    return Written("outputs/" + name, serializer, where + kind.__qualname__, digest, size)


def finished(outputs: dict[str, Written], notes: list[str]) -> dict[str, Any]:
    """The result of a step that ended well, with these outputs."""
    return _result({name: output._asdict() for name, output in outputs.items()}, notes, None)


def failed(error: BaseException, ours: str) -> dict[str, Any]:
    """The result of a step that raised an error, without the frames of files below `ours`."""
    return _result({}, [], {"kind": "step", **_described(error, ours)})


def ended(message: str, kind: str = "Ended") -> dict[str, Any]:
    """The result of a step that failed without an error of its own."""
    return _result({}, [], {"kind": "step", "type": kind, "message": message, "traceback": ""})


def refused(error: Refused) -> dict[str, Any]:
    """The result of a step that was not run, or whose outputs were not written."""
    told = {
        "kind": "bootstrap",
        "type": error.code,
        "message": error.found,
        "fix": error.fix,
        "traceback": "",
    }
    return _result({}, [], told)


def write(exchange: Path, result: dict[str, Any]) -> None:
    """Write a result, which has its name once it is whole. OSError if it cannot be written."""
    temporary = exchange / f".{RESULT}.part"
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")
    temporary.chmod(_FILE_MODE)
    temporary.replace(exchange / RESULT)


def _result(outputs: dict[str, Any], notes: list[str], error: dict[str, str] | None) -> dict[str, Any]:
    return {"version": VERSION, "outputs": outputs, "notes": notes, "error": error}


def _described(error: BaseException, ours: str) -> dict[str, str]:
    kind = type(error)
    where = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    try:
        message = str(error)
    except Exception as second:
        # The error is the user's, and so is what makes a text of it.
        message = f"its message cannot be shown: {type(second).__name__}"
    return {
        "type": where + kind.__qualname__,
        "message": _cut(message),
        "traceback": _cut(_traceback(error, ours)),
    }


def _traceback(error: BaseException, ours: str) -> str:
    """The traceback as Python prints it, from the first frame on that is the user's."""
    import traceback  # noqa: PLC0415  # a step that ends well has none

    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename, ours):
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error.with_traceback(trace), trace))
    except Exception as second:
        return f"the traceback cannot be shown: {type(second).__name__}\n"


def _is_ours(file: str, ours: str) -> bool:
    # Importing the module of a step passes through Python's import system.
    inner = file.startswith("<frozen importlib") or file.replace("\\", "/").endswith("importlib/__init__.py")
    return inner or file.startswith(ours)


def _cut(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    half = _MOST_CHARACTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
