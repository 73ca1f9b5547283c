"""A pipeline in Python as plain data: its steps with their inputs, their order and their settings.

Paths are relative to the source root where they are in it, so that the same project says the same everywhere.
"""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .recorders import plain
from .references import SaidWrong, Where
from .trace import CURRENT, Trace, advice, bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .decorators import Pipeline
    from .trace import Call, Layer

__all__ = ["VERSION", "described", "named", "relative"]

VERSION = 1


def described(
    pipeline: Pipeline[Any, Any],
    root: str,
    parameters: Mapping[str, Any],
    steps: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """A pipeline as JSON has it. SaidWrong if its function does what can only be done while it runs.

    `parameters` are given to the function, and `steps` has parameters of steps by their names; both go over
    what the code says.
    """
    trace = Trace(steps)
    function = pipeline.entrypoint
    given = bound(
        f"pipeline {pipeline.name}",
        inspect.signature(function),
        (),
        pipeline.parameters,
        parameters,
        pipeline.where,
    )
    token = CURRENT.set(trace)
    try:
        function(**given)
    finally:
        CURRENT.reset(token)
    for name in steps:
        if name not in trace.calls:
            found = f"pipeline {pipeline.name} has no step {name!r}, which is given parameters"
            raise SaidWrong(pipeline.where, found, advice(name, trace.calls))
    return {
        "version": VERSION,
        "name": plain(pipeline.name),
        "place": _place(pipeline.where, root),
        "settings": _layers(pipeline.layers, root),
        "passed_over": [_passed_over(each, root) for each in _decorated(pipeline, trace.calls.values())],
        "steps": [_step(call, root) for call in trace.calls.values()],
    }


def _step(call: Call, root: str) -> dict[str, Any]:
    return {
        "name": plain(call.name),
        "place": _place(call.where, root),
        "function": _source(call.step.entrypoint, root, call.where),
        "inputs": dict(call.inputs),
        "outputs": list(call.outputs),
        "after": list(call.after),
        "step_operator": plain(call.step.step_operator),
        "settings": _layers(call.layers, root),
    }


def _layers(layers: Iterable[Layer], root: str) -> list[dict[str, Any]]:
    return [
        {"settings": _docker(layer.settings), "place": _place(layer.where, root), "how": layer.how}
        for layer in layers
    ]


def _docker(settings: Any) -> Any:
    """Settings as a table of kinds; those of an image need not be in one."""
    data = plain(settings)
    return {"docker": data} if type(settings).__name__ == "DockerSettings" else data


def _decorated(pipeline: Any, calls: Iterable[Call]) -> Iterable[Any]:
    """What decorators stand on and had arguments that were passed over, each once."""
    found = {id(each): each for each in (pipeline, *(call.step for call in calls)) if each.passed_over}
    return found.values()


def _passed_over(decorated: Any, root: str) -> dict[str, Any]:
    return {"arguments": list(decorated.passed_over), "place": _place(decorated.where, root)}


def _place(where: Where, root: str) -> dict[str, Any]:
    return {"file": relative(where.file, root), "line": where.line}


def relative(file: str, root: str) -> str:
    """The path of a file from the source root; absolute where the file is elsewhere, or is none."""
    if file.startswith("<"):
        return f"/{file}"
    try:
        return Path(os.path.realpath(file)).relative_to(os.path.realpath(root)).as_posix()
    except ValueError:
        return file


def named(pipeline: Pipeline[Any, Any], root: str) -> str | None:
    """`module:object` of a pipeline, as it is imported from the source root; None if no module has it."""
    module = pipeline.entrypoint.__module__
    found = [name for name, value in vars(sys.modules.get(module)).items() if value is pipeline]
    above = _module(module, root)
    return f"{above}:{found[0]}" if found and above else None


def _module(name: str, root: str) -> str | None:
    """The name that a module is imported by from the source root; None for a script outside of it."""
    if name != "__main__":
        return name
    file = relative(getattr(sys.modules[name], "__file__", None) or "", root)
    inside = file.endswith(".py") and not Path(file).is_absolute()
    return file[: -len(".py")].replace("/", ".") if inside else None


def _source(function: Callable[..., Any], root: str, where: Where) -> str:
    """`module:name` of a function, as it is imported from the source root."""
    module, name = _module(function.__module__, root), function.__qualname__
    if "<" in name:
        kind = "a lambda" if name.endswith("<lambda>") else "made inside of a function"
        found = f"step {function.__name__} is {kind}: a container cannot import it"
        raise SaidWrong(where, found, "define it at the top of a module")
    if module is None:
        found = f"step {name} is defined outside of the project: a container cannot import it"
        raise SaidWrong(where, found, "define it in a file of the project")
    return f"{module}:{name}"
