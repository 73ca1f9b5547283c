"""The project file → pipelines and stacks, with the file and line of everything that is wrong in it.

A project says what it has in `stowplan.toml`, or in `[tool.stowplan]` of its `pyproject.toml`. Owns
finding and reading that file. Refuses to read anything that it does not name.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve, field

from executor.config.lines import lines_of
from executor.errors import ExecutorError, UsageError
from executor.reading import NotRead, read_whole
from planner import toml
from planner.errors import Place, PlannerError, Problem, did_you_mean, line_of
from planner.immutable import frozen
from planner.integrations import Integration
from planner.names import name_check, source_check
from planner.pipeline import Pipeline
from planner.pyproject import PYPROJECT
from planner.repositories import CodeRepository
from planner.settings.checks import kind_of
from planner.settings.secrets import Secret, secrets_check, secrets_of_tables
from planner.stack import Stack

__all__ = [
    "PROJECT_FILE",
    "Project",
    "find_project",
    "has_project",
    "has_table",
    "load_project",
    "load_project_of",
]

PROJECT_FILE: Final = "stowplan.toml"
STACK_VARIABLE: Final = "STOWPLAN_STACK"
_EXAMPLE: Final = '[pipeline.training] with steps = ["load", "train"]'
_TABLES: Final = ("code_repository", "integration", "pipeline", "secret", "stack")
T = TypeVar("T")


@frozen
class Project:
    """A project: its root, the file that describes it, and what that file says."""

    root: Path
    file: str
    pipelines: Mapping[str, Pipeline]
    """Those that the file says what they are."""
    sources: Mapping[str, str]
    """Those that it names and that are in Python: `module:object` by name."""
    stacks: Mapping[str, Stack]
    integrations: Mapping[str, Integration]
    """The project's own, which each pipeline has too."""
    code_repositories: Mapping[str, CodeRepository]
    """Those that code may be downloaded from, which each pipeline has too."""
    secrets: Mapping[str, Secret]
    """As above."""
    _text: str = field(repr=False)
    _prefix: tuple[str, ...] = ()

    def pipeline(self, name: str | None) -> Pipeline:
        """The pipeline of a name or in Python, or the only one. UsageError if there is no such one."""
        from executor.config.source import chosen  # noqa: PLC0415  # it chooses from a project

        return chosen(self, name).pipeline

    def stack(self, name: str | None) -> Stack:
        """The stack of a name, else that of $STOWPLAN_STACK, else `default`, or the only one.

        UsageError if there is no such one.
        """
        known, where = self.stacks, "command line"
        if name is None and (said := os.environ.get(STACK_VARIABLE)):
            name, where = said, STACK_VARIABLE
        if name is None:
            name = "default" if "default" in known else next(iter(known)) if len(known) == 1 else None
        if name is None:
            found = f"this project has several stacks: {', '.join(known)}"
            raise UsageError.of(where, found, f"choose one with --stack, or set {STACK_VARIABLE}")
        if name not in known:
            raise UsageError.of(where, f"there is no stack {name!r}", did_you_mean(name, known))
        return known[name]

    def equipped(self, pipeline: Pipeline) -> Pipeline:
        """A pipeline with what the project says for all pipelines."""
        return evolve(
            pipeline,
            integrations=self.integrations,
            secrets=self.secrets,
            code_repositories=self.code_repositories,
        )

    def located(self, place: Place) -> Place:
        """The place of a setting with its file and line; any other as it is."""
        if place.file is None and place.path[:1] in {(table,) for table in _TABLES}:
            return self._placed(place)
        return place

    @cached_property
    def _lines(self) -> Mapping[tuple[str | int, ...], int]:
        return lines_of(self._text)

    def _placed(self, place: Place) -> Place:
        line = line_of(self._lines, (*self._prefix, *place.path))
        return evolve(place, file=self.file, line=line)


def find_project(start: Path) -> Path:
    """The nearest directory, from `start` upwards, that has a project file; `start` if there is none."""
    for directory in (start, *start.parents):
        # What cannot be looked at in a directory above is none of this project's business.
        with contextlib.suppress(OSError, NotRead):
            if has_project(directory):
                return directory
    return start


def has_project(directory: Path) -> bool:
    """Whether a directory has a project file. OSError or NotRead if it cannot be told."""
    return (directory / PROJECT_FILE).exists() or has_table(read_whole(directory / PYPROJECT))


def has_table(data: bytes | None) -> bool:
    """Whether a file has `[tool.stowplan]`, however spelt; broken TOML that names it counts as well."""
    if data is None or b"stowplan" not in data:
        return False
    try:
        tool = toml.parse(data.decode()).get("tool")
    except (toml.InvalidToml, UnicodeDecodeError):
        return re.search(rb"^[ \t]*\[+[ \t]*tool[ \t]*\.[ \t]*stowplan\b", data, re.MULTILINE) is not None
    return isinstance(tool, Mapping) and "stowplan" in tool


def load_project(root: Path) -> Project:
    """Read the project at `root`. PlannerError holds every problem of its file, each with its line."""
    own, pyproject = root / PROJECT_FILE, root / PYPROJECT
    if not os.path.isdir(root):  # noqa: PTH112  # Path.is_dir raises where it may not look
        raise UsageError.of(str(root), "no such directory", "name the directory of a project with --project")
    # Each is read once: another program may be writing it.
    project = load_project_of(root, {PROJECT_FILE: _read(own), PYPROJECT: _read(pyproject)})
    if project is None:
        raise ExecutorError.of(
            str(root),
            f"no {PROJECT_FILE}, and no [tool.stowplan] in a {PYPROJECT}",
            f"`stowplan init` writes {PROJECT_FILE} for what is there; by hand: {_EXAMPLE}",
        )
    return project


