"""The project file → pipelines and stacks, with the file and line of everything that is wrong in it.

A project says what it has in `stowplan.toml`, or in `[tool.stowplan]` of its `pyproject.toml`. Owns
finding and reading that file. Refuses to read anything that it does not name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve, field, frozen

from executor.config.lines import line_of, lines_of
from executor.errors import ExecutorError, UsageError
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.pipeline import Pipeline
from planner.stack import Stack

__all__ = ["Project", "find_project", "load_project"]

PROJECT_FILE: Final = "stowplan.toml"
PYPROJECT: Final = "pyproject.toml"
_EXAMPLE: Final = '[pipeline.training] with steps = ["load", "train"]'
T = TypeVar("T")


@frozen
class Project:
    """A project: its root, the file that describes it, and what that file says."""

    root: Path
    file: str
    pipelines: Mapping[str, Pipeline]
    stacks: Mapping[str, Stack]
    _text: str = field(repr=False)
    _prefix: tuple[str, ...] = ()

    def pipeline(self, name: str | None) -> Pipeline:
        """The pipeline of a name, or the only one. UsageError if there is no such one."""
        return _choose("pipeline", "name one", self.pipelines, name, None)

    def stack(self, name: str | None) -> Stack:
        """The stack of a name, or `default`, or the only one. UsageError if there is no such one."""
        return _choose("stack", "choose one with --stack", self.stacks, name, "default")

    def located(self, problem: Problem) -> Problem:
        """The problem with the file and line of the setting that it is about."""
        if problem.where.file is not None or problem.where.path[:1] not in {("pipeline",), ("stack",)}:
            return problem
        return self._placed(problem)

    @cached_property
    def _lines(self) -> Mapping[tuple[str | int, ...], int]:
        return lines_of(self._text)

    def _placed(self, problem: Problem) -> Problem:
        line = line_of(self._lines, (*self._prefix, *problem.where.path))
        return evolve(problem, where=evolve(problem.where, file=self.file, line=line))


def _choose(kind: str, how: str, known: Mapping[str, T], name: str | None, default: str | None) -> T:
    if name is None:
        name = default if default in known else next(iter(known)) if len(known) == 1 else None
    if name is None:
        raise UsageError.of("command line", f"this project has several {kind}s: {', '.join(known)}", how)
    if name not in known:
        raise UsageError.of("command line", f"there is no {kind} {name!r}", did_you_mean(name, known))
    return known[name]


def find_project(start: Path) -> Path:
    """The nearest directory, from `start` upwards, that has a project file; `start` if there is none."""
    for directory in (start, *start.parents):
        if (directory / PROJECT_FILE).is_file() or _has_table(directory / PYPROJECT):
            return directory
    return start


def _has_table(path: Path) -> bool:
    """Whether a file has `[tool.stowplan]`, however spelt; broken TOML that names it counts as well."""
    if not path.is_file() or b"stowplan" not in (data := path.read_bytes()):
        return False
    try:
        return "stowplan" in tomllib.loads(data.decode()).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return re.search(rb"^\s*\[+\s*tool\s*\.\s*stowplan\b", data, re.MULTILINE) is not None


def load_project(root: Path) -> Project:
    """Read the project at `root`. PlannerError holds every problem of its file, each with its line."""
    own, pyproject = root / PROJECT_FILE, root / PYPROJECT
    if not root.is_dir():
        raise UsageError.of(str(root), "no such directory", "name the directory of a project with --project")
    if own.is_file() and _has_table(pyproject):
        raise ExecutorError.of(
            str(own), f"[tool.stowplan] of {PYPROJECT} describes this project too", "keep one of the two"
        )
    if own.is_file():
        return _load(root, own, ())
    if _has_table(pyproject):
        return _load(root, pyproject, ("tool", "stowplan"))
    raise ExecutorError.of(
        str(root),
        f"no {PROJECT_FILE}, and no [tool.stowplan] in a {PYPROJECT}",
        f"write {PROJECT_FILE}: {_EXAMPLE}",
    )


def _load(root: Path, path: Path, prefix: tuple[str, ...]) -> Project:
    try:
        text = path.read_text("utf-8")
        data: Any = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ExecutorError.of(path.name, f"not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path.name, str(error)) from None
    except OSError as error:
        raise ExecutorError.of(
            path.name, f"cannot be read: {error.strerror}", "check its permissions"
        ) from None
    for key in prefix:
        data = data[key]
    project = Project(root, path.name, {}, {}, text, prefix)
    problems = [
        Problem.at((key,), "unknown name", did_you_mean(key, ["pipeline", "stack"]))
        for key in data
        if key not in {"pipeline", "stack"}
    ]
    pipelines = _decode(data, "pipeline", Pipeline.decode, problems)
    stacks = _decode(data, "stack", Stack.decode, problems)
    if not pipelines and not problems:
        problems.append(Problem.at((), "no pipeline", f"write {_EXAMPLE}"))
    if problems:
        raise PlannerError(map(project._placed, problems))  # noqa: SLF001  # same module
    return evolve(project, pipelines=pipelines, stacks=stacks or {"default": Stack()})


def _decode(
    data: Mapping[str, Any], kind: str, decode: Callable[[object], T], problems: list[Problem]
) -> dict[str, T]:
    """The tables `[kind.NAME]` by name; what is wrong with them goes to `problems`."""
    found: dict[str, T] = {}
    tables = data.get(kind, {})
    if not isinstance(tables, Mapping):
        problems.append(Problem.at((kind,), "expected tables", f"write [{kind}.NAME]"))
        return found
    for name, table in tables.items():
        try:
            found[name] = decode({"name": name, **table} if isinstance(table, Mapping) else table)
        except PlannerError as error:
            problems += [problem.inside(kind, name) for problem in error.problems]
    return found


def _syntax_error(file: str, message: str) -> ExecutorError:
    at = re.search(r" \(at line (\d+), column \d+\)$", message)
    found = message[: at.start()] if at else message
    place = Place(file=file, line=int(at[1]) if at else None)
    return ExecutorError([Problem(place, f"not TOML: {found}", "correct the syntax")])
