"""Records: what they say, and that nothing that happens to their database loses them or stops a plan."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve, field, frozen

from executor.apply.outcome import Result
from executor.errors import ExecutorError
from executor.records.builds import NamePattern
from executor.records.images import UnreadableImage, image_of_text, image_text, pack, trees_of, unpack
from executor.records.store import Known, Record, Records
from planner import (
    BuildOptions,
    Checkout,
    Destination,
    Entry,
    ExternalImage,
    ImagePlan,
    ImageSpec,
    Kind,
    Pin,
    Problem,
    Tree,
)
from planner.compare.presence import History, Recorded
from planner.image.instructions import CopyFiles, InstallApt, MakeDirectory, SetEnvironment
from tests.audit import watched
from tests.builders import World, digest, file, image_of, link, plan_of, ref

AWKWARD: Final = 'it\'s "quoted" $HOME \\ # = \t\x7f \u65e5\u672c ${TOKEN}'
GOOD: Final = (Result.BUILT, Result.PUSHED, Result.REUSED)
BAD: Final = (Result.FAILED, Result.INTERRUPTED)


@frozen
class Project:
    """A directory with records, and the warnings that came while they were used."""

    root: Path
    warnings: list[Problem] = field(factory=list)

    @property
    def records(self) -> Records:
        """The records, opened anew, that wait for nobody."""
        return Records(self.root, on_warning=self.warnings.append, wait_seconds=0.0)

    @property
    def state(self) -> Path:
        return self.root / ".stowplan"

    @property
    def path(self) -> Path:
        return self.state / "records.sqlite3"

    def add(self, image: ImagePlan, status: Result = Result.BUILT, /, **changes: Any) -> int:
        """Record a build of the image."""
        usual = {
            "id": 0,
            "finished": "2024-05-06T07:08:09+00:00",
            "seconds": 1.5,
            "pipeline": "training",
            "stack": "prod",
            "image": image.name,
            "hash": str(image.hash),
            "status": status,
            "engine": "docker",
            "reference": image.reference,
        }
        return self.records.add(Record(**{**usual, **changes}), image)

    def codes(self) -> list[str]:
        """The codes of the warnings so far."""
        return [problem.code for problem in self.warnings]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def nobodys(unprivileged: Path) -> Project:
    """A project of somebody whom permissions stop."""
    return Project(unprivileged)


def refused(call: Callable[[], object]) -> tuple[str, ExecutorError]:
    """The code of the one problem with which a call fails, and the error."""
    with pytest.raises(ExecutorError) as caught:
        call()
    (problem,) = caught.value.problems
    assert "move" not in problem.fix
    assert "delete" not in problem.fix
    return problem.code, caught.value


def fresh(image: ImagePlan, name: str) -> ImagePlan:
    """The same image with another tree, and so another hash."""
    tree = Tree.of([file(name)])
    return evolve(image, checkout=evolve(image.checkout, trees={"files": tree}))


IMAGE: Final = image_of({"requirements": ["six==1.16.0"]})
OTHER: Final = fresh(IMAGE, "other.py")


# The text of an image


def full_image() -> ImagePlan:
    """An image that has one of everything, on an image of the plan that is on another one."""
    requirements = ["requests[socks]>=2; python_version < '3.12'", "six"]
    resolved = image_of({"requirements": requirements}).spec
    base = ImagePlan(
        "training/base",
        ("load",),
        ImageSpec(
            ExternalImage(ref("base:1"), digest("base"), Pin(digest("base"), "manifest", "linux/amd64")),
            (InstallApt(("git",)),),
        ),
        Checkout("linux/amd64"),
        Destination("localhost/stowplan"),
    )
    middle = ImagePlan(
        "training/middle",
        (),
        ImageSpec(base.spec, (CopyFiles("shared", "/opt"),), "linux/arm64"),
        Checkout(trees={"shared": Tree.of([file("shared.py"), link("to", "shared.py")])}),
        Destination("localhost/stowplan"),
        base,
    )
    return ImagePlan(
        "training",
        ("train", "eval"),
        ImageSpec(
            middle.spec,
            (
                *resolved.instructions,
                SetEnvironment({"AWKWARD": AWKWARD}),
                CopyFiles(),
                CopyFiles("overlay", "/srv", "1000:1000"),
            ),
            None,
            {"A": AWKWARD},
            {"org.example": AWKWARD},
            "runtime",
            {"network": "host", "add_host": ("a:1", "b:2")},
            resolved.resolved,
        ),
        Checkout(
            "linux/amd64",
            {
                "files": Tree.of([file("a.py"), file("é/b c.sh", "x", Kind.EXECUTABLE)]),
                "overlay": Tree.of([Entry("empty", Kind.DIRECTORY, b"")]),
                "unused": Tree.of([]),
            },
            {"TOKEN": digest("fingerprint")},
            digest("parent"),
            directory=MakeDirectory(owner="1000", group_writes=True),
            bootstrap=digest("bootstrap"),
        ),
        Destination("registry.example/team/x", True, "latest", True),
        middle,
        BuildOptions(no_cache=True, rm=False, cache_from=["a:1"], shm_size="1g", build_args={"A": AWKWARD}),
    )  # fmt: skip


IMAGES: Final[dict[str, Callable[[], ImagePlan]]] = {
    "full": full_image,
    "plain": lambda: IMAGE,
    "parent only": lambda: image_of({"allow_including_files_in_images": False}),
    "unpinned": lambda: image_of({}, world=World(pins={"python:3.11-slim": Pin(reason="offline")})),
    "a step": lambda: plan_of({}, {"a": {}, "b": {"apt_packages": ["git"]}}).images[1],
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_comes_back_as_it_was(name: str) -> None:
    image = IMAGES[name]()
    back = image_of_text(image_text(image), trees_of(image))
    assert back == image
    assert back.hash == image.hash
    assert back.spec.hash == image.spec.hash
    assert back.reference == image.reference


def test_a_record_of_an_earlier_version_has_an_image_as_well() -> None:
    text = image_text(IMAGE)
    earlier = text.replace('"directory":null,"bootstrap":null,', "")
    assert earlier != text
    assert image_of_text(earlier, trees_of(IMAGE)) == IMAGE


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_comes_back_from_the_records(name: str, project: Project) -> None:
    image = IMAGES[name]()
    project.add(image)
    assert project.records.last("training", "prod", image.name) == image
    assert project.records.last_plans("training", "prod") == {image.name: image}


def test_trees_come_back_as_they_were() -> None:
    for tree in trees_of(full_image()).values():
        assert unpack(pack(tree)) == tree


def test_values_of_variables_are_nowhere(project: Project) -> None:
    world = World(variables={"TOKEN": "s3cr3t-value"})
    project.add(image_of({"environment": {"A": "${TOKEN}"}}, world=world))
    assert b"s3cr3t" not in project.path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        ("{", ""),
        ("[", "{"),
        ('"specs":', '"other":'),
        ('"images":[{', '"images":[],"more":[{'),
        ("six==1.16.0", "six==1.17.0"),
        ('"platform":"linux/amd64"', '"platform":["linux/amd64"]'),
        ('"repository"', '"depository"'),
        ('"name":"training","platform"', '"name":"another","platform"'),
        ('"trees":{"files":"', '"trees":{"files":"0'),
        ('"variables":{}', '"variables":{"A":"value"}'),
        ('"variables":{}', '"variables":[]'),
        ('"build_options":{', '"build_options":{"no_such":1'),
    ],
)
def test_a_damaged_text_is_no_image(damage: tuple[str, str], project: Project) -> None:
    """Where the damage cannot be seen in the text, the image's hash shows it."""
    text = image_text(IMAGE)
    changed = text.replace(*damage, 1)
    assert changed != text
    with contextlib.suppress(UnreadableImage):
        assert image_of_text(changed, trees_of(IMAGE)).hash != IMAGE.hash
    project.add(IMAGE)
    project.add(OTHER, image="other")
    with contextlib.closing(sqlite3.connect(project.path)) as database, database:
        database.execute("UPDATE builds SET plan = ? WHERE id = 1", (changed,))
    assert project.records.last("training", "prod", IMAGE.name) is None
    assert project.records.last_plans("training", "prod") == {"other": OTHER}


