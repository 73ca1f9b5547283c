"""Archives are unpacked into one directory, and nothing of them gets anywhere else."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from executor.bootstrap.errors import Refused
from executor.bootstrap.unpack import digest_of, unpack
from executor.bootstrap_file import bootstrap
from tests.archives import HOSTILE, Member, digest, directory, file, link, member, tar
from tests.bootstrap import PYTHONS


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("as it was")
    target = tmp_path / "target"
    target.mkdir()
    return target


def _outside(target: Path) -> dict[str, str]:
    """What is beside the directory: nothing but one file, which nobody touches."""
    return {path.name: path.read_text() for path in target.parent.iterdir() if path != target}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(target: Path, name: str, compressed: bool) -> None:
    members, found = HOSTILE[name]
    with pytest.raises(Refused) as caught:
        unpack(io.BytesIO(tar(members, compressed=compressed)), target)
    assert caught.value.code == "archive-refused"
    assert found in caught.value.found
    assert _outside(target) == {"outside": "as it was"}
    assert not any(path.is_symlink() for path in target.rglob("*"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"<html>log in</html>",
        bytes(range(256)) * 8,
        gzip.compress(b"x" * 2000),
        tar([file("a", b"x")])[:512],
    ],
)
def test_what_is_no_archive_is_refused_or_holds_nothing(target: Path, data: bytes) -> None:
    with suppress(Refused):
        unpack(io.BytesIO(data), target)
    assert [path for path in target.iterdir() if path.stat().st_size] == []


def test_a_compressed_archive_that_ends_too_early_is_refused(target: Path) -> None:
    data = tar([file("a", os.urandom(100_000))], compressed=True)
    with pytest.raises(Refused, match="damaged"):
        unpack(io.BytesIO(data[:50_000]), target)
    with pytest.raises(Refused, match="damaged"):
        digest_of(io.BytesIO(data[:50_000]))


def test_no_more_comes_out_than_the_limits_say(target: Path) -> None:
    bomb = tar([file("zeros", bytes(10_000_000))], compressed=True)
    assert len(bomb) < 20_000
    with pytest.raises(Refused, match="more than 1000000 bytes come out of it"):
        unpack(io.BytesIO(bomb), target, most_bytes=1_000_000)
    assert sum(path.stat().st_size for path in target.rglob("*")) <= 1_000_000
    with pytest.raises(Refused, match="more than 1000000 bytes come out of it"):
        digest_of(io.BytesIO(bomb), most_bytes=1_000_000)


def test_a_member_that_says_that_it_is_huge_takes_no_memory(target: Path) -> None:
    info, _ = file("huge")
    info.size = 1 << 40
    header = info.tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(Refused):
        unpack(io.BytesIO(header + bytes(5_000)), target)
    skipped, _ = member("x", b"Z")
    skipped.size = 1 << 40
    with pytest.raises(Refused):
        unpack(io.BytesIO(skipped.tobuf(tarfile.PAX_FORMAT) + bytes(5_000)), target)


def test_there_are_no_more_members_than_the_limits_say(target: Path) -> None:
    with pytest.raises(Refused, match="it has more than 10 members"):
        unpack(io.BytesIO(tar([file(f"f{n}") for n in range(11)])), target, most_members=10)


def test_modes_are_the_usual_ones(target: Path) -> None:
    previous = os.umask(0o077)
    try:
        unpack(io.BytesIO(tar([file("a", mode=0o4777), file("b", mode=0o444), file("c/d", mode=0)])), target)
    finally:
        os.umask(previous)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in target.rglob("*")}
    assert modes == {"a": 0o755, "b": 0o644, "c": 0o755, "d": 0o644}


def test_a_part_is_unpacked_without_the_names_above_it(target: Path) -> None:
    members = [
        directory("repo-1"),
        file("repo-1/a"),
        file("repo-1/sub/dir/b"),
        link("repo-1/sub/dir/c", "b"),
        file("repo-1/sub/x"),
    ]
    unpack(io.BytesIO(tar(members)), target, strip=1, below="sub/dir")
    assert sorted(path.name for path in target.iterdir()) == ["b", "c"]


def test_links_inside_are_kept(target: Path) -> None:
    members = [link("a/up", "../b"), file("b", b"x"), link("loop", "loop"), link("none", "missing/../b")]
    unpack(io.BytesIO(tar(members)), target)
    assert (target / "a/up").read_bytes() == b"x"
    assert (target / "none").readlink() == Path("missing/../b")


def test_a_digest_is_that_of_the_tar_file_however_it_is_compressed() -> None:
    plain = tar([file("a", b"x")])
    for data in (plain, gzip.compress(plain, 1), gzip.compress(plain, 9)):
        assert digest_of(io.BytesIO(data)) == digest(plain)


_NAMES: Final = st.lists(st.sampled_from(["a", "b", "..", ".", "", "a\0", "é"]), min_size=1, max_size=4).map(
    "/".join
)
_MEMBERS: Final = st.one_of(
    st.builds(file, _NAMES, st.binary(max_size=5)),
    st.builds(directory, _NAMES),
    st.builds(link, _NAMES, _NAMES),
    st.builds(lambda name, target: member(name, tarfile.LNKTYPE, target=target), _NAMES, _NAMES),
)


def _round(path: Path) -> bool:
    """Whether a link leads round and round, and so nowhere: what `realpath` makes of it is made up."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


