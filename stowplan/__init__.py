"""stowplan for programs: `load` gives a project, whose methods are the commands.

    project = stowplan.load(".")
    plan = project.plan("training", stack="prod")
    for image in plan.images:
        print(image.action, image.name, image.reason)
    plan.apply(engine="podman").check()

`DockerSettings`, `pipeline` and `step` are what pipelines are written with. The other names are those of the
planner, which is pure, and of the executor, for programs that observe, plan and apply for themselves.

`import stowplan` loads nothing: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import planner

if TYPE_CHECKING:
    from executor.apply.outcome import Event, Outcome, Result
    from executor.apply.scheduler import apply
    from executor.bootstrap.decorators import pipeline, step
    from executor.errors import ExecutorError
    from executor.library.project import Project, load, load_project
    from executor.library.results import Applied, DiffResult, LockResult, Plan, PlannedImage, RunResult
    from executor.observe.facts import observe
    from executor.records.store import Record, Records
    from executor.run.outcome import StepEvent, StepOutcome
    from planner import *  # noqa: F403  # the door to all of its public names
    from planner.build import Build, BuiltImage
    from planner.compare.comparison import Comparison

_NAMES: Final = {
    "executor.apply.outcome": "Event Outcome Result",
    "executor.apply.scheduler": "apply",
    "executor.bootstrap.decorators": "pipeline step",
    "executor.errors": "ExecutorError",
    "executor.library.project": "Project load load_project",
    "executor.library.results": "Applied DiffResult LockResult Plan PlannedImage RunResult",
    "executor.observe.facts": "observe",
    "executor.records.store": "Record Records",
    "executor.run.outcome": "StepEvent StepOutcome",
    "planner.build": "Build BuiltImage",
    "planner.compare.comparison": "Comparison",
}
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [  # noqa: PLE0604  # names of the planner are strings too
    *planner.__all__,
    "Applied",
    "Build",
    "BuiltImage",
    "Comparison",
    "DiffResult",
    "Event",
    "ExecutorError",
    "LockResult",
    "Outcome",
    "Plan",
    "PlannedImage",
    "Project",
    "Record",
    "Records",
    "Result",
    "RunResult",
    "StepEvent",
    "StepOutcome",
    "apply",
    "load",
    "load_project",
    "observe",
    "pipeline",
    "step",
]


def __getattr__(name: str) -> Any:
    """A public name, whose module is loaded when it is first used."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in planner.__all__:
        found = getattr(planner, name)
        if not hasattr(found, "settable"):
            return found
        # For `help`. The planner reads no files, not even its own.
        return import_module("executor.library.texts").documented(found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
