from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from executor.context import ARCHIVE_END, file_member, files, verify
from executor.engines.archive import DOCKERFILE, archive, whole_dockerfile
from executor.engines.protocol import BuildJob
from executor.errors import ExecutorError, FilesChanged
from planner.files.tree import Entry, Kind, Tree
from planner.image.instructions import CopyFiles
from planner.image.plan import Checkout, ImagePlan
from tests.builders import image_of

NFC, NFD = "caf\u00e9", "cafe\u0301"


def tree_of(root: Path) -> Tree:
    """The tree of all that is below a directory, read plainly."""
    entries = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            entries.append(Entry(name, Kind.LINK, os.fsencode(path.readlink())))
        elif path.is_file():
            kind = Kind.EXECUTABLE if path.stat().st_mode & 0o100 else Kind.FILE
            entries.append(Entry(name, kind, hashlib.sha256(path.read_bytes()).digest()))
    return Tree.of(entries)


def image(root: Path, requirements: tuple[str, ...] = ()) -> ImagePlan:
    """An image that copies all that is below a directory."""
    settings = {"requirements": list(requirements)} if requirements else {}
    return evolve(image_of(settings), checkout=Checkout(trees={"files": tree_of(root)}))


def stream(plan: ImagePlan, root: Path) -> bytes:
    return b"".join(files(plan, root))


def whole(plan: ImagePlan, root: Path) -> bytes:
    """The archive that a builder is fed: those files, with what is generated before and after them."""
    return b"".join(archive(BuildJob(plan, lambda: files(plan, root))))


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return {member.name: member for member in archive.getmembers()}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "src/deep").mkdir(parents=True)
    (root / "src/train.py").write_text("print(1)\n")
    (root / "src/deep/data").write_bytes(b"x" * 1000)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("src/train.py")
    (root / "broken").symlink_to("nowhere")
    return root


def test_members(project: Path) -> None:
    plan = image(project, ("six==1.16.0",))
    found = members(whole(plan, project))
    assert list(found) == [
        "requirements",
        "requirements/requirements",
        "requirements/requirements/requirements.txt",
        "trees",
        "trees/files",
        "trees/files/broken",
        "trees/files/link",
        "trees/files/run.sh",
        "trees/files/src",
        "trees/files/src/train.py",
        "trees/files/src/deep",
        "trees/files/src/deep/data",
        DOCKERFILE,
    ]
    assert list(members(stream(plan, project))) == list(found)[3:-1]
    assert {name: oct(member.mode) for name, member in found.items() if member.isfile()} == {
        "requirements/requirements/requirements.txt": "0o644",
        "trees/files/run.sh": "0o755",
        "trees/files/src/train.py": "0o644",
        "trees/files/src/deep/data": "0o644",
        DOCKERFILE: "0o644",
    }
    assert {member.mode for member in found.values() if member.isdir()} == {0o755}
    assert (found["trees/files/link"].issym(), found["trees/files/link"].linkname) == (True, "src/train.py")
    assert found["trees/files/broken"].linkname == "nowhere"
    for member in found.values():
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == 315_532_800


def test_where_any_user_may_write_modes_are_those_of_the_owner(project: Path) -> None:
    plan = evolve(
        image_of({"writable_by_any_user": True}), checkout=Checkout(trees={"files": tree_of(project)})
    )
    found = members(whole(plan, project))
    assert {name: oct(member.mode) for name, member in found.items() if not member.issym()} == {
        "directories": "0o755",
        "directories/775+app": "0o755",
        "directories/775+app/app": "0o775",
        "trees": "0o755",
        "trees/files": "0o775",
        "trees/files/run.sh": "0o775",
        "trees/files/src": "0o775",
        "trees/files/src/train.py": "0o664",
        "trees/files/src/deep": "0o775",
        "trees/files/src/deep/data": "0o664",
        DOCKERFILE: "0o644",
    }


def test_the_same_plan_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    plan = image(project)
    before = stream(plan, project)
    for path in [project, *project.rglob("*")]:
        os.utime(path, (1, 2), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() or path.name == "run.sh" else 0o600)
    assert stream(plan, project) == before
    project.rename(tmp_path / "elsewhere")
    assert stream(plan, tmp_path / "elsewhere") == before


def test_the_dockerfile_comes_last(project: Path) -> None:
    """So that an archive that is cut anywhere has nothing to build from."""
    plan = image(project, ("six==1.16.0",))
    data = whole(plan, project)
    last = file_member(DOCKERFILE, whole_dockerfile(plan).encode()) + ARCHIVE_END
    assert data.endswith(last)
    assert DOCKERFILE.encode() not in data.removesuffix(last)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as found:
        assert found.getnames()[-1] == DOCKERFILE


def test_the_archive_is_whole(project: Path) -> None:
    data = whole(image(project), project)
    assert len(data) % 512 == 0
    assert data.endswith(bytes(1024))
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        file = archive.extractfile("trees/files/src/train.py")
        assert file is not None
        assert file.read() == b"print(1)\n"


@pytest.mark.parametrize(
    "name",
    ["a b", "a\nb", NFC, NFD, "x" * 255, "\N{OK HAND SIGN}" * 60, "-flag", "back\\slash", "*?[", "'\""],
)
def test_odd_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_text(name)
    (tmp_path / "link").symlink_to(f"{name}/{name}")
    found = members(stream(image(tmp_path), tmp_path))
    assert set(found) == {
        "trees",
        "trees/files",
        "trees/files/link",
        f"trees/files/{name}",
        f"trees/files/{name}/{name}",
    }
    assert found["trees/files/link"].linkname == f"{name}/{name}"


