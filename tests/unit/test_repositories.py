"""Code repositories: what is one, and which URLs mean the same one."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from planner import PlannerError
from planner.repositories import Address, CodeRepository, without_account

ONE_REPOSITORY = (
    "https://github.com/Team/Code",
    "https://github.com/Team/Code.git",
    "https://github.com/Team/Code/",
    "https://github.com//Team//Code.git/",
    "https://github.com:443/Team/Code",
    "https://GitHub.COM./Team/Code.git",
    "https://me@github.com/Team/Code",
    "https://me:s3cret@github.com/Team/Code.git",
    "https://github.com/Team/%43ode",
    "http://github.com/Team/Code",
    "git://github.com/Team/Code",
    "ssh://git@github.com/Team/Code.git",
    "ssh://git@github.com:22/Team/Code",
    "ssh://git@ssh.github.com:443/Team/Code.git",
    "git@github.com:Team/Code.git",
    "git@github.com:/Team/Code",
    "github.com:Team/Code",
)


@pytest.mark.parametrize(("one", "other"), list(combinations(ONE_REPOSITORY, 2)))
def test_a_repository_is_the_same_however_its_url_is_spelled(one: str, other: str) -> None:
    for url, remote in ((one, other), (other, one)):
        address, of_remote = Address.parse(url), Address.parse(remote)
        assert address is not None
        assert of_remote is not None
        assert address.means(of_remote)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://github.com/team/code", "https://github.com/team/codes"),
        ("https://github.com/team/code", "https://gitlab.com/team/code"),
        ("https://example.com/team/code", "https://example.com/Team/code"),
        ("https://example.com:8443/team/code", "https://example.com/team/code"),
        ("ssh://git@example.com:2222/team/code", "git@example.com:team/code"),
        ("https://example.com/srv/git/code", "/srv/git/code"),
    ],
)
def test_another_repository_is_another(one: str, other: str) -> None:
    assert not CodeRepository(name="x", type="git", url=one).is_at(other)


def test_hosts_that_fold_upper_case_do_so() -> None:
    assert CodeRepository(name="x", type="github", url="https://github.com/Team/Code").is_at(
        "git@github.com:team/code.git"
    )


def test_a_remote_may_be_a_path_and_a_code_repository_may_not() -> None:
    address = Address.parse("file:///srv/git/code.git")
    assert address is not None
    assert address == Address.parse("/srv//git/code/")
    assert address.shown == "/srv/git/code"
    assert Address.parse("../git/code") is None
    for url in ("file:///srv/git/code.git", "/srv/git/code"):
        with pytest.raises(PlannerError, match="url: a path of this machine, which no container has"):
            CodeRepository(name="x", type="git", url=url)


@pytest.mark.parametrize(
    "url",
    [
        "-oProxyCommand=touch /tmp/x", "--upload-pack=touch", "ext::sh -c touch", "fd::3", "", "https://",
        "https://github.com", "github.com/team/code", "https://git hub.com/a/b", "https://h/a\nb",
        "https://-h/a/b", "https://h:port/a/b", "::a", "git@-oProxyCommand=x:a/b", "transport::address",
        "file://host/srv/code",
    ],
)  # fmt: skip
def test_what_is_no_repository_has_no_address(url: str) -> None:
    """A URL that begins like an option, a helper that runs commands, and what git would not take."""
    assert Address.parse(url) is None
    with pytest.raises(PlannerError):
        CodeRepository(name="x", type="git", url=url)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ({}, ["type: not one of github, gitlab, git: ''", "url: is not given"]),
        (
            {"type": "githab", "url": "https://github.com/a/b"},
            ["type: not one of github, gitlab, git: 'githab'"],
        ),
        ({"type": "git", "uri": "https://h/a"}, ["uri: unknown name", "url: is not given"]),
        ({"type": "github", "url": "https://github.com/a"}, ["url: not a repository of github"]),
        ({"type": "github", "url": "/srv/a/b"}, ["url: a path of this machine, which no container has"]),
        ({"type": "git", "url": "https://h/a?token=x"}, ["url: holds credentials"]),
        ({"type": "git", "url": "https://h/a?x=y"}, ["url: not the URL of a repository"]),
        ({"type": "git", "url": "https://h/a", "secret": "../x"}, ["secret: not the name of a secret"]),
        ({"type": "git", "url": 1}, ["url: expected a string, found an integer"]),
    ],
)
def test_all_that_is_wrong_with_a_table_is_said(table: dict[str, Any], found: list[str]) -> None:
    with pytest.raises(PlannerError) as caught:
        CodeRepository.decode({"name": "team", **table})
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == len(found)
    assert all(text.startswith(begin) for text, begin in zip(said, found, strict=True)), said


def test_a_login_is_refused_and_not_shown() -> None:
    with pytest.raises(PlannerError) as caught:
        CodeRepository(name="x", type="github", url="https://me:s3cret@github.com/a/b")
    assert "s3cret" not in str(caught.value)
    assert 'secret = "NAME"' in str(caught.value)


@pytest.mark.parametrize("url", ONE_REPOSITORY)
def test_nothing_of_a_login_is_left_of_a_url(url: str) -> None:
    assert "@" not in without_account(url)
    assert "s3cret" not in without_account(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:pa/ss@github.com/a/b", "https://me:p@ss@github.com/a/b", "me:s3cret@host:a/b",
        "https://github.com/a/b?private_token=s3cret", "https://github.com/a/b#s3cret",
    ],
)  # fmt: skip
def test_nothing_of_a_strange_login_is_left(url: str) -> None:
    for part in ("pa/ss", "p@ss", "s3cret"):
        assert part not in without_account(url)


def test_where_archives_are_downloaded_from() -> None:
    for url, download in (
        ("git@github.com:a/b.git", "https://github.com/a/b"),
        ("ssh://git@git.example.com:2222/a/b", "https://git.example.com/a/b"),
        ("https://git.example.com:8443/a/b.git", "https://git.example.com:8443/a/b"),
        ("http://127.0.0.1:8080/a/b", "http://127.0.0.1:8080/a/b"),
    ):
        assert CodeRepository(name="x", type="gitlab", url=url).download_url == download
    own = CodeRepository(name="x", type="git", url="ssh://git@h:2222/a/b.git")
    assert own.download_url == "ssh://git@h:2222/a/b.git"
