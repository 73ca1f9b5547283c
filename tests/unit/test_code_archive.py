"""The archive of the code: what is in it, and that it is the same wherever it is made."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import pytest

from executor.artifacts.code import CodeArchive, archive_code
from executor.bootstrap import limits, pack
from executor.bootstrap.unpack import unpack
from executor.errors import ExecutorError, FilesChanged
from tests.bootstrap import PYTHONS
from tests.git_server import repo

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    _write(root, {"train.py": "print(1)\n", "lib/é.py": "", "lib/data/x.csv": "1\n", "stowplan.toml": ""})
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o700)
    (root / "lib/link").symlink_to("data/../é.py")
    return root


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _archived(root: Path) -> CodeArchive:
    return archive_code(root, root.parent / "code.tar.gz")


def _names(archive: CodeArchive) -> list[str]:
    with tarfile.open(archive.path) as members:
        return members.getnames()


def test_it_holds_the_files_and_links_and_nothing_of_stowplan(root: Path) -> None:
    _write(root, {".stowplan/records.db": "", "stowplan.lock": "", "lib/.stowplan": "kept"})
    (root / "empty").mkdir()
    archive = _archived(root)
    assert _names(archive) == [
        "lib/data/x.csv", "lib/link", "lib/é.py", "run.sh", "train.py"
    ]  # fmt: skip
    assert (archive.files, archive.size) == (5, archive.path.stat().st_size)
    assert archive.name == f"code/{archive.digest.hex}.tar.gz"


def test_what_is_unpacked_is_what_was_packed(root: Path, tmp_path: Path) -> None:
    archive = _archived(root)
    target = tmp_path / "target"
    target.mkdir()
    with archive.path.open("rb") as file:
        unpack(file, target)
    assert (target / "lib/link").readlink() == Path("data/../é.py")
    assert (target / "train.py").read_text() == "print(1)\n"
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in target.iterdir()}
    assert modes == {"lib": "0o755", "run.sh": "0o755", "train.py": "0o644"}


def test_the_same_code_is_the_same_archive(root: Path) -> None:
    first = _archived(root)
    data = first.path.read_bytes()
    for path in root.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1, 1))
            path.chmod(0o777 if path.is_dir() or path.name == "run.sh" else 0o600)
    second = _archived(root)
    assert (second.digest, second.path.read_bytes()) == (first.digest, data)
    (root / "run.sh").chmod(0o644)
    assert _archived(root).digest != first.digest


def test_its_digest_is_that_of_the_tar_file(root: Path) -> None:
    archive = _archived(root)
    assert archive.digest.hex == hashlib.sha256(gzip.decompress(archive.path.read_bytes())).hexdigest()
    # The header of gzip: no name, no time.
    assert archive.path.read_bytes()[3:8] == bytes(5)


# Those that stowplan itself runs in.
_OWN: Final = [(version, python) for version, python in PYTHONS if int(version.partition(".")[2]) >= 11]


@pytest.mark.parametrize(("version", "python"), _OWN, ids=[version for version, _ in _OWN])
def test_every_python_packs_alike(root: Path, version: str, python: str) -> None:
    _write(root, {"long/" + "x" * 120 + "/" + "y" * 120: "", "nfd/e\u0301": ""})
    script = (
        "import sys, hashlib\nfrom pathlib import Path\nfrom executor.bootstrap import pack\n"
        "class File:\n    digest = hashlib.sha256()\n    write = digest.update\n"
        "pack.write(File(), pack.below(Path(sys.argv[1])))\nprint(File.digest.hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [each, "-c", script, str(root)],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        ).stdout
        for each in (python, sys.executable)
    }
    assert len(digests) == 1, version


def test_what_git_ignores_is_left_out(root: Path) -> None:
    _write(root, {".gitignore": "*.csv\n/.venv\n", ".venv/bin/x": "", "lib/.gitignore": "!x.csv\n"})
    assert _names(_archived(root)) == [
        ".gitignore", "lib/.gitignore", "lib/data/x.csv", "lib/link", "lib/é.py", "run.sh", "train.py"
    ]  # fmt: skip


def test_where_nothing_says_what_is_ignored_it_is_what_images_leave_out(root: Path) -> None:
    _write(root, {".env": "TOKEN=1", ".venv/bin/x": "", "lib/__pycache__/a.pyc": ""})
    (root / ".venv/bin/python").symlink_to("/usr/bin/python3")
    assert _names(_archived(root)) == ["lib/data/x.csv", "lib/link", "lib/é.py", "run.sh", "train.py"]
    _write(root, {".gitignore": ".venv\n"})
    assert {".env", "lib/__pycache__/a.pyc"} <= set(_names(_archived(root)))


def test_files_of_submodules_are_in_it_under_their_own_rules(root: Path) -> None:
    _write(root, {".gitignore": "*.log\n", "a.log": "", "sub/.git": "gitdir: ../x\n", "sub/a.log": ""})
    _write(
        root, {"sub/.gitignore": "*.tmp\n", "sub/a.tmp": "", "sub/deep/.git/config": "", "sub/deep/b.tmp": ""}
    )
    assert [name for name in _names(_archived(root)) if name.startswith("sub")] == [
        "sub/.gitignore", "sub/a.log", "sub/deep/b.tmp"
    ]  # fmt: skip


def test_what_is_tracked_although_it_is_ignored_is_in_it(tmp_path: Path) -> None:
    made = repo(tmp_path / "r")
    _write(
        made.directory, {"data/kept.csv": "1", "data/gone.csv": "1", "moved/x.csv": "1", "other/x.csv": "2"}
    )
    made.git("add", "--all")
    _write(made.directory, {".gitignore": "*.csv\nmoved\n", "data/new.csv": "1"})
    (made.directory / "data/gone.csv").unlink()
    (made.directory / "moved/x.csv").unlink()
    (made.directory / "moved").rmdir()
    (made.directory / "moved").symlink_to("other")
    assert _names(_archived(made.directory)) == [".gitignore", "data/kept.csv", "other/x.csv"]
    assert _names(_archived(made.directory / "data")) == ["kept.csv"]


def test_it_holds_what_git_has_of_submodules(tmp_path: Path) -> None:
    inner, other = repo(tmp_path / "inner"), repo(tmp_path / "other")
    inner.commit({"a.py": "", ".gitignore": "*.tmp\n"})
    other.commit({"b.log": ""})
    inner.git(
        "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(tmp_path / "other"), "deep"
    )
    inner.commit({})
    outer = repo(tmp_path / "outer")
    outer.commit({"train.py": "", ".gitignore": "*.log\n"})
    add = ("submodule", "add", "--quiet", str(tmp_path / "inner"), "lib")
    outer.git("-c", "protocol.file.allow=always", *add)
    outer.git("-c", "protocol.file.allow=always", "submodule", "update", "--quiet", "--init", "--recursive")
    _write(outer.directory, {"lib/x.tmp": "", "x.log": "", "lib/deep/y.log": ""})
    # git lists what is tracked in submodules, and what is not there it would.
    tracked = outer.git("ls-files", "--recurse-submodules").splitlines()
    assert set(_names(_archived(outer.directory))) == {*tracked, "lib/deep/y.log"}
    assert "lib/deep/b.log" in tracked


@pytest.mark.parametrize(
    ("links", "bad"),
    [
        ({"a": "/etc/passwd"}, ["a"]),
        ({"a": "../x"}, ["a"]),
        ({"lib/a": "../../x", "b": "lib"}, ["lib/a"]),
        ({"lib/a": "..", "b": "lib/a/../x"}, ["b"]),
        ({"a": "a", "b": "missing", "c": "lib/../train.py"}, []),
    ],
)
def test_links_out_of_the_source_root_are_named(root: Path, links: dict[str, str], bad: list[str]) -> None:
    for name, target in links.items():
        (root / name).symlink_to(target)
    if not bad:
        assert set(links) <= set(_names(_archived(root)))
        return
    with pytest.raises(ExecutorError) as caught:
        _archived(root)
    assert [problem.where.file for problem in caught.value.problems] == bad
    assert "is a link out of the source root" in str(caught.value)
    assert "add it to .gitignore" in str(caught.value)


def test_all_that_cannot_be_in_it_is_named_at_once(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(root / "socket"))
    (root / os.fsdecode(b"\xff")).write_text("")
    with pytest.raises(ExecutorError) as caught:
        _archived(root)
    assert sorted(str(problem.where.file) for problem in caught.value.problems) == [
        "\\udcff",
        "fifo",
        "socket",
    ]
    _write(root, {".gitignore": "fifo\nsocket\n?\n"})
    assert "fifo" not in _names(_archived(root))


def test_more_than_the_container_takes_is_refused_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBERS", 3)
    monkeypatch.setattr(limits, "UNPACKED_BYTES", 4)
    with pytest.raises(ExecutorError, match="more than 3") as caught:
        _archived(root)
    assert len(caught.value.problems) == 2


def test_a_file_that_changes_while_it_is_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(archive: tarfile.TarFile, member: tarfile.TarInfo, content: object = None) -> None:
        with (root / "train.py").open("a") as file:
            file.write("more")
        original(archive, member, content)  # type: ignore[arg-type]

    original = tarfile.TarFile.addfile
    monkeypatch.setattr(tarfile.TarFile, "addfile", growing)
    with pytest.raises(FilesChanged, match=r"train\.py changed while it was read"):
        _archived(root)


def test_memory_does_not_grow_with_a_file(root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(300 << 20)
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom executor.artifacts.code import archive_code\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "archive_code(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(root), str(root.parent / "code.tar.gz")],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert int(done.stdout) < 20 << 10  # KiB


def test_entries_are_packed_in_the_order_in_which_they_come(root: Path, tmp_path: Path) -> None:
    with (tmp_path / "a.tar").open("wb") as file:
        pack.write(file, [pack.Entry("b", root / "run.sh"), pack.Entry("a", root / "train.py")])
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert archive.getnames() == ["b", "a"]
