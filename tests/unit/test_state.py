"""What is kept beside a project: the lock is replaced whole, and nothing else is taken for it."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from executor import limits
from executor.errors import ExecutorError
from executor.state import STATE_DIRECTORY, lock_text, read_lock, read_lock_file, state_directory, update_lock
from planner import LOCK_NAME, Lock, PlannerError, dumps
from tests.audit import watched
from tests.builders import spec_of
from tests.irregular import make_device, make_socket

LOCK = Lock((
    spec_of({"requirements": ["six==1.16.0", "attrs==25.1"], "environment": {"A": "1"}}),
    spec_of({"apt_packages": ["git"]}, name="another"),
))  # fmt: skip


def keep(lock: Lock) -> Lock:
    return lock


def put(_: Lock) -> Lock:
    return LOCK


def refuse(_: Lock) -> Lock:
    pytest.fail("there was something to change")


READ: dict[str, Callable[[Path], object]] = {
    "text": lock_text,
    "read": read_lock,
    "update": lambda root: update_lock(root, refuse),
    "repair": lambda root: update_lock(root, refuse, repairs=True),
}


def beside(root: Path) -> set[str]:
    """All that is in a project, by its path."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


KEPT = {
    LOCK_NAME,
    STATE_DIRECTORY,
    *(f"{STATE_DIRECTORY}/{name}" for name in (".gitignore", "tmp", "writer")),
}


# --- writing


def test_a_project_without_a_lock(tmp_path: Path) -> None:
    assert lock_text(tmp_path) is None
    assert read_lock(tmp_path) is None
    assert read_lock_file(tmp_path / "another.lock") is None
    assert beside(tmp_path) == set()


def test_a_lock_is_written_once(tmp_path: Path) -> None:
    assert update_lock(tmp_path, put)
    assert lock_text(tmp_path) == dumps(LOCK)
    assert read_lock(tmp_path) == LOCK
    before = (tmp_path / LOCK_NAME).stat()
    assert not update_lock(tmp_path, put)
    assert not update_lock(tmp_path, keep)
    assert (tmp_path / LOCK_NAME).stat().st_mtime_ns == before.st_mtime_ns
    assert beside(tmp_path) <= KEPT
    assert (tmp_path / STATE_DIRECTORY / ".gitignore").read_text() == "*\n"


def test_a_lock_that_another_process_keeps_may_be_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WRITER_SECONDS", 0.0)
    assert update_lock(tmp_path, put)
    with (tmp_path / STATE_DIRECTORY / "writer").open("wb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with pytest.raises(
            ExecutorError, match=r"^stowplan\.lock: another stowplan .* for 0 s: wait"
        ) as caught:
            update_lock(tmp_path, keep)
    assert caught.value.exit_code == 75
    assert not update_lock(tmp_path, keep)


@pytest.mark.parametrize("fails", [False, True])
def test_temporary_files_are_in_the_state_directory_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """As an audit hook sees it: whatever is opened to be written, and where it is when it gets its name."""
    written: list[Path] = []
    root = os.fspath(tmp_path)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
            if writes and str(path).startswith(root):
                written.append(Path(str(path)).relative_to(root))

    if fails:

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with (
            watched(hook),
            pytest.raises(ExecutorError, match="cannot be written: No space left on device"),
        ):
            update_lock(tmp_path, put)
        assert {path.name for path in tmp_path.iterdir()} <= {STATE_DIRECTORY}
    else:
        with watched(hook):
            update_lock(tmp_path, put)
    assert written
    assert {path.parts[0] for path in written} == {STATE_DIRECTORY}
    assert beside(tmp_path) <= KEPT


