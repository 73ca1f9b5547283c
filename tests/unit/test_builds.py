"""Builds as values and records: their ids, what is noted, found, listed and exported of them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from executor.apply.outcome import Outcome, Result
from executor.cli.times import ago, since
from executor.errors import ExecutorError
from executor.records.builds import BuildQuery, NamePattern
from executor.records.database import Database, show_warning
from executor.records.documents import UnreadableBuild, build_data, build_of, specs_data
from executor.records.store import Records
from executor.workflow.build_files import named_build, read_build, write_build
from executor.workflow.builds import build_from
from executor.workflow.removal import delete_build_images
from planner import BuildPlan, Digest, Stack
from planner.build import BUILD_ID, Build, build_id
from planner.compare.actions import Action
from tests.builders import World, digest, file, plan_of

CODE: Final = {"parent_image": "python:3.11-slim", "environment": {"A": "1"}}
NO_CODE: Final = {**CODE, "allow_including_files_in_images": False}
REGISTRY: Final = Stack(name="prod", container_registry={"uri": "localhost:5000"})


def planned(
    settings: Mapping[str, Any] = CODE,
    *,
    name: str = "training",
    stack: Stack | None = None,
    world: World | None = None,
) -> BuildPlan:
    """A plan of two images, of which the second has a variable more."""
    steps = {"load": {}, "train": {"environment": {"B": "1"}}}
    return plan_of(settings, steps, stack=stack or Stack(), world=world or World(), name=name)


def outcomes(plan: BuildPlan, engine: str = "docker", result: Result = Result.BUILT) -> tuple[Outcome, ...]:
    """All images of a plan, as they are where they belong."""
    return tuple(
        Outcome(
            image.name,
            image.hash,
            Action.BUILD,
            result,
            image.reference,
            digest=digest(image.hash.hex) if image.destination.push else None,
            engine=engine,
            seconds=1.5,
        )
        for image in plan.images
    )


def made(
    plan: BuildPlan | None = None, *, engine: str = "docker", created: str = "2024-05-01T00:00:00+00:00"
) -> Build:
    """A build of a plan, made at some time."""
    plan = plan or planned()
    return evolve(build_from(plan, outcomes(plan, engine), seconds=3.5), created=created, used=created)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path, wait_seconds=0.0)


# The id


def test_the_same_images_are_the_same_build() -> None:
    """In every clone, whatever had to be done there, and whenever."""
    plan = planned(stack=REGISTRY)
    first = build_from(plan, outcomes(plan), seconds=3.5)
    second = build_from(plan, outcomes(plan, engine="", result=Result.REUSED), seconds=0.1)
    assert first.id == second.id
    assert BUILD_ID.fullmatch(first.id)


def test_another_place_is_another_build() -> None:
    local, pushed = planned(), planned(stack=REGISTRY)
    ids = {
        made(local, engine="docker").id,
        made(local, engine="podman").id,
        made(pushed, engine="docker").id,
        made(planned({**CODE, "environment": {"A": "2"}})).id,
        made(planned(name="other")).id,
        build_from(
            pushed,
            [evolve(each, digest=digest(each.name)) for each in outcomes(pushed)],
            seconds=1,
        ).id,
    }
    assert len(ids) == 6


@given(st.text(max_size=20), st.text(max_size=20))
def test_an_id_is_no_number_no_hash_and_no_file(pipeline: str, stack: str) -> None:
    name = build_id(pipeline, stack, digest(pipeline), "", ())
    assert BUILD_ID.fullmatch(name)
    assert name[0] not in "0123456789abcdef"


def test_code_is_told() -> None:
    with_code, without = made(planned(CODE)), made(planned(NO_CODE))
    assert with_code.contains_code
    assert not without.contains_code
    edited = made(planned(CODE, world=World(entries=(file("train.py", "print(2)"),))))
    codes = {image.code for build in (with_code, edited) for image in build.images}
    assert len(codes) == 2
    assert None not in codes


def test_an_image_that_nothing_runs_in_is_none_of_a_build() -> None:
    plan = planned()
    parent, *others = plan.images
    without = evolve(plan, images=(evolve(parent, steps=(), uses=()), *others))
    build = build_from(without, outcomes(without), seconds=1)
    assert [image.name for image in build.images] == [image.name for image in others]


def test_a_build_on_an_image_of_a_dockerfile_is_noted_and_comes_back(records: Records) -> None:
    """The image of the Dockerfile is none of the build, but its specs name it."""
    world = World(texts={"Dockerfile": "FROM python:3.11-slim\nRUN true\n"})
    build = made(planned({"dockerfile": "Dockerfile", "environment": {"A": "1"}}, world=world))
    assert build.specs is not None
    assert {image.name for image in build.specs.images} - {image.name for image in build.images} == {
        "training/dockerfile"
    }
    records.note_build(build)
    (back,) = records.find_builds(build.id)
    assert (back, back.specs) == (build, build.specs)


# Data and files


@pytest.mark.parametrize("stack", [Stack(), REGISTRY], ids=["here", "pushed"])
@pytest.mark.parametrize("settings", [CODE, NO_CODE, {**CODE, "requirements": ["six==1.16.0"]}])
def test_a_build_comes_back_from_its_data(settings: Mapping[str, Any], stack: Stack) -> None:
    build = made(planned(settings, stack=stack))
    assert build.specs is not None
    text = json.dumps([build_data(build), specs_data(build.specs)])
    back = build_of(*json.loads(text))
    assert back == build
    assert back.specs == build.specs
    assert build_of(json.loads(text)[0]).specs is None


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_a_build_comes_back_from_a_file(tmp_path: Path, suffix: str) -> None:
    build = made(planned({**CODE, "environment": {"A": "no", "B": "1e3", "C": "\u65e5\u672c\t\x7f"}}))
    path = tmp_path / f"build{suffix}"
    write_build(build, path)
    back = read_build(path)
    assert (back, back.specs) == (build, build.specs)


def edited(change: Callable[[Any], None]) -> Callable[[Any], Any]:
    """A change of the data of a build in place."""

    def apply(data: Any) -> Any:
        change(data)
        return data

    return apply


WRONG: Final[dict[str, Callable[[Any], Any]]] = {
    "another id": edited(lambda data: data.update(id="g000000000")),
    "another reference": edited(lambda data: data["images"][0].update(reference="evil.example/x:1")),
    "another digest": edited(lambda data: data["images"][0].update(digest=f"sha256:{'0' * 64}")),
    "no reference": edited(lambda data: data["images"][0].update(reference="--help")),
    "another spec": edited(lambda data: data["images"][0].update(spec_hash=f"sha256:{'0' * 64}")),
    "other specs": edited(lambda data: data["specs"].pop()),
    "a spec too many": edited(
        lambda data: data["specs"].append({**data["specs"][0], "name": "training/more"})
    ),
    "no specs": edited(lambda data: data.pop("specs")),
    "specs of another kind": edited(lambda data: data["specs"][0].update(kind="other")),
    "another pipeline": edited(lambda data: data.update(pipeline="other")),
    "another schema": edited(lambda data: data.update(schema="stowplan/build/99")),
    "a number for a text": edited(lambda data: data.update(created=1)),
    "missing": edited(lambda data: data.pop("plan")),
    "a list": lambda data: [data],
    "nothing": lambda _: None,
}


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_was_edited_is_refused(tmp_path: Path, wrong: str, suffix: str) -> None:
    path = tmp_path / f"build{suffix}"
    write_build(made(planned(stack=REGISTRY)), path)
    data = WRONG[wrong](yaml.safe_load(path.read_text()))
    path.write_text(json.dumps(data))
    with pytest.raises(ExecutorError) as caught:
        read_build(path)
    (problem,) = caught.value.problems
    assert problem.code == "build-unreadable"
    assert "builds export" in problem.fix


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.yaml", "&a [*a]"),
        ("b.yaml", "a: &x [1]\nb: [*x, *x]"),
        ("b.yaml", "!!python/object/apply:os.system ['false']"),
        ("b.yaml", "a: [\n"),
        ("b.yaml", "[" * 5000),
        ("b.json", "[" * 200000),
        ("b.json", '{"a": '),
        ("b.json", "\ud800".encode(errors="surrogatepass").decode("latin-1")),
    ],
)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ExecutorError) as caught:
        read_build(tmp_path / name)
    assert caught.value.problems[0].code == "build-unreadable"


def test_a_file_that_is_not_there_or_no_file_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ExecutorError):
            read_build(path)
    with pytest.raises(ExecutorError, match="cannot be written"):
        write_build(made(), tmp_path / "no" / "directory.json")


# Records


def test_a_build_is_found_by_its_id_and_the_start_of_it(records: Records) -> None:
    build = made()
    assert records.note_build(build) == build
    for name in (build.id, build.id[:4]):
        (found,) = records.find_builds(name)
        assert found == build
        assert found.specs == build.specs
    assert named_build(records, build.id[:5]) == build
    for name in (build.id[:3], "", "%", "____", build.id.upper(), build.id + "0", "zzzzzzzzzz", "1234"):
        assert records.find_builds(name) == ()
        with pytest.raises(ExecutorError, match="there is no build"):
            named_build(records, name)


def test_a_build_that_is_made_again_stays_and_was_used(records: Records) -> None:
    first = made(created="2024-05-01T00:00:00+00:00")
    later = made(created="2024-06-01T00:00:00+00:00")
    records.note_build(first)
    assert records.note_build(later) == evolve(first, used=later.used)
    assert records.builds().builds == (evolve(first, used=later.used),)
    # Its images were built anew.
    assert records.note_build(later, again=True) == later
    assert records.builds().builds == (later,)


def test_deleting_a_build_forgets_it_alone(records: Records) -> None:
    first, second = made(), made(planned(name="other"))
    records.note_build(first)
    records.note_build(second)
    assert records.delete_build(first.id)
    assert not records.delete_build(first.id)
    assert records.builds().builds == (second,)


def test_an_image_stays_that_a_build_of_the_engine_has_whose_images_go(records: Records) -> None:
    """`--engine` names another one than that of the build that is deleted."""
    deleted, other = made(engine="docker"), made(engine="podman")
    for build in (deleted, other):
        records.note_build(build)

    def engines(name: str) -> Callable[[], Any]:
        raise AssertionError(f"{name} is asked to remove an image")

    words = delete_build_images(records, deleted, "podman", engines)
    assert words == tuple(f"{image.reference} stays, for build {other.id}" for image in deleted.images)


@pytest.fixture
def many(records: Records) -> Records:
    rows: list[tuple[str, Stack, str, Mapping[str, Any]]] = [
        ("training", Stack(), "docker", CODE),
        ("train", REGISTRY, "docker", CODE),
        ("report", REGISTRY, "podman", NO_CODE),
        ("retrain", Stack(name="dev"), "podman", NO_CODE),
    ]
    for day, (name, stack, engine, settings) in enumerate(rows, 1):
        plan = planned(settings, name=name, stack=stack)
        records.note_build(made(plan, engine=engine, created=f"2024-05-0{day}T12:00:00+00:00"))
    return records


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (BuildQuery(), ["retrain", "report", "train", "training"]),
        (BuildQuery(NamePattern.parse("train")), ["train"]),
        (BuildQuery(NamePattern.parse("startswith:train")), ["train", "training"]),
        (BuildQuery(NamePattern.parse("endswith:train")), ["retrain", "train"]),
        (BuildQuery(NamePattern.parse("contains:train")), ["retrain", "train", "training"]),
        (BuildQuery(NamePattern.parse("startswith:")), ["retrain", "report", "train", "training"]),
        (BuildQuery(NamePattern.parse("endswith:")), ["retrain", "report", "train", "training"]),
        (BuildQuery(NamePattern.parse("is:train")), []),
        (BuildQuery(NamePattern.parse("%")), []),
        (BuildQuery(NamePattern.parse("startswith:\udcff")), []),
        (BuildQuery(stack="prod"), ["report", "train"]),
        (BuildQuery(engine="podman"), ["retrain", "report"]),
        (BuildQuery(contains_code=True), ["train", "training"]),
        (BuildQuery(contains_code=False, stack="dev"), ["retrain"]),
        (BuildQuery(since="2024-05-03T12:00:00+00:00"), ["retrain", "report"]),
        (BuildQuery(sort="created"), ["training", "train", "report", "retrain"]),
        (BuildQuery(sort="pipeline"), ["report", "retrain", "train", "training"]),
        (BuildQuery(sort="-pipeline"), ["training", "train", "retrain", "report"]),
        (BuildQuery(sort="stack", contains_code=True), ["training", "train"]),
        (BuildQuery(limit=2), ["retrain", "report"]),
        (BuildQuery(limit=2, skip=2), ["train", "training"]),
        (BuildQuery(limit=2, skip=10**30), []),
        (BuildQuery(limit=10**30), ["retrain", "report", "train", "training"]),
    ],
    ids=str,
)
def test_builds_are_listed_as_asked(many: Records, query: BuildQuery, names: list[str]) -> None:
    found = many.builds(query)
    assert [build.pipeline for build in found.builds] == names
    whole = many.builds(evolve(query, limit=None, skip=0))
    assert found.total == len(whole.builds)


def test_a_build_that_cannot_be_read_hides_no_other(many: Records, recwarn: pytest.WarningsRecorder) -> None:
    with contextlib.closing(sqlite3.connect(many.path)) as database, database:
        database.execute("UPDATE pipeline_builds SET data = '{}' WHERE pipeline = 'report'")
        (name,) = database.execute("SELECT id FROM pipeline_builds WHERE pipeline = 'report'").fetchone()
    assert [build.pipeline for build in many.builds().builds] == ["retrain", "train", "training"]
    assert f"builds delete {name}" in str(recwarn.pop(RuntimeWarning).message)
    with pytest.raises(ExecutorError) as caught:
        many.find_builds(name)
    assert caught.value.problems[0].code == "build-unreadable"
    # It can be made again, and forgotten.
    plan = planned(NO_CODE, name="report", stack=REGISTRY)
    assert many.note_build(made(plan, engine="podman")).pipeline == "report"
    assert many.delete_build(name)


def as_version_2(path: Path) -> None:
    """Make of a database what an earlier stowplan would have written."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if name not in ("builds", "trees", "build_trees", "sqlite_sequence"):
                database.execute(f"DROP TABLE {name}")
        database.execute("PRAGMA user_version = 2")


