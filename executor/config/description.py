"""A pipeline in Python described by the Python that the user works in.

Owns what is run for it, and the words for what can go wrong there. What is run imports the module of the
pipeline and calls its function; no step is run. Refuses to import anything of the user into this process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from executor import limits
from executor.bootstrap.errors import WRONG
from executor.bootstrap_file import bootstrap
from executor.config.source import NO_SUCH
from executor.errors import ExecutorError, Failure, ProgramSilent
from executor.observe.programs import PYTHON_VARIABLE, user_python
from executor.process import Command, Completed, run
from executor.state import scratch_directory
from planner.errors import Place, Problem, did_you_mean
from planner.values import thaw

__all__ = ["describe", "describe_here"]

VERSION: Final = 1
_GUARD: Final = 'put what is not to run then under if __name__ == "__main__":'
_SHOWN_LINES: Final = 6


def describe(
    root: Path,
    source: str,
    where: Place,
    *,
    parameters: Mapping[str, Any] | None = None,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """What a pipeline is, as plain data: `source` is `module:object`, as it is imported from `root`.

    `where` is who names the source; `parameters` are given to the function of the pipeline, and `steps` has
    parameters of steps by their names. ExecutorError says what is wrong, with the lines of the user's files.
    """
    python = user_python(os.environ if environ is None else environ)
    seconds = limits.DESCRIBE_SECONDS
    given = {"parameters": thaw(parameters or {}), "steps": thaw(steps or {}), "seconds": seconds}
    job = json.dumps(given).encode()
    with scratch_directory(None) as scratch:
        program = scratch / "bootstrap.pyz"
        program.write_bytes(bootstrap())
        # Nothing is left in the project by a question.
        command = Command((str(python), "-B", str(program), "describe", source), directory=str(root))
        try:
            # It says itself where it hangs, unless it is where no Python runs.
            done = run(command, stdin=[job], timeout=seconds + limits.ENDING_SECONDS)
        except ProgramSilent:
            raise _failed(where, *_hangs(source, [])) from None
    data = _answer(done)
    if data is None:
        raise _failed(where, *_ended(source, python, done))
    error = data.get("error")
    if error is None:
        return data
    raise _explained(source, where, python, error)


def describe_here(
    root: Path,
    pipeline: Any,
    *,
    parameters: Mapping[str, Any] | None = None,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Mapping[str, Any], str | None]:
    """The same of a decorated pipeline of this process, and `module:object` if that names it."""
    from executor.bootstrap.description import described, named  # noqa: PLC0415  # few programs have one
    from executor.bootstrap.references import SaidWrong  # noqa: PLC0415  # as above

    try:
        data = described(pipeline, str(root), thaw(parameters or {}), thaw(steps or {}))
    except SaidWrong as error:
        raise _failed(Place(file=error.where.file, line=error.where.line), error.found, error.fix) from None
    return data, named(pipeline, str(root))


def _answer(done: Completed) -> dict[str, Any] | None:
    """The answer; None if there is none."""
    try:
        data = json.loads(done.stdout)
    except ValueError:
        return None
    known = isinstance(data, dict) and (data.get("version") == VERSION or isinstance(data.get("error"), dict))
    return data if known else None


def _failed(where: Place, found: str, fix: str, code: str = "invalid-pipeline") -> ExecutorError:
    return ExecutorError([Problem(where, found, fix, code)])


def _missing(where: Place, found: str, fix: str) -> ExecutorError:
    """The error about a pipeline that is not there: of the command line, if nobody else has named it."""
    failure = Failure.USAGE if where.line is None else Failure.FAILED
    return ExecutorError([Problem(where, found, fix, NO_SUCH)], failure)


def _ended(source: str, python: Path, done: Completed) -> tuple[str, str]:
    if done.code == WRONG:
        return f"{python} is too old to describe a pipeline", "name a Python of 3.8 or newer with --python"
    how = f"exit code {done.code}" if done.code >= 0 else f"signal {-done.code}"
    said = done.stderr.strip().splitlines()[-_SHOWN_LINES:]
    found = f"{python} ended with {how} while it imported {_module(source)}"
    return found, "\n".join([*said, "find out what ends Python there"])


def _hangs(source: str, frames: list[Mapping[str, Any]]) -> tuple[str, str]:
    found = f"{_module(source)} is not imported within {limits.DESCRIBE_SECONDS:g} s"
    return found, "\n".join([*_lines(frames), _GUARD])


def _module(source: str) -> str:
    return source.partition(":")[0]


def _explained(source: str, where: Place, python: Path, error: Mapping[str, Any]) -> ExecutorError:
    """The error that the user's Python answered with, in words."""
    frames = error.get("frames") or []
    module, _, name = source.partition(":")
    match error["kind"]:
        case "no-module":
            found = f"there is no module {error['name']!r} in the project or in {python}"
            return _missing(where, found, did_you_mean(error["name"], error["known"]))
        case "no-object" if error["shadows"]:
            found = (
                f"{module} is a module of {error['file'] or 'Python itself'}, not {module}.py of the project"
            )
            return _missing(where, found, f"give {module}.py another name")
        case "no-object":
            none = f"decorate a function of {module} with @pipeline"
            fix = did_you_mean(name, error["known"]) if error["known"] else none
            which = f"{module} ({error['file']})" if Path(error["file"]).is_absolute() else module
            return _missing(where, f"{which} has no {name}", fix)
        case "no-pipeline":
            found = f"{source} is {error['is']}, not a pipeline"
            return _missing(where, found, "name a function that has the decorator @pipeline")
        case "said-wrong":
            return _failed(_place(error["place"]), error["found"], error["fix"])
        case "stopped":
            return _failed(_place(frames[-1]) if frames else where, *_hangs(source, frames))
    raised = error["type"] + (f": {error['message']}" if error["message"] else "")
    if error["ends"]:
        fix = _GUARD
    elif error["missing"] and not error["missing"].startswith((".", "_")):
        fix = f"install it for {python}, or name another Python with --python (${PYTHON_VARIABLE})"
    else:
        fix = f"correct it, so that {python} can import {module}"
    place = _place(frames[-1]) if frames else where
    return _failed(place, f"{raised}, while describing {source}", "\n".join([*_lines(frames), fix]))


def _place(place: Mapping[str, Any]) -> Place:
    return Place(file=place["file"], line=place["line"])


def _lines(frames: list[Mapping[str, Any]]) -> list[str]:
    """The lines of the user's code on the way to what went wrong."""
    return [
        f"{each['file']}:{each['line']}: "
        + " in ".join(filter(None, (each["code"], each["function"].replace("<module>", ""))))
        for each in frames
    ]
