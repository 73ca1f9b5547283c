"""What is ignored in the archive of the code, beside what git itself says."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from executor.artifacts.code import archive_code

_ENVIRONMENT: Final = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "HOME": os.devnull,
}


def _git(root: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, env=_ENVIRONMENT)
    return done.stdout


def _by_git(root: Path) -> set[str]:
    listed = _git(root, "ls-files", "-z", "--others", "--cached", "--exclude-standard")
    return {name for name in map(os.fsdecode, listed.split(b"\0")) if name and (root / name).is_file()}


def _by_us(root: Path) -> set[str]:
    with tempfile.TemporaryDirectory() as place:
        made = archive_code(root, Path(place) / "code.tar.gz")
        with tarfile.open(made.path) as archive:
            return set(archive.getnames())


_NAMES: Final = st.sampled_from(["a", "b", "ab", "a.py", "b.py", ".x", "x y", "é", "a[1]", "!a", "#a", "a\\"])
_SEGMENTS: Final = st.one_of(
    _NAMES,
    st.sampled_from(
        ["*", "**", "?", "*.py", "a*", "[ab]", "[!a]", "[a-b].py", "*.*", "\\#a", "\\!a", "a ", "a\\ ", "***"]
    ),
    # A bracket that is closed in another name of a path (`a[/]b`) is all that pathspec reads otherwise.
    st.text("ab*?[]!\\-^. ", min_size=1, max_size=4).filter(lambda text: not re.search(r"\[(?!.+\])", text)),
)
_LINES: Final = st.one_of(
    st.builds(
        lambda sign, start, parts, end: sign + start + "/".join(parts) + end,
        st.sampled_from(["", "!"]),
        st.sampled_from(["", "/", "**/"]),
        st.lists(_SEGMENTS, min_size=1, max_size=3),
        st.sampled_from(["", "/", "/**", "/*", "  ", "\r"]),
    ),
    st.sampled_from(["", "# a", "/", "!", "//", "**/", "*/", "!*/"]),
)
_RULES: Final = st.lists(_LINES, max_size=5).map("\n".join)
_FILES: Final = st.sets(st.lists(_NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12)
_DIRECTORIES: Final = st.lists(st.lists(_NAMES, max_size=2).map("/".join), max_size=2)


def _make(root: Path, files: set[str], ignores: dict[str, str]) -> None:
    for file in sorted(files):
        path = root / file
        # One of two names is a directory where the other is a file.
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
    for directory, text in ignores.items():
        if (root / directory).is_dir():
            (root / directory / ".gitignore").write_bytes(text.encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    _FILES,
    st.dictionaries(st.lists(_NAMES, max_size=2).map("/".join), _RULES, max_size=3),
    _RULES,
    st.sampled_from([0, 0, 2, 3]),
)
@example({"a/b", "a/a.py", "b"}, {"": "*\n!*/\n!*.py"}, "", 0)
@example({"a/b/x", "a/ab"}, {"": "a/**\n!a/b"}, "", 0)
@example({"a/b/x", "a/ab"}, {"": "a/*\n!a/b"}, "", 0)
@example({"a/b", "ab/b"}, {"": "*\n!a"}, "", 0)
@example({"a/a", "a/b/c"}, {"": "a/**/"}, "", 0)
@example({"a/a"}, {"": "***/a"}, "", 0)
@example({"a/a", "é/a"}, {"": "a\\/a\n?/a"}, "", 0)
@example({"a/a.py", "a.py"}, {"": "*.py", "a": "!a.py"}, "", 0)
@example({"a/a.py", "a/b", "b"}, {"": "*"}, "", 2)
def test_the_same_is_ignored_as_by_git(
    files: set[str], ignores: dict[str, str], exclude: str, tracked: int
) -> None:
    """Of `tracked` files one is tracked, whatever the rules say; 0 is none."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        _git(root, "init", "--quiet")
        (root / ".git/info/exclude").write_bytes(exclude.encode())
        _make(root, files, ignores)
        made = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        added = [name for name in made if not name.startswith(".git/")][:: tracked or len(made)]
        if tracked:
            _git(root, "--literal-pathspecs", "add", "--force", "--", *added)
        assert _by_us(root) == _by_git(root)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "--quiet")
    return tmp_path


def test_a_source_root_in_a_checkout_has_the_rules_above_it(checkout: Path) -> None:
    _make(checkout, {"src/a/x.log", "src/a/x.py", "src/a/kept.log"}, {"": "*.log\n", "src": "!kept.log"})
    assert _by_us(checkout / "src/a") == {"x.py", "kept.log"} == _by_git(checkout / "src/a")


def test_a_source_root_that_is_ignored_is_no_part_of_the_checkout(checkout: Path) -> None:
    _make(checkout, {"scratch/a.py", "scratch/b.log"}, {"": "scratch\n*.log\n"})
    assert _by_us(checkout / "scratch") == {"a.py", "b.log"}


def test_a_worktree_has_the_exclusions_of_its_repository(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (checkout / ".git/info/exclude").write_text("secret\n")
    _git(
        checkout,
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.c",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    )
    linked = tmp_path_factory.mktemp("linked") / "tree"
    _git(checkout, "worktree", "add", "--quiet", str(linked))
    _make(linked, {"secret", "a.py"}, {})
    assert _by_us(linked) == {"a.py"} == _by_git(linked)
