"""Pruning: what nothing refers to, by one pure function; and the locks of all branches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from executor.apply.outcome import Result
from executor.errors import ExecutorError
from executor.observe.branches import locks_of
from executor.records.runs import RunRecord, Runs
from executor.records.store import Record, Records
from executor.run.outcome import RunStatus
from executor.workflow.pruning import Named, Prunable, named_by, prunable
from planner import Lock, dumps
from planner.build import Build
from planner.lock.lock import Pushed
from tests.builders import digest, ref
from tests.git_situations import git
from tests.unit.test_builds import made, planned

OLD: Final = "2024-01-01T00:00:00+00:00"
BEFORE: Final = "2024-03-01T00:00:00+00:00"
NEW: Final = "2024-05-01T00:00:00+00:00"


def record(number: int, of: str, finished: str = OLD, **changes: Any) -> Record:
    """A record of an image of this hash."""
    usual = Record(
        number, finished, 1.0, "training", "default", "training", str(digest(of)), Result.BUILT, "docker",
        f"localhost/stowplan:{digest(of).hex}",
    )  # fmt: skip
    return evolve(usual, **changes)


def chosen(
    records: list[Record],
    builds: list[Build] | None = None,
    *,
    specs: dict[int, str] | None = None,
    named: Named | None = None,
    runs: frozenset[str] = frozenset(),
) -> Prunable:
    newest_first = sorted(records, key=lambda each: -each.id)
    return prunable(
        newest_first,
        builds or [],
        specs=specs or {},
        named=named or Named(),
        used_by_runs=runs,
        before=BEFORE,
    )


def numbers(found: Prunable) -> list[int]:
    return sorted(each.id for each in found.records)


def test_the_newest_of_each_image_stays_and_older_ones_go() -> None:
    found = chosen([
        record(1, "a"), record(2, "b"), record(3, "c"),
        record(4, "d", stack="prod"), record(5, "e", stack="prod"),
        record(6, "f", image="training/train"),
    ])  # fmt: skip
    assert numbers(found) == [1, 2, 4]
    assert found.kept == {"newest": 3}
    assert [reference for _, reference, _ in found.images] == [
        each.reference for each in (record(4, "d"), record(2, "b"), record(1, "a"))
    ]


def test_what_is_recent_stays() -> None:
    found = chosen([record(1, "a", NEW), record(2, "b", NEW), record(3, "c", NEW)])
    assert numbers(found) == []
    assert found.kept == {"recent": 3}


def test_what_failed_goes_when_it_is_old_and_stands_for_no_image() -> None:
    found = chosen(
        [record(1, "a"), record(2, "b", status=Result.FAILED), record(3, "c", NEW, status=Result.FAILED)]
    )
    assert numbers(found) == [2]
    assert found.images == ()


def test_an_image_that_is_in_no_engine_is_not_looked_for() -> None:
    found = chosen([record(1, "a", engine="", status=Result.REUSED), record(2, "b")])
    assert numbers(found) == [1]
    assert found.images == ()


def test_what_a_ledger_names_stays() -> None:
    named = Named(images=frozenset({str(digest("a"))}))
    found = chosen([record(1, "a"), record(2, "b"), record(3, "c")], named=named)
    assert numbers(found) == [2]
    assert found.kept == {"lock": 1, "newest": 1}


def test_of_a_spec_in_a_lock_the_newest_image_stays() -> None:
    """Older ones have older code."""
    spec, other = str(digest("spec")), str(digest("other"))
    specs = {1: spec, 2: spec, 3: other, 4: other}
    found = chosen(
        [record(1, "a"), record(2, "b"), record(3, "c"), record(4, "d")],
        specs=specs,
        named=Named(specs=frozenset({spec})),
    )
    assert numbers(found) == [1, 3]
    assert found.kept == {"lock": 1, "newest": 1}


def builds() -> tuple[Build, Build]:
    """Two builds of one pipeline on one stack, the older one first."""
    return made(created=OLD), made(planned({"parent_image": "python:3.11-slim"}), created=NEW)


def of_images(build: Build, first: int) -> list[Record]:
    return [
        record(first + index, "", hash=str(image.hash), reference=image.reference, image=image.name)
        for index, image in enumerate(build.images)
    ]


def test_the_last_build_stays_with_its_images() -> None:
    older, newer = (evolve(each, used=OLD) for each in builds())
    newer = evolve(newer, used="2024-01-02T00:00:00+00:00")
    records = [*of_images(newer, 1), *of_images(older, 3)]
    found = chosen(records, [newer, older])
    assert [build.id for build in found.builds] == [older.id]
    # Those of the older build are the newest records.
    assert found.kept == {"newest": 3, "build": 2}
    assert numbers(found) == []


def test_of_builds_of_one_second_the_last_one_stays() -> None:
    older, newer = builds()
    newer = evolve(newer, used=OLD)
    assert chosen([], [newer, older]).builds == (older,)


def test_a_build_that_a_run_names_stays_with_its_images() -> None:
    older, newer = builds()
    records = [*of_images(older, 1), *of_images(newer, 3)]
    assert numbers(chosen(records, [newer, older])) == [1, 2]
    assert chosen(records, [newer, older]).builds == (older,)
    found = chosen(records, [newer, older], runs=frozenset({older.id}))
    assert (numbers(found), found.builds) == ([], ())
    assert found.kept["run"] == 1


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([OLD, NEW]), st.booleans()), max_size=12),
    st.data(),
)
def test_never_is_pruned_what_a_lock_or_a_build_that_stays_names(
    rows: list[tuple[str, str, bool]], data: st.DataObject
) -> None:
    records = [
        record(number, of, finished, status=Result.BUILT if good else Result.FAILED)
        for number, (of, finished, good) in enumerate(rows, 1)
    ]
    images = data.draw(st.frozensets(st.sampled_from([str(digest(each)) for each in "abcd"])))
    found = chosen(records, named=Named(images=images))
    gone = set(numbers(found))
    for each in records:
        if each.id in gone:
            assert each.finished == OLD
            assert each.hash not in images or each.status is Result.FAILED
    assert {of for _, _, of in found.images}.isdisjoint(images)
    assert len(found.records) + sum(found.kept.values()) == len(records)


def test_what_locks_name() -> None:
    plan = planned()
    entry = Pushed(digest("x"), ref(f"localhost:5000/p@{digest('y')}"), "p", "prod")
    named = named_by([Lock((plan.spec,)), Lock(pushed=(entry,))])
    assert named.images == {str(digest("x"))}
    assert named.specs == {str(image.spec.hash) for image in plan.images}


def test_the_specs_of_records_are_known_by_their_numbers(tmp_path: Path) -> None:
    records, plan = Records(tmp_path), planned()
    ids = {
        records.add(record(0, "", hash=str(image.hash), image=image.name), image): str(image.spec.hash)
        for image in plan.images
    }
    assert records.spec_hashes() == ids
    records.forget(list(ids)[:1], ["g000000000"])
    assert list(records.spec_hashes()) == list(ids)[1:]


def test_runs_name_builds(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.builds_of_runs() == frozenset()
    for number, name in enumerate(("g000000001", None, "g000000001")):
        Runs(tmp_path).begin(
            RunRecord(f"r{number}", "p", "default", RunStatus.FAILED, OLD, 1.0, "docker", build=name)
        )
    assert records.builds_of_runs() == {"g000000001"}


# Branches


def lock_of(name: str) -> str:
    return dumps(Lock((planned(name=name).spec,)))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose project is in a directory of it, with a lock on three branches, one of them remote."""
    top = tmp_path / "top"
    project = top / "with space"
    project.mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    for name in ("main", "--upload-pack=x", "other"):
        if name != "main":
            git(top, "symbolic-ref", "HEAD", f"refs/heads/{name}")
        (project / "stowplan.lock").write_text(lock_of(name.strip("-").partition("=")[0]))
        git(top, "add", ".")
        git(top, "commit", "-qm", name)
    git(top, "update-ref", "refs/remotes/origin/gone", "refs/heads/other")
    git(top, "update-ref", "refs/remotes/origin/same", "refs/heads/main")
    (project / "stowplan.lock").write_text(lock_of("working"))
    return project


