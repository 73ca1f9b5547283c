"""What a step runs: a function of the project with its inputs and outputs, or a command.

Refuses to run or import anything: a function is named by its source, `module:name`, from the source root.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import evolve, field

from planner.errors import PlannerError, Problem
from planner.identity import NOT_COUNTED
from planner.immutable import frozen
from planner.names import name_check
from planner.settings.checked import Checked, declared
from planner.settings.checks import Schema, kind_of, list_of, saying, unencodable
from planner.values import FrozenMapping, freeze

__all__ = [
    "ENTRYPOINT_NAMES",
    "Command",
    "Entrypoint",
    "Function",
    "Json",
    "Output",
    "entrypoint_check",
    "entrypoint_schema",
    "resolved",
    "written_entrypoint",
]

Json: TypeAlias = "bool | int | float | str | tuple[Json, ...] | FrozenMapping[Json] | None"
"""A value that JSON has, frozen."""

SHELL: Final = ("/bin/sh", "-c")
"""What runs a command that is written as one string."""


@frozen
class Output(Checked):
    """An output of another step, as an input."""

    step: str = field(default="", metadata=declared(name_check, NOT_COUNTED))
    name: str = field(default="output", metadata=declared(name_check, NOT_COUNTED))

    def __str__(self) -> str:
        return self.step if self.name == "output" else f"{self.step}.{self.name}"


@saying({"type": "string", "pattern": r"^[^\s:]+:[^\s:]+$", "examples": ["train:main"]})
def _source(value: object) -> Iterator[Problem]:
    """`module:name`, both of Python identifiers with dots between them."""
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isidentifier() for side in parts for part in side.split(".")):
        found = repr(value) if isinstance(value, str) else kind_of(value)
        yield Problem.at((), f"not the source of a function: {found}", "write module:name, like 'train:main'")
    elif parts[0].endswith(".py"):
        module = parts[0].removesuffix(".py")
        yield Problem.at((), f"a file, not a module: {value!r}", f"write {f'{module}:{parts[1]}'!r}")


@saying({"type": "object"})
def _inputs(value: object) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem.at((), f"expected a table, found {kind_of(value)}", 'write { parameter = "step" }')
        return
    for name, item in value.items():
        if not isinstance(name, str) or not name.isidentifier():
            found = f"not the name of a parameter: {name!r}"
            yield Problem.at((str(name),), found, "name a parameter of the function")
        if not isinstance(item, Output):
            yield from (problem.inside(str(name)) for problem in _json(item))


def _json(value: Any) -> Iterator[Problem]:
    """A value that JSON has."""
    match value:
        case None | bool() | int():
            pass
        case float():
            if not math.isfinite(value):
                yield Problem.at((), f"JSON has no {value}", "give a finite number")
        case str():
            if unencodable(value):
                yield Problem.at((), "is not valid Unicode text", "write it as UTF-8")
        case tuple():
            for index, item in enumerate(value):
                yield from (problem.inside(index) for problem in _json(item))
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    yield Problem.at((), f"a key that is {kind_of(key)}", "JSON has strings as keys")
                yield from (problem.inside(str(key)) for problem in _json(item))
        case _:
            fix = "give an output of a step, or a value that JSON has"
            yield Problem.at((), f"no value that JSON has: {kind_of(value)}", fix)


@saying({**list_of(name_check).schema, "uniqueItems": True})
def _outputs(value: object) -> Iterator[Problem]:
    problems = tuple(list_of(name_check)(value))
    yield from problems
    if isinstance(value, tuple) and not problems and len(set(value)) < len(value):
        yield Problem.at((), "an output is listed twice", "give each output a name of its own")


@frozen
class Function(Checked):
    """A function of the project.

    `source` is `module:name`, from the source root. `inputs` are by parameter: outputs of other steps, or
    values that JSON has. `outputs` are the names of what it returns, in order.
    """

    source: str = field(default="", metadata=declared(_source, NOT_COUNTED))
    inputs: Mapping[str, Output | Json] = field(
        default=FrozenMapping(), converter=freeze, metadata=declared(_inputs, NOT_COUNTED)
    )
    outputs: tuple[str, ...] = field(
        default=("output",), converter=freeze, metadata=declared(_outputs, NOT_COUNTED)
    )


@saying({"type": "array", "items": {"type": "string"}, "minItems": 1})
def _argv(value: object) -> Iterator[Problem]:
    if not isinstance(value, tuple) or not value:
        found = "an empty command" if value == () else f"expected a command, found {kind_of(value)}"
        yield Problem.at((), found, 'write a list, ["python", "train.py"], or one string for /bin/sh')
        return
    for index, item in enumerate(value):
        if not isinstance(item, str):
            yield Problem.at((index,), f"expected a string, found {kind_of(item)}", "put it in quotes")
        elif "\0" in item or unencodable(item):
            yield Problem.at((index,), "holds a NUL or is not valid Unicode text", "write it as UTF-8")
        elif not item and index == 0:
            yield Problem.at((index,), "an empty name of a program", "name a program")


@frozen
class Command(Checked):
    """A command with its arguments, run in the directory of the code."""

    argv: tuple[str, ...] = field(default=(), converter=freeze, metadata=declared(_argv, NOT_COUNTED))


Entrypoint: TypeAlias = Function | Command


@saying({"anyOf": [{"$ref": Function}, {"$ref": Command}, {"type": "null"}]})
def entrypoint_check(value: object) -> Iterator[Problem]:
    """A check: a function, a command, or nothing."""
    if value is not None and not isinstance(value, Function | Command):
        fix = "give a Function or a Command"
        yield Problem.at((), f"expected a function or a command, found {kind_of(value)}", fix)


ENTRYPOINT_NAMES: Final = ("command", "function", "inputs", "outputs")
"""What a table of a project file says of an entrypoint."""


def entrypoint_schema() -> Schema:
    """The JSON Schemas of these names, by name."""
    # A table among the inputs is a value, and says so.
    value: Schema = {"type": "object", "required": ["value"], "maxProperties": 1}
    plain: Schema = {"type": ["string", "number", "boolean", "array", "null"]}
    return {
        "command": {"anyOf": [_argv.schema, {"type": "string", "pattern": r"\S"}]},
        "function": _source.schema,
        "inputs": {"type": "object", "additionalProperties": {"anyOf": [plain, value]}},
        "outputs": _outputs.schema,
    }


def written_entrypoint(table: Mapping[str, Any]) -> tuple[Entrypoint | None, list[Problem]]:
    """What the table of a step says that it runs, and what is wrong with that.

    A string among the inputs names a step, or an output of one as `step.output`, which `resolved` tells
    apart; a string that is a value is written `{ value = "…" }`.
    """
    command, source = table.get("command"), table.get("function")
    problems: list[Problem] = []
    if command is not None and source is not None:
        problems.append(
            Problem.at("command", "the step has a function already", "keep one of function and command")
        )
    if source is None:
        problems += [
            Problem.at(name, "only a function has it", "name a function, or leave it out")
            for name in ("inputs", "outputs")
            if name in table
        ]
        if command is None:
            return None, problems
        if isinstance(command, str):
            command = (*SHELL, command) if command.strip() else ()
        return _made(Command, {"argv": command}, problems, {"argv": "command"})
    inputs = table.get("inputs", {})
    given: dict[str, Any] = {"source": source, "inputs": inputs}
    if isinstance(inputs, Mapping):
        given["inputs"] = {
            name: _input(item, problems, ("inputs", str(name))) for name, item in inputs.items()
        }
    if "outputs" in table:
        given["outputs"] = table["outputs"]
    return _made(Function, given, problems, {"source": "function"})


def _made(
    kind: type[Function | Command],
    given: Mapping[str, Any],
    problems: list[Problem],
    names: Mapping[str, str],
) -> tuple[Entrypoint | None, list[Problem]]:
    """The entrypoint, unless something is wrong; `names` are those that a file has for its fields."""
    try:
        return kind(**given), problems
    except PlannerError as error:
        for problem in error.problems:
            name, *rest = problem.where.path
            path = (names.get(str(name), str(name)), *rest)
            problems.append(evolve(problem, where=evolve(problem.where, path=path)))
        return None, problems


def _input(value: object, problems: list[Problem], path: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        try:
            return Output(value)
        except PlannerError:
            found = f"not the name of a step: {value!r}"
            problems.append(Problem.at(path, found, 'write a value that is text as { value = "…" }'))
            return None
    if isinstance(value, Mapping):
        if set(value) == {"value"}:
            return value["value"]
        fix = "write { value = { … } } for a value that is a table"
        problems.append(Problem.at(path, "a table that is not an input", fix))
        return None
    return value


def resolved(function: Function, steps: frozenset[str]) -> Function:
    """The function whose inputs name steps that there are: `load.model` is an output of the step `load`."""

    def found(item: Output | Json) -> Output | Json:
        if not isinstance(item, Output) or item.step in steps:
            return item
        for at in (index for index, letter in enumerate(item.step) if letter == "."):
            if item.step[:at] in steps and item.step[at + 1 :]:
                return Output(item.step[:at], item.step[at + 1 :])
        return item

    return evolve(function, inputs={name: found(item) for name, item in function.inputs.items()})
