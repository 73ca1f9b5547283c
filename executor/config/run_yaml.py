"""A YAML file → a run configuration, with the line of everything that is wrong in it.

One that was written for the system of the reference is read as it is: what is not about images is passed
over with one note, and what is deprecated is migrated with a note each. Refuses names that are misspelt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define, evolve

from executor.config.own_paths import own_paths
from executor.config.run_configuration import RunConfiguration, StepConfiguration
from executor.config.yaml import LARGEST_YAML_BYTES, Yaml, read_yaml
from executor.errors import ExecutorError
from executor.reading import NotRead, read_whole
from planner.components import of_component
from planner.errors import Place, PlannerError, Problem, did_you_mean, line_of
from planner.image.plan import Note
from planner.pipeline import DeploymentSettings, operator_check
from planner.settings.checks import kind_of
from planner.settings.deprecated import migrated
from planner.settings.docker import DockerSettings
from planner.settings.written import WrittenSettings

__all__ = ["PASSED_OVER", "PASSED_OVER_OF_STEP", "load_run_configuration", "read_run_configuration"]

# What is read of a run configuration, and of a step in one.
_READ: Final = ("build", "parameters", "settings", "steps")
_READ_OF_STEP: Final = ("parameters", "settings", "step_operator")
# What else the reference has there, in any of its releases.
PASSED_OVER: Final = (
    *("cache_policy", "cleanup_hook_source", "enable_artifact_metadata", "enable_artifact_visualization"),
    *("enable_cache", "enable_heartbeat", "enable_pipeline_logs", "enable_step_logs", "end_hook_source"),
    *("environment", "execution_mode", "extra", "failure_hook_source", "init_hook_kwargs"),
    *("init_hook_source", "model", "name", "retry", "run_name", "schedule", "secrets", "start_hook_source"),
    *("substitutions", "success_hook_source", "tags"),
)
PASSED_OVER_OF_STEP: Final = (
    *("cache_policy", "caching_parameters", "enable_artifact_metadata", "enable_artifact_visualization"),
    *("enable_cache", "enable_heartbeat", "enable_step_logs", "environment", "experiment_tracker", "extra"),
    *("external_input_artifacts", "failure_hook_source", "group", "heartbeat_healthy_threshold", "inputs"),
    *("model", "name", "outputs", "retry", "runtime", "secrets", "substitutions", "success_hook_source"),
    *("template",),
)


def load_run_configuration(path: Path, root: Path) -> RunConfiguration:
    """Read a run configuration. PlannerError holds every problem in it, each with its line.

    `root` is that of the project: a path below it may be written as an absolute one.
    """
    file = str(path)
    try:
        data = read_whole(path, LARGEST_YAML_BYTES)
    except NotRead as error:
        raise ExecutorError.of(file, error.found, error.fix) from None
    if data is None:
        raise ExecutorError.of(file, "does not exist", "name a run configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExecutorError.of(file, f"not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    return read_run_configuration(text, file, root)


def read_run_configuration(text: str, file: str, root: Path) -> RunConfiguration:
    """What a text says as a run configuration; `file` is its name in errors. PlannerError as above."""
    return _Reading(file, read_yaml(text, file), root).configuration()


@define
class _Reading:
    """Reads one file, and gathers what is wrong with it, and what is to be said of it."""

    file: str
    yaml: Yaml
    root: Path
    problems: list[Problem] = Factory(list)
    notes: list[Note] = Factory(list)
    passed: dict[str, None] = Factory(dict)
    passed_of_steps: dict[str, None] = Factory(dict)
    left: list[tuple[str | int, ...]] = Factory(list)
    """The paths of what is passed over."""

    def configuration(self) -> RunConfiguration:
        data = self._table(self.yaml.data, ())
        self._names(data, (), _READ, PASSED_OVER)
        settings = self._table(data.get("settings"), ("settings",))
        kinds = self._kinds(settings, ("settings",), ("docker", "deployment"))
        layer = self._layer(kinds.get("docker"), ("settings", "docker"))
        deployment = self._deployment(kinds.get("deployment"), ("settings", "deployment"))
        steps = {
            name: self._step(table, ("steps", name))
            for name, table in self._table(data.get("steps"), ("steps",)).items()
        }
        parameters = self._table(data.get("parameters"), ("parameters",))
        build = self._build(data.get("build"))
        self._twice()
        if self.problems:
            raise PlannerError(self.problems)
        return RunConfiguration(
            self.file,
            layer,
            deployment,
            steps,
            parameters,
            build,
            (*self._passed_over(), *sorted(self.notes, key=lambda note: note.where.line or 0)),
            self.yaml.lines,
        )

    def _step(self, value: object, path: tuple[str, ...]) -> StepConfiguration:
        table = self._table(value, path)
        self._names(table, path, _READ_OF_STEP, PASSED_OVER_OF_STEP)
        settings = self._table(table.get("settings"), (*path, "settings"))
        kinds = self._kinds(settings, (*path, "settings"), ("docker",))
        operator = table.get("step_operator")
        if operator is not None:
            self.problems += [
                self._placed(problem, (*path, "step_operator")) for problem in operator_check(operator)
            ]
        return StepConfiguration(
            self._layer(kinds.get("docker"), (*path, "settings", "docker")),
            self._table(table.get("parameters"), (*path, "parameters")),
            operator,
        )

    def _build(self, build: Any) -> str | Mapping[str, Any] | None:
        if build is None or isinstance(build, Mapping):
            return build
        if isinstance(build, list):
            self._wrong(("build",), f"expected the id of a build, found {kind_of(build)}", "write an id")
            return None
        # An id may look like a number.
        return self.yaml.texts.get(("build",), str(build))

    def _layer(self, value: object, path: tuple[str, ...]) -> WrittenSettings | None:
        if value is None:
            return None
        table = self._table(value, path)
        now = migrated(table)
        for name, text in now.notes.items():
            self.notes.append(Note("deprecated", name, text, self._place((*path, name))))
        self.problems += [self._placed(problem, path) for problem in now.problems]
        lines = {below: self.yaml.lines[*path, *below] for below in _paths(table)}
        for moved, name in now.moved.items():
            lines |= {(*moved, *below[1:]): line for below, line in list(lines.items()) if below[0] == name}
        layer = WrittenSettings(DockerSettings(), self._place(path), lines=lines)
        try:
            settings = DockerSettings.decode(own_paths(_without_nulls(now.table), self.root))
        except PlannerError as error:
            self.problems += [
                evolve(problem, where=layer.place(problem.where.path)) for problem in error.problems
            ]
            return None
        self._numbers(table, path)
        return evolve(layer, settings=settings)

    def _deployment(self, value: object, path: tuple[str, ...]) -> dict[str, Any]:
        known = DeploymentSettings.settable()
        table = self._table(value, path)
        self._names(table, path, known, ())
        given = {name: table[name] for name in known if table.get(name) is not None}
        try:
            DeploymentSettings(**given)
        except PlannerError as error:
            self.problems += [self._placed(problem, path) for problem in error.problems]
        return given

    def _kinds(
        self, table: Mapping[str, Any], path: tuple[str, ...], known: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """Settings by kind, without those of components of a stack, which are passed over."""
        self._names(table, path, known, tuple(filter(of_component, table)))
        return {name: table[name] for name in known if name in table}

    def _names(
        self,
        table: Mapping[str, Any],
        path: tuple[str | int, ...],
        read: tuple[str, ...],
        passed_over: tuple[str, ...],
    ) -> None:
        """Pass over what is not read, but for what is nearly the name of something that is."""
        for name in table:
            if name in read:
                continue
            if name not in passed_over and (advice := _advice(name, path, (*read, *passed_over))):
                self._wrong((*path, name), "unknown name", advice)
                continue
            self.left.append((*path, name))
            if not _says(table[name]):
                continue
            if path[:1] == ("steps",):
                self.passed_of_steps[".".join(str(part) for part in (*path[2:], name))] = None
            else:
                self.passed[".".join(str(part) for part in (*path, name))] = None

    def _passed_over(self) -> Iterator[Note]:
        parts = [", ".join(self.passed)] if self.passed else []
        if self.passed_of_steps:
            parts.append(f"in steps: {', '.join(self.passed_of_steps)}")
        if parts:
            text = f"ignored, as not about images: {'; '.join(parts)}"
            yield Note("passed-over", self.file, text, Place((), self.file))

    def _numbers(self, table: Mapping[str, Any], path: tuple[str, ...]) -> None:
        """Variables whose values YAML does not read as they are written."""
        for name in _OF_TEXTS:
            for variable, value in (table.get(name) or {}).items():
                below = (*path, name, variable)
                text = self.yaml.texts.get(below)
                if text is not None and value is not None and text.lower() != str(value).lower():
                    found = f"YAML reads {text} as {value}: put it in quotes if it is meant as it is written"
                    self.notes.append(Note("yaml-value", variable, found, self._place(below)))

    def _twice(self) -> None:
        """Names that stand in a table twice, unless it is passed over."""
        for path, line in self.yaml.twice.items():
            if not any(path[: len(left)] == left for left in self.left):
                place = evolve(self._place(path), line=line)
                found = f"{path[-1]} is set twice, with different values"
                self.problems.append(Problem(place, found, "keep one of them"))

    def _table(self, value: object, path: tuple[str | int, ...]) -> Mapping[str, Any]:
        """A table; an empty one for nothing, and for anything else, which is a problem."""
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self._wrong(path, f"expected a table, found {kind_of(value)}", "write name: value")
        return {}

    def _wrong(self, path: tuple[str | int, ...], found: str, fix: str) -> None:
        self.problems.append(Problem(self._place(path), found, fix))

    def _placed(self, problem: Problem, path: tuple[str | int, ...]) -> Problem:
        return evolve(problem, where=self._place((*path, *problem.where.path)))

    def _place(self, path: tuple[str | int, ...]) -> Place:
        return Place(path, self.file, line_of(self.yaml.lines, path))


# Tables of settings whose values become text.
_OF_TEXTS: Final = ("environment", "runtime_environment")


def _says(value: Any) -> bool:
    """Whether anything is said: templates have all names, with nothing after most of them."""
    if isinstance(value, Mapping):
        return any(_says(item) for item in value.values())
    return value is not None and value not in ("", [])


def _advice(name: str, path: tuple[str | int, ...], known: tuple[str, ...]) -> str:
    """What is meant by an unknown name; empty where it is none of ours."""
    if name == "docker" and path[-1:] != ("settings",):
        return "write it inside settings"
    if name == "settings.docker":
        return "write docker inside settings"
    if name in DockerSettings.settable():
        return f"write it inside {'' if path[-1:] == ('settings',) else 'settings.'}docker"
    return did_you_mean(name, known, "")


def _without_nulls(table: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those of which nothing is said.

    Nothing is what some settings take: as in the reference, it takes back what is said below.
    """
    found: dict[str, Any] = {}
    for name, value in table.items():
        if value is None and name in _TAKEN_BACK:
            found[name] = _TAKEN_BACK[name]
        elif name in {"build_config", "parent_image_build_config"} and isinstance(value, Mapping):
            found[name] = {inner: item for inner, item in value.items() if item is not None}
        elif value is not None or _takes_nothing(name):
            found[name] = value
    return found


# As the reference has it: nothing is not a requirements, and no local environment.
_TAKEN_BACK: Final[Mapping[str, Any]] = {"requirements": [], "replicate_local_python_environment": False}


def _takes_nothing(name: str) -> bool:
    try:
        DockerSettings.decode({name: None})
    except PlannerError:
        return name not in DockerSettings.settable()
    return True


def _paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    """The paths of all that is in a value."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[str | int, Any]] = value.items()
    else:
        items = enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (key,)
        yield from ((key, *below) for below in _paths(item))