def load_project_of(root: Path, files: Mapping[str, bytes | None]) -> Project | None:
    """The project that files at `root` describe, by their names; None if none of them does.

    PlannerError holds every problem, each with its line.
    """
    own, pyproject = root / PROJECT_FILE, root / PYPROJECT
    data, shared = files[PROJECT_FILE], files[PYPROJECT]
    if data is not None and has_table(shared):
        raise ExecutorError.of(
            str(own), f"[tool.stowplan] of {PYPROJECT} describes this project too", "keep one of the two"
        )
    if data is not None:
        return _load(root, own, data, ())
    if shared is not None and has_table(shared):
        return _load(root, pyproject, shared, ("tool", "stowplan"))
    return None


def _read(path: Path) -> bytes | None:
    """What is in a file; None if it does not exist. ExecutorError if it cannot be read."""
    try:
        return read_whole(path)
    except NotRead as error:
        raise ExecutorError.of(path.name, error.found, error.fix) from None


def _load(root: Path, path: Path, content: bytes, prefix: tuple[str, ...]) -> Project:
    try:
        text = content.decode()
        data: Any = toml.parse(text)
    except UnicodeDecodeError as error:
        raise ExecutorError.of(path.name, f"not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except toml.InvalidToml as error:
        place = Place(file=path.name, line=error.line)
        raise ExecutorError([Problem(place, error.found, _fix(error, prefix))]) from None
    for key in prefix:
        data = data[key]
    if not isinstance(data, Mapping):
        found = f"expected one table, found {kind_of(data)}"
        raise ExecutorError.of(path.name, f"{'.'.join(prefix)}: {found}", f"write [{'.'.join(prefix)}] once")
    project = Project(root, path.name, {}, {}, {}, {}, {}, {}, text, prefix)
    problems = [
        Problem.at((key,), "unknown name", did_you_mean(key, _TABLES)) for key in data if key not in _TABLES
    ]
    integrations = _decode(data, "integration", _integration, problems)
    secrets = _secrets(data.get("secret", {}), problems)
    repositories = _decode(data, "code_repository", CodeRepository.decode, problems)
    problems += _undeclared(repositories, secrets)
    described = _decode(data, "pipeline", _pipeline, problems)
    stacks = _decode(data, "stack", Stack.decode, problems)
    if problems:
        placed = (evolve(each, where=project._placed(each.where)) for each in problems)  # noqa: SLF001  # same module
        raise PlannerError(placed)
    project = evolve(
        project,
        sources={name: each for name, each in described.items() if isinstance(each, str)},
        stacks=stacks or {"default": Stack()},
        integrations=integrations,
        code_repositories=repositories,
        secrets=secrets,
    )
    pipelines = {name: each for name, each in described.items() if isinstance(each, Pipeline)}
    return evolve(project, pipelines={name: project.equipped(each) for name, each in pipelines.items()})


def _fix(error: toml.InvalidToml, prefix: tuple[str, ...]) -> str:
    """What to do about a project file that is not TOML."""
    match error.twice[len(prefix) :]:
        case ("pipeline", name, "steps", step, *rest):
            # Next to `steps`, the list, that is a table of the same name.
            return f"write [{'.'.join((*prefix, 'pipeline', name, 'step', step, *rest))}]"
        case _:
            return error.fix


def _undeclared(
    repositories: Mapping[str, CodeRepository], secrets: Mapping[str, Secret]
) -> Iterator[Problem]:
    """Logins of repositories that are no secrets of the project: a pipeline's own are for its builds."""
    for name, repository in repositories.items():
        if repository.secret is not None and repository.secret not in secrets:
            found = f"the secret {repository.secret} is not declared"
            fix = did_you_mean(repository.secret, secrets, f"declare it: [secret.{repository.secret}]")
            yield Problem.at(("code_repository", name, "secret"), found, fix)


def _pipeline(table: object) -> Pipeline | str:
    """A pipeline, or where it is in Python."""
    if not isinstance(table, Mapping) or "source" not in table:
        return Pipeline.decode(table)
    source = table["source"]
    problems = [
        Problem.at((str(name),), "source says that the pipeline is in Python", "write it there")
        for name in table
        if name not in ("name", "source")
    ]
    problems += [problem.inside("name") for problem in name_check(table["name"])]
    problems += [problem.inside("source") for problem in source_check(source)]
    if problems:
        raise PlannerError(problems)
    return str(source)


def _integration(table: object) -> Integration:
    """An integration, whose name is a pipeline's or a stack's: a name of this project."""
    if not isinstance(table, Mapping):
        return Integration.decode(table)
    problems = [problem.inside("name") for problem in name_check(table["name"])]
    if problems:
        raise PlannerError(problems)
    return Integration.decode({key: value for key, value in table.items() if key != "name"})


def _secrets(tables: object, problems: list[Problem]) -> Mapping[str, Secret]:
    """The tables `[secret.NAME]` by name; what is wrong with them goes to `problems`."""
    found: Mapping[str, Secret] = secrets_of_tables(tables)
    wrong = [problem.inside("secret") for problem in secrets_check(found)]
    problems += wrong
    return {} if wrong else found


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
