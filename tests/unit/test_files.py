"""Text files and file trees of a real directory, as values."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from executor.observe.cache import Cache
from executor.observe.files import NotSettled, hash_file, read_text
from executor.observe.trees import read_tree
from executor.reading import LARGEST_TEXT_BYTES
from planner.errors import PlannerError
from planner.facts.needs import FileTree
from planner.files.defaults import OWN_FILES
from planner.files.ignore import IgnoreRules
from planner.files.tree import Entry, Kind, Tree

Read = Callable[..., Tree]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


@pytest.fixture
def read(root: Path) -> Read:
    """The tree of the project under some ignore rules, read without a cache of earlier reads."""

    def read(ignore: str = "", *left_out: str) -> Tree:
        need = FileTree(IgnoreRules.parse(ignore, file=".dockerignore"), (*OWN_FILES, *left_out))
        with Cache(root / "nowhere") as none:
            return read_tree(root, need, none)

    return read


def write(path: Path, text: str = "", mode: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    if mode is not None:
        path.chmod(mode)
    return path


# --- text


def test_text_is_read_as_it_is(root: Path) -> None:
    (root / "requirements.txt").write_bytes("\ufeffé==1\r\n".encode())
    assert read_text(root, "requirements.txt") == "\ufeffé==1\r\n"


@pytest.mark.parametrize("path", ["missing.txt", "missing/a.txt", "file/a.txt", "dangling"])
def test_what_is_not_there_has_no_text(root: Path, path: str) -> None:
    write(root / "file")
    (root / "dangling").symlink_to("missing.txt")
    assert read_text(root, path) is None


def test_text_may_be_named_by_an_absolute_path_inside_the_project(root: Path) -> None:
    write(root / "a.txt", "a")
    assert read_text(root, str(root / "a.txt")) == "a"


def test_text_is_read_through_links_that_stay_inside(root: Path) -> None:
    write(root / "docs/a.txt", "a")
    (root / "d").symlink_to(root / "docs")
    (root / "l").symlink_to("d/a.txt")
    assert read_text(root, "l") == "a"
    assert read_text(root, "d/a.txt") == "a"


def test_a_root_behind_a_link_is_the_same_root(root: Path, tmp_path: Path) -> None:
    write(root / "a.txt", "a")
    (tmp_path / "link").symlink_to(root)
    assert read_text(tmp_path / "link", "a.txt") == "a"


@pytest.mark.parametrize("path", ["file", "directory/secret", "missing", "../secret", "{outside}/secret"])
def test_nothing_outside_the_project_is_read(root: Path, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "project-2"  # its path starts like the project's
    write(outside / "secret", "s3cret")
    write(tmp_path / "secret", "s3cret")
    (root / "file").symlink_to(outside / "secret")
    (root / "directory").symlink_to("../project-2")
    (root / "missing").symlink_to("/nonexistent/requirements.txt")
    with pytest.raises(PlannerError, match="leads out of the project") as raised:
        read_text(root, path.format(outside=outside))
    assert "s3cret" not in str(raised.value)


def test_what_is_no_text_file_is_refused_by_name(root: Path) -> None:
    (root / "d").mkdir()
    os.mkfifo(root / "fifo")
    (root / "loop").symlink_to("loop")
    with pytest.raises(PlannerError, match="d: is a directory, not a file: put a regular file in its place"):
        read_text(root, "d")
    with pytest.raises(PlannerError, match="fifo: is not a regular file"):
        read_text(root, "fifo")
    with pytest.raises(PlannerError, match="loop: cannot be read"):
        read_text(root, "loop")


def test_a_text_file_of_more_than_16_mib_is_refused(root: Path) -> None:
    with (root / "r.txt").open("wb") as file:
        file.truncate(LARGEST_TEXT_BYTES + 1)
    with pytest.raises(PlannerError, match=r"r\.txt: is larger than 16 MiB, the most that is read: make it"):
        read_text(root, "r.txt")
    os.truncate(root / "r.txt", LARGEST_TEXT_BYTES)
    assert read_text(root, "r.txt") == "\0" * LARGEST_TEXT_BYTES


def test_text_that_is_not_utf8_is_refused_with_its_line(root: Path) -> None:
    (root / "r.txt").write_bytes(b"a\nb\n\xff\xfe\n")
    with pytest.raises(PlannerError) as raised:
        read_text(root, "r.txt")
    assert str(raised.value) == "r.txt:3: not UTF-8: byte 0xff at offset 4: save it as UTF-8"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_text_in_utf16_needs_its_mark(root: Path, encoding: str) -> None:
    """As pip and uv read it: Windows' shells write it."""
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (root / "r.txt").write_bytes(f"{mark}six\r\ncafé\r\n".encode(encoding))
    assert read_text(root, "r.txt") == "six\r\ncafé\r\n"
    (root / "r.txt").write_bytes(f"{mark}six".encode(encoding)[:-1])
    with pytest.raises(PlannerError, match=r"r\.txt: not UTF-16, as its byte order mark says, at offset"):
        read_text(root, "r.txt")


