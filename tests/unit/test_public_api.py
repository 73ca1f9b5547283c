"""The names that are promised, and the examples in the documentation strings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
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


@pytest.mark.parametrize("name", ["planner", "executor"])
def test_both_packages_are_typed(name: str) -> None:
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
