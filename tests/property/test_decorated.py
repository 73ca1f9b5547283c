"""What a decorator is given comes to what the same table of a project file comes to, errors and all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given

from executor.bootstrap.decorators import pipeline, step
from executor.bootstrap.description import described
from executor.bootstrap.recorders import DockerSettings as StandIn
from executor.config.decorated import decorated
from planner import DockerSettings, PlannerError
from planner.settings.deprecated import DEPRECATED
from tests.property import strategies as some
from tests.property.hostile import settings as hostile_settings

ROOT = Path("/nowhere")
ABOVE = ("pipeline", "training", "step", "load", "settings", "docker")
Outcome = DockerSettings | list[tuple[tuple[str | int, ...], str, str]]


@step
def load() -> int:
    return 1


def in_a_file(table: dict[str, Any]) -> Outcome:
    try:
        return DockerSettings.decode(table)
    except PlannerError as error:
        return [(each.where.path, each.found, each.fix) for each in error.problems]


def _below(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return path[len(ABOVE) :] if path[: len(ABOVE)] == ABOVE else path


def in_python(table: Any) -> Outcome:
    """The settings of a step that is decorated with them, as they come out of another process."""
    one: Any = load.with_options(settings={"docker": table})
    made = pipeline(lambda: (one(), None))
    made.name = "training"
    data = json.loads(json.dumps(described(made, str(ROOT), {}, {})))
    try:
        found, _ = decorated(data, None, ROOT)
    except PlannerError as error:
        # Each is at the decorator; what is not is told apart by its whole place.
        return [
            (_below(each.where.path) if each.where.line else (str(each.where),), each.found, each.fix)
            for each in error.problems
        ]
    return found.steps[0].overrides[0].settings


@given(some.settings(whole=False))
def test_good_settings(table: dict[str, Any]) -> None:
    assert in_python(StandIn(**table)) == in_python(table) == in_a_file(table)


@given(hostile_settings)
def test_hostile_settings(table: dict[str, Any]) -> None:
    if not DEPRECATED.keys() & table.keys():
        assert in_python(table) == in_a_file(table)