# --- trees


def test_a_tree_holds_files_and_links(root: Path, read: Read) -> None:
    write(root / "a.py", "a")
    write(root / "bin/run", "r", 0o755)
    (root / "bin/link").symlink_to("../a.py")
    assert read() == Tree.of([
        Entry("a.py", Kind.FILE, hashlib.sha256(b"a").digest()),
        Entry("bin/run", Kind.EXECUTABLE, hashlib.sha256(b"r").digest()),
        Entry("bin/link", Kind.LINK, b"../a.py"),
    ])  # fmt: skip


def test_an_empty_project_is_an_empty_tree(read: Read) -> None:
    assert read() == Tree.of([])


def test_a_missing_root_is_refused(tmp_path: Path) -> None:
    with (
        Cache(tmp_path / "none") as cache,
        pytest.raises(PlannerError, match="cannot be read: No such file"),
    ):
        read_tree(tmp_path / "none", FileTree(IgnoreRules()), cache)


def test_the_umask_does_not_count_and_the_executable_bit_does(root: Path, read: Read) -> None:
    digests = set()
    for mask in (0o022, 0o002, 0o077):
        old = os.umask(mask)
        try:
            write(root / f"{mask}/d/a.py", "a")
            os.close(os.open(root / f"{mask}/d/run", os.O_CREAT | os.O_WRONLY, 0o777))
        finally:
            os.umask(old)
        (root / f"{mask}").rename(root / "same")
        digests.add(read().digest)
        (root / "same").rename(root.parent / f"{mask}")
    assert len(digests) == 1
    (root.parent / f"{0o022}").rename(root / "same")
    (root / "same/d/a.py").chmod(0o744)
    assert read().digest not in digests


def test_only_the_owner_decides_what_is_executable_as_in_git(root: Path, read: Read) -> None:
    write(root / "a", "", 0o655)
    assert [entry.kind for entry in read().entries()] == [Kind.FILE]


def test_times_do_not_count(root: Path, read: Read) -> None:
    path = write(root / "a", "a")
    before = read()
    os.utime(path, (0, 0))
    assert read() == before


def test_a_retargeted_link_counts(root: Path, read: Read) -> None:
    link = root / "current"
    link.symlink_to("v1")
    before = read()
    link.unlink()
    link.symlink_to("v2")
    assert read().changed_paths(before) == ("current",)


@pytest.mark.parametrize("target", ["missing", "/etc/passwd", "../outside", ".", "current"])
def test_links_are_kept_and_never_followed(root: Path, read: Read, target: str) -> None:
    write(root.parent / "outside/secret", "s")
    (root / "current").symlink_to(target)
    assert [tuple(entry) for entry in read().entries()] == [("current", Kind.LINK, target.encode())]


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "new\nline",
        "é",
        "e\u0301",
        "x" * 255,
        "-rf",
        "'",
        '"',
        "\\",
        "%s",
        "日本",
        "\x7f",
        ":",
        "a;b",
    ],
)
def test_names_are_kept_as_they_are(root: Path, read: Read, name: str) -> None:
    write(root / name, "a")
    write(root / "d" / name, "b")
    assert [entry.path for entry in read().entries()] == sorted([f"d/{name}", name], key=str.encode)


def test_unicode_forms_are_different_names(root: Path, read: Read) -> None:
    write(root / "é", "a")
    if (root / "e\u0301").exists():
        pytest.skip("this file system takes NFC and NFD for one name")
    write(root / "e\u0301", "b")
    assert len(list(read().paths())) == 2


def test_names_that_sort_differently_with_a_slash(root: Path, read: Read) -> None:
    for name in ("a", "a-b", "a.b", "b"):
        write(root / name / "f", name)
        write(root / f"{name}x", name)
    entries = [
        Entry(str(path.relative_to(root)), Kind.FILE, hashlib.sha256(path.read_bytes()).digest())
        for path in root.rglob("*")
        if path.is_file()
    ]
    assert read() == Tree.of(entries)


