"""Each fixture project against its golden files: plan, Dockerfiles, files of the context, lock.

The files of a project are observed for real; parents, Python, platform and variables are given.
`pytest --update-golden` (or `make golden`) writes the golden files anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from executor.cli.render.data import report_data
from executor.config.project import load_project
from executor.observe.world import WorkingTree, answer
from planner import (
    BuildPlan,
    Digest,
    Facts,
    ImageDigest,
    ImagePlan,
    Lock,
    Need,
    Pin,
    Pipeline,
    Presence,
    Report,
    Stack,
    context_files,
    decide,
    dockerfile,
    dumps,
    make_plan,
    needs,
)
from planner.compare.report import LockState
from planner.facts.answers import ImagePython
from planner.facts.needs import PythonOf, Resolve
from tests.builders import resolved

FIXTURES = Path(__file__).parents[2] / "fixtures"
PROJECTS = sorted(path.name for path in (FIXTURES / "projects").iterdir())
VARIABLES = {
    "STOWPLAN_FIXTURE_NAME": "a planted value",
    "STOWPLAN_FIXTURE_TOKEN": "planted-token-52a1",
}


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_comes_to_its_golden_files(name: str, tmp_path: Path, update_golden: bool) -> None:
    # Observing leaves a cache beside the project.
    copy = shutil.copytree(FIXTURES / "projects" / name, tmp_path / name, symlinks=True)
    found = golden_files(copy)
    directory = FIXTURES / "expected" / name
    if update_golden:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        for file, text in found.items():
            (directory / file).write_bytes(text.encode())
    expected = {path.name: path.read_bytes().decode() for path in directory.iterdir()}
    assert found.keys() == expected.keys()
    for file, text in found.items():
        assert text == expected[file], f"{file} is not as stored: review, then `make golden`"


def test_every_golden_file_is_of_a_project() -> None:
    # Those of Dockerfiles, run configurations and screens are in directories of their own.
    assert {path.name for path in (FIXTURES / "expected").iterdir()} == {
        *PROJECTS, "dockerfiles", "run_configurations", "screens",
    }  # fmt: skip


@pytest.mark.parametrize("value", VARIABLES.values(), ids=VARIABLES)
def test_no_golden_file_shows_a_variable(value: str) -> None:
    shown = [path for path in (FIXTURES / "expected").rglob("*.*") if value in path.read_text()]
    assert shown == []


def golden_files(root: Path) -> Mapping[str, str]:
    """Every golden file of a project by its name: of all its pipelines on all its stacks."""
    project = load_project(root)
    plans = [
        plan_of(pipeline, stack, root)
        for pipeline in project.pipelines.values()
        for stack in project.stacks.values()
    ]
    files: dict[str, str] = {}
    for plan in plans:
        for image in plan.images:
            if image.builds:
                base = image.name.replace("/", "--")
                of_image = {f"{base}.Dockerfile": dockerfile(image.spec), f"{base}.files": listing(image)}
                for file, text in of_image.items():
                    # Where an image goes says nothing about what it is.
                    assert files.setdefault(file, text) == text
    reports = json.dumps([report_data(report_of(plan)) for plan in plans], indent=2, ensure_ascii=False)
    lock = Lock(plan.spec for plan in plans)
    return {**files, "plan.json": reports + "\n", "stowplan.lock": dumps(lock)}


def plan_of(pipeline: Pipeline, stack: Stack, root: Path) -> BuildPlan:
    world = _World(root, VARIABLES)
    facts = Facts()
    while missing := needs(pipeline, stack, facts):
        facts = facts.also({need: _answer(need, world) for need in missing})
    return make_plan(pipeline, stack, facts)


class _World(WorkingTree):
    """The files of a project, on a machine that is the same everywhere."""

    def python_version(self) -> str:
        return "3.11"

    def host_platform(self) -> str:
        return "linux/amd64"


def _answer(need: Need[Any], world: _World) -> Any:
    match need:
        case ImageDigest():
            return _pin(need)
        case PythonOf():
            return ImagePython(need.version or "3.11.2", "x86_64-manylinux_2_36")
        case Resolve():
            return resolved(need)
        case _:
            return answer(need, world)


def _pin(need: ImageDigest) -> Pin:
    return Pin(Digest(hashlib.sha256(str(need.ref).encode()).hexdigest()), "manifest", "linux/amd64")


def report_of(plan: BuildPlan) -> Report:
    """As on a machine that has built nothing, in a project without a lock."""
    decisions = decide(plan, dict.fromkeys((image.name for image in plan.images), Presence()))
    return Report(plan, decisions, lock=LockState.MISSING)


def listing(image: ImagePlan) -> str:
    """The build context: what is generated with its text, what is copied with its kind."""
    lines = []
    for path, content in context_files(image.spec).items():
        lines += [f"{path}:", *(f"    {line}" for line in content.decode().splitlines())]
    lines += [
        f"{entry.kind.value} {entry.path}" + (f" -> {entry.target}" if entry.kind.value == "l" else "")
        for tree in image.checkout.trees.values()
        for entry in tree.entries()
    ]
    return "".join(f"{line}\n" for line in lines)
