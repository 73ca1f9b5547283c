"""What a folder holds that a project file can be made of. Nothing in it is run, and nothing is imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from attrs import define, evolve, field
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from executor.config.yaml import read_yaml
from executor.observe.checkout import code_state
from executor.reading import LARGEST_TEXT_BYTES, NotRead, read_whole
from executor.scaffold.python_files import (
    LONGEST_PYTHON_BYTES,
    PythonPipeline,
    is_program,
    parsed,
    pipelines_of,
    steps_of,
)
from executor.scaffold.walk import files_of
from planner import toml
from planner.dockerfiles.reading import read
from planner.errors import PlannerError
from planner.immutable import frozen
from planner.names import NAME
from planner.pyproject import PYPROJECT
from planner.repositories import Address, CodeRepository
from planner.values import ImageRef

__all__ = ["Folder", "Repository", "RunConfigurationFile", "Script", "folder_at", "name_from"]

_PYTHONS: Final = ("3.14", "3.13", "3.12", "3.11", "3.10", "3.9", "3.8")
_NO_STEPS: Final = re.compile(
    r"(__init__|conftest|setup|noxfile|fabfile|manage|tasks|versioneer|wsgi|asgi)|test_.*|.*_test"
)
_DEVELOPMENT: Final = re.compile(r"(?i)(^|[-_./])(ci|constraint|dev|doc|lint|notebook|style|test|typing)")
# Where scripts are, the first that has any.
_SCRIPTS: Final = ("", "scripts", "src")
_MOST_SCRIPTS: Final = 20
# What others install from, and whose it is.
_OTHERS: Final = {
    "Pipfile": "Pipenv",
    "conda.yaml": "conda",
    "conda.yml": "conda",
    "environment.yaml": "conda",
    "environment.yml": "conda",
}
# Parts of names of programs, in the order in which such programs usually run.
_STAGES: Final = (
    *("download", "fetch", "ingest", "load", "extract", "import", "collect", "data"),
    *("clean", "validate", "prepare", "preprocess", "process", "transform", "feature", "split"),
    *("tune", "train", "fit", "model", "evaluat", "eval", "test", "predict", "infer", "score"),
    *("report", "plot", "publish", "register", "deploy", "serve"),
)
# Nobody writes a long one by hand, and PyYAML takes a second for some hundred KiB.
_MOST_CONFIGURATIONS: Final = 50
_CONFIGURATION_BYTES: Final = 64 << 10


@frozen
class Script:
    """A program of the project: the step that runs it, and how."""

    step: str
    path: str
    command: tuple[str, ...]


@frozen
class RunConfigurationFile:
    """A run configuration, and the steps that it names."""

    path: str
    steps: tuple[str, ...]


@frozen
class Repository:
    """A git remote as a code repository."""

    name: str
    type: str
    url: str


@frozen
class Folder:
    """What was found; `unread` says what could not be read, and why."""

    name: str
    python: str
    """The version of Python for the images: `3.11`."""
    python_from: str
    """What says so, in words."""
    pipelines: tuple[PythonPipeline, ...] = ()
    scripts: tuple[Script, ...] = ()
    requirements: tuple[str, ...] = ()
    """Files with requirements, those that are most likely meant first."""
    project: bool = False
    """Whether `pyproject.toml` asks for packages by itself."""
    groups: tuple[str, ...] = ()
    """Its dependency groups (PEP 735)."""
    packaged: bool = False
    """Whether the folder is a package that can be installed."""
    dockerfile: str | None = None
    parent: str | None = None
    """The image that the Dockerfile builds on, if it is one of Python's."""
    configurations: tuple[RunConfigurationFile, ...] = ()
    repository: Repository | None = None
    unread: tuple[str, ...] = ()


def folder_at(root: Path, environ: Mapping[str, str]) -> Folder:
    """Look at the folder `root`."""
    return _Looking(root, environ).folder()


