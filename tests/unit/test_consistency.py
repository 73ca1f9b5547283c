"""A plan reads one state: what another process writes meanwhile is in it as a whole, or not at all."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from executor.apply.outcome import Result
from executor.cli.main import run
from executor.config.project import load_project
from executor.observe.facts import observe
from executor.records.store import Record, Records
from executor.state import lock_text, read_lock_file, update_lock
from planner import ImagePlan, Lock, PlannerError, make_plan
from planner.lock.text import loads
from tests.audit import watched

PARENTS: Final = [f"python@sha256:{digit * 64}" for digit in "01"]


def project_file(parent: str) -> str:
    settings = f'{{ parent_image = "{parent}", apt_packages = ["git"] }}'
    return f'[pipeline.p]\nsteps = ["a"]\nsettings.docker = {settings}\n'


@contextmanager
def counted_openings(root: Path) -> Iterator[Counter[str]]:
    """How often each file of a directory is opened meanwhile."""
    counts: Counter[str] = Counter()

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event in {"open", "sqlite3.connect"}:
            name = str(arguments[0]).removeprefix("file://").partition("?")[0]
            if name.startswith(str(root)):
                counts[name.removeprefix(f"{root}/")] += 1

    with watched(count):
        yield counts


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path.resolve()
    (root / "stowplan.toml").write_text(project_file(PARENTS[0]))
    (root / "a.py").touch()
    monkeypatch.chdir(root)
    return root


def image(root: Path) -> ImagePlan:
    project = load_project(root)
    pipeline, stack = project.pipeline(None), project.stack(None)
    return make_plan(pipeline, stack, observe(pipeline, stack, root=root, engine=None)).images[0]


def put(root: Path, lock: Lock) -> None:
    """Replace the lock."""
    update_lock(root, lambda _: lock)


def record(root: Path, made: ImagePlan) -> int:
    """Record that an image was built."""
    return Records(root).add(
        Record(
            id=0,
            finished=datetime(2024, 5, 6, tzinfo=UTC).isoformat(),
            seconds=1.0,
            pipeline="p",
            stack="default",
            image=made.name,
            hash=str(made.hash),
            status=Result.BUILT,
            engine="docker",
            reference=made.reference,
        ),
        made,
    )


@pytest.mark.parametrize("name", ["stowplan.toml", "pyproject.toml"])
@pytest.mark.parametrize("argv", [["plan"], ["show", "a"], ["diff"], ["lock", "--check"]], ids=" ".join)
def test_each_file_of_the_state_is_read_once(root: Path, name: str, argv: list[str]) -> None:
    record(root, image(root))
    if name == "pyproject.toml":
        text = (root / "stowplan.toml").read_text().replace("[pipeline.p]", "[tool.stowplan.pipeline.p]")
        (root / "stowplan.toml").unlink()
        (root / name).write_text(text)
    run(["lock"])
    with counted_openings(root) as counts:
        assert run(argv) == 0
    assert counts["stowplan.lock"] == 1
    assert counts[".stowplan/records.sqlite3"] == (argv[0] in {"plan", "show"})
    # The search for the project's directory reads a pyproject.toml, too, and keeps nothing of it.
    assert counts[name] == (2 if name == "pyproject.toml" else 1)


def test_plans_beside_a_loop_that_writes_are_those_of_whole_states(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lock is replaced and the records are written all the time: each plan is one of those in between."""
    locks, plans = [], set()
    for parent in PARENTS:
        (root / "stowplan.toml").write_text(project_file(parent))
        (root / "stowplan.lock").unlink(missing_ok=True)
        assert run(["lock"]) == 0
        locks.append(loads(lock_text(root) or ""))
    (root / "stowplan.toml").write_text(project_file(PARENTS[0]))
    made = image(root)
    for lock in (*locks, Lock()):
        put(root, lock)
        for recorded in (False, True):
            number = record(root, made) if recorded else 0
            capsys.readouterr()
            assert run(["plan", "-o", "json"]) == 0
            plans.add(capsys.readouterr().out)
            Records(root).delete(number)
    assert len(plans) == 6

    stop, written = threading.Event(), 0
    problems: list[BaseException] = []

    def write() -> None:
        nonlocal written
        try:
            while not stop.is_set():
                put(root, (*locks, Lock())[written % 3])
                number = record(root, made)
                Records(root).delete(number)
                written += 1
        except BaseException as error:  # to fail in the main thread
            problems.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(30):
            before = written
            code = run(["plan", "-o", "json"])
            out, err = capsys.readouterr()
            assert (code, err) == (0, "")
            assert _without_numbers(out) in set(map(_without_numbers, plans))
            while written == before and not problems:
                stop.wait(0.001)
    finally:
        stop.set()
        thread.join()
    assert problems == []
    assert written >= 30


def _without_numbers(text: str) -> str:
    """A plan without the numbers of records, which grow."""
    return "".join(line for line in text.splitlines(keepends=True) if "record " not in line)


# --- a lock that somebody names


BROKEN: Final = {
    "no TOML": "[[",
    "conflict": "version = 2\n<<<<<<< ours\n",
    "no version": "",
    "newer": "version = 99\n",
    "unknown name": "version = 2\nx = 1\n",
    "unknown record": "version = 2\n[[image]]\nx = 1\n",
    "version 1": 'version = 1\n[[plan]]\npipeline = "p"\n',
    "nested": f"version = {'[' * 3000}",
    "integer": f"version = {'9' * 5000}",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_errors_about_a_lock_that_was_named_name_it(
    root: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "hostile.lock"
    path.write_text(BROKEN[kind])
    with pytest.raises(PlannerError) as caught:
        read_lock_file(path)
    assert {problem.where.file for problem in caught.value.problems} == {str(path)}
    for argv in (["diff", "hostile.lock"], ["diff", "hostile.lock", "hostile.lock"]):
        assert run(argv) == 1
        err = capsys.readouterr().err
        assert err.startswith("error: hostile.lock")
        assert "stowplan.lock" not in err
        assert "`stowplan lock`" not in err
    path.rename(root / "stowplan.lock")
    assert run(["plan"]) == 1
    assert capsys.readouterr().err.startswith("error: stowplan.lock")


@pytest.mark.parametrize("kind", ["directory", "link to itself", "nothing"])
def test_what_is_named_and_is_no_file(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "hostile.lock"
    if kind == "directory":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to("hostile.lock")
    assert run(["diff", "hostile.lock"]) in {1, 64}
    assert capsys.readouterr().err.startswith("error: hostile.lock: ")
