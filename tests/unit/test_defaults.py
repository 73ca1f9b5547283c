"""What is left out unless somebody says otherwise, and what looks as if it should have been."""

from __future__ import annotations

import pytest

from planner.files.defaults import OWN_FILES, default_rules, suspicious
from planner.files.ignore import IgnoreRules
from planner.files.tree import Tree
from tests.builders import file, link

LEFT_OUT = (
    ".git", "vendor/lib/.git", ".hg", ".svn", ".venv", "services/a/.venv", "venv", ".tox", ".nox",
    "node_modules", "web/node_modules", "__pycache__", "src/deep/__pycache__", "a.pyc", "src/a.pyo",
    "src/mine.egg-info", ".mypy_cache", ".ruff_cache", ".pytest_cache", "src/.pytest_cache", ".hypothesis",
    "notebooks/.ipynb_checkpoints", ".coverage", ".stowplan", "sub/.stowplan", ".env", "src/.env",
    ".env.local", ".env.prod", "src/.env.production.local", ".DS_Store", "data/.DS_Store", ".idea",
    ".vscode", ".train.py.swp", "src/.train.py.swo", "train.py~", "src/.#train.py", "#train.py#",
)  # fmt: skip
# What somebody's code may well be called.
KEPT = (
    "env", "src/env/pong.py", "src/venv/make.py", "venv.py", "build", "dist/mine.whl", "lib/a.py", "target",
    "environment.yml", ".env.example", "src/.env.sample", ".env.template", ".envrc", "env.py",
    ".environment", "a.py", "a.pyi", "a.pyx", "a.pyd", "data.swp", "4913", "#notes", "notes#", ".gitignore",
    ".gitattributes", ".github/workflows/ci.yml", ".dockerignore", ".python-version", ".coveragerc",
    "cache/a.bin", ".cache", "pyproject.toml", "uv.lock", "sub/stowplan.toml", "git", "tox.ini", "id_rsa",
    ".pypirc", "egg-info",
)  # fmt: skip


@pytest.mark.parametrize("path", LEFT_OUT)
def test_left_out(path: str) -> None:
    assert default_rules().ignores(path)
    assert default_rules().ignores(f"{path}/below/it.py")


@pytest.mark.parametrize("path", KEPT)
def test_kept(path: str) -> None:
    assert not default_rules().ignores(path)


@pytest.mark.parametrize("path", [path for path in LEFT_OUT if ".env." not in path])
def test_a_walk_need_not_enter_what_is_left_out(path: str) -> None:
    assert default_rules().prunes(path)
    assert default_rules().ignores(f"{path}/.env.example")


def test_the_default_is_what_an_ignore_file_with_these_lines_says() -> None:
    """So that somebody can write them down and go on from there."""
    text = "\n".join(default_rules().patterns)
    assert IgnoreRules.parse(text, file=".dockerignore") == default_rules()


def test_own_files() -> None:
    assert OWN_FILES == (".stowplan", "stowplan.lock", "stowplan.toml")


SUSPECT = (
    ".env", "src/.env", ".env.local", "src/.env.prod", "id_rsa", ".ssh/id_ed25519", "keys/id_ecdsa_sk",
    "key.pem", "tls/server-key.pem", "private.pem", "a.key.pem", "a.p12", "a b.pfx", ".netrc", "_netrc",
    ".pypirc", ".pgpass", ".git-credentials", "credentials.json", "src/credentials.json",
    "application_default_credentials.json", "client_secret_42.json", ".aws/credentials",
    "home/.docker/config.json", "new\nline/.env",
)  # fmt: skip
INNOCENT = (
    ".env.example", "src/.env.template", "env", ".envrc", "id_rsa.pub", "paid_rsa", "cacert.pem",
    "monkey.pem", "netrc.py", "netrc", "credentials.py", "credentials", "config.json",
    "src/docker/config.json", ".gitignore", ".github/config", "git/a", "a.git/b", "client_secret.py",
    "secrets.py",
)  # fmt: skip


def test_suspicious() -> None:
    tree = Tree.of([file(path) for path in (*SUSPECT, *INNOCENT)])
    assert suspicious(tree) == tuple(sorted(SUSPECT, key=str.encode))


def test_links_are_suspicious_by_their_own_names() -> None:
    assert suspicious(Tree.of([link(".env", "/etc/env"), link("settings", ".env")])) == (".env",)


def test_a_history_is_named_once() -> None:
    paths = (
        ".git/HEAD",
        ".git/objects/ab/cdef",
        ".git/.env",
        "vendor/lib/.git/HEAD",
        "old/.svn/entries",
        "x/.hg/a",
    )
    modules = (".git/modules/lib/.git/HEAD", "sub/.git")  # a submodule's .git is a file, and no history
    tree = Tree.of([file(path) for path in (*paths, *modules)])
    assert suspicious(tree) == (".git", "old/.svn", "vendor/lib/.git", "x/.hg")


def test_nothing_is_suspicious_under_the_default_rules_but_what_they_keep() -> None:
    paths = [path for path in (*LEFT_OUT, *SUSPECT) if not default_rules().ignores(path)]
    assert not [path for path in suspicious(Tree.of(map(file, paths))) if ".env" in path or ".git/" in path]
    assert suspicious(Tree.of([])) == ()
