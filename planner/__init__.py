"""The pure planner of stowplan: settings, a pipeline, a stack and facts in, an immutable plan out.

Nothing in this package touches the world: no files, no clock, no environment, no processes, no
network. `needs` says what has to be looked at, `make_plan` plans from the answers, `diff` compares, and
`dumps` and `loads` write and read the lock. `executor` does the rest.

>>> from planner import Digest, Facts, FileText, ImageDigest, Pin, Pipeline, Stack, make_plan, needs
>>> pipeline = Pipeline(name="report", steps=["write"], settings={"docker": {
...     "parent_image": "python:3.11-slim", "requirements": ["six==1.16.0"],
...     "allow_including_files_in_images": False}})
>>> [type(need).__name__ for need in needs(pipeline, Stack(), here=False)]
['ImageDigest']
>>> (need,) = needs(pipeline, Stack(), here=False)
>>> facts = Facts().also({need: Pin(Digest("0" * 64), "registry")})
>>> plan = make_plan(pipeline, Stack(), facts, here=False)
>>> [item.kind for item in plan.images[0].instructions]
['requirements']
>>> diff(loads(dumps(plan)), plan)
()
"""

from planner.compare.changes import Change, diff, rebuilt_layers
from planner.errors import Place, PlannerError, Problem
from planner.facts.answers import Fact, Facts, Pin, Secret
from planner.facts.needs import FileText, FileTree, HostPlatform, ImageDigest, Need, PythonVersion, Variable
from planner.files.ignore import IgnoreRules
from planner.files.tree import Entry, Kind, Tree
from planner.image.plan import BuildPlan, Delivery, Here, ImagePlan, Parent, Use, make_plan, needs
from planner.lock.lockfile import LOCK_NAME, Lock, Pushed, dumps, loads
from planner.pipeline import Pipeline, Step
from planner.render.dockerfile import context_files, dockerfile
from planner.settings.build_options import BuildConfig, BuildOptions
from planner.settings.docker import DockerSettings, PythonPackageInstaller
from planner.stack import ContainerRegistry, Stack
from planner.values import Digest, EnvTemplate, FrozenMapping, ImageRef

__all__ = [
    "LOCK_NAME",
    "BuildConfig",
    "BuildOptions",
    "BuildPlan",
    "Change",
    "ContainerRegistry",
    "Delivery",
    "Digest",
    "DockerSettings",
    "Entry",
    "EnvTemplate",
    "Fact",
    "Facts",
    "FileText",
    "FileTree",
    "FrozenMapping",
    "Here",
    "HostPlatform",
    "IgnoreRules",
    "ImageDigest",
    "ImagePlan",
    "ImageRef",
    "Kind",
    "Lock",
    "Need",
    "Parent",
    "Pin",
    "Pipeline",
    "Place",
    "PlannerError",
    "Problem",
    "Pushed",
    "PythonPackageInstaller",
    "PythonVersion",
    "Secret",
    "Stack",
    "Step",
    "Tree",
    "Use",
    "Variable",
    "context_files",
    "diff",
    "dockerfile",
    "dumps",
    "loads",
    "make_plan",
    "needs",
    "rebuilt_layers",
]