def test_a_name_that_is_not_utf8_is_refused_unless_ignored(root: Path, read: Read) -> None:
    try:
        (root / os.fsdecode(b"caf\xe9.py")).touch()
        (root / os.fsdecode(b"d\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(PlannerError) as raised:
        read()
    assert str(raised.value).splitlines() == [
        r"caf\udce9.py: a name that is not UTF-8: rename it, or add it to .dockerignore",
        r"d\udce9: a name that is not UTF-8: rename it, or add it to .dockerignore",
    ]
    assert read("caf*\nd*") == Tree.of([])


@pytest.mark.parametrize("name", [".wh.a", ".wh..wh..opq", ".wh."])
def test_a_name_that_would_delete_is_refused_unless_ignored(root: Path, read: Read, name: str) -> None:
    """An engine takes such a member of a layer for a deletion, so that the file would not be in the image."""
    write(root / "a")
    write(root / "b/c")
    found = "a name that starts with .wh., which deletes a file in an image instead of adding one"
    for apply in (Path.touch, Path.mkdir, lambda path: path.symlink_to("a")):
        path = root / "b" / name
        apply(path)
        with pytest.raises(PlannerError) as raised:
            read()
        assert str(raised.value) == f"b/{name}: {found}: rename it, or add it to .dockerignore"
        assert list(read("**/.wh.*").paths()) == ["a", "b/c"]
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


# Hashes all that is below a directory, streams it, and reads a file of it.
SEEN: Final = textwrap.dedent(r"""
    import hashlib, os, sys
    from pathlib import Path

    from attrs import evolve

    from executor.context import files
    from executor.observe.cache import Cache
    from executor.observe.files import read_text
    from executor.observe.trees import read_tree
    from planner import FileTree, IgnoreRules
    from planner.image.plan import Checkout
    from tests.builders import image_of

    root = Path(sys.argv[1])
    need = FileTree(IgnoreRules(("\u00fc",)), (".stowplan", "./caf\u00e9/left-out"))
    with Cache(root) as cache:
        trees = {read_tree(root, need, cache, tick_ns=tick) for tick in (0, -10**11, 10**11)}
    (tree,) = trees
    image = evolve(image_of({}), checkout=Checkout(trees={"files": tree}))
    streamed = hashlib.sha256(b"".join(files(image, root))).hexdigest()
    print(ascii([list(tree.entries()), streamed, read_text(root, "caf\u00e9/caf\u00e9.txt")]))
    print(sys.getfilesystemencoding(), file=sys.stderr)
""")


@pytest.fixture
def latin1(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with a Latin-1 locale."""
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", tmp_path / "en_US.ISO-8859-1"],
        capture_output=True,
        check=False,
    )
    if not (tmp_path / "en_US.ISO-8859-1").exists():
        pytest.skip(f"no such locale can be made here: {made.stderr!r}")
    return {"LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0"}


def test_the_locale_does_not_count(root: Path, latin1: dict[str, str]) -> None:
    for directory in ("caf\u00e9", "caf\u00e9/cafe\u0301"):
        write(root / directory / "caf\u00e9.txt", "caf\u00e9")
        write(root / directory / "left-out")
        (root / directory / "l\u00efnk").symlink_to("caf\u00e9.txt")
    write(root / "\u00fc/ignored")
    said = {}
    for encoding, environment in {
        "utf-8": {"PYTHONUTF8": "1"},
        "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "iso8859-1": latin1,
    }.items():
        done = subprocess.run(
            [sys.executable, "-c", SEEN, root],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.strip() == encoding
        said[encoding] = done.stdout
    assert len(set(said.values())) == 1


def test_a_link_to_what_is_not_utf8_is_refused(root: Path, read: Read) -> None:
    (root / "l").symlink_to(os.fsdecode(b"caf\xe9"))
    with pytest.raises(PlannerError, match="l: a link whose target is not UTF-8"):
        read()


def test_sockets_and_fifos_are_refused_all_at_once_unless_ignored(root: Path, read: Read) -> None:
    write(root / "a.py")
    (root / "run").mkdir()
    os.mkfifo(root / "run/pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # a socket's path has at most 108 bytes
        try:
            server.bind("s")
        finally:
            os.chdir(here)
    with pytest.raises(PlannerError) as raised:
        read()
    assert str(raised.value).splitlines() == [
        "run/pipe: a fifo, which an image cannot hold: add it to .dockerignore",
        "s: a socket, which an image cannot hold: add it to .dockerignore",
    ]
    assert list(read("run\ns").paths()) == ["a.py"]


def test_what_cannot_be_read_is_refused_all_at_once_unless_ignored(unprivileged: Path) -> None:
    root = unprivileged
    write(root / "a", "", 0)
    write(root / "b/c")
    (root / "b").chmod(0)
    with Cache(root) as cache:
        with pytest.raises(PlannerError) as raised:
            read_tree(root, FileTree(IgnoreRules(), OWN_FILES), cache)
        assert str(raised.value).splitlines() == [
            "a: cannot be read: Permission denied: make it readable, or add it to .dockerignore",
            "b: cannot be read: Permission denied: make it readable, or add it to .dockerignore",
        ]
        assert read_tree(root, FileTree(IgnoreRules(("a", "b")), OWN_FILES), cache) == Tree.of([])
    with pytest.raises(PlannerError, match="a: cannot be read: Permission denied"):
        read_text(root, "a")


# --- what is ignored


def test_ignored_directories_are_there_for_what_is_re_included_only(root: Path, read: Read) -> None:
    for path in ("docs/keep.md", "docs/drop.md", "docs/deep/drop.md", "data/raw/x", "data/own/y", "src/z"):
        write(root / path)
    tree = read("docs\n!docs/keep.md\ndata\n!data/own\n")
    assert list(tree.paths()) == ["data/own/y", "docs/keep.md", "src/z"]
    assert set(tree.nodes) == {"", "data", "data/own", "docs", "src"}


def test_an_ignored_directory_with_nothing_re_included_is_absent(root: Path, read: Read) -> None:
    write(root / "docs/drop.md")
    (root / "docs/empty").mkdir()
    assert read("docs\n!docs/keep.md") == Tree.of([])
    assert read("**\n!**/*.keep") == Tree.of([])


@pytest.mark.parametrize("ignore", ["**/*.pyc", "**/*.pyc\ndata\n!data/own", "**/*.pyc\n!**/*.keep"])
def test_a_directory_in_which_nothing_is_kept_is_absent(root: Path, read: Read, ignore: str) -> None:
    """Git keeps no empty directory: one that counted would move the hash between two checkouts."""
    write(root / "src/a.py")
    before = read(ignore)
    for path in ("logs", "src/empty/er", "data/own"):
        (root / path).mkdir(parents=True)
    write(root / "build/deep/a.pyc")
    assert read(ignore) == before
    assert set(before.nodes) == {"", "src"}


@pytest.mark.parametrize(
    "ignore",
    [
        "",
        "*",
        "*\n!**/*.py",
        "a\n!a/b",
        "a/*\n!a/b/c.py\n",
        "**/b\n!a/b/c.py",
        "*.py",
        "**/*.py\n!b.py",
        "a/b",
    ],
)
def test_each_file_is_in_the_tree_if_the_rules_do_not_ignore_it(root: Path, read: Read, ignore: str) -> None:
    paths = ["a/b/c.py", "a/b/d.txt", "a/c.py", "b.py", "b/c/d.py", "c/b/c.py", "e.txt"]
    for path in paths:
        write(root / path, path)
    rules = IgnoreRules.parse(ignore, file="")
    assert list(read(ignore).paths()) == [path for path in paths if not rules.ignores(path)]


def test_what_is_left_out_is_left_out_whatever_the_rules_say(root: Path, read: Read) -> None:
    for path in (".stowplan/cache", "stowplan.lock", ".dockerignore", "docker/ignore", "docker/other"):
        write(root / path)
    write(root / "sub/stowplan.lock")
    tree = read("!.stowplan\n!stowplan.lock", ".dockerignore", "./docker/ignore")
    assert list(tree.paths()) == ["docker/other", "sub/stowplan.lock"]
    assert list(read("", str(root / "docker")).paths()) == [".dockerignore", "sub/stowplan.lock"]


# --- files that change


@pytest.fixture
def growing(root: Path) -> Iterator[Path]:
    """A file that does not stop growing."""
    path = root / "log"
    path.write_bytes(bytes(50_000_000))
    stopped = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not stopped.is_set():
                file.write(b"x")

    writer = threading.Thread(target=grow)
    writer.start()
    yield path
    stopped.set()
    writer.join()


def test_a_file_that_changes_each_time_it_is_read_is_refused(growing: Path, read: Read) -> None:
    with pytest.raises(NotSettled):
        hash_file(bytes(growing))
    with pytest.raises(PlannerError, match="log: changed each time it was read"):
        read()


def test_files_that_come_and_go_meanwhile_are_no_error(root: Path, read: Read) -> None:
    write(root / "d/keep")
    stopped = threading.Event()

    def churn() -> None:
        while not stopped.is_set():
            write(root / "d/gone", "x").unlink()
            (root / "e").mkdir()
            (root / "e").rmdir()

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        for _ in range(200):
            assert "d/keep" in read().paths()
    finally:
        stopped.set()
        churning.join()


def test_a_file_is_not_hashed_through_a_link(root: Path) -> None:
    path = write(root / "a", "a")
    assert hash_file(bytes(path)).digest == hashlib.sha256(b"a").digest()
    (root / "l").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        hash_file(bytes(root / "l"))


def test_large_and_small_files_have_the_digest_of_their_bytes(root: Path) -> None:
    for size in (0, 1, 65_535, 65_536, 65_537, 3_000_001):
        path = root / str(size)
        path.write_bytes(b"x" * size)
        content = hash_file(bytes(path))
        assert content.digest == hashlib.sha256(b"x" * size).digest()
        assert stat.S_ISREG(content.status.st_mode)
