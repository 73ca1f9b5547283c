"""A commit as a world: its answers are those of a clean checkout, and come from the objects of git alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest

from executor.observe.cache import Cache
from executor.observe.checkout import code_state, commit_state
from executor.observe.commit import Commit
from executor.observe.commit_trees import read_commit_tree
from executor.observe.git import Git, GitUnknown
from executor.observe.objects import GitObject, Objects, Take
from executor.observe.revision import GitRevision, unpacked
from executor.observe.trees import read_tree
from executor.observe.world import ComparedTree, WorkingTree
from executor.process import Completed
from executor.reading import LARGEST_TEXT_BYTES
from planner.errors import PlannerError
from planner.facts.needs import FileTree, ProgramOutput
from planner.files.defaults import default_rules
from planner.files.ignore import IgnoreRules
from planner.requirements.listings import freeze_commands
from tests.git_situations import BASE_ENVIRONMENT, SITUATIONS, Situation, git

ALL: Final = FileTree(IgnoreRules.parse(".git\n", file="rules"))


@pytest.fixture(autouse=True)
def _only_this_machine() -> Iterator[None]:
    with patch.dict("os.environ", BASE_ENVIRONMENT):
        yield


@pytest.fixture
def top(tmp_path: Path) -> Path:
    root = tmp_path / "top"
    root.mkdir()
    git(root, "init", "--quiet")
    return root


def committed(root: Path) -> Commit:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "All")
    return head(root)


def head(root: Path, name: str = "HEAD") -> Commit:
    found = Commit.named(root, name)
    assert found is not None
    return found


def world(commit: Commit) -> GitRevision:
    return GitRevision(commit, ComparedTree(commit.root))


def entries(commit: Commit, need: FileTree = ALL) -> list[str]:
    with Cache(commit.root) as cache:
        return list(read_commit_tree(commit, need, cache).tree.paths())


@pytest.mark.parametrize(
    "name", ["", "nosuch", "--help", "-x", "main:a", ":/All", "HEAD\nHEAD", "HEAD^{tree}", "HEAD~9", "é"]
)
def test_what_is_no_name_of_a_commit_names_none(top: Path, name: str) -> None:
    committed(top)
    assert Commit.named(top, name) is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_what_git_writes_is_read_in_whatever_pieces_it_comes(top: Path, size: int) -> None:
    for name, content in (("a", "x" * 70_000), ("b", ""), ("c", "blob 3\n\nmissing\n"), ("link", "")):
        (top / name).write_text(content)
    (top / "out").symlink_to("../../outside")
    tree = committed(top).tree

    class Pieces(Git):
        def run(self, *words: str, on_output: Any = None, **given: Any) -> Completed:
            def cut(data: bytes) -> None:
                for start in range(0, len(data), size):
                    on_output(data[start : start + size])

            return Git.run(self, *words, on_output=cut, **given)

    names = [f"{tree}:{name}" for name in ("a", "b", "none", "c", "out", "link", "a/b")]
    taken: dict[int, bytes] = {}

    def start(place: int, _: GitObject) -> Take:
        taken[place] = b""

        def take(data: bytes) -> None:
            taken[place] += data

        return take

    found = Objects(Pieces(str(top))).read(names, start)
    assert [each and each.kind for each in found] == [
        "blob",
        "blob",
        None,
        "blob",
        "symlink",
        "blob",
        "notdir",
    ]
    assert taken == {
        0: b"x" * 70_000, 1: b"", 3: b"blob 3\n\nmissing\n", 4: b"../../outside", 5: b"",
        6: f"{tree}:a/b".encode(),
    }  # fmt: skip


def test_programs_that_read_files_read_those_of_the_commit(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    (top / "sub").mkdir()
    (top / "sub/list").write_text("six==1.16.0\n")
    there = world(committed(top))
    (top / "sub/list").write_text("edited")
    printed = there.output(ProgramOutput((("cat", "{directory}/list"),), "sub"))
    assert printed.text == "six==1.16.0\n"
    assert list((top / ".stowplan/tmp").iterdir()) == []


def test_what_an_environment_has_is_in_no_commit(top: Path) -> None:
    there = world(committed(top))
    with pytest.raises(PlannerError, match="commit a lock that has them"):
        there.output(ProgramOutput(freeze_commands(True)))


def test_a_large_file_is_no_text(top: Path) -> None:
    (top / "large").write_bytes(bytes(LARGEST_TEXT_BYTES + 1))
    there = world(committed(top))
    assert there.is_file("large")
    with pytest.raises(PlannerError, match="is larger than 16 MiB"):
        there.text("large")


def test_a_commit_has_each_name_that_git_resolves(top: Path) -> None:
    first = committed(top).id
    git(top, "tag", "v1.0")
    git(top, "tag", "--annotate", "v1.1", "--message", "Signed")
    second = committed(top).id
    for name, expected in {
        "v1.0": first, "v1.1": first, "HEAD~1": first, "main^": first, first[:10]: first, "main": second,
        "@": second, second: second, "refs/heads/main": second, "HEAD@{0}": second,
    }.items():  # fmt: skip
        assert head(top, name).id == expected, name


def test_a_repository_of_longer_hashes_is_read(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--object-format=sha256")
    (tmp_path / "a").write_text("a")
    commit = committed(tmp_path)
    assert len(commit.id) == 64
    for _ in range(2):
        assert entries(commit) == ["a"]
    assert world(commit).text("a") == "a"


def test_a_linked_worktree_has_the_commits_of_its_repository(top: Path, tmp_path: Path) -> None:
    submodule(top)
    commit = committed(top)
    git(top, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    linked = head(tmp_path / "linked", "main")
    rules = FileTree(IgnoreRules.parse("**/.git\n", file="rules"))
    assert linked.id == commit.id
    # Its submodules are not checked out: their objects are where the repository keeps them.
    assert entries(linked, rules) == entries(commit, rules)


def test_outside_of_a_checkout_git_cannot_tell(tmp_path: Path) -> None:
    with pytest.raises(GitUnknown, match="in no git checkout"):
        Commit.named(tmp_path, "main")


def test_files_are_those_of_the_commit_through_links_that_stay_inside(top: Path) -> None:
    root = top / "project"
    (root / "sub").mkdir(parents=True)
    (top / "outside").write_text("out")
    (root / "a").write_text("a")
    (root / "sub/link").symlink_to("../a")
    (root / "linked").symlink_to("sub")
    (root / "dangling").symlink_to("nothing")
    (root / "leads").symlink_to("../outside")
    (root / "absolute").symlink_to("/etc/hostname")
    (root / "loop").symlink_to("loop")
    there = world(committed(root))
    (root / "a").write_text("edited")
    (root / "new").write_text("")
    for path in ("a", "./a", "sub/../a", "sub/link", "linked/link", str(root / "a")):
        assert there.text(path) == "a", path
        assert there.is_file(path), path
    for path in ("new", "dangling", "sub/none", "a/none", "none/none"):
        assert there.text(path) is None, path
        assert not there.is_file(path), path
    for path, words in {
        "leads": "leads out of the project", "absolute": "leads out of the project", "../outside": "leads",
        "sub": "is a directory", "linked": "is a directory", "loop": "leads to itself",
    }.items():  # fmt: skip
        with pytest.raises(PlannerError, match=words):
            there.text(path)


def test_what_is_asked_second_is_refused_as_what_is_asked_first(top: Path) -> None:
    (top / "requirements.txt").mkdir()
    (top / "requirements.txt/a").write_text("")
    (top / "stowplan.toml").write_text("")
    there = world(committed(top))
    assert there.text("stowplan.toml") == ""
    with pytest.raises(PlannerError, match="is a directory"):
        there.text("requirements.txt")


def test_a_tree_is_that_of_a_clean_checkout(top: Path) -> None:
    for path in ("a", "b c", "sub/x", "sub/deep/y", "é", "tab\t", "new\nline", '"', "build/z", ".stowplan/q"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(path)
    (top / "sub/run").write_text("#!/bin/sh\n")
    (top / "sub/run").chmod(0o755)
    (top / "link").symlink_to("sub/./x")
    (top / "up").symlink_to("../../elsewhere")
    commit = committed(top)
    for need in (
        ALL,
        FileTree(default_rules()),
        FileTree(IgnoreRules.parse(".git\nsub\n!sub/deep\n", file="rules"), left_out=("./a", "sub/deep/y")),
        FileTree(ALL.rules, root="sub"),
        FileTree(ALL.rules, only=IgnoreRules.parse("*\n!sub\n", file="only")),
    ):
        with Cache(top) as cache:
            known = read_tree(top, need, cache)
            for _ in range(2):
                assert read_commit_tree(commit, need, cache).tree == known


def test_a_tree_that_was_read_once_is_not_read_again(top: Path) -> None:
    (top / "a").write_text("a")
    commit = committed(top)
    expected = entries(commit)
    shutil_objects = top / ".git/objects"
    shutil_objects.rename(top / ".git/away")
    assert entries(Commit(commit.root, commit.name, commit.id, commit.tree, commit.store)) == expected


@pytest.mark.parametrize(
    ("below", "words"),
    [
        ("link", "through a link"),
        ("link/deep", "through a link"),
        ("none", "does not exist"),
        ("a", "not a directory"),
    ],
)
def test_a_tree_is_in_a_directory(top: Path, below: str, words: str) -> None:
    (top / "sub/deep").mkdir(parents=True)
    (top / "sub/deep/x").write_text("")
    (top / "a").write_text("")
    (top / "link").symlink_to("sub")
    commit = committed(top)
    need = FileTree(ALL.rules, root=below)
    with Cache(top) as cache:
        with pytest.raises(PlannerError, match=words) as ours:
            read_commit_tree(commit, need, cache)
        with pytest.raises(PlannerError) as theirs:
            read_tree(top, need, cache)
    assert str(ours.value) == str(theirs.value)


def test_what_no_image_holds_is_refused_as_in_a_checkout(top: Path) -> None:
    (top / ".wh.x").write_text("")
    (top / os.fsdecode(b"\xff")).write_text("")
    (top / "link").symlink_to(os.fsdecode(b"\xfe"))
    commit = committed(top)
    with Cache(top) as cache:
        with pytest.raises(PlannerError) as theirs:
            read_tree(top, ALL, cache)
        with pytest.raises(PlannerError) as ours:
            read_commit_tree(commit, ALL, cache)
    found = {str(each) for each in ours.value.problems}
    assert found
    assert found <= {str(each) for each in theirs.value.problems}


def submodule(top: Path, path: str = "libs/dep") -> Path:
    """A submodule of two levels, and where it is from."""
    for name in ("leaf", "dep"):
        origin = top.parent / name
        origin.mkdir()
        git(origin, "init", "--quiet")
        (origin / f"{name}.py").write_text(name)
        if name == "dep":
            git(origin, "submodule", "--quiet", "add", str(top.parent / "leaf"), "leaf")
        git(origin, "add", "--all")
        git(origin, "commit", "--quiet", "--message", name)
    git(top, "submodule", "--quiet", "add", str(top.parent / "dep"), path)
    git(top, "submodule", "--quiet", "update", "--init", "--recursive")
    return top.parent / "dep"


def test_submodules_are_read_from_their_own_objects(top: Path) -> None:
    submodule(top)
    (top / "a").write_text("")
    commit = committed(top)
    rules = IgnoreRules.parse("**/.git\n", file="rules")
    expected = [".gitmodules", "a", "libs/dep/.gitmodules", "libs/dep/dep.py", "libs/dep/leaf/leaf.py"]
    with Cache(top) as cache:
        known = read_tree(top, FileTree(rules), cache)
        found = read_commit_tree(commit, FileTree(rules), cache)
    assert (found.tree, found.missing) == (known, ())
    assert list(known.paths()) == expected
    assert world(commit).text("libs/dep/dep.py") == "dep"
    assert world(commit).is_file("libs/dep/leaf/leaf.py")
    assert world(commit).text("libs/dep/none") is None
    # Where its files are not checked out any more, git still keeps its objects.
    git(top, "rm", "--quiet", "-r", "libs/dep")
    git(top, "commit", "--quiet", "--message", "Without")
    (top / ".stowplan/cache.sqlite3").unlink()
    assert entries(head(top, "HEAD~1"), FileTree(rules)) == expected


def test_a_submodule_that_is_not_here_is_said(top: Path, tmp_path: Path) -> None:
    submodule(top)
    (top / "a").write_text("")
    committed(top)
    git(tmp_path, "clone", "--quiet", str(top), "clone")
    there = world(head(tmp_path / "clone"))
    assert list(there.tree(ALL).paths()) == [".gitmodules", "a"]
    (note,) = there.notes
    assert note.startswith("the submodule libs/dep is left out: its commit ")
    # It is not remembered: once it is here it is read.
    git(tmp_path / "clone", "submodule", "--quiet", "update", "--init")
    there = world(head(tmp_path / "clone"))
    assert "libs/dep/dep.py" in there.tree(ALL).paths()
    assert [note.split(" is left out")[0] for note in there.notes] == ["the submodule libs/dep/leaf"]


def test_files_with_a_filter_are_said_for_what_they_are(top: Path) -> None:
    root = top / "sub/project"
    root.mkdir(parents=True)
    (top / ".gitattributes").write_text(
        "*.bin filter=lfs\n*.txt text eol=crlf\n*.md text=auto\n*.x export-ignore\n"
    )
    for name in ("model.bin", "a.txt", "b.md", "c.x", "ignored.bin"):
        (root / name).write_text("version https://git-lfs.github.com/spec/v1\n")
    commit = committed(top / "sub/project")
    git(top, "rm", "--quiet", "--cached", ".gitattributes")
    (top / ".gitattributes").unlink()
    there = world(commit)
    need = FileTree(IgnoreRules.parse("ignored.*\n", file="rules"))
    assert "model.bin" in there.tree(need).paths()
    words = "files with a filter, such as git-lfs, are compared as git has them: 2 (a.txt, model.bin)"
    assert list(there.notes) == [words]
    # It is said again of what is remembered.
    again = world(head(root))
    again.tree(need)
    assert list(again.notes) == [words]


def test_no_program_of_the_configuration_is_run(top: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho >> {ran}\ncat\n")
    program.chmod(0o755)
    (top / "a.bin").write_text("a")
    (top / ".gitattributes").write_text("*.bin filter=own diff=own\n")
    commit = committed(top)
    for name in ("filter.own.smudge", "filter.own.clean", "filter.own.process", "core.fsmonitor"):
        git(top, "config", name, str(program))
    git(top, "config", "diff.own.textconv", str(program))
    hooks = top / ".git/hooks"
    for name in ("post-index-change", "post-checkout"):
        (hooks / name).write_text(program.read_text())
        (hooks / name).chmod(0o755)
    assert "a.bin" in world(commit).tree(ALL).paths()
    with unpacked(commit) as place:
        assert (place / "a.bin").read_text() == "a"
    assert not ran.exists()


def test_a_clone_that_lacks_contents_says_so(top: Path, tmp_path: Path) -> None:
    (top / "a").write_text("1")
    committed(top)
    (top / "a").write_text("2")
    committed(top)
    git(top, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{top}", "partial")
    partial = tmp_path / "partial"
    assert entries(head(partial)) == ["a"]
    with pytest.raises(GitUnknown, match="a file of it is not in this clone"):
        entries(head(partial, "HEAD~1"))


@pytest.mark.parametrize("path", ["../evil", ".git", "x/.GIT/y", "x/."])
def test_a_path_that_no_checkout_has_is_refused(top: Path, path: str) -> None:
    # `git mktree` refuses such names; what is fetched is not checked by default.
    blob = hash_object(top, "blob", b"evil")
    name = path.encode()
    data = b"100644 " + name.split(b"/")[-1] + b"\0" + bytes.fromhex(blob)
    for part in reversed(name.split(b"/")[:-1]):
        data = b"40000 " + part + b"\0" + bytes.fromhex(hash_object(top, "tree", data))
    commit = git(top, "commit-tree", hash_object(top, "tree", data), "-m", "Evil")
    with pytest.raises(GitUnknown, match="a path that no checkout can have"):
        entries(head(top, commit))


def hash_object(top: Path, kind: str, data: bytes) -> str:
    words = ("git", "hash-object", "-t", kind, "-w", "--stdin", "--literally")
    return subprocess.run(words, cwd=top, input=data, capture_output=True, check=True).stdout.decode().strip()


def test_files_are_unpacked_as_a_checkout_has_them(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    (top / "sub").mkdir()
    (top / "sub/run").write_text("x")
    (top / "sub/run").chmod(0o755)
    (top / "new\nline é").write_text("y")
    (top / "link").symlink_to("sub/run")
    (top / "out").symlink_to("/etc/hostname")
    commit = committed(top)
    with unpacked(commit) as place:
        found: dict[str, str | int] = {}
        for path in place.rglob("*"):
            if path.is_symlink():
                found[str(path.relative_to(place))] = str(path.readlink())
            elif path.is_file():
                found[str(path.relative_to(place))] = path.stat().st_mode & 0o100
        assert place.is_relative_to(top / ".stowplan/tmp")
    assert not place.exists()
    assert found == {"sub/run": 0o100, "new\nline é": 0, "link": "sub/run", "out": "/etc/hostname"}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=lambda each: each.name)
def test_the_state_of_a_commit_is_that_of_a_clean_checkout(situation: Situation, tmp_path: Path) -> None:
    root = situation.make(tmp_path)
    with patch.dict("os.environ", situation.environ):
        known = code_state(root)
        if known.unknown or known.commit is None or known.tree is None:
            return
        found = commit_state(head(root))
    assert (found.commit, found.tree, found.subdirectory) == (known.commit, known.tree, known.subdirectory)
    assert found.remotes == known.remotes
    assert (found.changed, found.untracked, found.unseen) == ((), (), ())
    if not (known.changed or known.untracked or known.unseen):
        assert set(found.submodules) >= set(known.submodules)
        assert found.converted == known.converted


def test_what_a_machine_says_this_one_says(top: Path) -> None:
    there = world(committed(top))
    here = WorkingTree(top)
    assert there.python_version() == here.python_version()
    assert there.host_platform() == here.host_platform()
    with patch.dict("os.environ", {"SET": "1"}):
        assert there.variable("SET") == here.variable("SET")
    assert there.variable("NOT_SET") is not None
    assert here.variable("NOT_SET") is None
