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
from typing import assert_never

import pytest

from executor.config.project import load_project
from executor.observe.cache import Cache
from executor.observe.files import read_text
from executor.observe.trees import read_tree
from planner import (
    BuildPlan,
    Digest,
    Fact,
    Facts,
    FileText,
    FileTree,
    HostPlatform,
    ImageDigest,
    ImagePlan,
    Lock,
    Need,
    Pin,
    Pipeline,
    PythonVersion,
    Secret,
    Stack,
    Use,
    Variable,
    context_files,
    dockerfile,
    dumps,
    make_plan,
    needs,
)
from planner.compare.explain import Action, Report, report_data

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
    assert sorted(path.name for path in (FIXTURES / "expected").iterdir()) == PROJECTS


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
    lock = Lock()
    files: dict[str, str] = {}
    for plan in plans:
        lock = lock.with_plan(plan)
        for image in plan.images:
            if image.use is Use.BUILD:
                base = image.name.replace("/", "--")
                of_image = {f"{base}.Dockerfile": dockerfile(image), f"{base}.files": listing(image)}
                for file, text in of_image.items():
                    # Where an image goes says nothing about what it is.
                    assert files.setdefault(file, text) == text
    reports = json.dumps([report_data(report_of(plan)) for plan in plans], indent=2, ensure_ascii=False)
    return {**files, "plan.json": reports + "\n", "stowplan.lock": dumps(lock)}


def plan_of(pipeline: Pipeline, stack: Stack, root: Path) -> BuildPlan:
    facts = Facts()
    while missing := needs(pipeline, stack, facts):
        facts = facts.also({need: answer(need, root) for need in missing})
    return make_plan(pipeline, stack, facts)


def report_of(plan: BuildPlan) -> Report:
    """As on a machine that has built nothing, in a project without a lock."""
    actions = {image.name: Action.BUILD if image.use is Use.BUILD else Action.PARENT for image in plan.images}
    return Report(plan, actions, lock="missing", notes=plan.notes)


def answer(need: Need, root: Path) -> Fact:
    match need:
        case FileText():
            return read_text(root, need.path)
        case FileTree():
            with Cache(root) as cache:
                return read_tree(root, need, cache)
        case ImageDigest():
            return Pin(Digest(hashlib.sha256(str(need.ref).encode()).hexdigest()), "registry")
        case PythonVersion():
            return "3.11"
        case HostPlatform():
            return "linux/amd64"
        case Variable():
            return Secret(VARIABLES[need.name])
        case _:
            assert_never(need)


def listing(image: ImagePlan) -> str:
    """The build context: what is generated with its text, what is copied with its kind."""
    lines = []
    for path, content in context_files(image).items():
        lines += [f"{path}:", *(f"    {line}" for line in content.decode().splitlines())]
    entries = image.tree.entries() if image.tree else ()
    lines += [
        f"{entry.kind.value} {entry.path}" + (f" -> {entry.target}" if entry.kind.value == "l" else "")
        for entry in entries
    ]
    return "".join(f"{line}\n" for line in lines)