@pytest.mark.parametrize(
    "nodes", [b"", b"no zlib", pack(Tree.of([file("a")]))[:-5], pack(Tree.of([file("a")]))]
)
def test_an_image_without_its_tree_is_left_out(nodes: bytes, project: Project) -> None:
    project.add(IMAGE)
    with contextlib.closing(sqlite3.connect(project.path)) as database, database:
        database.execute("UPDATE trees SET nodes = ?", (nodes,))
    assert project.records.last("training", "prod", IMAGE.name) is None
    assert project.records.all()


# What records say


def test_reading_a_project_without_records_makes_nothing(project: Project) -> None:
    records = project.records
    assert records.all() == records.find("1") == records.find("abcd") == ()
    assert records.recorded(IMAGE.hash, IMAGE.reference) is None
    assert records.references(IMAGE.hash) == ()
    assert records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()}
    assert records.last("training", "prod", IMAGE.name) is None
    assert records.last_plans("training", "prod") == {}
    assert list(project.root.iterdir()) == []


def test_a_record_comes_back(project: Project) -> None:
    number = project.add(IMAGE, Result.FAILED, error="no \udce9 room", digest=str(digest("d")), pushed=False)
    assert project.records.all() == (
        Record(
            id=number,
            finished="2024-05-06T07:08:09+00:00",
            seconds=1.5,
            pipeline="training",
            stack="prod",
            image="training",
            hash=str(IMAGE.hash),
            status=Result.FAILED,
            engine="docker",
            reference=IMAGE.reference,
            digest=str(digest("d")),
            pushed=False,
            error="no \\udce9 room",
        ),
    )


