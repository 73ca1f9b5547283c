"""stowplan as a library: what pipelines are written with, and the names of the planner and the executor.

>>> from stowplan import Pipeline, Stack, make_plan, observe
>>> pipeline = Pipeline(name="report", steps=["write"], settings={"docker": {
...     "parent_image": "python@sha256:" + "0" * 64, "requirements": ["six==1.16.0"],
...     "allow_including_files_in_images": False}})
>>> facts = observe(pipeline, Stack())
>>> plan = make_plan(pipeline, Stack(), facts)
>>> plan.images[0].builds
True

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
    from executor.config.project import Project, load_project
    from executor.errors import ExecutorError
    from executor.observe.facts import observe
    from executor.records.store import Record, Records
    from planner import *  # noqa: F403  # the door to all of its public names

_HOMES: Final = {
    "Event": "executor.apply.outcome",
    "ExecutorError": "executor.errors",
    "Outcome": "executor.apply.outcome",
    "Project": "executor.config.project",
    "Record": "executor.records.store",
    "Records": "executor.records.store",
    "Result": "executor.apply.outcome",
    "apply": "executor.apply.scheduler",
    "load_project": "executor.config.project",
    "observe": "executor.observe.facts",
    "pipeline": "executor.bootstrap.decorators",
    "step": "executor.bootstrap.decorators",
}

__all__ = [  # noqa: PLE0604  # names of the planner are strings too
    *planner.__all__,
    "Event",
    "ExecutorError",
    "Outcome",
    "Project",
    "Record",
    "Records",
    "Result",
    "apply",
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
        return getattr(planner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
