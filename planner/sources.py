"""The sources of an image's requirements, in the reference's order: each a name and what it asks for.

Owns which settings are a source, and how what was observed for one is read. Each source is read once for
all steps that share it. Refuses to look at anything but its facts, and to resolve: a source is what was
asked for.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from attrs import Factory, define, evolve, field

from planner.components import KINDS
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.facts.facts import Facts, Unanswered
from planner.facts.needs import FileText, Need, ProgramOutput, ProjectFiles, RequirementsFile
from planner.identity import content_hash
from planner.image.plan import Note
from planner.integrations import Integrations
from planner.lock.lock import Pins
from planner.pipeline import Pipeline
from planner.pyproject import (
    PYPROJECT,
    Asked,
    LockFile,
    is_pylock,
    needs_tool,
    parse_toml,
    read_project,
    read_pylock,
    wants_anything,
)
from planner.requirements.files import File, parse_files
from planner.requirements.indexes import read_indexes, without_indexes
from planner.requirements.listings import export_commands, freeze_commands, read_listing
from planner.requirements.lists import Listed
from planner.requirements.model import Requirements
from planner.requirements.names import SETTING_OF
from planner.requirements.options import canonical_options, joined
from planner.settings.dependencies import Dependencies
from planner.settings.effective import Settings
from planner.source import Source, listed_source, refuse_for_uv
from planner.stack import Stack
from planner.values import PythonPackageInstaller

__all__ = ["REQUIREMENTS_FILE", "Sources"]

REQUIREMENTS_FILE: Final = "requirements.txt"
_REPLICATED: Final = SETTING_OF["local-environment"]


# Where settings ask for a source, what tells it from others, and how it is made.
_Asked: TypeAlias = tuple[tuple[str, ...], tuple[object, ...], Callable[[], Source]]


@define
class Sources:
    """Reads the sources of images of a pipeline on a stack; what several images share is read once."""

    pipeline: Pipeline
    stack: Stack
    facts: Facts
    pins: Pins
    notes: dict[Note, None] = Factory(dict)
    """What a user should know of how sources were read."""
    _integrations: Integrations = field(init=False)
    _made: dict[tuple[object, ...], Source] = Factory(dict)

    @_integrations.default
    def _of_project(self) -> Integrations:
        return Integrations(self.pipeline.integrations)

    def of(self, settings: Settings) -> Iterator[Callable[[], Source]]:
        """What makes each source of an image, in the order of its layers.

        Each can raise on its own, Unanswered or PlannerError, so that all needs and problems come at once.
        """
        uv = settings.installer is PythonPackageInstaller.UV
        for where, key, make in self._asked(settings):
            yield partial(self._once, where, (*key, uv), make)

    def _once(self, where: tuple[str, ...], key: tuple[object, ...], make: Callable[[], Source]) -> Source:
        """A source, whose last part of the key says whether uv installs it; made once."""
        if key not in self._made:
            source = make()
            if key[-1]:
                refuse_for_uv(where, source.requirements)
            self._made[key] = source
        return self._made[key]

    def _asked(self, settings: Settings) -> Iterator[_Asked]:
        """The sources that settings ask for."""
        if settings.replicated:
            key = ("local-environment", settings.replicated, settings.skips_local)
            yield (_REPLICATED,), key, partial(self._of_environment, settings)
        if settings.stack_requirements and self.stack.parts:
            yield ("stack", self.stack.name), ("stack",), self._of_stack
        if settings.deployment_requirements and "deployer" in self.stack.parts:
            where = ("pipeline", self.pipeline.name, "settings", "deployment")
            yield where, ("deployment",), partial(self._of_deployment, where)
        if names := settings.integrations:
            made = partial(self._of_integrations, names)
            yield (SETTING_OF["integrations"],), ("integrations", names), made
        if settings.pyproject:
            yield self._pyproject(settings, settings.pyproject, SETTING_OF["pyproject"])
        if listed := settings.requirements:
            yield ("requirements",), ("requirements", listed), partial(self._of_requirements, listed)
        if settings.detects and not settings.names_requirements:
            yield from self._detected(settings)

    # --- what integrations and components install

    def _of_stack(self) -> Source:
        """What the components of the stack install: their integrations, and what they ask for themselves."""
        asked: list[tuple[Place, Dependencies]] = []
        problems: list[Problem] = []
        for kind, component in self.stack.parts.items():
            above = () if kind in (*KINDS, "container_registry") else ("components",)
            where = Place(path=("stack", self.stack.name, *above, kind))
            if component.flavor is not None:
                place = evolve(where, path=(*where.path, "flavor"))
                integration = self._integrations.of_flavor(kind, component.flavor)
                if integration is not None:
                    asked.append((place, integration))
                elif component.empty:
                    flavors = self._integrations.flavors(kind)
                    fix = did_you_mean(component.flavor, flavors, "give its requirements beside it")
                    problems.append(Problem(place, f"unknown flavor {component.flavor!r}", fix))
            asked.append((where, component))
        if problems:
            raise PlannerError(problems)
        return listed_source("stack", asked)

    def _of_deployment(self, where: tuple[str, ...]) -> Source:
        """What the application needs that the stack's deployer runs."""
        return listed_source("deployment", [(Place(path=where), self.pipeline.deployment)])

    def _of_integrations(self, names: tuple[str, ...]) -> Source:
        """What the `required_integrations` of the settings install."""
        asked: list[tuple[Place, Dependencies]] = []
        problems: list[Problem] = []
        for index, name in enumerate(names):
            where = Place(path=(SETTING_OF["integrations"], index))
            try:
                asked.append((where, self._integrations.named(name, where)))
            except PlannerError as error:
                problems += error.problems
        if problems:
            raise PlannerError(problems)
        return listed_source("integrations", asked)

    # --- files, lists and programs

    def _detected(self, settings: Settings) -> Iterator[_Asked]:
        """The requirements file of the project, else its pyproject.toml."""
        setting = "disable_automatic_requirements_detection"
        try:
            found = self.facts.ask(ProjectFiles((REQUIREMENTS_FILE, PYPROJECT)))
            if REQUIREMENTS_FILE in found:
                listed = Listed((File(REQUIREMENTS_FILE, where=Place(path=(setting,))),))
                yield (setting,), ("requirements", listed), partial(self._of_requirements, listed)
            elif PYPROJECT in found and wants_anything(PYPROJECT, self.facts.ask(FileText(PYPROJECT)) or ""):
                yield self._pyproject(settings, Asked(PYPROJECT), setting)
        except (Unanswered, PlannerError) as error:
            yield (setting,), ("detected",), partial(_raise, error)

    def _of_requirements(self, given: Listed) -> Source:
        """The requirements of a list, of files, or of both."""
        problems: list[Problem] = []
        needs: list[Need[Any]] = [
            FileText(file.path) if is_pylock(file.path) else RequirementsFile(file.path)
            for file in given.files
        ]
        if given.names:
            needs.append(ProjectFiles(tuple(name for name, _ in given.names)))
        answers = self.facts.ask_all(needs)
        for name, where in given.names:
            if name in answers[-1]:
                found = f"{name!r} is a file of the project, and could be a package"
                fix = f'write "-r {name}" for the file, or "{name}>=0" for the package'
                problems.append(Problem(where, found, fix))
        texts: dict[str, str] = {}
        locked: list[LockFile] = []
        plain: list[File] = []
        for file, answer in zip(given.files, answers, strict=False):
            if not is_pylock(file.path):
                plain.append(file)
                texts |= {path: text for path, text in answer.items() if text is not None}
            elif answer is not None:
                texts[file.path] = answer
                locked.append(read_pylock(file.path, answer))
            if file.path not in texts:
                fix = "create it, or name another"
                if len(file.where.path) == 1 and "." not in file.path:
                    fix += f'; a requirement is written in a list: ["{file.path}"]'
                problems.append(Problem(file.where, f"{file.path} does not exist", fix))
        if problems:
            raise PlannerError(problems)
        parts = [each.requirements for each in locked]
        if plain or given.packages or not locked:
            parts.append(parse_files(plain, texts, given.packages))
        return Source(
            "requirements", joined(parts), indexed=tuple(i for each in locked for i in each.indexed)
        )

    def _pyproject(self, settings: Settings, asked: Asked, setting: str) -> _Asked:
        """The dependencies of a pyproject.toml: read where that can be, else exported by a tool."""
        key = ("pyproject", asked, settings.export_command, settings.skips_local)
        return (setting,), key, partial(self._of_pyproject, settings, asked, setting)

    def _of_pyproject(self, settings: Settings, asked: Asked, setting: str) -> Source:
        directory = posixpath.dirname(asked.path) or "."
        paths = [asked.path]
        # A workspace has one lock of uv, above its members.
        above = (directory, *_parents(directory))
        if not is_pylock(asked.path):
            paths += [f"{directory}/poetry.lock", *(f"{each}/uv.lock" for each in above)]
        text, *locks = self.facts.ask_all(FileText(posixpath.normpath(path)) for path in paths)
        if text is None:
            raise PlannerError([
                Problem.at(setting, f"{asked.path} does not exist", "create it, or name another")
            ])  # fmt: skip
        if is_pylock(asked.path):
            lock = read_pylock(asked.path, text)
            return Source("pyproject", lock.requirements, indexed=lock.indexed)
        poetry_lock, *uv_locks = locks
        locked, uv_lock = next(
            (each for each in zip(above, uv_locks, strict=True) if each[1] is not None), (None, None)
        )
        unread = bool(settings.export_command)
        files = [(asked.path, _data(asked.path, text, unread=unread))]
        root_text: str | None = None
        if locked not in {None, directory}:
            # What the root of a workspace says of indexes, it says of its members.
            root = posixpath.normpath(f"{locked}/{PYPROJECT}")
            root_text = self.facts.ask(FileText(root))
            files.insert(0, (root, _data(root, root_text or "", unread=unread)))
        indexes = read_indexes(files, asked.extras, asked.groups)
        commands: tuple[tuple[str, ...], ...] = (settings.export_command,)
        if not settings.export_command:
            if uv_lock is None and poetry_lock is None and not needs_tool(files[-1][1], asked):
                return Source("pyproject", read_project(files[-1][1], asked))
            commands = export_commands(
                uv_locked=uv_lock is not None,
                poetry_locked=poetry_lock is not None,
                extras=asked.extras,
                groups=asked.groups,
            )
        private = tuple(index for index in settings.package_indexes if index.secret)
        need = ProgramOutput(commands, directory, private, settings.login_sources)
        seen = (text, uv_lock, poetry_lock, *((root_text,) if root_text else ()))
        listed = self._listed("pyproject", setting, need, settings, seen=seen)
        options = canonical_options([*listed.requirements.options, *indexes.options])
        requirements = evolve(listed.requirements, options=options)
        return evolve(listed, requirements=requirements, indexed=indexes.packages, indexes=indexes.others)

    def _of_environment(self, settings: Settings) -> Source:
        """What the Python that the user works in has installed."""
        setting = _REPLICATED
        if isinstance(settings.replicated, tuple):
            text = f"{setting} as a command is deprecated: write pip_freeze, uv_freeze or poetry_export"
            self.notes[Note("deprecated", setting, text)] = None
        need = ProgramOutput(freeze_commands(settings.replicated))
        # Of Poetry's environment its files say what is to be in it; of others only they themselves.
        names = (PYPROJECT, "poetry.lock") if settings.replicated == "poetry_export" else ()
        seen = self.facts.ask_all(map(FileText, names))
        return self._listed("local-environment", setting, need, settings, seen=seen, may_be_empty=True)

    def _listed(
        self,
        source: str,
        setting: str,
        need: ProgramOutput,
        settings: Settings,
        *,
        seen: tuple[str | None, ...],
        may_be_empty: bool = False,
    ) -> Source:
        """What a program lists; where a lock has what it listed from the same inputs, no program is asked."""
        inputs = content_hash("observed", (need.commands, need.directory, settings.skips_local, seen))
        known = self.pins.observed(self.pipeline.name, self.stack.name, source, inputs)
        if known is None:
            printed = self.facts.ask(need)
            if not printed.worked:
                found = f"no list of packages: {'; '.join(printed.failures)}"
                fix = (
                    "make one of these commands work" if len(need.commands) > 1 else "make this command work"
                )
                raise PlannerError([Problem.at(setting, found, fix)])
            if not may_be_empty and not printed.text.strip():
                found = f"`{printed.command}` printed nothing"
                raise PlannerError([Problem.at(setting, found, "have it print a list of requirements")])
            listing = read_listing(
                printed.text, printed.command, setting=setting, skip_local=settings.skips_local
            )
            if listing.left_out:
                text = f"{setting} leaves out what is of this machine alone: {', '.join(listing.left_out)}"
                self.notes[Note("left-out", setting, text)] = None
            # Of a source without packages the lock has nothing else: its options would say where they are.
            known = listing.requirements if listing.requirements.packages else Requirements()
        else:
            # Indexes of packages are those of the settings of now.
            known = evolve(known, options=without_indexes(known.options))
        return Source(source, known, observed=inputs)


def _data(path: str, text: str, *, unread: bool) -> Mapping[str, Any]:
    """What is in a file. PlannerError if it is not TOML, unless it is `unread`: a command may know better."""
    try:
        return parse_toml(path, text)
    except PlannerError:
        if not unread:
            raise
        return {}


def _parents(directory: str) -> Iterator[str]:
    """The directories above one, up to the root of the project."""
    while directory not in {"", "."}:
        directory = posixpath.dirname(directory) or "."
        yield directory


def _raise(error: Exception) -> Source:
    raise error
