"""What a step has left in its exchange directory, read as what it is: data of somebody else.

Owns what a result may say. Refuses whatever is not a regular file in its place, and a file that is not what
the result says of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from executor.engines.exchange import OUTPUTS, RESULT
from executor.errors import ExecutorError
from executor.reading import NotRead, open_regular, read_whole
from planner.errors import Place, Problem
from planner.immutable import frozen

__all__ = ["Left", "Result", "StepError", "left_by", "sha256_of"]

_LARGEST_RESULT_BYTES: Final = 16 * 1024 * 1024
_DIGITS: Final = frozenset("0123456789abcdef")
_SHA256_DIGITS: Final = 64


@frozen
class StepError:
    """Why a step failed, in its own words.

    `ours` says that the bootstrap could not run it: then `type` is the code of a problem, `fix` what to do.
    """

    type: str
    message: str
    traceback: str = ""
    fix: str = ""
    ours: bool = False


@frozen
class Left:
    """One output in its file, which is what the result says."""

    name: str
    path: Path
    serializer: str
    type: str
    sha256: str
    bytes: int


@frozen
class Result:
    """What a step said at its end."""

    outputs: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()
    error: StepError | None = None


def left_by(step: str, exchange: Path, names: tuple[str, ...]) -> Result | None:
    """The result of a step that has outputs of these names; None if it left none.

    ExecutorError if what it left cannot be what a step leaves.
    """
    try:
        _no_link(exchange / OUTPUTS)
        if (exchange / RESULT).is_symlink():
            raise ValueError(f"{RESULT} is a link")
        data = read_whole(exchange / RESULT, _LARGEST_RESULT_BYTES)
        if data is None:
            return None
        given = json.loads(data)
        if given["error"] is not None:
            return Result(error=_error(given["error"]))
        outputs = given["outputs"]
        if set(outputs) != set(names):
            raise ValueError(f"it has the outputs {', '.join(map(str, outputs)) or 'none'}")
        notes = tuple(str(note) for note in given.get("notes") or ())
        return Result(tuple(_output(exchange, name, outputs[name]) for name in names), notes)
    except NotRead as error:
        raise _wrong(step, f"{RESULT} {error.found}") from None
    except OSError as error:
        raise _wrong(step, f"an output cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = (
            str(error)
            if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
            else ""
        )
        raise _wrong(step, said or f"{RESULT} is not the result of a step") from None


def _error(given: Mapping[str, Any]) -> StepError:
    words = {name: str(given.get(name) or "") for name in ("type", "message", "traceback", "fix")}
    return StepError(**words, ours=given.get("kind") == "bootstrap")


def _output(exchange: Path, name: str, given: Mapping[str, Any]) -> Left:
    if given["file"] != f"{OUTPUTS}/{name}":
        raise ValueError(f"the output {name} is in another file")
    sha256 = given["sha256"]
    if not isinstance(sha256, str) or len(sha256) != _SHA256_DIGITS or not set(sha256) <= _DIGITS:
        raise ValueError(f"the output {name} has no digest")
    path = exchange / OUTPUTS / name
    size = path.lstat().st_size
    if sha256_of(path) != sha256:
        raise ValueError(f"the output {name} is not what was written: its digest is another")
    return Left(name, path, str(given["serializer"]), str(given["type"]), sha256, size)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a regular file, in hexadecimal digits. OSError for a link and anything else."""
    with open_regular(path, os.O_NOFOLLOW) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_link(directory: Path) -> None:
    if not stat.S_ISDIR(directory.lstat().st_mode):
        raise ValueError(f"{OUTPUTS} is not the directory that it was")


def _wrong(step: str, found: str) -> ExecutorError:
    problem = Problem(
        Place(file=step), f"left what cannot be taken: {found}", "see its log", "result-invalid"
    )
    return ExecutorError([problem])