def test_a_digest_says_that_it_was_pushed(project: Project) -> None:
    project.add(IMAGE, digest=str(digest("d")))
    project.add(IMAGE)
    assert [record.pushed for record in project.records.all()] == [False, True]


def test_the_newest_come_first(project: Project) -> None:
    first, second = project.add(IMAGE), project.add(IMAGE, pipeline="other")
    third = project.add(OTHER)
    records = project.records
    assert [record.id for record in records.all()] == [third, second, first]
    assert [record.id for record in records.all(NamePattern.parse("training"))] == [third, first]
    assert [record.id for record in records.all(NamePattern.parse("training"), 1)] == [third]
    assert [record.id for record in records.all(limit=2**70)] == [third, second, first]
    assert records.all(NamePattern.parse("no such")) == ()


def test_a_record_is_found_by_its_number_or_the_start_of_its_hash(project: Project) -> None:
    first, _, third = project.add(IMAGE), project.add(OTHER), project.add(IMAGE)
    records = project.records
    assert [record.id for record in records.find(str(first))] == [first]
    for name in (IMAGE.hash.hex, str(IMAGE.hash), IMAGE.hash.hex[:12], IMAGE.hash.hex[:4]):
        assert [record.id for record in records.find(name) if record.hash == str(IMAGE.hash)] == [
            third,
            first,
        ]


@pytest.mark.parametrize(
    "name",
    ["", "abc", "ABCDEF", "0", "4", "-1", "1.0", " 1", "²", "\u0661", "sha256:", "%%%%", "____",
     str(2**63 - 1), str(2**63), str(2**64), "9" * 5000, "0" * 5000, "abcd\0", "\udce9abc"],
)  # fmt: skip
def test_what_is_no_name_of_a_record_finds_nothing(name: str, project: Project) -> None:
    project.add(IMAGE)
    assert project.records.find(name) == ()


@pytest.mark.parametrize("status", GOOD)
def test_what_was_there_is_known(status: Result, project: Project) -> None:
    number = project.add(IMAGE, status)
    known = project.records.known("training", "prod", [IMAGE])[IMAGE.name]
    assert known.recorded == Recorded(number, "2024-05-06T07:08:09+00:00", "docker", pushed=False)
    assert known.references == (IMAGE.reference,)


