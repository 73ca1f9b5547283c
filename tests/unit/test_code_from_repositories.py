"""The code of a commit comes to a container: from archives of GitHub and GitLab, and by git."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.bootstrap.tree_id import tree_id
from tests.bootstrap import Bench, Ran
from tests.git_server import GitServer, Repo, git_server, repo

FILES: Final = {"train.py": "def main():\n    return open('data/x').read()\n", "data/x": "1", "é b/c.d": ""}


@pytest.fixture
def checkout(tmp_path: Path) -> Repo:
    made = repo(tmp_path / "served/o/r")
    (made.directory / "link").symlink_to("data/x")
    (made.directory / "run.sh").write_text("#!/bin/sh\n")
    (made.directory / "run.sh").chmod(0o755)
    made.commit(FILES)
    return made


@pytest.fixture
def server(checkout: Repo, tmp_path: Path) -> Iterator[GitServer]:
    assert checkout.directory.is_dir()
    with git_server(tmp_path / "served") as server:
        yield server


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench", environment={"HOME": "/nonexistent"})


def _job(bench: Bench, server: GitServer, checkout: Repo, type_: str, **more: str) -> Mapping[str, Any]:
    code = {
        "kind": "repository",
        "type": type_,
        "url": f"{server.url}/o/r",
        "commit": checkout.git("rev-parse", "HEAD"),
        "tree": checkout.tree(more.get("subdirectory", "")),
        "subdirectory": "",
        "login": "",
        **more,
    }
    return bench.job("train:main", outputs=["output"], code=code)


def _refused(bench: Bench, ran: Ran, code: str, *secrets: str) -> str:
    """What is said where nothing was brought, and of which nothing says a secret."""
    assert ran.error["type"] == code, ran
    assert [path.name for path in bench.root.iterdir()] == []
    for secret in secrets:
        for form in (secret, base64.b64encode(secret.encode()).decode()):
            assert form not in f"{ran.stdout}{ran.stderr}{ran.result}"
    return str(ran.error["message"])


@pytest.mark.parametrize("type_", ["github", "gitlab", "git"])
def test_the_code_of_a_commit_is_brought(bench: Bench, server: GitServer, checkout: Repo, type_: str) -> None:
    job = _job(bench, server, checkout, type_)
    checkout.commit({"train.py": "later"})
    ran = bench.run(job)
    assert bench.output(ran) == b"1"
    assert (bench.root / "link").readlink() == Path("data/x")
    assert os.access(bench.root / "run.sh", os.X_OK)
    assert {path.name for path in bench.root.iterdir()} - {"__pycache__"} == {
        "train.py",
        "data",
        "é b",
        "link",
        "run.sh",
    }
    assert ran.stderr == ""


@pytest.mark.parametrize("type_", ["github", "gitlab", "git"])
def test_a_source_root_below_the_repository_is_what_is_brought(
    bench: Bench, server: GitServer, checkout: Repo, type_: str
) -> None:
    checkout.commit({"sub/dir/train.py": "def main():\n    return 2\n"})
    ran = bench.run(_job(bench, server, checkout, type_, subdirectory="sub/dir"))
    assert bench.output(ran) == b"2"
    assert {path.name for path in bench.root.iterdir()} - {"__pycache__"} == {"train.py"}


@pytest.mark.parametrize(
    ("type_", "login", "asked"),
    [
        ("github", "planted", {"authorization": "Bearer planted"}),
        ("github", "me:planted", {"authorization": "Bearer planted"}),
        ("gitlab", "planted", {"private-token": "planted"}),
        ("git", "me:planted", {"authorization": "Basic bWU6cGxhbnRlZA=="}),
        ("git", "planted", {"authorization": "Basic eC1hY2Nlc3MtdG9rZW46cGxhbnRlZA=="}),
    ],
)
def test_a_login_goes_in_a_header(
    bench: Bench, server: GitServer, checkout: Repo, *, type_: str, login: str, asked: dict[str, str]
) -> None:
    server.authorization.update(asked)
    ran = bench.run(_job(bench, server, checkout, type_, login=login))
    assert bench.output(ran) == b"1"
    assert all("planted" not in path for path in server.asked)
    assert not any(
        "planted" in path.read_text()
        for path in bench.directory.rglob("*.*")
        if path.suffix in (".json", ".config")
    )


@pytest.mark.parametrize("type_", ["github", "gitlab", "git"])
def test_a_login_that_is_missing_or_wrong_is_said(
    bench: Bench, server: GitServer, checkout: Repo, type_: str
) -> None:
    server.authorization["authorization"] = "Bearer right"
    for login in ("", "me:planted-wrong"):
        ran = bench.run(_job(bench, server, checkout, type_, login=login))
        found = _refused(bench, ran, "download-failed", "planted-wrong", "me:planted-wrong")
        assert f"{server.url}" in found


@pytest.mark.parametrize("type_", ["github", "gitlab", "git"])
def test_files_that_are_not_those_of_the_plan_are_refused(
    bench: Bench, server: GitServer, checkout: Repo, type_: str
) -> None:
    ran = bench.run(_job(bench, server, checkout, type_, tree="0" * 40))
    assert _refused(bench, ran, "code-refused")
    assert ran.exit_code == 78


def test_an_archive_that_leaves_files_out_says_why(bench: Bench, server: GitServer, checkout: Repo) -> None:
    checkout.commit({".gitattributes": "data/x export-ignore\n"})
    found = _refused(bench, bench.run(_job(bench, server, checkout, "github")), "code-refused")
    assert "export-ignore" in found
    assert bench.output(bench.run(_job(bench, server, checkout, "git"))) == b"1"


def test_a_commit_that_no_branch_ends_in_is_brought(bench: Bench, server: GitServer, checkout: Repo) -> None:
    job = _job(bench, server, checkout, "git")
    checkout.commit({"more": "1"})
    checkout.git("config", "uploadpack.allowAnySHA1InWant", "false")
    assert bench.output(bench.run(job)) == b"1"


@pytest.mark.parametrize("commit", ["0" * 40, "f" * 40])
@pytest.mark.parametrize("type_", ["github", "gitlab", "git"])
def test_a_commit_that_is_not_there_is_said(
    bench: Bench, server: GitServer, checkout: Repo, type_: str, commit: str
) -> None:
    _refused(bench, bench.run(_job(bench, server, checkout, type_, commit=commit)), "download-failed")


@pytest.mark.parametrize(
    "url",
    ["--upload-pack=touch planted", "-x", "ext::sh -c touch% planted", "fd::17/x", "nothing://x/y"],
)
def test_a_url_runs_nothing(bench: Bench, server: GitServer, checkout: Repo, url: str) -> None:
    ran = bench.run(_job(bench, server, checkout, "git", url=url))
    assert ran.error["type"] in ("repository-refused", "download-failed")
    assert not list(bench.directory.rglob("planted"))
    for type_ in ("github", "gitlab"):
        _refused(bench, bench.run(_job(bench, server, checkout, type_, url=url)), "repository-refused")
    assert server.asked == []


def test_variables_of_the_image_lead_git_nowhere_else(
    tmp_path: Path, server: GitServer, checkout: Repo
) -> None:
    canary = tmp_path / "canary"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    server.authorization["authorization"] = "none has it"
    bench = Bench(
        tmp_path / "bench",
        environment={
            "GIT_DIR": str(checkout.directory / ".git"),
            "GIT_ASKPASS": str(program),
            "GIT_SSH": str(program),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.fsmonitor",
            "GIT_CONFIG_VALUE_0": str(program),
        },
    )
    _refused(bench, bench.run(_job(bench, server, checkout, "git")), "download-failed")
    assert not canary.exists()


def test_where_git_is_missing_it_says_what_to_install(
    tmp_path: Path, server: GitServer, checkout: Repo
) -> None:
    bench = Bench(tmp_path / "bench", environment={"PATH": "/nonexistent"})
    ran = bench.run(_job(bench, server, checkout, "git"))
    found = _refused(bench, ran, "git-missing")
    assert (found, ran.error["fix"]) == (
        f"the code is downloaded from {server.url}/o/r by git, which is not in the image",
        "add git to apt_packages",
    )


def test_a_link_out_of_the_commit_is_refused(bench: Bench, server: GitServer, checkout: Repo) -> None:
    (checkout.directory / "out").symlink_to("/etc/passwd")
    checkout.commit({})
    for type_ in ("github", "gitlab", "git"):
        _refused(bench, bench.run(_job(bench, server, checkout, type_)), "archive-refused")


_NAMES: Final = st.sampled_from(["a", "b", "a.b", "a-b", "ab", "é", " ", "a\n"])
_TREES: Final = st.dictionaries(
    st.lists(_NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=9), min_size=1, max_size=8
)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=_TREES)
def test_the_id_of_a_tree_is_that_of_git(
    tmp_path_factory: pytest.TempPathFactory, algorithm: str, files: dict[str, bytes]
) -> None:
    made = repo(tmp_path_factory.mktemp("ids") / "r", f"--object-format={algorithm}")
    for index, (name, data) in enumerate(files.items()):
        path = made.directory / name
        if any(parent.is_file() or parent.is_symlink() for parent in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if index % 4 == 3:
            path.symlink_to("missing/é")
        else:
            path.write_bytes(data)
            path.chmod(0o755 if index % 4 == 2 else 0o640)
    (made.directory / "empty/inside").mkdir(parents=True)
    made.git("add", "--all")
    expected = made.git("write-tree")
    (made.directory / ".git").rename(made.directory.parent / "git")
    assert tree_id(made.directory, algorithm) == expected