def test_both_unicode_forms_of_one_name(tmp_path: Path) -> None:
    (tmp_path / NFC).write_text("1")
    (tmp_path / NFD).write_text("2")
    assert {f"trees/files/{NFC}", f"trees/files/{NFD}"} <= set(members(stream(image(tmp_path), tmp_path)))


def test_an_image_without_files(tmp_path: Path) -> None:
    plan = image_of({"allow_including_files_in_images": False, "requirements": ["six==1.16.0"]})
    assert list(members(whole(plan, tmp_path / "not there"))) == [
        "requirements",
        "requirements/requirements",
        "requirements/requirements/requirements.txt",
        DOCKERFILE,
    ]
    assert stream(plan, tmp_path / "not there") == b""


def test_files_that_were_left_out_stay_out(project: Path) -> None:
    plan = image(project)
    (project / "secret").write_text("later")
    (project / "src/deep/new").write_text("later")
    (project / "empty").mkdir()
    assert not {name for name in members(stream(plan, project)) if name.endswith(("secret", "new", "empty"))}


def become_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def become_file(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    path.write_text("")


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


CHANGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "content": ("src/train.py", lambda path: path.write_text("print(2)\n"), "content is another"),
    "longer": ("src/train.py", grow, "content is another"),
    "shorter": ("src/train.py", lambda path: path.write_text(""), "content is another"),
    "gone": ("src/train.py", Path.unlink, "it is gone"),
    "executable": ("src/train.py", lambda path: path.chmod(0o755), "it is executable"),
    "not executable": ("run.sh", lambda path: path.chmod(0o644), "it is not executable"),
    "a link to outside": ("src/train.py", lambda path: become_link(path, "/etc/passwd"), "it is a link"),
    "another target": ("link", lambda path: become_link(path, "run.sh"), "it points to 'run.sh'"),
    "a file for a link": ("link", become_file, "it is not a link"),
    "a link gone": ("link", Path.unlink, "it is gone"),
    "a fifo": ("src/train.py", become_fifo, "it is not a file"),
    "a directory": ("src/train.py", become_directory, "it is not a file"),
    "a directory gone": ("src/deep", shutil.rmtree, "it is gone"),
    "a file for a directory": ("src/deep", become_file, "not a directory"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_refused(project: Path, change: str) -> None:
    name, apply, found = CHANGES[change]
    plan = image(project)
    apply(project / name)
    with pytest.raises(FilesChanged) as caught:
        stream(plan, project)
    (problem,) = caught.value.problems
    assert problem.where.file == name
    assert found in problem.found
    assert problem.fix == "plan again"
    with pytest.raises(FilesChanged):
        verify(plan, project)


def test_all_changes_are_named(project: Path) -> None:
    plan = image(project)
    (project / "run.sh").unlink()
    (project / "src/train.py").write_text("x")
    (project / "src/deep/data").write_text("y")
    with pytest.raises(FilesChanged) as caught:
        stream(plan, project)
    assert [problem.where.file for problem in caught.value.problems] == [
        "run.sh",
        "src/train.py",
        "src/deep/data",
    ]


def test_nothing_is_streamed_after_a_change(project: Path) -> None:
    plan = image(project)
    (project / "run.sh").unlink()
    (project / "src/deep/data").write_bytes(b"y" * 5_000_000)
    pieces: list[bytes] = []
    with pytest.raises(FilesChanged):
        pieces.extend(files(plan, project))
    assert not pieces


def test_a_directory_replaced_by_a_link_leads_nowhere(project: Path, tmp_path: Path) -> None:
    """The same files are below the link: only that it is one gives it away."""
    plan = image(project)
    (project / "src").rename(tmp_path / "outside")
    (project / "src").symlink_to(tmp_path / "outside")
    with pytest.raises(FilesChanged) as caught:
        stream(plan, project)
    assert [str(problem.where) for problem in caught.value.problems] == ["src"]


def test_a_root_that_is_reached_through_a_link(project: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(project)
    assert stream(image(project), tmp_path / "alias") == stream(image(project), project)


def test_a_root_that_is_gone(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="No such file"):
        stream(image(project), tmp_path / "gone")


def test_a_plan_without_files(project: Path) -> None:
    with pytest.raises(ExecutorError, match="planned without its files"):
        stream(evolve(image_of({}), checkout=Checkout()), project)


def test_verify_is_content_with_no_change(project: Path) -> None:
    verify(image(project), project)


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    size = 256 * 1024 * 1024
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    empty = hashlib.sha256()
    for _ in range(256):
        empty.update(bytes(1024 * 1024))
    tree = Tree.of([Entry("large", Kind.FILE, empty.digest())])
    plan = evolve(image_of({}), checkout=Checkout(trees={"files": tree}))
    tracemalloc.start()
    total = sum(len(chunk) for chunk in files(plan, tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > size
    assert peak < 16 * 1024 * 1024


def test_a_member_of_its_own_making() -> None:
    found = members(file_member("Dockerfile", b"FROM scratch\n") + bytes(1024))
    assert (found["Dockerfile"].size, found["Dockerfile"].mode) == (13, 0o644)


def test_only_copied_trees_are_streamed(project: Path) -> None:
    plan = image(project)
    kept = tuple(item for item in plan.spec.instructions if not isinstance(item, CopyFiles))
    plan = evolve(plan, spec=evolve(plan.spec, instructions=kept))
    assert stream(plan, project) == b""
    assert list(members(whole(plan, project))) == [DOCKERFILE]