@pytest.mark.parametrize("status", BAD)
def test_what_failed_was_not_there(status: Result, project: Project) -> None:
    project.add(IMAGE, status)
    assert project.records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()}
    assert project.records.last("training", "prod", IMAGE.name) is None


@pytest.mark.parametrize("status", BAD)
def test_a_failure_does_not_hide_what_was_there(status: Result, project: Project) -> None:
    number = project.add(IMAGE)
    project.add(OTHER, status)
    project.add(IMAGE, status)
    found = project.records.recorded(IMAGE.hash, IMAGE.reference)
    assert found is not None
    assert found.number == number
    assert project.records.last("training", "prod", IMAGE.name) == IMAGE


def numbers(*found: Recorded | None) -> list[tuple[int, str, bool] | None]:
    return [(each.number, each.engine, each.pushed) if each else None for each in found]


def test_an_engine_has_what_it_built_itself(project: Project) -> None:
    project.add(IMAGE, engine="docker")
    project.add(IMAGE, engine="podman")
    records = project.records
    assert numbers(
        records.recorded(IMAGE.hash, IMAGE.reference),
        records.recorded(IMAGE.hash, IMAGE.reference, "docker"),
        records.recorded(IMAGE.hash, IMAGE.reference, "podman"),
        records.recorded(IMAGE.hash, IMAGE.reference, "other"),
        records.recorded(IMAGE.hash, "localhost/other:1"),
        records.recorded(OTHER.hash, IMAGE.reference),
    ) == [(2, "podman", False), (1, "docker", False), (2, "podman", False), None, None, None]


def test_a_registry_is_the_same_for_all_engines(project: Project) -> None:
    project.add(IMAGE, Result.PUSHED, engine="podman", pushed=True)
    project.add(IMAGE, engine="docker")
    records = project.records
    assert numbers(
        records.recorded(IMAGE.hash, IMAGE.reference),
        records.recorded(IMAGE.hash, IMAGE.reference, "docker"),
        records.recorded(IMAGE.hash, IMAGE.reference, "podman"),
        records.recorded(IMAGE.hash, IMAGE.reference, "other"),
    ) == [(2, "docker", True), (2, "docker", True), (1, "podman", True), (1, "", True)]


def test_a_failure_after_the_push_says_that_it_was_pushed(project: Project) -> None:
    project.add(IMAGE)
    project.add(IMAGE, Result.FAILED, pushed=True)
    assert numbers(project.records.recorded(IMAGE.hash, IMAGE.reference)) == [(1, "docker", True)]


def test_all_references_of_an_image_are_known(project: Project) -> None:
    for reference in ("a:1", "b:1", "a:1", "c:1"):
        project.add(IMAGE, reference=reference)
    project.add(IMAGE, Result.FAILED, reference="never:1")
    project.add(OTHER, reference="other:1")
    assert project.records.references(IMAGE.hash) == ("c:1", "a:1", "b:1")


def test_history_says_why_there_is_no_record(project: Project) -> None:
    def history(image: ImagePlan, stack: str = "prod", engine: str | None = None) -> History:
        known = project.records.known("training", stack, [image], engine)[image.name]
        assert known.recorded is None
        return known.history

    project.add(OTHER, Result.FAILED)
    assert history(IMAGE) is History.NEVER
    project.add(OTHER)
    assert history(IMAGE) is History.CHANGED
    assert history(IMAGE, "dev") is History.NEVER
    assert history(OTHER, engine="podman") is History.ELSEWHERE
    elsewhere = evolve(OTHER, destination=Destination("registry.example/x", push=True))
    assert history(elsewhere, "dev") is History.ELSEWHERE


def test_many_images_are_asked_for_at_once(project: Project) -> None:
    """One opening of the database for all of them, and the same answers as one by one."""
    images = [evolve(fresh(IMAGE, f"{number}.py"), name=f"training/s{number}") for number in range(50)]
    for image in images[::2]:
        project.add(image)
    records = project.records
    with counted_openings() as openings:
        known = records.known("training", "prod", images)
    assert len(openings) == 1
    assert list(known) == [image.name for image in images]
    for image in images:
        each = known[image.name]
        assert each.recorded == records.recorded(image.hash, image.reference)
        assert each.references == records.references(image.hash)
    with counted_openings() as openings:
        plans = records.last_plans("training", "prod")
    assert len(openings) == 1
    assert plans == {image.name: image for image in images[::2]}


