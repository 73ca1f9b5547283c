"""A plan in a file is the plan again, and differs from another exactly where that differs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from executor.config.project import load_project
from executor.errors import ExecutorError
from executor.workflow.plans import Planned
from executor.workflow.saved_plans import SavedPlan, read_saved_plan, refuse_moved, write_plan
from planner import BuildPlan, Digest, Facts
from planner.image.instructions import MakeDirectory
from planner.lock.lock import PipelineSource
from tests.builders import WORLD, plan_of
from tests.unit.test_fixtures import FIXTURES, PROJECTS, VARIABLES
from tests.unit.test_fixtures import plan_of as plan_of_fixture


def saved(plan: BuildPlan, place: Path, source: PipelineSource | None = None) -> SavedPlan:
    """A plan, written and read again."""
    (place / "project").mkdir(exist_ok=True)
    (place / "project/stowplan.toml").write_text('[pipeline.p]\nsteps = ["a"]\n')
    project = load_project(place / "project")
    path = place / "plan.json"
    write_plan(
        project,
        Planned(plan, Facts(), None, source or PipelineSource()),
        path,
        frozen=False,
        prevent_reuse=False,
        config=None,
    )
    return read_saved_plan(path)


@pytest.mark.parametrize("name", PROJECTS)
def test_a_plan_is_what_it_was(name: str, tmp_path: Path) -> None:
    # Observing leaves a cache beside the project.
    root = shutil.copytree(FIXTURES / "projects" / name, tmp_path / name, symlinks=True)
    project = load_project(root)
    for pipeline in project.pipelines.values():
        for stack in project.stacks.values():
            plan = plan_of_fixture(pipeline, stack, root)
            known = saved(plan, tmp_path, PipelineSource("a.b:c", "run.yaml"))
            assert known.plan.hash == plan.hash
            assert [image.hash for image in known.plan.images] == [image.hash for image in plan.images]
            assert known.source == PipelineSource("a.b:c", "run.yaml")
            refuse_moved(known, Planned(plan, Facts(), None))
            text = (tmp_path / "plan.json").read_text()
            assert not any(value in text for value in VARIABLES.values())


PLAN = plan_of(
    {"environment": {"A": "${TOKEN}"}, "user": "1000"},
    {"a": {}, "b": {"apt_packages": ["git"]}},
    world=evolve(WORLD, variables={"TOKEN": "1"}),
)
ZERO = Digest("0" * 64)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bootstrap": ZERO}, "bootstrap"),
        ({"variables": {"TOKEN": ZERO}}, "environment: A changed (hidden)"),
        ({"platform": "linux/arm64"}, "platform"),
        ({"directory": MakeDirectory("/code")}, "code"),
        ({"parent_id": ZERO}, "was rebuilt"),
    ],
)
def test_what_only_a_checkout_says_is_compared(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    known = saved(PLAN, tmp_path)
    image = evolve(PLAN.images[0], checkout=evolve(PLAN.images[0].checkout, **changed))
    planned = Planned(evolve(PLAN, images=(image, *PLAN.images[1:])), Facts(), None)
    with pytest.raises(ExecutorError) as refused:
        refuse_moved(known, planned)
    assert any(words in problem.found for problem in refused.value.problems), refused.value


def test_what_changes_no_image_is_part_of_the_plan(tmp_path: Path) -> None:
    known = saved(PLAN, tmp_path)
    image = PLAN.images[0]
    destination = evolve(image.destination, image_tag="v2", push=True)
    moved = evolve(PLAN, images=(evolve(image, destination=destination), *PLAN.images[1:]))
    with pytest.raises(ExecutorError) as refused:
        refuse_moved(known, Planned(moved, Facts(), None))
    assert [problem.found for problem in refused.value.problems] == [
        f"moved since it was planned: {image.name}: push: False → True",
        f"moved since it was planned: {image.name}: image_tag: None → v2",
    ]