def test_a_lock_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    update_lock(tmp_path, put)
    (tmp_path / LOCK_NAME).chmod(0o640)
    update_lock(tmp_path, lambda _: Lock())
    assert (tmp_path / LOCK_NAME).stat().st_mode & 0o777 == 0o640


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    update_lock(tmp_path, put)

    def fail(_: Lock) -> Lock:
        raise OSError(13, "of the change's own making")

    with pytest.raises(OSError, match="of the change's own making"):
        update_lock(tmp_path, fail)
    assert lock_text(tmp_path) == dumps(LOCK)
    assert update_lock(tmp_path, lambda _: Lock())


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    plans = [spec_of({"apt_packages": ["git"]}, name=f"p{number}") for number in range(8)]
    threads = [
        threading.Thread(target=update_lock, args=(tmp_path, lambda lock, plan=plan: lock.with_plans([plan])))
        for plan in plans
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_lock(tmp_path) == Lock(tuple(plans))
    assert beside(tmp_path) <= KEPT


def shuffled(text: str) -> str:
    """The same lock, with its records in another order."""
    head, *records = re.split(r"(?m)^(?=\[\[\w+\]\]$)", text)
    return "\n".join([head, *reversed(records)])


FORMS: dict[str, Callable[[str], str]] = {
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "another order": shuffled,
    "comments and blanks": lambda text: "# by hand\n\n" + text.replace(" = ", "   =  ") + "\n\n",
    "no line end": lambda text: text.rstrip("\n"),
    "all of it": lambda text: shuffled(text).replace("\n", "\r\n").rstrip(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("repairs", [False, True])
def test_a_lock_of_another_form_is_put_right_by_writing(tmp_path: Path, form: str, repairs: bool) -> None:
    made = FORMS[form](dumps(LOCK))
    assert made != dumps(LOCK)
    (tmp_path / LOCK_NAME).write_bytes(made.encode())
    assert read_lock(tmp_path) == LOCK
    assert update_lock(tmp_path, keep, repairs=repairs)
    assert (tmp_path / LOCK_NAME).read_bytes() == dumps(LOCK).encode()
    assert not update_lock(tmp_path, keep, repairs=repairs)


def test_what_is_not_utf8_is_damage_that_a_repair_drops(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_bytes(dumps(LOCK).encode() + b"\n\xff\xfe")
    with pytest.raises(PlannerError, match=r"stowplan\.lock"):
        read_lock(tmp_path)
    assert update_lock(tmp_path, keep, repairs=True)
    assert read_lock(tmp_path) is not None


# --- what is no lock


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)


def out(path: Path) -> None:
    outside = path.parents[1] / "outside.lock"
    outside.write_text(dumps(LOCK))
    path.symlink_to(outside)


def dangling(path: Path) -> None:
    path.symlink_to(path.parents[1] / "nowhere.lock")


OUTSIDE = r"stowplan\.lock: is a link to .*, outside the project: make it a file"
NO_LOCKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, r"stowplan\.lock: is not a regular file"),
    "device": (make_device, r"stowplan\.lock: is not a regular file"),
    "socket": (make_socket, r"stowplan\.lock: is not a regular file"),
    "directory": (Path.mkdir, r"stowplan\.lock: is a directory, not a file"),
    "large": (large, r"stowplan\.lock: is larger than 64 MiB, the most that is read"),
    "link to itself": (lambda path: path.symlink_to(path.name), r"stowplan\.lock: cannot be read: Too many"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), OUTSIDE),
    "link to another file": (
        lambda path: path.symlink_to("stowplan.toml"),
        r"stowplan\.lock: is a link to .*stowplan\.toml, which is not a \.lock file: make it a file",
    ),
    "link out": (out, OUTSIDE),
    "link to nothing outside": (dangling, OUTSIDE),
}


@pytest.mark.parametrize("how", READ)
@pytest.mark.parametrize("kind", NO_LOCKS)
def test_what_is_no_lock_is_refused_in_words(tmp_path: Path, kind: str, how: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    make, words = NO_LOCKS[kind]
    make(root / LOCK_NAME)
    outside = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ExecutorError, match=words):
        READ[how](root)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == outside
    assert beside(root) <= KEPT


def test_a_lock_that_may_not_be_read(unprivileged: Path) -> None:
    (unprivileged / LOCK_NAME).touch(0)
    with pytest.raises(ExecutorError, match=r"stowplan\.lock: cannot be read: Permission denied"):
        read_lock(unprivileged)


def test_a_lock_that_is_a_link_inside_the_project_stays_one(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / LOCK_NAME).symlink_to("locks/own.lock")
    assert read_lock(tmp_path) is None
    assert update_lock(tmp_path, put)
    assert (tmp_path / LOCK_NAME).is_symlink()
    assert (tmp_path / "locks/own.lock").read_text() == dumps(LOCK)
    assert read_lock(tmp_path) == LOCK
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["own.lock"]


def test_a_project_that_is_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "alias").symlink_to("project")
    assert update_lock(tmp_path / "alias", put)
    assert read_lock(tmp_path / "project") == read_lock(tmp_path / "alias") == LOCK


# --- the state directory


def test_a_state_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / STATE_DIRECTORY).symlink_to(elsewhere)
    for write in (state_directory, lambda root: update_lock(root, put)):
        with pytest.raises(ExecutorError, match=r"\.stowplan: is a link"):
            write(root)
    assert beside(root) == {STATE_DIRECTORY}
    assert beside(elsewhere) == set()


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["a file", "a fifo"])
def test_a_state_directory_that_is_none_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / STATE_DIRECTORY)
    with pytest.raises(ExecutorError, match=r"\.stowplan: cannot be written: File exists"):
        update_lock(tmp_path, put)
    assert beside(tmp_path) == {STATE_DIRECTORY}


@pytest.mark.parametrize("name", ["writer", ".gitignore"])
def test_nothing_is_written_through_links_in_the_state_directory(tmp_path: Path, name: str) -> None:
    state_directory(tmp_path)
    (tmp_path / STATE_DIRECTORY / name).unlink(missing_ok=True)
    (tmp_path / "precious").write_text("x")
    (tmp_path / STATE_DIRECTORY / name).symlink_to("../precious")
    if name == "writer":
        with pytest.raises(ExecutorError, match="cannot be locked"):
            update_lock(tmp_path, put)
    else:
        update_lock(tmp_path, put)
    assert (tmp_path / "precious").read_text() == "x"


def test_a_writer_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / STATE_DIRECTORY / "writer").mkdir(parents=True)
    with pytest.raises(ExecutorError, match="writer: cannot be locked: Is a directory"):
        update_lock(tmp_path, put)


def test_a_project_that_may_not_be_written(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(ExecutorError, match=r"\.stowplan: cannot be written: Permission denied"):
        update_lock(unprivileged, put)
