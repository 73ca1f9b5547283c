"""Each state of a checkout, made by real git: how its code is delivered, and what is said of it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from executor.config.project import load_project
from executor.workflow.plans import plan
from planner import BuildPlan, PlannerError
from planner.image.delivery import Delivery, Way
from tests.git_situations import BASE_ENVIRONMENT, SITUATIONS, Situation

DOCS: Final = Path(__file__).parents[2] / "docs/reference.md"
NOT_INCLUDED: Final = {"docker": {"allow_including_files_in_images": False}}


@pytest.fixture
def made(situation: Situation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a project in this situation, on a machine that says nothing of git."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    place = tmp_path / "place"
    place.mkdir()
    root = situation.make(place)
    for name, value in {**BASE_ENVIRONMENT, **situation.environ}.items():
        monkeypatch.setenv(name, value)
    return root


def snapshot(root: Path) -> Mapping[str, object]:
    """All that is around a project but what stowplan keeps for itself: contents, modes and times.

    A lock that was taken and let go shows in the time of its directory.
    """
    found: dict[str, object] = {}
    for directory, names, files in os.walk(root.parent):
        names[:] = [name for name in names if name != ".stowplan"]
        for name in (*names, *files):
            path = Path(directory) / name
            of = path.lstat()
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                content = ""
            # The project's root, which .stowplan is in, has another time.
            times = of.st_mtime_ns if path.is_file() or (".git" in path.parts and path != root) else 0
            found[str(path)] = (content, of.st_mode, times)
    return found


def planned(root: Path, settings: Mapping[str, object] | None = None) -> BuildPlan:
    project = load_project(root)
    pipeline = project.pipeline(None)
    if settings is not None:
        step = evolve(pipeline.steps[0], settings=settings)
        pipeline = evolve(pipeline, steps=(step,))
    return plan(project, pipeline, project.stack(None), offline=True).plan


def shown(text: str) -> str:
    """Words without the digits of commits, and without where the test has its files."""
    return re.sub(r"\b[0-9a-f]{12}\b", "…", text)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=lambda each: each.name)
def test_a_situation(situation: Situation, made: Path) -> None:
    before = snapshot(made)
    (image,) = planned(made).images
    assert snapshot(made) == before
    delivery = image.delivery
    assert delivery is not None
    reason = shown(delivery.reason.partition("; the stack")[0])
    assert (delivery.kind, reason) == (situation.way, situation.says)
    assert ("files" in image.checkout.trees) is (situation.way is Way.IMAGE)
    if situation.way is Way.REPOSITORY:
        check_what_is_downloaded(delivery, made)
    else:
        check_what_is_said_to_do(situation, made)
    assert snapshot(made) == before


def check_what_is_downloaded(delivery: Delivery, root: Path) -> None:
    found = delivery.repository
    assert found is not None
    assert found.url == "https://git.example.com/team/code"
    assert re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", found.commit)
    assert re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", found.tree)
    assert os.path.realpath(root).endswith(found.subdirectory)
    assert planned(root).commit == found.commit


def check_what_is_said_to_do(situation: Situation, root: Path) -> None:
    with pytest.raises(PlannerError) as caught:
        planned(root, NOT_INCLUDED)
    (problem,) = caught.value.problems
    assert problem.where.path[-1] == "allow_download_from_code_repository"
    fix, _, other = shown(problem.fix).rpartition(", or allow another way")
    assert re.sub(r"/\S+$", "PATH", fix) == situation.fix
    assert other == ", as allow_including_files_in_images does"


def test_there_are_thirty_and_more() -> None:
    assert len(SITUATIONS) >= 30
    assert {situation.way for situation in SITUATIONS.values()} == {Way.REPOSITORY, Way.IMAGE}


def test_the_docs_have_each_of_them(update_golden: bool) -> None:
    begin = "| the checkout | downloaded | `plan` says | what to do |\n| --- | --- | --- | --- |\n"
    before, found, rest = DOCS.read_text().partition(begin)
    assert found
    rows = "\n".join(situation.row for situation in SITUATIONS.values())
    table, end, after = rest.partition("\n\n")
    if update_golden:
        DOCS.write_text(before + begin + rows + end + after)
    else:
        assert table == rows
