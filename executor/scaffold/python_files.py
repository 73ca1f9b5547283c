"""What a Python file says without being run: the pipelines that it decorates, and whether it is a program."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from typing import Final

from planner.immutable import frozen
from planner.names import SOURCE

__all__ = [
    "LONGEST_PYTHON_BYTES",
    "STOWPLAN",
    "PythonPipeline",
    "is_program",
    "parsed",
    "pipelines_of",
    "steps_of",
]

# Whose decorators make a pipeline: ours, and those of the system whose projects come with theirs.
STOWPLAN: Final = "stowplan"
_SYSTEMS: Final = (STOWPLAN, "zenml")
LONGEST_PYTHON_BYTES: Final = 1 << 20


@frozen
class PythonPipeline:
    """A decorated function: where it is, what it calls, and what it has to be given."""

    name: str
    file: str
    source: str
    """`module:function`, from the root of the project."""
    system: str
    """The package whose decorator makes it a pipeline."""
    steps: tuple[str, ...]
    """The names of the functions that it calls, in their order."""
    parameters: tuple[str, ...]
    """Those without a default."""


def parsed(data: bytes) -> ast.Module | None:
    """A file as syntax; None for what is none."""
    try:
        with warnings.catch_warnings():
            # What a newer Python would say of its strings is nobody's business here.
            warnings.simplefilter("ignore")
            return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def pipelines_of(path: str, module: ast.Module) -> Iterator[PythonPipeline]:
    """The decorated pipelines at the top of a module that can be imported."""
    parts = path.removesuffix(".py").split("/")
    dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    names = dict(_decorators(module, "pipeline"))
    for node in module.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        found = _decorator(node, names)
        source = f"{dotted}:{node.name}"
        if found is None or re.fullmatch(SOURCE, source) is None:
            continue
        decorator, system = found
        called = tuple(dict.fromkeys(_calls(node)))
        yield PythonPipeline(_name(decorator) or node.name, path, source, system, called, _required(node))


def steps_of(module: ast.Module) -> Iterator[str]:
    """The names of the decorated steps at the top of a module."""
    names = dict(_decorators(module, "step"))
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and _decorator(node, names):
            yield node.name


def _decorators(module: ast.Module, wanted: str) -> Iterator[tuple[str, str]]:
    """How a module writes a decorator, dotted, with the package that it is from."""
    for node in ast.walk(module):
        match node:
            case ast.ImportFrom(module=str(package), names=names) if package.split(".")[0] in _SYSTEMS:
                yield from (
                    (alias.asname or alias.name, package.split(".")[0])
                    for alias in names
                    if alias.name == wanted
                )
            case ast.Import(names=names):
                yield from (
                    (f"{alias.asname or alias.name}.{wanted}", alias.name)
                    for alias in names
                    if alias.name in _SYSTEMS
                )
            case _:
                pass


def _decorator(node: ast.FunctionDef, names: dict[str, str]) -> tuple[ast.expr, str] | None:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (system := names.get(ast.unparse(called))) is not None:
            return decorator, system
    return None


def _name(decorator: ast.expr) -> str:
    """The name that a decorator gives."""
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""


def _required(node: ast.FunctionDef) -> tuple[str, ...]:
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    required = [
        *positional[: len(positional) - len(given.defaults)],
        *(each for each, default in named if default is None),
    ]
    return tuple(each.arg for each in required)


def _calls(node: ast.AST) -> Iterator[str]:
    """The names of what is called, arguments before the call that they are of."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.FunctionDef) and child in node.decorator_list):
            yield from _calls(child)
    if isinstance(node, ast.Call):
        called = node.func
        # step.with_options(…)(x)
        if isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute):
            called = called.func.value
        if isinstance(called, ast.Name) and not hasattr(builtins, called.id):
            yield called.id


def is_program(module: ast.Module) -> bool:
    """Whether a file does something when it is run: it calls something, and not in a function."""
    for node in module.body:
        match node:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                return True
            case ast.Expr(value=ast.Call()) | ast.For() | ast.While() | ast.With():
                return True
            case _:
                pass
    return False