@settings(max_examples=400, deadline=None)
@given(st.lists(_MEMBERS, max_size=6))
@example([link("a", "b"), link("b", "a/.."), file("b/x")])
@example([link("a", "a/../..")])
def test_nothing_of_any_archive_gets_out(members: list[Member]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve() / "deep/target"
        root.mkdir(parents=True)
        with suppress(Refused):
            unpack(io.BytesIO(tar(members)), root)
        assert [path.name for path in root.parent.iterdir()] == ["target"]
        assert [path.name for path in root.parent.parent.iterdir()] == ["deep"]
        for path in root.rglob("*"):
            if path.is_symlink():
                assert _round(path) or Path(os.path.realpath(path)).is_relative_to(root)
            else:
                assert path.stat().st_nlink == 1 or path.is_dir()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1500), st.integers(0, 3000), st.integers(0, 255))
def test_no_bytes_are_more_than_refused(data: bytes, at: int, value: int) -> None:
    whole = bytearray(tar([file("a", data), link("b", "a"), directory("c")]))
    whole[at % len(whole)] = value
    with tempfile.TemporaryDirectory() as place:
        for archive in (bytes(whole), data):
            target = Path(tempfile.mkdtemp(dir=place))
            with suppress(Refused):
                unpack(io.BytesIO(archive), target)


_UNPACKS: Final = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from _stowplan import unpack
from _stowplan.errors import Refused
said = {}
for archive in sorted(Path(sys.argv[2]).glob("*.tar")):
    target = Path(sys.argv[3]) / archive.stem
    target.mkdir()
    try:
        with archive.open("rb") as file:
            unpack.unpack(file, target)
    except Refused as error:
        said[archive.stem] = error.found
print(json.dumps(said))
"""


@pytest.mark.parametrize(("version", "python"), PYTHONS, ids=[version for version, _ in PYTHONS])
def test_every_python_refuses_every_hostile_archive(target: Path, version: str, python: str) -> None:
    (target.parent / "bootstrap.pyz").write_bytes(bootstrap())
    archives = target.parent / "archives"
    archives.mkdir()
    for name, (members, _) in HOSTILE.items():
        (archives / f"{name}.tar").write_bytes(tar(members, compressed=True))
    places = (target.parent / "bootstrap.pyz", archives, target)
    done = subprocess.run(
        [python, "-c", _UNPACKS, *map(str, places)], check=True, capture_output=True, text=True
    )
    said = json.loads(done.stdout)
    assert said.keys() == HOSTILE.keys(), version
    assert [name for name, (_, found) in HOSTILE.items() if found not in said[name]] == []
    assert (target.parent / "outside").read_text() == "as it was"
    assert [path for path in target.rglob("*") if path.is_symlink()] == []