@contextlib.contextmanager
def counted_openings() -> Iterator[list[object]]:
    """The databases that are opened meanwhile."""
    openings: list[object] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "sqlite3.connect":
            openings.append(arguments)

    with watched(note):
        yield openings


# Deleting


def stored_trees(project: Project) -> set[str]:
    with contextlib.closing(sqlite3.connect(project.path)) as database:
        return {name for (name,) in database.execute("SELECT digest FROM trees")}


def test_a_tree_is_stored_once_and_as_long_as_a_record_needs_it(project: Project) -> None:
    shared = {tree.hex for tree in trees_of(IMAGE)}
    first, second, third = project.add(IMAGE), project.add(IMAGE, Result.FAILED), project.add(full_image())
    assert stored_trees(project) == shared | {tree.hex for tree in trees_of(full_image())}
    assert project.records.delete(third)
    assert project.records.delete(first)
    assert stored_trees(project) == shared
    assert project.records.delete(second)
    assert stored_trees(project) == set()


def test_deleting_a_failure_leaves_what_a_later_build_says(project: Project) -> None:
    failed = project.add(IMAGE, Result.FAILED)
    good = project.add(IMAGE, pushed=True)
    assert project.records.delete(failed)
    assert [record.id for record in project.records.all()] == [good]
    assert numbers(project.records.recorded(IMAGE.hash, IMAGE.reference)) == [(good, "docker", True)]
    assert project.records.last("training", "prod", IMAGE.name) == IMAGE


def test_only_what_is_there_is_deleted_and_no_number_comes_again(project: Project) -> None:
    number = project.add(IMAGE)
    for other in (0, -1, number + 1, 2**63 - 1, 2**63, 2**200):
        assert not project.records.delete(other)
    assert project.records.delete(number)
    assert not project.records.delete(number)
    assert project.add(IMAGE) == number + 1


# What happens to the database


