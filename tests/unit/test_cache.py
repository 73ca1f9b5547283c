"""The cache of hashes: what it spares, what it must never get wrong, and that it never fails."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import multiprocessing
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from attrs import evolve

from executor.context import verify
from executor.errors import FilesChanged
from executor.observe.cache import CACHE_NAME, Cache
from executor.observe.trees import TICK_NS, read_tree
from planner.facts.needs import FileTree
from planner.files.defaults import OWN_FILES
from planner.files.ignore import IgnoreRules
from planner.files.tree import Entry, Kind, Tree
from planner.image.plan import Checkout
from tests.builders import image_of

# Takes every file for settled, however young: so that a test need not wait for 2 s.
SETTLED = -10 * TICK_NS
WRONG = bytes(32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("a.py", "b.py", "src/c.py", "src/deep/d.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path, "utf-8")
    return tmp_path


def read(root: Path, ignore: str = "", tick_ns: int = SETTLED) -> Tree:
    need = FileTree(IgnoreRules.parse(ignore, file=".dockerignore"), OWN_FILES)
    with Cache(root) as cache:
        return read_tree(root, need, cache, tick_ns=tick_ns)


def truth(root: Path) -> Tree:
    """The tree of all files, by other means."""
    return Tree.of(
        Entry(str(path.relative_to(root)), Kind.FILE, hashlib.sha256(path.read_bytes()).digest())
        for path in root.rglob("*")
        if path.is_file() and ".stowplan" not in path.parts
    )


@contextmanager
def database(root: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(root / ".stowplan" / CACHE_NAME)) as opened, opened:
        yield opened


def forge(root: Path) -> None:
    """Make every remembered digest a wrong one, which shows when it is used."""
    with database(root) as opened:
        for path in ("a.py", "b.py", "src/c.py", "src/deep/d.py"):
            right = hashlib.sha256(path.encode()).hexdigest()
            opened.execute("UPDATE hashes SET files = replace(files, ?, ?)", (right, WRONG.hex()))


def test_a_tree_is_the_same_with_and_without_a_cache(root: Path) -> None:
    assert read(root) == read(root) == read(root, tick_ns=TICK_NS) == truth(root)


def test_nothing_is_read_of_a_directory_in_which_nothing_changed(root: Path) -> None:
    read(root)
    with database(root) as opened:
        node = b"stowplan/tree/1\nf4:c.py32:" + WRONG
        assert opened.execute("UPDATE nodes SET node = ? WHERE path = 'src'", (node,)).rowcount == 1
    contents = {entry.path: entry.content for entry in read(root).entries()}
    assert contents["src/c.py"] == WRONG
    assert contents["src/deep/d.py"] == hashlib.sha256(b"src/deep/d.py").digest()


def test_of_a_directory_in_which_something_changed_only_that_is_read(root: Path) -> None:
    read(root)
    forge(root)
    (root / "a.py").write_text("new", "utf-8")
    contents = {entry.path: entry.content for entry in read(root).entries()}
    assert contents["a.py"] == hashlib.sha256(b"new").digest()
    assert contents["b.py"] == WRONG


def test_other_ignore_rules_do_not_make_files_be_read_again(root: Path) -> None:
    read(root)
    forge(root)
    assert {entry.content for entry in read(root, "a.py").entries()} == {WRONG}


def test_each_set_of_rules_is_remembered(root: Path) -> None:
    trees = [read(root, ignore) for ignore in ("", "src", "*.py", "src\n!src/deep")]
    assert [list(tree.paths()) for tree in trees[1:]] == [
        ["a.py", "b.py"],
        ["src/c.py", "src/deep/d.py"],
        ["a.py", "b.py", "src/deep/d.py"],
    ]
    assert [read(root, ignore) for ignore in ("", "src", "*.py", "src\n!src/deep")] == trees


def test_no_more_than_a_few_sets_of_rules_are_kept(root: Path) -> None:
    for number in range(40):
        read(root, f"{number}.txt")
    with database(root) as opened:
        kept = opened.execute("SELECT count(DISTINCT rules) FROM nodes").fetchone()
        assert kept == opened.execute("SELECT count(*) FROM rules").fetchone() == (16,)


def rewrite(path: Path, text: str) -> None:
    """Write a file until its status has another time: that clock ticks every few milliseconds."""
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        path.write_text(text, "utf-8")


def test_an_edit_that_keeps_size_and_time_is_noticed(root: Path) -> None:
    path = root / "src/c.py"
    before = path.stat()
    read(root)
    rewrite(path, "SRC/C.PY")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert read(root) == truth(root)


def test_edits_within_a_tick_of_the_clock_are_noticed(root: Path) -> None:
    path = root / "a.py"
    for number in range(50):
        path.write_text(f"{number:04}", "utf-8")
        assert read(root, tick_ns=TICK_NS) == truth(root)


def test_what_is_too_young_to_be_trusted_is_not_remembered(root: Path) -> None:
    read(root, tick_ns=TICK_NS)
    with database(root) as opened:
        assert opened.execute("SELECT path FROM nodes").fetchall() == []
        assert {files for (files,) in opened.execute("SELECT files FROM hashes")} == {"{}"}


def test_what_was_remembered_and_is_young_again_is_forgotten(root: Path) -> None:
    read(root)
    rewrite(root / "a.py", "A.py")
    read(root, tick_ns=TICK_NS)
    with database(root) as opened:
        assert {path for (path,) in opened.execute("SELECT path FROM nodes")} == {"src", "src/deep"}


def test_changes_of_any_kind_are_noticed(root: Path) -> None:
    read(root)
    (root / "new.py").write_text("new", "utf-8")
    assert read(root) == truth(root)
    (root / "a.py").rename(root / "z.py")
    assert read(root) == truth(root)
    (root / "b.py").replace(root / "src/c.py")
    assert read(root) == truth(root)
    (root / "src/deep").rename(root / "src/deeper")
    assert read(root) == truth(root)
    shutil.rmtree(root / "src")
    (root / "src").write_text("now a file", "utf-8")
    assert read(root) == truth(root)
    with database(root) as opened:
        assert opened.execute("SELECT path FROM nodes").fetchall() == [("",)]
        assert opened.execute("SELECT path FROM hashes").fetchall() == [("",)]


def test_modes_and_links_are_noticed(root: Path) -> None:
    (root / "l").symlink_to("a.py")
    first = read(root)
    (root / "a.py").chmod(0o755)
    second = read(root)
    (root / "l").unlink()
    (root / "l").symlink_to("b.py")
    third = read(root)
    assert second.changed_paths(first) == ("a.py",)
    assert third.changed_paths(second) == ("l",)


def test_an_ignored_directory_comes_when_something_in_it_is_re_included(root: Path) -> None:
    ignore = "src\n!src/**/keep.py"
    assert list(read(root, ignore).nodes) == [""]
    (root / "src/deep/keep.py").write_text("", "utf-8")
    assert set(read(root, ignore).nodes) == {"", "src", "src/deep"}
    (root / "src/deep/keep.py").unlink()
    assert list(read(root, ignore).nodes) == [""]


def test_a_directory_comes_with_its_first_file_and_goes_with_its_last(root: Path) -> None:
    (root / "logs/deep").mkdir(parents=True)
    before = read(root)
    (root / "logs/deep/a.log").write_text("a", "utf-8")
    assert set(read(root).nodes) == {"", "src", "src/deep", "logs", "logs/deep"}
    (root / "logs/deep/a.log").unlink()
    assert read(root) == before == truth(root)


def test_the_cache_is_kept_out_of_git_and_out_of_the_tree(root: Path) -> None:
    read(root)
    assert (root / ".stowplan/.gitignore").read_text("utf-8") == "*\n"
    assert not [path for path in read(root).paths() if path.startswith(".stowplan")]


# --- what proves wrong


def streamed(root: Path, tree: Tree) -> None:
    """Stream a tree as the context of an image."""
    verify(evolve(image_of({}), checkout=Checkout(trees={"files": tree})), root)


@pytest.mark.parametrize("ignore", ["", "b.py"])
def test_planning_again_helps_where_the_cache_was_wrong(root: Path, ignore: str) -> None:
    """Whatever made it so: a clock that was set back, a file server, a store through a map."""
    for rules in ("", "b.py"):
        read(root, rules)
    forge(root)
    for path in ("new.py", "src/new.py", "src/deep/new.py"):
        (root / path).touch()
    stale = read(root, ignore)
    assert WRONG in {entry.content for entry in stale.entries()}
    with pytest.raises(FilesChanged) as raised:
        streamed(root, stale)
    assert {"a.py", "src/c.py", "src/deep/d.py"} <= {problem.where.file for problem in raised.value.problems}
    streamed(root, read(root))
    assert read(root) == truth(root)


def test_only_the_directories_of_what_changed_are_forgotten(root: Path) -> None:
    tree = read(root)
    (root / "src/c.py").write_text("changed", "utf-8")
    with pytest.raises(FilesChanged):
        streamed(root, tree)
    with database(root) as opened:
        for table in ("nodes", "hashes"):
            found = {path for (path,) in opened.execute(f"SELECT path FROM {table}")}  # noqa: S608
            assert found == {"", "src/deep"}


def test_forgetting_needs_no_cache(root: Path) -> None:
    (root / ".stowplan").write_text("in the way", "utf-8")
    tree = read(root)
    (root / "a.py").unlink()
    with pytest.raises(FilesChanged, match=r"a\.py: changed since it was planned: it is gone"):
        streamed(root, tree)


# --- it never fails


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_cache_is_no_cache_and_is_replaced(root: Path, damage: bytes) -> None:
    read(root)
    path = root / ".stowplan" / CACHE_NAME
    path.write_bytes(damage)
    assert read(root) == truth(root)
    forge(root)
    (root / "a.py").write_text("new", "utf-8")
    assert WRONG in {entry.content for entry in read(root).entries()}


def test_a_cache_cut_short_is_no_cache(root: Path) -> None:
    read(root)
    path = root / ".stowplan" / CACHE_NAME
    whole = path.read_bytes()
    for size in range(0, len(whole), 2048):
        path.write_bytes(whole[:size])
        assert read(root) == truth(root)


def test_rows_of_another_shape_are_passed_over(root: Path) -> None:
    read(root)
    with database(root) as opened:
        opened.execute("UPDATE nodes SET below = '[1, 2]'")
        opened.execute("UPDATE hashes SET files = '[{\"a.py\": 1}]'")
    assert read(root) == truth(root)


def test_a_cache_of_another_version_is_written_anew(root: Path) -> None:
    read(root)
    with database(root) as opened:
        opened.execute("DROP TABLE hashes")
        opened.execute("CREATE TABLE hashes (another)")
        opened.execute("PRAGMA user_version = 99")
    assert read(root) == truth(root)
    with database(root) as opened:
        assert opened.execute("SELECT count(path) FROM hashes").fetchone() == (3,)


def test_a_project_that_cannot_be_written_has_no_cache(root: Path) -> None:
    (root / ".stowplan").write_text("in the way", "utf-8")
    assert read(root) == truth(root)


def test_a_directory_that_cannot_be_written_is_no_error(unprivileged: Path) -> None:
    (unprivileged / "a.py").write_text("a.py", "utf-8")
    unprivileged.chmod(0o555)
    assert read(unprivileged) == truth(unprivileged)
    assert not (unprivileged / ".stowplan").exists()


def test_a_cache_that_can_only_be_read_is_used(unprivileged: Path) -> None:
    (unprivileged / "a.py").write_text("a.py", "utf-8")
    read(unprivileged)
    forge(unprivileged)
    (unprivileged / "b.py").write_text("b.py", "utf-8")
    (unprivileged / ".stowplan" / CACHE_NAME).chmod(0o444)
    (unprivileged / ".stowplan").chmod(0o555)
    contents = {entry.path: entry.content for entry in read(unprivileged).entries()}
    assert contents == {"a.py": WRONG, "b.py": hashlib.sha256(b"b.py").digest()}


def test_a_cache_that_is_a_directory_is_no_cache(root: Path) -> None:
    (root / ".stowplan" / CACHE_NAME).mkdir(parents=True)
    assert read(root) == truth(root)


def test_nothing_is_written_through_links(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    other = elsewhere / "other.sqlite3"
    with closing(sqlite3.connect(other)) as opened, opened:
        opened.execute("CREATE TABLE hashes (precious)")
    before = other.read_bytes()
    (root / ".stowplan").mkdir()
    (root / ".stowplan" / CACHE_NAME).symlink_to(other)
    assert read(root) == truth(root)
    shutil.rmtree(root / ".stowplan")
    (root / ".stowplan").symlink_to(elsewhere)
    assert read(root) == truth(root)
    assert other.read_bytes() == before
    assert [path.name for path in elsewhere.iterdir()] == ["other.sqlite3"]


def test_a_cache_that_another_process_holds_is_no_cache(root: Path) -> None:
    read(root)
    with database(root) as opened:
        opened.execute("BEGIN EXCLUSIVE")
        (root / "a.py").write_text("new", "utf-8")
        assert read(root) == truth(root)


def _read_often(root: Path) -> None:
    for number in range(10):
        (root / f"{os.getpid()}.txt").write_text(f"{number}", "utf-8")
        read(root)


def test_two_processes_at_once(root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_read_often, args=(root,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert read(root) == truth(root)


def test_a_process_that_is_killed_leaves_a_cache_that_works(root: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    for _ in range(5):
        process = spawn.Process(target=_read_often, args=(root,))
        process.start()
        written = threading.Event()
        while not written.wait(0.01) and process.is_alive():
            if list(root.glob(f"{process.pid}.txt")):
                written.set()
        process.kill()
        process.join()
        assert read(root) == truth(root)


# --- what leaves no trace


@pytest.fixture
def mapped(root: Path) -> Iterator[mmap.mmap]:
    """A writable map of a file, where a store is seen again once the file was written back."""
    with (root / "a.py").open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0] = ord("b")
        os.fsync(file.fileno())
        os.utime(root / "a.py", (0, 0))
        memory[0] = ord("c")
        if not (root / "a.py").stat().st_mtime_ns or not hasattr(ctypes.CDLL(None), "sync_file_range"):
            pytest.skip("what is stored into a map leaves no trace here")
        os.utime(root / "a.py", (0, 0))
        yield memory


def test_a_store_through_a_map_after_it_was_hashed_is_noticed(root: Path, mapped: mmap.mmap) -> None:
    """The page is dirty when it is hashed: of the next store nobody would be told."""
    assert read(root) == truth(root)
    mapped[0] = ord("d")
    assert read(root) == truth(root)
    mapped[0] = ord("e")
    mapped.flush()
    assert read(root) == truth(root)