def test_locks_of_all_branches_are_read(checkout: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in checkout.parent.rglob("*")}
    found = locks_of(checkout)
    assert next(iter(found)) == "stowplan.lock"
    assert sorted(plan.pipeline for lock in found.values() for plan in lock.plans) == [
        "main", "other", "upload-pack", "working",
    ]  # fmt: skip
    assert {path: path.stat().st_mtime_ns for path in checkout.parent.rglob("*")} == before


def test_a_branch_without_a_lock_names_nothing(checkout: Path) -> None:
    git(checkout.parent, "rm", "-rqf", ".")
    git(checkout.parent, "commit", "-qm", "nothing")
    checkout.mkdir()
    # That of the branch is still on the remote-tracking one.
    assert sorted(plan.pipeline for lock in locks_of(checkout).values() for plan in lock.plans) == [
        "main", "other", "upload-pack",
    ]  # fmt: skip
    git(checkout.parent, "update-ref", "-d", "refs/remotes/origin/gone")
    assert sorted(plan.pipeline for lock in locks_of(checkout).values() for plan in lock.plans) == [
        "main", "upload-pack",
    ]  # fmt: skip


def test_a_lock_that_cannot_be_read_keeps_everything(checkout: Path) -> None:
    (checkout / "stowplan.lock").write_text("<<<<<<< ours\n")
    git(checkout.parent, "commit", "-qam", "conflict")
    with pytest.raises(ExecutorError) as caught:
        locks_of(checkout)
    said = str(caught.value)
    assert "refs/heads/other" in said
    assert "delete the branch" in said


def outside(path: Path) -> Path:
    path.mkdir()
    return path


def unborn(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "-q")
    return path


@pytest.mark.parametrize("make", [outside, unborn])
def test_without_branches_there_is_the_lock_of_the_directory(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    root = make(tmp_path / "project")
    assert locks_of(root) == {}
    (root / "stowplan.lock").write_text(lock_of("p"))
    assert list(locks_of(root)) == ["stowplan.lock"]


def test_a_checkout_that_git_cannot_read_keeps_everything(tmp_path: Path) -> None:
    root = outside(tmp_path / "project")
    (root / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(ExecutorError, match="branches of the checkout"):
        locks_of(root)