def in_process(work: Callable[[], object]) -> int:
    """Do some work in a process of its own; how that ended, as `os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def leave_hot_journal(project: Project) -> None:
    """A process is killed in a transaction, with half of it in the file already."""

    def write() -> None:
        database = sqlite3.connect(project.path, isolation_level=None)
        database.execute("PRAGMA cache_size = 5")
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE builds SET image = 'half-done'")
        for number in range(200):
            database.execute("INSERT INTO trees VALUES (?, ?)", (f"{number:064}", bytes(5000)))
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_process(write) == -signal.SIGKILL
    journal = Path(f"{project.path}-journal")
    assert journal.read_bytes()[:4] == bytes.fromhex("d9d505f9")  # a header that is not cleared: hot
    assert b"half-done" in project.path.read_bytes()


def test_what_a_killed_process_left_is_undone_when_it_is_read(project: Project) -> None:
    number = project.add(IMAGE)
    leave_hot_journal(project)
    assert [(record.id, record.image) for record in project.records.all()] == [(number, "training")]
    assert b"half-done" not in project.path.read_bytes()
    assert project.records.last("training", "prod", IMAGE.name) == IMAGE
    assert len(stored_trees(project)) == 1
    assert project.warnings == []


def test_what_a_killed_process_left_is_undone_when_it_is_written(project: Project) -> None:
    number = project.add(IMAGE)
    leave_hot_journal(project)
    assert project.add(OTHER) == number + 1
    assert [record.image for record in project.records.all()] == ["training", "training"]
    assert project.warnings == []


def test_what_a_killed_process_left_does_not_stop_who_may_not_undo_it(nobodys: Project) -> None:
    nobodys.add(IMAGE)
    leave_hot_journal(nobodys)
    for path in (nobodys.path, Path(f"{nobodys.path}-journal")):
        path.chmod(0o444)
    nobodys.state.chmod(0o555)
    assert nobodys.records.last("training", "prod", IMAGE.name) is None
    assert nobodys.codes() == ["records-permissions"]
    assert refused(nobodys.records.all)[0] == "records-permissions"
    nobodys.state.chmod(0o755)
    for path in (nobodys.path, Path(f"{nobodys.path}-journal")):
        path.chmod(0o644)
    assert nobodys.records.last("training", "prod", IMAGE.name) == IMAGE


def fill(project: Project) -> None:
    """Records on many pages."""
    for number in range(20):
        project.add(fresh(IMAGE, f"{number}.py"), error="x" * 4000)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _half_a_page(path: Path) -> None:
    os.truncate(path, 2048)


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(16) * 1000)


def _broken_inside(path: Path) -> None:
    """Everything but the first two pages: the damage shows when records are looked at."""
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))


def _tables_of_another(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE somebody (elses TEXT)")


def _lost_a_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE trees")


USES: Final[dict[str, Callable[[Project], object]]] = {
    "all": lambda project: project.records.all() == (),
    "known": lambda project: project.records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()},
    "last": lambda project: project.records.last_plans("training", "prod") == {},
    "add": lambda project: project.add(IMAGE) == 1,
    "delete": lambda project: project.records.delete(1) is False,
    "prepare": lambda project: project.records.prepare(),
}
DAMAGES: Final = (_truncate, _half_a_page, _garbage, _broken_inside, _tables_of_another, _lost_a_table)


@pytest.mark.parametrize(
    ("use", "damage"),
    # Preparing looks at no record.
    [(use, damage) for use in USES for damage in DAMAGES if (use, damage) != ("prepare", _broken_inside)],
)
def test_a_damaged_database_is_moved_aside_and_that_is_said(
    use: str, damage: Callable[[Path], None], project: Project
) -> None:
    fill(project)
    damage(project.path)
    damaged = project.path.read_bytes()
    assert USES[use](project) is not False
    (warning,) = project.warnings
    assert warning.code == "records-broken"
    assert "records.sqlite3.broken-1" in warning.found
    assert (project.state / "records.sqlite3.broken-1").read_bytes() == damaged
    assert project.add(OTHER) > 0
    assert project.records.last("training", "prod", OTHER.name) == OTHER
    assert len(project.warnings) == 1


def test_each_damaged_database_is_kept(project: Project) -> None:
    for number in (1, 2, 3):
        project.add(IMAGE)
        project.path.write_bytes(b"damage %d" % number * 1000)
        assert project.records.all() == ()
    for number in (1, 2, 3):
        kept = project.state / f"records.sqlite3.broken-{number}"
        assert kept.read_bytes().startswith(b"damage %d" % number)


def test_a_journal_goes_with_its_database(project: Project) -> None:
    """Left behind, SQLite could put the pages of the old database into the new one."""
    project.add(IMAGE)
    _garbage(project.path)
    journal = bytes(1000)  # begins with zeros: SQLite takes it for one that is finished, and leaves it
    Path(f"{project.path}-journal").write_bytes(journal)
    project.add(OTHER)
    assert (project.state / "records.sqlite3.broken-1-journal").read_bytes() == journal
    assert [record.hash for record in project.records.all()] == [str(OTHER.hash)]


def test_a_warning_is_said_where_nobody_listens(project: Project) -> None:
    project.add(IMAGE)
    _garbage(project.path)
    with pytest.warns(RuntimeWarning, match=r"records\.sqlite3\.broken-1"):
        assert Records(project.root).all() == ()


def test_several_at_once_move_a_damaged_database_once(project: Project) -> None:
    project.add(IMAGE)
    _garbage(project.path)
    together(lambda _: Records(project.root, on_warning=project.warnings.append).all(), 8)
    assert project.codes() == ["records-broken"]
    assert sorted(path.name for path in project.state.glob("*broken*")) == ["records.sqlite3.broken-1"]


def test_several_at_once_lose_no_record(project: Project) -> None:
    """Not even those that make the database, or find it damaged."""
    project.state.mkdir()
    _garbage(project.path)

    def add(number: int) -> None:
        records = Records(project.root, on_warning=project.warnings.append)
        for step in range(5):
            name = f"training/s{number}-{step}"
            record = Record(0, "now", 1.0, "training", "prod", name, str(IMAGE.hash), Result.BUILT, "", name)
            records.add(record, evolve(IMAGE, name=name))

    together(add, 8)
    assert len(project.records.all()) == 40
    assert len(project.records.last_plans("training", "prod")) == 40
    assert project.codes() == ["records-broken"]


def together(work: Callable[[int], object], count: int) -> None:
    """Do some work in several threads that begin at the same time."""
    barrier = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except Exception as error:  # shown below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_locked_database_is_waited_for_and_left_alone(project: Project) -> None:
    project.add(IMAGE)
    with contextlib.closing(sqlite3.connect(project.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for use in (
            project.records.all,
            lambda: project.records.known("training", "prod", [IMAGE]),
            lambda: project.add(OTHER),
            lambda: project.records.delete(1),
            project.records.prepare,
        ):
            code, error = refused(use)
            assert code == "records-locked"
            assert error.exit_code == 75
    assert [record.id for record in project.records.all()] == [1]
    assert project.warnings == []


def test_who_only_reads_does_not_wait_for_who_writes(project: Project) -> None:
    project.add(IMAGE)
    with contextlib.closing(sqlite3.connect(project.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM builds")
        assert len(project.records.all()) == 1


def test_a_full_disk_is_said_and_loses_nothing(project: Project) -> None:
    """A limit on the size of files stands for the end of the disk."""
    project.add(IMAGE)
    said = project.root / "said"
    size = project.path.stat().st_size

    def write() -> None:
        said.touch()
        with said.open("w") as file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            code, error = refused(lambda: project.add(OTHER, error="x" * 1_000_000))
            file.write(f"{code}: {error}")

    in_process(write)
    assert said.read_text().startswith(("records-disk: ", "records-full: "))
    assert [record.id for record in project.records.all()] == [1]
    assert project.add(OTHER) == 2
    assert project.warnings == []


def test_a_newer_schema_is_refused_and_left_alone(project: Project) -> None:
    project.add(IMAGE)
    with contextlib.closing(sqlite3.connect(project.path)) as database:
        database.execute("PRAGMA user_version = 99")
    before = project.path.read_bytes()
    for use in (
        project.records.all,
        lambda: project.records.references(IMAGE.hash),
        lambda: project.add(IMAGE),
    ):
        assert "newer stowplan (schema 99" in str(refused(use)[1])
    assert project.path.read_bytes() == before
    assert project.warnings == []


def test_records_of_version_1_are_kept_and_not_read(project: Project) -> None:
    project.state.mkdir()
    with contextlib.closing(sqlite3.connect(project.path)) as database, database:
        database.executescript(
            "CREATE TABLE builds (id INTEGER PRIMARY KEY AUTOINCREMENT, image TEXT NOT NULL,"
            " tree TEXT REFERENCES trees (digest)) STRICT;"
            "CREATE INDEX builds_by_image ON builds (image, id);"
            "CREATE TABLE trees (digest TEXT PRIMARY KEY, nodes BLOB NOT NULL) STRICT, WITHOUT ROWID;"
            "INSERT INTO trees VALUES ('aa', x'00');"
            "INSERT INTO builds VALUES (7, 'old', 'aa');"
            "PRAGMA user_version = 1"
        )
    before = project.path.read_bytes()
    assert project.records.all() == ()
    assert project.records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()}
    assert project.path.read_bytes() == before
    assert project.add(IMAGE) == 1
    assert [record.image for record in project.records.all()] == ["training"]
    with contextlib.closing(sqlite3.connect(project.path)) as database:
        assert database.execute("SELECT * FROM builds_version_1").fetchall() == [(7, "old", "aa")]
        assert database.execute("SELECT * FROM trees_version_1").fetchall() == [("aa", b"\0")]
    assert project.warnings == []


def test_a_file_that_another_process_is_just_making_has_no_records(project: Project) -> None:
    project.state.mkdir()
    project.path.touch()
    assert project.records.all() == ()
    assert project.path.stat().st_size == 0
    assert project.add(IMAGE) == 1


# Permissions and links


def test_a_project_that_may_not_be_written_is_planned_with_its_records(nobodys: Project) -> None:
    nobodys.add(IMAGE)
    nobodys.path.chmod(0o444)
    nobodys.state.chmod(0o555)
    nobodys.root.chmod(0o555)
    assert nobodys.records.last("training", "prod", IMAGE.name) == IMAGE
    assert nobodys.records.recorded(IMAGE.hash, IMAGE.reference) is not None
    assert len(nobodys.records.all()) == 1
    assert nobodys.warnings == []
    for use in (lambda: nobodys.add(OTHER), lambda: nobodys.records.delete(1), nobodys.records.prepare):
        code, error = refused(use)
        assert code == "records-permissions"
        assert "cannot be written" in str(error)
        assert "permissions" in str(error)
    assert len(nobodys.records.all()) == 1


def test_a_directory_that_may_not_be_written_is_noticed_before_a_build(nobodys: Project) -> None:
    nobodys.records.prepare()
    assert nobodys.records.all() == ()
    nobodys.state.chmod(0o555)
    assert refused(nobodys.records.prepare)[0] == "records-permissions"
    assert list(nobodys.state.glob("*journal*")) == []


def test_a_project_without_state_that_may_not_be_written(nobodys: Project) -> None:
    nobodys.root.chmod(0o555)
    assert nobodys.records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()}
    assert nobodys.records.all() == ()
    assert "permissions" in str(refused(nobodys.records.prepare)[1])


@pytest.mark.parametrize("unreadable", ["directory", "file"])
def test_planning_finds_no_records_where_they_may_not_be_read(unreadable: str, nobodys: Project) -> None:
    nobodys.add(IMAGE)
    (nobodys.state if unreadable == "directory" else nobodys.path).chmod(0)
    records = nobodys.records
    assert records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()}
    assert records.recorded(IMAGE.hash, IMAGE.reference) is None
    assert records.references(IMAGE.hash) == ()
    assert records.last("training", "prod", IMAGE.name) is None
    assert nobodys.codes() == ["records-permissions"] * 4
    for use in (records.all, lambda: records.find("1")):
        code, error = refused(use)
        assert code == "records-permissions"
        assert "cannot be read" in str(error)
    nobodys.state.chmod(0o755)


def test_planning_finds_no_records_where_damage_may_not_be_moved(nobodys: Project) -> None:
    nobodys.add(IMAGE)
    _garbage(nobodys.path)
    nobodys.state.chmod(0o555)
    assert nobodys.records.known("training", "prod", [IMAGE]) == {IMAGE.name: Known()}
    assert "cannot be moved aside" in nobodys.warnings[0].found
    assert nobodys.codes() == ["records-permissions"]


def _link_state(project: Project, outside: Path) -> None:
    project.state.rename(outside)
    project.state.symlink_to(outside)


def _link_file(project: Project, outside: Path) -> None:
    project.path.rename(outside)
    project.path.symlink_to(outside)


def _dangling(project: Project, outside: Path) -> None:
    project.path.unlink()
    project.path.symlink_to(outside)


def _directory(project: Project, _: Path) -> None:
    project.path.unlink()
    project.path.mkdir()


def _fifo(project: Project, _: Path) -> None:
    project.path.unlink()
    os.mkfifo(project.path)


def _file_for_directory(project: Project, _: Path) -> None:
    shutil.rmtree(project.state)
    project.state.touch()


@pytest.mark.parametrize(
    "instead", [_link_state, _link_file, _dangling, _directory, _fifo, _file_for_directory]
)
def test_what_is_no_database_of_the_project_is_refused(
    instead: Callable[[Project, Path], None], project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "target"
    project.add(IMAGE)
    instead(project, outside)
    for use in (
        project.records.all,
        lambda: project.records.known("training", "prod", [IMAGE]),
        lambda: project.add(OTHER),
        project.records.prepare,
    ):
        with pytest.raises(ExecutorError):
            use()
    assert instead not in (_dangling, _directory, _fifo, _file_for_directory) or not outside.exists()
    assert project.warnings == []
