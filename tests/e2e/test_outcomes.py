"""What can no longer be recorded while images are built is said with each of them, and no outcome is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from executor.apply.outcome import Event, EventKind, Outcome, Result, exit_code
from executor.apply.scheduler import apply
from executor.config.project import load_project
from executor.errors import ExecutorError
from executor.observe.facts import observe
from executor.records.store import Records
from executor.state import read_lock
from planner import make_plan
from tests.e2e.command import Project
from tests.e2e.images import Tags
from tests.e2e.two_images import write

ON_EVENT = Callable[[Event], None]


@pytest.fixture
def two(project: Project, registry: str, parent: str) -> None:
    """A project of two images that are pushed."""
    write(project, parent, registry)


def applied(project: Project, tags: Tags, on_event: ON_EVENT) -> tuple[Outcome, ...]:
    """Apply the project on the stack that pushes, one image after the other."""
    loaded = load_project(project.root)
    pipeline, stack = loaded.pipeline(None), loaded.stack("prod")
    facts = observe(pipeline, stack, root=project.root, engine=tags.engine)
    plan = make_plan(pipeline, stack, facts)
    for image in plan.images:
        tags.made(image.reference)
    return apply(plan, facts, root=project.root, engine=tags.engine, jobs=1, on_event=on_event)


def link_records(state: Path) -> None:
    (state / "records.sqlite3").rename(state / "away")
    (state / "records.sqlite3").symlink_to("away")


def forbid_all(state: Path) -> None:
    link_records(state)
    (state / "writer").unlink()
    (state / "writer").mkdir()


def lose_state(state: Path) -> None:
    state.rename(state.parent / "away")
    state.touch()


# What happens to the state while the second image is built, what comes of it, and how many problems it has.
# Without a directory for temporary files nothing is built any more.
BETWEEN: Final = {
    "records": (link_records, Result.BUILT, 1),
    "records and lock": (forbid_all, Result.BUILT, 2),
    "all": (lose_state, Result.FAILED, 1),
}


@pytest.fixture
def state(project: Project, tags: Tags) -> Iterator[Path]:  # noqa: ARG001  # is done with before `tags`
    """The state of a project, which is gone afterwards: `tags` lists the builds."""
    path = project.root / ".stowplan"
    yield path
    for each in (path, project.root / "away"):
        shutil.rmtree(each, ignore_errors=True)
        each.unlink(missing_ok=True)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("kind", BETWEEN)
def test_every_outcome_is_reported_when_recording_stops_half_way(
    state: Path, project: Project, tags: Tags, kind: str
) -> None:
    happen, result, count = BETWEEN[kind]

    def on_event(event: Event) -> None:
        if event.kind is EventKind.BUILDING and event.image == "p/b":
            happen(state)

    first, second = applied(project, tags, on_event)
    assert [first.result, second.result] == [Result.BUILT, result]
    assert first.error is None
    assert second.error is not None
    assert len(second.error.problems) == count, second.error
    assert exit_code([first, second]) == 1
    assert (second.digest is not None) == (result is Result.BUILT)
    assert (tags.engine.inspect(second.reference) is not None) == (result is Result.BUILT)
    lock = read_lock(project.root)
    assert lock is not None
    assert len(lock.pushed) == (2 if kind == "records" else 1)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("name", ["writer", "records.sqlite3", "tmp"])
def test_nothing_is_built_that_cannot_be_recorded(
    state: Path, project: Project, tags: Tags, name: str
) -> None:
    state.mkdir()
    (state / name).symlink_to("nowhere")
    events: list[Event] = []
    with pytest.raises(ExecutorError, match=name):
        applied(project, tags, events.append)
    assert events == []
    assert name == "records.sqlite3" or Records(project.root).all() == ()


@pytest.mark.usefixtures("two")
def test_what_nobody_expected_is_the_outcome_of_one_image(project: Project, tags: Tags) -> None:
    def on_event(event: Event) -> None:
        if event.kind is EventKind.BUILDING and event.image == "p":
            raise TypeError("hunter22")

    first, second = applied(project, tags, on_event)
    assert [first.result, second.result] == [Result.FAILED, Result.BUILT]
    assert "TypeError in" in str(first.error)
    assert "hunter22" not in str(first.error)
    assert exit_code([first, second]) == 70
    assert second.error is None


@pytest.mark.parametrize("tags", ["podman"], indirect=True)
def test_a_context_that_cannot_be_written_is_said_with_its_image(
    project: Project, parent: str, tmp_path: Path
) -> None:
    """In the place that TMPDIR names, paths of the project's files become too long for the system."""
    write(
        project,
        parent,
        settings="[pipeline.p.step.a.settings.docker]\nallow_including_files_in_images = true",
    )
    deep, place = project.root, tmp_path
    while len(str(deep)) < 3000:
        deep /= "d" * 200
    while len(str(place)) < 1500:
        place /= "t" * 200
    for directory in (deep, place):
        directory.mkdir(parents=True)
    (deep / "file").touch()
    ran = project.run("apply", "--stack", "local", env={"TMPDIR": str(place)})
    assert ran.code == 1
    assert "the build context cannot be written: File name too long" in ran.err
    assert "set TMPDIR to another directory" in ran.err
    assert "Built 1, pushed 0, reused 0, failed 1." in ran.out
    assert list(place.iterdir()) == []
    assert "Built 1, pushed 0, reused 1, failed 0." in project.ok("apply", "--stack", "local").out
    assert list((project.root / ".stowplan/tmp").iterdir()) == []
