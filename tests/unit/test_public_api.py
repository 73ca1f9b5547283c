"""The names that are promised, and the examples in the documentation strings."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import executor
import planner
import stowplan

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    module.name
    for package in (planner, executor)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


def test_the_promised_names_of_the_planner() -> None:
    from planner import (  # noqa: PLC0415  # that this line works is the promise
        DockerSettings,
        Facts,
        Pipeline,
        Stack,
        Step,
        diff,
        dumps,
        loads,
        make_plan,
        needs,
    )

    assert all(
        map(callable, (DockerSettings, Pipeline, Step, Stack, Facts, needs, make_plan, diff, loads, dumps))
    )


def test_the_promised_names_of_the_executor() -> None:
    from stowplan import apply, observe  # noqa: PLC0415  # that this line works is the promise

    assert callable(observe)
    assert callable(apply)
    assert [name for name in stowplan.__all__ if not hasattr(stowplan, name)] == []


@pytest.mark.parametrize("door", [planner, stowplan], ids=["planner", "stowplan"])
def test_a_door_has_what_type_checkers_see(door: ModuleType) -> None:
    """What it loads when it is used is what it imports for them, and what it promises."""
    tree = ast.parse(Path(str(door.__file__)).read_text(encoding="utf-8"))
    imports = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module not in ("__future__", "importlib", "typing")
        for alias in node.names
        if alias.name != "*"
    }
    assert imports == door._HOMES  # noqa: SLF001  # nothing else says it
    assert sorted(door.__all__) == sorted({*imports, *(planner.__all__ if door is stowplan else ())})
    for name in door.__all__:
        assert getattr(door, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        door.nothing  # noqa: B018  # that it raises is what is asked


def test_the_door_loads_what_pipelines_are_written_with_and_no_more() -> None:
    code = (
        "import sys, stowplan\n"
        "loaded = set(sys.modules)\n"
        "from stowplan import pipeline, step, DockerSettings\n"
        "print(sorted(n for n in loaded if n.startswith(('planner.', 'executor.'))))\n"
        "heavy = ('cattrs', 'tomlkit', 'click', 'rich', 'docker', 'requests', 'asyncio', "
        "'packaging', 'planner.planning', 'planner.lock.text', 'planner.image.plan', 'executor.process', "
        "'executor.config.project')\n"
        "print(sorted(set(heavy) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n[]\n"


def test_no_public_function_has_the_name_of_a_module_beside_it() -> None:
    modules = {name.rpartition(".")[::2] for name in MODULES}
    hidden = [
        f"{package}.{name}"
        for package, name in modules
        if not isinstance(getattr(importlib.import_module(package), name, None), ModuleType | None)
    ]
    assert hidden == []


@pytest.mark.parametrize("name", ["planner", "executor", *MODULES])
def test_every_module_says_what_it_exports_and_what_it_owns(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    exported = getattr(module, "__all__", ())
    assert [each for each in exported if not hasattr(module, each)] == []
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize("name", ["planner", "executor", "stowplan"])
def test_packages_are_typed(name: str) -> None:
    assert (ROOT / name / "py.typed").is_file()


@pytest.mark.parametrize("name", ["planner", *(name for name in MODULES if name.startswith("planner."))])
def test_the_examples_of_the_planner_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test.name
        for name in (
            "planner",
            "planner.planning",
            "planner.settings.docker",
            "planner.facts.facts",
            "planner.stack",
        )
        for test in finder.find(importlib.import_module(name))
        if test.examples
    ]
    assert {
        "planner",
        "planner.planning.make_plan",
        "planner.facts.facts.Facts",
        "planner.settings.docker.DockerSettings",
        "planner.stack.Stack",
    } <= set(found)
