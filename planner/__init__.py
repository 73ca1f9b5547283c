"""The pure planner of stowplan: settings, a pipeline, a stack, pins and facts in, an immutable plan out.

Nothing in this package touches the world: no files, no clock, no environment, no processes, no network.
`needs` says what has to be looked at, `make_plan` plans from the answers, `diff` compares, `decide` says
what happens to each image, and `dumps` and `loads` write and read the lock. `executor` does the rest.

>>> from planner import Digest, Facts, ImageDigest, Lock, Pin, Pins, Pipeline, Stack, make_spec, needs
>>> pipeline = Pipeline(name="report", steps=["write"], settings={"docker": {
...     "parent_image": "python:3.11-slim", "apt_packages": ["git"],
...     "allow_including_files_in_images": False}})
>>> (need,) = needs(pipeline, Stack(), checkout=False)
>>> need.ref.familiar
'python:3.11-slim'
>>> spec = make_spec(pipeline, Stack(), Facts().also({need: Pin(Digest("0" * 64))}))
>>> [item.kind for item in spec.images[0].spec.instructions]
['apt']
>>> lock = loads(dumps(Lock((spec,))))
>>> diff(lock.plan("report", "default"), spec)
()

What the lock pins is not asked for again:

>>> needs(pipeline, Stack(), pins=Pins(lock), checkout=False)
()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from planner.compare.actions import Action, Decision, decide
    from planner.compare.changes import Change, diff
    from planner.compare.layers import rebuilt_layers
    from planner.compare.presence import Presence
    from planner.compare.report import Report
    from planner.components import Component
    from planner.entrypoint import Command, Function, Output
    from planner.errors import Place, PlannerError, Problem, StowplanError
    from planner.facts.answers import HiddenValue, ImageId, ImagePython, Pin, Printed
    from planner.facts.facts import Facts
    from planner.facts.needs import (
        FileText,
        FileTree,
        HostPlatform,
        ImageDigest,
        LocalImage,
        Need,
        ProgramOutput,
        ProjectFiles,
        PythonOf,
        PythonVersion,
        RequirementsFile,
        Resolve,
        Variable,
    )
    from planner.files.ignore import IgnoreRules
    from planner.files.tree import Entry, Kind, Tree
    from planner.image.plan import BuildPlan, Checkout, Destination, ImagePlan, NamedSpec, Note, PlanSpec
    from planner.image.spec import ExternalImage, ImageSpec
    from planner.integrations import Integration
    from planner.lock.lock import LOCK_NAME, Lock, Pins, Pushed
    from planner.lock.text import dumps, loads
    from planner.pipeline import DeploymentSettings, Pipeline, Step
    from planner.planning import make_plan, make_spec, needs
    from planner.render.dockerfile import context_files, dockerfile
    from planner.requirements.resolution import Resolution
    from planner.settings.build_options import BuildConfig, BuildOptions
    from planner.settings.docker import DockerSettings
    from planner.settings.secrets import Secret
    from planner.stack import ContainerRegistry, Stack
    from planner.values import Digest, EnvTemplate, FrozenMapping, ImageRef, PythonPackageInstaller

_NAMES: Final = {
    "planner.compare.actions": "Action Decision decide",
    "planner.compare.changes": "Change diff",
    "planner.compare.layers": "rebuilt_layers",
    "planner.compare.presence": "Presence",
    "planner.compare.report": "Report",
    "planner.components": "Component",
    "planner.entrypoint": "Command Function Output",
    "planner.errors": "Place PlannerError Problem StowplanError",
    "planner.facts.answers": "HiddenValue ImageId ImagePython Pin Printed",
    "planner.facts.facts": "Facts",
    "planner.facts.needs": (
        "FileText FileTree HostPlatform ImageDigest LocalImage Need ProgramOutput ProjectFiles "
        "PythonOf PythonVersion RequirementsFile Resolve Variable"
    ),
    "planner.files.ignore": "IgnoreRules",
    "planner.files.tree": "Entry Kind Tree",
    "planner.image.plan": "BuildPlan Checkout Destination ImagePlan NamedSpec Note PlanSpec",
    "planner.image.spec": "ExternalImage ImageSpec",
    "planner.integrations": "Integration",
    "planner.lock.lock": "LOCK_NAME Lock Pins Pushed",
    "planner.lock.text": "dumps loads",
    "planner.pipeline": "DeploymentSettings Pipeline Step",
    "planner.planning": "make_plan make_spec needs",
    "planner.render.dockerfile": "context_files dockerfile",
    "planner.requirements.resolution": "Resolution",
    "planner.settings.build_options": "BuildConfig BuildOptions",
    "planner.settings.docker": "DockerSettings",
    "planner.settings.secrets": "Secret",
    "planner.stack": "ContainerRegistry Stack",
    "planner.values": "Digest EnvTemplate FrozenMapping ImageRef PythonPackageInstaller",
}
_HOMES: Final = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "LOCK_NAME", "Action", "BuildConfig", "BuildOptions", "BuildPlan", "Change", "Checkout", "Command",
    "Component", "ContainerRegistry", "Decision", "DeploymentSettings", "Destination", "Digest",
    "DockerSettings", "Entry", "EnvTemplate", "ExternalImage", "Facts", "FileText", "FileTree",
    "FrozenMapping", "Function", "HiddenValue", "HostPlatform", "IgnoreRules", "ImageDigest", "ImageId",
    "ImagePlan", "ImagePython", "ImageRef", "ImageSpec", "Integration", "Kind", "LocalImage", "Lock",
    "NamedSpec", "Need", "Note", "Output", "Pin", "Pins", "Pipeline", "Place", "PlanSpec", "PlannerError",
    "Presence", "Printed", "Problem", "ProgramOutput", "ProjectFiles", "Pushed", "PythonOf",
    "PythonPackageInstaller", "PythonVersion", "Report", "RequirementsFile", "Resolution", "Resolve",
    "Secret", "Stack", "Step", "StowplanError", "Tree", "Variable", "context_files", "decide", "diff",
    "dockerfile", "dumps", "loads", "make_plan", "make_spec", "needs", "rebuilt_layers",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """A public name, whose module is loaded when it is first used: few need all of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
