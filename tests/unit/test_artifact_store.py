"""The artifact store: a folder, a bucket of a real S3 server, and what fsspec has for others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import requests

from executor.artifacts.code import archive_code
from executor.artifacts.remote import Remote
from executor.artifacts.store import ArtifactStore
from executor.errors import ArtifactStoreRefused, ArtifactStoreUnavailable, ExecutorError, exit_code
from tests.bootstrap import Bench
from tests.s3 import Server

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "runs/r1/train/output"


@pytest.fixture(params=["default", "folder", "file", "s3", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    match request.param:
        case "default":
            return ArtifactStore(tmp_path)
        case "folder":
            return ArtifactStore(tmp_path, "kept/artifacts")
        case "file":
            return ArtifactStore(tmp_path, f"file://{tmp_path}/kept")
        case "s3":
            request.getfixturevalue("bucket")
            return ArtifactStore(tmp_path, f"s3://bucket/{tmp_path.name}")
        case _:
            return ArtifactStore(tmp_path, f"memory://{tmp_path.name}")


def test_what_is_put_can_be_got(store: ArtifactStore, tmp_path: Path) -> None:
    given, got = tmp_path / "given", tmp_path / "got"
    assert not store.has(NAME)
    for data in (b"first", b"", b"\0" * 3_000_000):
        given.write_bytes(data)
        store.put(NAME, given)
        store.get(NAME, got)
        assert got.read_bytes() == data
        assert (store.has(NAME), store.has(NAME, len(data)), store.has(NAME, len(data) + 1)) == (
            True,
            True,
            False,
        )
    assert not store.has("runs/r1/train")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["given", "got"]


def test_steps_that_end_at_once_are_all_kept(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"x" * 100_000)
    names = [f"runs/r1/step{number}/output" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, tmp_path / "given"), names))
        assert all(pool.map(lambda name: store.has(name, 100_000), names))


def test_what_is_missing_is_an_error_only_where_it_is_needed(store: ArtifactStore, tmp_path: Path) -> None:
    assert not store.has(NAME)
    with pytest.raises(ExecutorError, match="does not exist"):
        store.get(NAME, tmp_path / "got")
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/../b", "", ".", "a/.b", "-x", "a\0b", "é"])
def test_a_name_leads_nowhere_else(store: ArtifactStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "given").write_bytes(b"x")
    with pytest.raises(ExecutorError, match="is not the name of an artifact"):
        store.put(name, tmp_path / "given")


def test_the_default_is_below_the_state_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"x")
    store = ArtifactStore(tmp_path)
    store.put(NAME, tmp_path / "given")
    assert (tmp_path / ".stowplan/artifacts" / NAME).read_bytes() == b"x"
    assert (tmp_path / ".stowplan/.gitignore").read_text() == "*\n"
    assert store.signed(NAME) is None


def test_a_bucket_signs_urls_that_need_no_login(bucket: Server, tmp_path: Path) -> None:
    url = f"s3://bucket/{tmp_path.name}"
    (tmp_path / "given").write_bytes(b"code")
    ArtifactStore(tmp_path, url).put(NAME, tmp_path / "given")
    signed = Remote(url, url).signed(NAME, 60)
    assert signed is not None
    assert signed.startswith(f"{bucket.url}/bucket/{tmp_path.name}/{NAME}?")
    assert requests.get(signed, timeout=30).content == b"code"
    assert "planted-secret-of-s3" not in signed


def test_a_container_gets_its_code_by_a_signed_url(bucket: Server, tmp_path: Path) -> None:
    assert bucket.port
    bench = Bench(tmp_path / "bench")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/train.py").write_text("def main():\n    return 42\n")
    made = archive_code(tmp_path / "code", tmp_path / "code.tar.gz")
    url = f"s3://bucket/{tmp_path.name}"
    store = ArtifactStore(tmp_path, url)
    assert not store.has(made.name)
    store.put(made.name, made.path)
    assert store.has(made.name, made.size)
    code = {"kind": "archive", "url": Remote(url, url).signed(made.name, 60), "sha256": made.digest.hex}
    assert bench.output(bench.run(bench.job("train:main", outputs=["output"], code=code))) == b"42"
    wrong = bench.run(bench.job("train:main", code={**code, "sha256": "0" * 64}))
    assert (wrong.exit_code, wrong.error["type"]) == (78, "code-refused")
    assert "Signature" not in f"{wrong.result}{wrong.stderr}"


def test_a_url_that_leads_to_this_machine_is_none_for_a_container(
    bucket: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket.port
    assert ArtifactStore(tmp_path, "s3://bucket/x").signed(NAME) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://storage.example.com")
    signed = ArtifactStore(tmp_path, "s3://bucket/x").signed(NAME)
    assert signed is not None
    assert signed.startswith("https://storage.example.com/")


def test_a_folder_in_a_project_is_no_code_of_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "given").write_bytes(b"x")
    ArtifactStore(tmp_path, "kept/artifacts").put(NAME, tmp_path / "given")
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == "?? given\n"
    assert archive_code(tmp_path, tmp_path.parent / f"{tmp_path.name}.tar.gz").files == 1


def test_a_bucket_that_does_not_exist_is_refused(bucket: Server, tmp_path: Path) -> None:
    assert bucket.port
    store = ArtifactStore(tmp_path, "s3://no-such-bucket/x")
    (tmp_path / "given").write_bytes(b"x")
    with pytest.raises(
        ArtifactStoreRefused, match=r"s3://no-such-bucket/x/runs/r1/train/output: does not exist"
    ):
        store.put(NAME, tmp_path / "given")


def test_a_store_that_does_not_answer_is_not_one_without_the_file(
    bucket: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket.port
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    store = ArtifactStore(tmp_path, "s3://bucket/x")
    with pytest.raises(ArtifactStoreUnavailable) as caught:
        store.has(NAME)
    assert exit_code([caught.value.failure]) == 75


def test_no_login_is_refused_and_none_is_shown(
    bucket: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket.port
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = ArtifactStore(tmp_path, "s3://bucket/x")
    with pytest.raises(ArtifactStoreRefused, match="AWS_PROFILE"):
        store.has(NAME)


def test_a_login_in_a_url_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError) as caught:
        ArtifactStore(tmp_path, "nowhere://me:planted-password@host/x")
    assert "planted-password" not in str(caught.value)
    assert "nowhere://" in str(caught.value)


@pytest.mark.parametrize(("url", "extra"), [("gs://bucket/x", "gcs"), ("az://container/x", "azure")])
def test_what_has_to_be_installed_is_said(tmp_path: Path, url: str, extra: str) -> None:
    with pytest.raises(ExecutorError) as caught:
        ArtifactStore(tmp_path, url)
    assert caught.value.problems[0].fix == f"pip install 'stowplan[{extra}]'"


_PUTS: Final = """
import os, shutil, sys
from pathlib import Path
from executor.artifacts.code import archive_code
from executor.artifacts.remote import Remote
from executor.artifacts.store import ArtifactStore
store = ArtifactStore(Path(sys.argv[1]), sys.argv[2] or None)

def half(source, target):
    Path(target).write_bytes(Path(source).read_bytes()[:1000])
    os.kill(os.getpid(), 9)

shutil.copyfile = half
store.put(sys.argv[3], Path(sys.argv[4]))
"""


def test_a_kill_leaves_no_half_file_and_the_next_sweeps(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_bytes(b"x" * 100_000)
    store = ArtifactStore(tmp_path)
    store.put(NAME, given)
    given.write_bytes(b"y" * 100_000)
    done = subprocess.run(
        [sys.executable, "-c", _PUTS, str(tmp_path), "", NAME, str(given)],
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGKILL
    assert store.has(NAME, 100_000)
    store.get(NAME, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"x" * 100_000
    folder = tmp_path / ".stowplan/artifacts"
    assert len(list(folder.iterdir())) == 3
    store.put(NAME, given)
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "runs"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "given").write_text("")
    with pytest.raises(ExecutorError, match=r"/file/.*cannot be written: Not a directory"):
        ArtifactStore(tmp_path, "file").put(NAME, tmp_path / "given")
