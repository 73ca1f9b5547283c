"""A pipeline in Python, as it was described, read as the planner's: with the place of each setting.

What is wrong has the words that the same thing in a project file has, and the place of the decorator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from executor.bootstrap.recorders import FOREIGN
from executor.config.own_paths import own_paths
from planner.components import of_component
from planner.entrypoint import Function, Output
from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.image.plan import Note
from planner.pipeline import DeploymentSettings, Pipeline, Step
from planner.settings.checks import kind_of
from planner.settings.deprecated import migrated
from planner.settings.docker import DockerSettings
from planner.settings.written import WrittenSettings

__all__ = ["decorated"]

_DOCKER: Final = ("settings", "docker")


def decorated(data: Mapping[str, Any], name: str | None, root: Path) -> tuple[Pipeline, tuple[Note, ...]]:
    """The pipeline that a description says, and what is to be said of it.

    `name` is what the project file calls it, and `root` that of the project, below which a path may be
    written as an absolute one. PlannerError holds everything that is wrong with it.
    """
    reader = _Reader(name or data["name"], root)
    made = reader.pipeline(data)
    if reader.problems or made is None:
        raise PlannerError(dict.fromkeys(reader.problems))
    passed_over = [reader.passed_over(each) for each in data["passed_over"]]
    return made, tuple(dict.fromkeys([*reader.notes, *passed_over]))


class _Reader:
    """Reads one description, and gathers what is wrong with it."""

    def __init__(self, name: Any, root: Path) -> None:
        self._name, self._root = name, root
        self._above = ("pipeline", str(name))
        self.problems: list[Problem] = []
        self.notes: list[Note] = []

    def pipeline(self, data: Mapping[str, Any]) -> Pipeline | None:
        where = self._where(data["place"], self._above)
        layers = [
            (self._kinds(each, self._above, {"docker", "deployment"}), each) for each in data["settings"]
        ]
        written = [self._written(kinds.get("docker", {}), each, self._above) for kinds, each in layers]
        deployment = [
            self._deployment(kinds["deployment"], each) for kinds, each in layers if "deployment" in kinds
        ]
        steps = [self._step(each) for each in data["steps"]]
        if not steps:
            self.problems.append(
                Problem(where, "it calls no step", "call a function that is decorated with @step")
            )
        if self.problems:
            return None
        settings, origin, overrides = _cascade(written, where)
        made: Pipeline | None = self._made(
            Pipeline,
            where,
            name=self._name,
            steps=tuple(step for step in steps if step is not None),
            settings=settings,
            origin=origin,
            overrides=overrides,
            deployment=deployment[-1] if deployment else DeploymentSettings(),
        )
        return made

    def _step(self, data: Mapping[str, Any]) -> Step | None:
        path = (*self._above, "step", str(data["name"]))
        where = self._where(data["place"], path)
        written = [
            self._written(self._kinds(each, path, {"docker"}).get("docker", {}), each, path)
            for each in data["settings"]
        ]
        inputs = {
            name: self._made(Output, where, step=item["step"], name=item["output"])
            if "step" in item
            else item["value"]
            for name, item in data["inputs"].items()
        }
        function = self._made(
            Function, where, source=data["function"], inputs=inputs, outputs=data["outputs"]
        )
        settings, origin, overrides = _cascade(written, where)
        made: Step | None = self._made(
            Step,
            where,
            name=data["name"],
            settings=settings,
            origin=origin,
            overrides=overrides,
            entrypoint=function,
            after=data["after"],
            step_operator=_restored(data["step_operator"]),
        )
        return made

    def _made(self, kind: Any, where: Place, **given: Any) -> Any:
        """A value of the planner; None if it cannot be one."""
        try:
            return kind(**given)
        except PlannerError as error:
            self.problems += [_inside(problem, where) for problem in error.problems]
        return None

    def _where(self, place: Mapping[str, Any], path: tuple[str, ...]) -> Place:
        return Place(path, place["file"], place["line"])

    def _kinds(self, layer: Mapping[str, Any], path: tuple[str, ...], known: set[str]) -> Mapping[str, Any]:
        """Settings by kind. Those of components of a stack say nothing of images."""
        settings, where = _restored(layer["settings"]), self._where(layer["place"], (*path, "settings"))
        if not isinstance(settings, Mapping):
            found = f"expected a table, found {kind_of(settings)}"
            self.problems.append(Problem(where, found, 'write settings={"docker": DockerSettings(…)}'))
            return {}
        for kind in (each for each in settings if each not in known):
            advice = "" if of_component(kind) else did_you_mean(kind, known, "")
            place = evolve(where, path=(*where.path, kind))
            if advice:
                self.problems.append(Problem(place, "unknown kind of settings", advice))
            else:
                self.notes.append(
                    Note(
                        "passed-over",
                        kind,
                        f"those of {kind} say nothing about images: ignored",
                        where,
                    )
                )
        return {kind: value for kind, value in settings.items() if kind in known}

    def _written(self, settings: object, layer: Mapping[str, Any], path: tuple[str, ...]) -> WrittenSettings:
        where = self._where(layer["place"], (*path, "settings", "docker"))
        if isinstance(settings, Mapping):
            now = migrated(settings)
            for name, text in now.notes.items():
                place = evolve(where, path=(*where.path, name))
                self.notes.append(Note("deprecated", name, text, place))
            self.problems += [_inside(problem, where) for problem in now.problems]
            settings = own_paths(now.table, self._root)
        return WrittenSettings(self._decoded(DockerSettings, settings, where), where, how=layer["how"])

    def _deployment(self, settings: object, layer: Mapping[str, Any]) -> DeploymentSettings:
        where = self._where(layer["place"], (*self._above, "settings", "deployment"))
        found: DeploymentSettings = self._decoded(DeploymentSettings, settings, where)
        return found

    def _decoded(self, kind: Any, settings: object, where: Place) -> Any:
        """Settings; empty ones in place of what is wrong."""
        return self._made(kind.decode, where, data=settings) or kind()

    def passed_over(self, data: Mapping[str, Any]) -> Note:
        """What is to be said of arguments that do nothing here."""
        names = ", ".join(data["arguments"])
        verb = "says" if len(data["arguments"]) == 1 else "say"
        text = f"{names} {verb} nothing about images, and {'is' if verb == 'says' else 'are'} ignored"
        return Note("passed-over", names, text, self._where(data["place"], ()))


def _inside(problem: Problem, where: Place) -> Problem:
    """A problem of something that is written at a place."""
    return evolve(problem, where=evolve(where, path=(*where.path, *problem.where.path)))


def _cascade(
    layers: Iterable[WrittenSettings], where: Place
) -> tuple[DockerSettings, Place, tuple[WrittenSettings, ...]]:
    """What the decorator says, where that is written, and the layers over it."""
    found = [*layers]
    if not found or not found[0].how.startswith("@"):
        found.insert(0, WrittenSettings(DockerSettings(), evolve(where, path=(*where.path, *_DOCKER))))
    lowest, *over = found
    return lowest.settings, lowest.origin, tuple(over)


def _restored(value: Any) -> Any:
    """A value with something of its own class in place of what JSON did not have."""
    if isinstance(value, dict):
        if set(value) == {FOREIGN}:
            return type(value[FOREIGN], (), {})()
        return {name: _restored(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return value
