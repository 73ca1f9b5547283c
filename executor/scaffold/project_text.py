"""The text of a project file for a folder, with comments that say what else there is.

Whatever is of the folder is TOML before it is in a line, in comments too: a name with a line end in it would
end them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import tomlkit
from attrs import field
from tomlkit.items import SingleKey

from executor.scaffold.folder import Folder, name_from
from executor.scaffold.python_files import STOWPLAN, PythonPipeline
from planner.immutable import frozen

__all__ = ["Installed", "described_pipelines", "project_text", "written_pipelines"]

_WHERE: Final = "the reference, under DockerSettings, has all settings"


@frozen
class Installed:
    """The settings by which the packages of a folder are installed.

    `refused` has others that could have been, each with why it is not taken.
    """

    settings: Mapping[str, Any]
    refused: tuple[tuple[Mapping[str, Any], str], ...] = ()


def project_text(folder: Folder, installed: Installed, prefix: tuple[str, ...] = ()) -> str:
    """The project file of a folder; `prefix` is what its tables are below."""
    return "\n".join(_Text(folder, installed, prefix).lines()) + "\n"


def _value(value: Any) -> str:
    # A text with line ends would be a text of several lines, which no comment holds.
    if isinstance(value, str):
        return tomlkit.string(value).as_string()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(tomlkit.item(value).as_string())


def _key(name: str) -> str:
    return SingleKey(name).as_string()


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        yield f"{_key(name)} = {_value(value)}"


class _Text:
    def __init__(self, folder: Folder, installed: Installed, prefix: tuple[str, ...]) -> None:
        self._folder = folder
        self._installed = installed
        self._prefix = prefix

    def _table(self, *path: str) -> str:
        return "[" + ".".join(map(_key, (*self._prefix, *path))) + "]"

    def lines(self) -> Iterator[str]:
        """All lines."""
        yield "# Written by `stowplan init`. `stowplan plan` says what would be built; nothing is built"
        yield "# before `stowplan apply`. Lines that begin with # are suggestions."
        yield from self._described() if described_pipelines(self._folder) else self._written()
        yield from self._configurations()
        yield from self._stacks()
        yield from self._repository()

    def _described(self) -> Iterator[str]:
        """Pipelines in Python, which say all of themselves there."""
        for name, each in described_pipelines(self._folder).items():
            yield ""
            yield self._table("pipeline", name)
            yield f"source = {_value(each.source)}"
            if each.parameters:
                yield f"# A run configuration has to give it {_value(each.parameters)}, under `parameters`:"
                yield "#   stowplan plan --config FILE"
        yield ""
        yield '# What their images have is said in Python: @pipeline(settings={"docker": DockerSettings(…)}),'
        yield "# and @step(…) for what one step needs beyond that."
        if self._installed.settings:
            said = ", ".join(f"{name}={value!r}" for name, value in self._installed.settings.items())
            yield f"# To install what this folder asks for: {_value(f'DockerSettings({said})')}"

    def _written(self) -> Iterator[str]:
        """Pipelines in this file."""
        first = True
        for name, each in written_pipelines(self._folder).items():
            yield ""
            if each.origin is not None:
                yield f"# {_value(each.origin.file)} has it, written for {each.origin.system}."
                yield "# If it imports its decorators from stowplan, its tables here can be one line:"
                yield f"#   source = {_value(each.origin.source)}"
            yield self._table("pipeline", name)
            if each.made_up:
                yield "# Name your steps here, in their order."
            yield f"steps = {_value(each.steps)}"
            yield ""
            if first:
                yield "# The image of all steps: " + _WHERE + "."
            yield self._table("pipeline", name, "settings", "docker")
            lines = tuple(self._docker())
            yield from lines if first else (line for line in lines if not line.startswith("#"))
            for step, command in each.commands.items():
                yield ""
                yield self._table("pipeline", name, "step", step)
                yield f"command = {_value(command)}"
            if first:
                yield from self._step(name, each)
            first = False

    def _step(self, name: str, pipeline: Written) -> Iterator[str]:
        """What else can be said of a step."""
        step = pipeline.steps[0]
        if not pipeline.commands:
            yield ""
            yield "# What a step runs, and what only this step needs:"
            yield "# " + self._table("pipeline", name, "step", step)
            yield f"# command = {_value(['python', f'{step}.py'])}"
        yield '# settings.docker = { apt_packages = ["libgomp1"] }   # what only this step needs'

    def _docker(self) -> Iterator[str]:
        folder = self._folder
        parent = folder.parent or f"python:{folder.python}-slim"
        origin = f"as {_value(folder.dockerfile)} says" if folder.parent else folder.python_from
        yield f"parent_image = {_value(parent)}   # {origin}"
        yield from _settings(self._installed.settings)
        if folder.project and folder.groups and "pyproject_path" in self._installed.settings:
            yield f"# pyproject_groups = {_value(folder.groups)}"
        for settings, why in self._installed.refused:
            yield from (f"# {line}" for line in _settings(settings))
            yield f"#   is not taken: {_value(why)}"
        if not self._installed.settings and not self._installed.refused:
            yield '# requirements = "requirements.txt"   # or a list: ["six==1.16.0"]'
        if folder.packaged:
            yield '# local_project_install_command = "pip install . --no-deps"   # the package itself'
        yield '# apt_packages = ["git"]'
        yield '# environment = { MODEL = "${MODEL}" }   # ${NAME} is a variable of the machine that plans'
        if folder.dockerfile is not None:
            yield f"# To build on the image of {_value(folder.dockerfile)}, in place of parent_image:"
            yield from (
                f"# {line}"
                for line in _settings({"dockerfile": folder.dockerfile, "build_context_root": "."})
            )

    def _configurations(self) -> Iterator[str]:
        if self._folder.configurations:
            yield ""
            yield "# Run configurations say more, over what is said here:"
            for each in self._folder.configurations:
                yield f"#   stowplan plan --config {_value(each.path)}"

    def _stacks(self) -> Iterator[str]:
        yield ""
        yield "# Where images go. Without a registry they stay in the container engine of this machine."
        yield self._table("stack", "default")
        yield ""
        yield "# `stowplan apply --stack prod` pushes them:"
        yield "# " + self._table("stack", "prod")
        registry = {"uri": "registry.example.com/team", "default_repository": _repository(self._folder.name)}
        yield f"# container_registry = {_value(registry)}"

    def _repository(self) -> Iterator[str]:
        found = self._folder.repository
        if found is None:
            return
        yield ""
        yield "# Containers can download the code from here, so that an edit needs no new image. If the"
        yield '# repository asks for a login, declare it as a secret, and add secret = "NAME":'
        yield "# " + self._table("code_repository", found.name)
        yield from (f"# {line}" for line in _settings({"type": found.type, "url": found.url}))


def described_pipelines(folder: Folder) -> Mapping[str, PythonPipeline]:
    """The pipelines that Python describes, by the names that they get."""
    found: dict[str, PythonPipeline] = {}
    for each in folder.pipelines:
        if each.system == STOWPLAN:
            found[name_from(each.name, "pipeline", found)] = each
    return found


@frozen
class Written:
    """A pipeline that the project file says itself."""

    steps: tuple[str, ...]
    commands: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """What steps run, by their names."""
    origin: PythonPipeline | None = None
    """What it is in Python, for another system."""
    made_up: bool = False
    """Whether its steps are nothing that was found."""


def written_pipelines(folder: Folder) -> Mapping[str, Written]:
    """The pipelines that the project file of a folder says itself, by their names."""
    found: dict[str, Written] = {}
    for each in folder.pipelines:
        steps: list[str] = []
        for step in each.steps:
            steps.append(name_from(step, "step", steps))
        name = name_from(each.name, "pipeline", found)
        found[name] = Written(tuple(steps) or ("run",), origin=each, made_up=not steps)
    if found:
        return found
    if folder.scripts:
        commands = {each.step: each.command for each in folder.scripts}
        return {folder.name: Written(tuple(commands), commands)}
    named = next((each.steps for each in folder.configurations if each.steps), ())
    return {folder.name: Written(named or ("run",), made_up=not named)}


def _repository(name: str) -> str:
    """A name as a repository of a registry: in lower case, without runs of other characters."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"