def test_records_of_version_2_are_read_and_go_on(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    records = Records(tmp_path)
    plan = planned()
    image = plan.images[0]
    record = evolve_record(plan)
    records.add(record, image)
    as_version_2(records.path)
    before = records.path.read_bytes()
    # Reading changes nothing, and misses nothing.
    assert [each.hash for each in records.all()] == [str(image.hash)]
    assert records.recorded(image.hash, image.reference) is not None
    assert records.builds().builds == ()
    assert records.find_builds("g000") == ()
    assert records.path.read_bytes() == before
    build = made(plan)
    records.note_build(build)
    assert records.builds().builds == (build,)
    assert [each.hash for each in records.all()] == [str(image.hash)]
    last = records.last("training", "default", image.name)
    assert last is not None
    assert last.hash == image.hash
    assert list(recwarn) == []


def evolve_record(plan: BuildPlan) -> Any:
    """The record of the first image of a plan."""
    from executor.records.store import Record  # noqa: PLC0415  # only here

    image = plan.images[0]
    return Record(
        0, "2024-05-01T00:00:00+00:00", 1.0, plan.pipeline, plan.stack, image.name, str(image.hash),
        Result.BUILT, "docker", image.reference,
    )  # fmt: skip


def test_a_database_that_lost_a_table_is_moved_aside(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    records = Records(tmp_path)
    records.note_build(made())
    with contextlib.closing(sqlite3.connect(records.path)) as database, database:
        database.execute("DROP TABLE pipeline_builds")
    assert records.builds().builds == ()
    assert "records.sqlite3.broken-1" in str(recwarn.pop(RuntimeWarning).message)


def test_a_build_is_noted_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path, show_warning, 0.0)
    records = Records(tmp_path)
    build = made()

    def stopped(connection: sqlite3.Connection) -> None:
        from executor.records.builds import note  # noqa: PLC0415  # only here

        note(connection, build, again=False)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(stopped)
    assert records.builds().builds == ()


# Times


NOW: Final = datetime(2024, 5, 10, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("7d", "2024-05-03T12:30:15+00:00"),
        ("12h", "2024-05-10T00:30:15+00:00"),
        ("30m", "2024-05-10T12:00:15+00:00"),
        ("2w", "2024-04-26T12:30:15+00:00"),
        ("0d", "2024-05-10T12:30:15+00:00"),
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("2024-05-01T10:00", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T08:00:00+00:00"),
    ],
)
def test_times_are_read(text: str, time: str) -> None:
    assert since(text, NOW) == time


@pytest.mark.parametrize(
    "text",
    ["", "d", "7", "-7d", "7 d", "yesterday", "2024-13-01", "999999w", "0001-01-01T00:00+05:00", "\u0667d"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        since(text, NOW)


def test_what_is_no_age_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an age"):
        ago("2024-05-01")


def test_a_pushed_image_is_named_by_its_digest() -> None:
    """Whoever moves the tag."""
    build = made(planned(stack=REGISTRY))
    for image in build.images:
        assert isinstance(image.digest, Digest)
        assert image.pinned.endswith(f"@{image.digest}")
    assert not build.is_local
    assert made().is_local
    assert [image.pinned for image in made().images] == [image.reference for image in made().images]


def test_data_without_specs_is_no_export() -> None:
    with pytest.raises(UnreadableBuild):
        build_of(build_data(made()), [])
