"""The executor of stowplan: everything that touches the world.

`observe` answers what a plan needs to know, and `apply` makes the images of a plan be there.

>>> from executor import observe
>>> from planner import Pipeline, Stack, make_plan
>>> pipeline = Pipeline(name="report", steps=["write"], settings={"docker": {
...     "parent_image": "python@sha256:" + "0" * 64, "requirements": ["six==1.16.0"],
...     "allow_including_files_in_images": False}})
>>> facts = observe(pipeline, Stack())
>>> plan = make_plan(pipeline, Stack(), facts)
>>> plan.images[0].use.value
'build'

With an engine, `apply(plan, facts)` then builds it and returns an outcome for each image.
"""

from executor.apply import Event, Outcome, Status, apply
from executor.config import Project, load_project
from executor.errors import ExecutorError
from executor.observe import observe
from executor.records import Record, Records

__all__ = [
    "Event",
    "ExecutorError",
    "Outcome",
    "Project",
    "Record",
    "Records",
    "Status",
    "apply",
    "load_project",
    "observe",
]
