"""A step that is a function: its module is imported from the source root, and it is called."""

from __future__ import annotations

import importlib
import typing
from pathlib import Path
from typing import Any

from . import serializers
from .errors import Refused
from .job import Input, Job

__all__ = ["inputs", "notes", "returned", "run"]


def inputs(job: Job, exchange: Path) -> dict[str, Any]:
    """The arguments of the function, by parameter. Refused names one that cannot be read."""
    return {name: _input(name, given, job.run, exchange) for name, given in job.inputs.items()}


def _input(name: str, given: Input, run: str, exchange: Path) -> Any:
    if given.file is None:
        return given.value
    try:
        return serializers.read(exchange / given.file, given.serializer, given.sha256, given.run == run)
    except Refused as error:
        raise Refused(error.code, f"the input {name!r}: {error.found}", error.fix) from None


class FunctionMissing(Refused):
    """The module of a step does not have its function."""


def run(source: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """Import and call a function: it, and what it returned. Raises what the user's code raises.

    FunctionMissing if the module has no such function.
    """
    module, _, name = source.partition(":")
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(function, part):
            fix = f"write the name of a function of {module}, in place of {source}"
            raise FunctionMissing("function-missing", f"{module} has no {name}", fix)
        function = getattr(function, part)
    return function, function(**arguments)


def returned(value: Any, names: list[str]) -> dict[str, Any]:
    """What a function returned, by the names of its outputs. Refused if there are more or fewer."""
    if not names:
        return {}
    if len(names) == 1:
        return {names[0]: value}
    if not isinstance(value, tuple) or len(value) != len(names):
        found = f"{len(value)} values" if isinstance(value, tuple) else type(value).__name__
        raise Refused(
            "outputs-differ",
            "the step has {} outputs ({}) and returned {}".format(len(names), ", ".join(names), found),
            f"return a tuple of {len(names)} values, or annotate what it returns",
        )
    return dict(zip(names, value))


def notes(function: Any, outputs: dict[str, Any]) -> list[str]:
    """Which outputs have another type than the function's annotation says."""
    try:
        hint = typing.get_type_hints(getattr(function, "__wrapped__", function)).get("return", Any)
    except Exception:
        # Annotations are the user's code: what is only for type checkers may not be there.
        return []
    kinds = [hint] if len(outputs) == 1 else list(getattr(hint, "__args__", ()))
    if len(kinds) != len(outputs):
        return []
    return [
        f"the output {name!r} is {type(value).__name__}, not {_named(kind)}"
        for (name, value), kind in zip(outputs.items(), kinds)
        if not _fits(value, kind)
    ]


def _named(kind: Any) -> str:
    return kind.__name__ if type(kind) is type else str(kind).replace("typing.", "")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value may be of an annotated type. True where that cannot be told."""
    if kind is None or kind is type(None):
        return value is None
    origin = getattr(kind, "__origin__", None)
    if origin is typing.Union or type(kind).__name__ == "UnionType":
        return any(_fits(value, each) for each in kind.__args__)
    if type(kind).__name__ == "_AnnotatedAlias":
        return _fits(value, origin)
    found = origin or kind
    if not isinstance(found, type):
        return True
    if found is float:
        return isinstance(value, (int, float))
    if found is complex:
        return isinstance(value, (int, float, complex))
    try:
        return isinstance(value, found)
    except TypeError:
        return True
