"""`describe SOURCE`: what a pipeline in Python is, as one JSON object on standard output.

The job is on standard input: `{"parameters": {…}, "steps": {"train": {…}}, "seconds": 120}`. Runs in the
user's Python, in the source root. Imports the module of the pipeline, and calls its function and no step.
Whatever those print goes to standard error. A failure is an answer as well: `{"error": {…}}`.
"""

from __future__ import annotations

import importlib
import json
import linecache
import os
import signal
import sys
import threading
import tokenize  # noqa: F401  # linecache loads it late, when a module of the project may have its name
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .decorators import Pipeline, Step
from .description import described, relative
from .references import SaidWrong
from .trace import CURRENT, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

_MOST_FRAMES = 6


def main(arguments: list[str]) -> NoReturn:
    """Describe the pipeline of a source."""
    (source,) = arguments
    job = json.loads(sys.stdin.buffer.read())
    answer = _Answer()
    # What the module reads is empty, and what it prints is not the answer.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    root = str(Path.cwd())
    sys.path.insert(0, root)
    sys.argv = [source]
    once = threading.Lock()
    main_thread = threading.get_ident()

    def stop() -> None:
        once.acquire()
        frames = [each for each, _ in traceback.walk_stack(sys._current_frames()[main_thread])]  # noqa: SLF001  # documented
        places = [(each.f_code.co_filename, each.f_lineno, each.f_code.co_name) for each in reversed(frames)]
        answer.end({"error": {"kind": "stopped", "frames": list(_frames(places, root))}})

    timer = threading.Timer(job["seconds"], stop)
    timer.daemon = True
    timer.start()
    data = _answer(source, root, job)
    once.acquire()
    answer.end(data)


class _Answer:
    """Where the answer goes."""

    def __init__(self) -> None:
        self._file = os.dup(1)
        self._process = os.getpid()

    def end(self, data: dict[str, Any]) -> NoReturn:
        """Write the answer, and end with all that the module has started.

        What it has arranged for the end is not waited for, and a copy of this process has nothing to say.
        """
        text = json.dumps(data).encode() if os.getpid() == self._process else b""
        while text:
            text = text[os.write(self._file, text) :]
        if os.getpgrp() == os.getpid():
            # Who still has the pipes open would be waited for.
            os.killpg(0, signal.SIGKILL)
        os._exit(0)


def _answer(source: str, root: str, job: dict[str, Any]) -> dict[str, Any]:
    module, _, name = source.partition(":")
    try:
        found = _found(module, name, root)
        if isinstance(found, Pipeline):
            return described(found, root, job.get("parameters", {}), job.get("steps", {}))
        return {"error": found}
    except SaidWrong as error:
        place = {"file": relative(error.where.file, root), "line": error.where.line}
        return {"error": {"kind": "said-wrong", "found": error.found, "fix": error.fix, "place": place}}
    except BaseException as error:  # of the user's code, which may even end Python
        return {"error": _raised(error, root)}


def _found(module: str, name: str, root: str) -> Any:
    """The pipeline, or why there is none."""
    try:
        token = CURRENT.set(Trace(None))
        try:
            loaded = importlib.import_module(module)
        finally:
            CURRENT.reset(token)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        return {"kind": "no-module", "name": error.name, "known": sorted(_modules(error.name, root))}
    found: Any = loaded
    for part in name.split("."):
        if not hasattr(found, part):
            known = sorted(each for each, value in vars(loaded).items() if isinstance(value, Pipeline))
            file = relative(getattr(loaded, "__file__", None) or "/", root)
            shadows = Path(file).is_absolute() and Path(root, f"{module}.py").exists()
            return {"kind": "no-object", "name": name, "known": known, "file": file, "shadows": shadows}
        found = getattr(found, part)
    if isinstance(found, Pipeline):
        return found
    kind = "step" if isinstance(found, Step) else type(found).__name__
    return {"kind": "no-pipeline", "is": f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"}


def _modules(missing: str, root: str) -> Iterator[str]:
    """The modules of the project that stand where one is missing."""
    package = missing.rpartition(".")[0]
    directory = Path(root, *package.split("."))
    if not directory.is_dir():
        package, directory = "", Path(root)
    for path in directory.iterdir():
        if path.stem.isidentifier() and (path.suffix == ".py" or path.is_dir()):
            yield f"{package}.{path.stem}" if package else path.stem


def _raised(error: BaseException, root: str) -> dict[str, Any]:
    """What the user's code raised, and where."""
    try:
        text = str(error)
    except BaseException:  # whatever the user's exceptions do
        text = ""
    places = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno or 1, ""))
    return {
        "kind": "raised",
        "type": type(error).__name__,
        "message": text,
        "ends": isinstance(error, SystemExit),
        "missing": error.name if isinstance(error, ModuleNotFoundError) else None,
        "frames": list(_frames(places, root)),
    }


def _frames(places: list[tuple[str, int, str]], root: str) -> Iterator[dict[str, Any]]:
    """Those of the project's files, the last ones."""
    own = [each for each in places if not Path(relative(each[0], root)).is_absolute()]
    for file, line, function in own[-_MOST_FRAMES:]:
        code = linecache.getline(file, line).strip()
        yield {"file": relative(file, root), "line": line, "function": function, "code": code}