def name_from(text: str, otherwise: str, taken: Iterable[str] = ()) -> str:
    """A name of a pipeline or step that is like a text, and none of those that are taken.

    >>> name_from("étude №1.py", "step"), name_from("train", "step", ["train"])
    ('tude-1.py', 'train-2')
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:90]
    name = name if re.fullmatch(NAME, name) else otherwise
    known = set(taken)
    number = 1
    while (numbered := name if number == 1 else f"{name}-{number}") in known:
        number += 1
    return numbered


@define
class _Looking:
    root: Path
    environ: Mapping[str, str]
    unread: list[str] = field(factory=list)

    def folder(self) -> Folder:
        paths = tuple(files_of(os.fspath(self.root)))
        pyproject = self._pyproject() if PYPROJECT in paths else {}
        project = toml.table(pyproject, "project")
        poetry = toml.table(pyproject, "tool", "poetry")
        python, python_from = self._python(project)
        requirements = _requirements_files(paths)
        for path in paths:
            if path in _OTHERS and not requirements:
                found = f"{path} is for {_OTHERS[path]}"
                self.unread.append(f"{found}: `pip freeze > requirements.txt` says what its environment has")
        dockerfile = next((path for path in paths if PurePosixPath(path).name == "Dockerfile"), None)
        pipelines, scripts = self._python_files(paths)
        named = next((name for each in (project, poetry) if isinstance(name := each.get("name"), str)), "")
        dynamic = project.get("dynamic")
        return Folder(
            name=name_from(named or self.root.name, "project"),
            python=python,
            python_from=python_from,
            pipelines=pipelines,
            scripts=scripts,
            requirements=requirements,
            project=bool(
                project.get("dependencies")
                or poetry.get("dependencies")
                or (isinstance(dynamic, list) and "dependencies" in dynamic)
            ),
            groups=tuple(toml.table(pyproject, "dependency-groups")),
            packaged="build-system" in pyproject or "setup.py" in paths,
            dockerfile=dockerfile,
            # One further down may be of something else, such as a service beside the pipelines.
            parent=self._parent(dockerfile) if dockerfile == "Dockerfile" else None,
            configurations=self._configurations(paths),
            repository=_repository(self.root, self.environ),
            unread=tuple(self.unread),
        )

    def _read(self, path: str, most: int = LARGEST_TEXT_BYTES) -> bytes | None:
        """What is in a file; None if it cannot be read, which is noted."""
        try:
            return read_whole(self.root / path, most)
        except NotRead as error:
            self.unread.append(f"{path} {error.found}")
            return None

    def _pyproject(self) -> Mapping[str, Any]:
        try:
            return toml.parse((self._read(PYPROJECT) or b"").decode())
        except UnicodeDecodeError:
            self.unread.append(f"{PYPROJECT} is not UTF-8")
        except toml.InvalidToml as error:
            self.unread.append(f"{PYPROJECT} is {error.found}")
        return {}

    def _python(self, project: Mapping[str, Any]) -> tuple[str, str]:
        """The version of Python for the images, and what says so."""
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if os.path.isfile(self.root / ".python-version"):  # noqa: PTH113  # Path.is_file may raise
            said = (self._read(".python-version") or b"").decode(errors="replace")
            if match := re.match(r"\s*(?:cpython-|python-)?(3\.\d{1,2})\b", said):
                return match[1], "as .python-version says"
        try:
            allowed = SpecifierSet(str(project.get("requires-python") or ""))
        except InvalidSpecifier:
            allowed = SpecifierSet()
        fitting = [
            each
            for each in (here, *_PYTHONS)
            if allowed.contains(f"{each}.0") or allowed.contains(f"{each}.99")
        ]
        if allowed and fitting:
            return fitting[0], f"as requires-python of {PYPROJECT} says"
        return here, "like the Python of this machine"

    def _parent(self, path: str) -> str | None:
        text = (self._read(path) or b"").decode(errors="replace")
        try:
            stages = read(text, path).stages
            reference = stages[-1].base
            for stage in reversed(stages):
                # A stage that another begins with stands before it.
                if stage.name == reference.lower():
                    reference = stage.base
            ref = ImageRef.parse(reference)
        except (PlannerError, ValueError):
            return None
        return reference if ref.repository.rpartition("/")[2] == "python" else None

    def _python_files(self, paths: tuple[str, ...]) -> tuple[tuple[PythonPipeline, ...], tuple[Script, ...]]:
        pipelines: list[PythonPipeline] = []
        steps: set[str] = set()
        programs: dict[str, list[str]] = {place: [] for place in _SCRIPTS}
        for path in paths:
            if not path.endswith(".py"):
                continue
            place, _, name = path.rpartition("/")
            may_run = place in programs and not _NO_STEPS.fullmatch(name.removesuffix(".py"))
            data = self._read(path, LONGEST_PYTHON_BYTES) or b""
            may_be = b"stowplan" in data or b"zenml" in data
            module = parsed(data) if may_run or may_be else None
            if module is None:
                continue
            pipelines += pipelines_of(path, module)
            steps.update(steps_of(module))
            if may_run and is_program(module):
                programs[place].append(path)
        found = next(filter(None, programs.values()), [])
        found.sort(key=lambda path: (_stage(PurePosixPath(path).stem), path))
        scripts: list[Script] = []
        for path in found[:_MOST_SCRIPTS]:
            step = name_from(PurePosixPath(path).stem, "step", (each.step for each in scripts))
            # A name that begins with a dash would be an option.
            scripts.append(Script(step, path, ("python", f"./{path}" if path.startswith("-") else path)))
        return tuple(_with_steps(each, steps) for each in pipelines), tuple(scripts)

    def _configurations(self, paths: tuple[str, ...]) -> tuple[RunConfigurationFile, ...]:
        found = [path for path in paths if path.endswith((".yaml", ".yml"))][:_MOST_CONFIGURATIONS]
        return tuple(each for path in found if (each := self._configuration(path)) is not None)

    def _configuration(self, path: str) -> RunConfigurationFile | None:
        """A file of YAML as a run configuration, if it looks like one."""
        data = self._read(path, _CONFIGURATION_BYTES) or b""
        if b"settings" not in data and b"steps" not in data:
            return None
        try:
            said = read_yaml(data.decode("utf-8-sig"), path).data
        except (UnicodeDecodeError, PlannerError):
            # Most files of YAML are none of ours, whatever is wrong with them.
            return None
        if not isinstance(said, Mapping):
            return None
        steps, settings = said.get("steps"), said.get("settings")
        if not isinstance(steps, Mapping):
            steps = {}
        tables = steps and all(isinstance(each, Mapping | None) for each in steps.values())
        if not tables and not (isinstance(settings, Mapping) and "docker" in settings):
            return None
        names = [name for name in steps if re.fullmatch(NAME, str(name))]
        return RunConfigurationFile(path, tuple(names))


def _with_steps(pipeline: PythonPipeline, known: set[str]) -> PythonPipeline:
    """A pipeline whose steps are those that the project decorates, if it calls any of these."""
    steps = tuple(name for name in pipeline.steps if name in known)
    return evolve(pipeline, steps=steps or pipeline.steps)


def _requirements_files(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Files with requirements of what runs, not of those who develop it, the likeliest first."""

    def likelihood(path: str) -> tuple[bool, bool, bool, str]:
        name = PurePosixPath(path).stem
        usual = name in ("requirements", "base", "main", "prod", "production")
        return (path != "requirements.txt", path.endswith(".in"), not usual, path)

    found = (
        path
        for path in paths
        if re.fullmatch(r"requirements[^/]*\.(txt|in)|requirements/[^/]+\.(txt|in)", path)
        if not _DEVELOPMENT.search(PurePosixPath(path).stem)
    )
    return tuple(sorted(found, key=likelihood))


def _stage(stem: str) -> tuple[int, str]:
    """Where a program of a name usually comes; those that say nothing come last."""
    numbered = re.match(r"\d+", stem)
    if numbered:
        return -1, numbered[0].zfill(9)
    name = stem.lower()
    return next((index for index, word in enumerate(_STAGES) if word in name), len(_STAGES)), name


def _repository(root: Path, environ: Mapping[str, str]) -> Repository | None:
    """The remote of the checkout as a code repository; None if there is none that a container reaches."""
    try:
        remotes = code_state(root, environ).remotes
    except PlannerError:
        return None
    for remote in sorted(remotes, key=lambda each: (each.name != "origin", each.name)):
        address = Address.parse(remote.url)
        if address is None:
            continue
        kind = {"github.com": "github", "gitlab.com": "gitlab"}.get(address.host, "git")
        try:
            CodeRepository(name="origin", type=kind, url=remote.url)
        except PlannerError:
            continue
        return Repository(name_from(remote.name, "origin"), kind, remote.url)
    return None
