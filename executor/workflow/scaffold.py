"""From a folder to a project: what its project file would say, tried out, and the files written.

Refuses to overwrite anything, and to run or import anything of the folder but a program that lists what a
`pyproject.toml` asks for, where nothing else can tell.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from executor.config.project import PROJECT_FILE, has_table
from executor.errors import ExecutorError, UsageError, remedy
from executor.observe.facts import answered
from executor.observe.world import WorkingTree
from executor.reading import NotRead, read_whole
from executor.scaffold.folder import Folder, folder_at
from executor.scaffold.project_text import Installed, project_text
from planner import toml
from planner.errors import Place, Problem, StowplanError
from planner.files.defaults import DEFAULT_PATTERNS
from planner.immutable import frozen
from planner.logins import without_logins
from planner.pipeline import Pipeline, Step
from planner.planning import Planning
from planner.pyproject import PYPROJECT
from planner.settings.docker import DockerSettings
from planner.stack import Stack

__all__ = ["IGNORE_FILE", "Scaffold", "scaffold"]

IGNORE_FILE: Final = ".dockerignore"
_IGNORE_TEXT: Final = "\n".join(
    (
        "# Written by `stowplan init`: what is not copied into images. Add what no step reads, such as data.",
        IGNORE_FILE,
        *DEFAULT_PATTERNS,
        "",
    )
)
_DEVELOPMENT: Final = ("ci", "dev", "doc", "lint", "style", "test", "typing")


@frozen
class Scaffold:
    """What a folder holds, and the files that make it a project."""

    root: Path
    folder: Folder
    installed: Installed
    file: str
    """The name of the project file."""
    text: str
    """The project file, or what is to be added to a `pyproject.toml`."""
    exists: Problem | None
    """What makes the folder a project already."""
    ignore: str | None
    """The ignore file; None if there is one."""

    def write(self) -> tuple[str, ...]:
        """Write what is missing; the names of the files.

        ExecutorError if the folder is a project already, or if a file cannot be written.
        """
        if self.exists is not None:
            raise ExecutorError([self.exists])
        if self.file == PYPROJECT:
            _add(self.root / PYPROJECT, self.text)
        else:
            _create(self.root / self.file, self.text)
        if self.ignore is None:
            return (self.file,)
        _create(self.root / IGNORE_FILE, self.ignore)
        return (self.file, IGNORE_FILE)


def scaffold(root: Path, environ: Mapping[str, str], *, pyproject: bool = False) -> Scaffold:
    """What would make a folder a project.

    ExecutorError if it is no folder, or if the `pyproject.toml` that is asked for cannot be added to.
    """
    if not os.path.isdir(root):  # noqa: PTH112  # Path.is_dir raises where it may not look
        raise UsageError.of(str(root), "no such directory", "name a directory with --project")
    folder = folder_at(root, environ)
    installed = _installed(root, folder, environ)
    text = project_text(folder, installed, ("tool", "stowplan") if pyproject else ())
    if pyproject:
        _check_addition(root / PYPROJECT, text)
    return Scaffold(
        root=root,
        folder=folder,
        installed=installed,
        file=PYPROJECT if pyproject else PROJECT_FILE,
        text=text,
        exists=_existing(root),
        ignore=None if os.path.lexists(root / IGNORE_FILE) else _IGNORE_TEXT,
    )


def _existing(root: Path) -> Problem | None:
    """What makes the folder a project already."""
    if os.path.lexists(root / PROJECT_FILE):
        return _exists(PROJECT_FILE)
    try:
        table = has_table(read_whole(root / PYPROJECT))
    except NotRead:
        return None
    return _exists(PYPROJECT, "has [tool.stowplan] already") if table else None


def _exists(file: str, found: str = "exists already") -> Problem:
    fix = "nothing was written: take what you need from what is printed"
    return Problem(Place(file=file), found, fix, "exists")


# --- what installs the packages


def _installed(root: Path, folder: Folder, environ: Mapping[str, str]) -> Installed:
    """The first settings that can be planned, of those that the folder suggests."""
    refused: list[tuple[Mapping[str, Any], str]] = []
    for settings in _candidates(folder):
        why = _refusal(root, settings, environ)
        if why is None:
            return Installed(settings, tuple(refused))
        refused.append((settings, why))
    return Installed({}, tuple(refused))


def _candidates(folder: Folder) -> Iterator[Mapping[str, Any]]:
    usual = [path for path in folder.requirements if path == "requirements.txt"]
    yield from ({"requirements": path} for path in usual)
    groups = [name for name in folder.groups if not name.lower().startswith(_DEVELOPMENT)]
    if folder.project:
        yield {"pyproject_path": PYPROJECT}
    elif groups:
        yield {"pyproject_path": PYPROJECT, "pyproject_groups": groups}
    yield from ({"requirements": path} for path in folder.requirements if path not in usual)


def _refusal(root: Path, settings: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """Why settings cannot be planned; None if they can. Neither a registry nor an index is asked."""
    try:
        pipeline = Pipeline(name="init", steps=[Step(name="init")], settings=DockerSettings.decode(settings))
        planning = Planning(pipeline, Stack(), checkout=False)
        # Programs may ask an index what a project asks for: without that there would be no answer.
        world = WorkingTree(root, environ, True)
        planning.spec(answered(planning, root=root, asks=False, engine=None, environ=environ, world=world))
    except StowplanError as error:
        (problem, *_) = error.problems
        where = "" if problem.where.file is None else f"{problem.where}: "
        return without_logins(f"{where}{problem.found}; {problem.fix}")
    return None


# --- writing


def _create(path: Path, text: str) -> None:
    """Write a file that does not exist. ExecutorError if anything has its name, or if that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise ExecutorError([_exists(path.name)]) from None
    except OSError as error:
        raise _not_written(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
    except OSError as error:
        path.unlink()
        raise _not_written(path, error) from None


def _add(path: Path, text: str) -> None:
    """Add to a file, which is as it was if that fails."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            before = os.fstat(descriptor).st_size
            data = (_separator(file.read()) + text).encode()
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                file.truncate(before)
                raise
    except OSError as error:
        raise _not_written(path, error) from None


def _separator(before: bytes) -> str:
    """What stands between a text and what is added to it: one empty line."""
    return "" if not before else "\n" if before.endswith(b"\n") else "\n\n"


def _check_addition(path: Path, text: str) -> None:
    """UsageError if there is no file that can be added to, or if it would not be TOML afterwards."""
    try:
        before = read_whole(path)
    except NotRead as error:
        raise ExecutorError.of(path.name, error.found, error.fix) from None
    if before is None:
        raise UsageError.of(path.name, "does not exist", f"leave --pyproject out, to write {PROJECT_FILE}")
    if has_table(before):
        return
    fix = f"correct it, or leave --pyproject out, to write {PROJECT_FILE}"
    try:
        whole = before.decode()
        toml.parse(whole)
        toml.parse(whole + _separator(before) + text)
    except UnicodeDecodeError:
        raise ExecutorError.of(path.name, "is not UTF-8", fix) from None
    except toml.InvalidToml as error:
        raise ExecutorError.of(path.name, f"nothing can be added to it: {error.found}", fix) from None


def _not_written(path: Path, error: OSError) -> ExecutorError:
    return ExecutorError.of(path.name, f"cannot be written: {error.strerror or error}", remedy(error))
