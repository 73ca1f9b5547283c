"""A commit comes to what a clean checkout of it comes to, whatever is in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.state import STATE_DIRECTORY
from executor.workflow.comparing import compare_sides
from executor.workflow.sides import Asked
from planner.image.plan import BuildPlan
from tests.git_situations import BASE_ENVIRONMENT, git

PARENT: Final = f"python:3.11-slim@sha256:{'0' * 64}"
NAMES: Final = (
    "a.py", "b c.py", "-option", ":(exclude)x", "*.py", "[a]", 'q"u', "tab\there", "new\nline", "é", "!n",
    "sub/a.py", "sub/deep/b", "sub/deep/.hidden", "node_modules/x.js", "Sub.py", ".env",
)  # fmt: skip
KINDS: Final = ("file", "executable", "link", "none")
IGNORES: Final = (None, ".git\n", ".git\nsub\n!sub/deep\n", ".git\n**/*.py\n", ".git\n*\n!sub\n")
states = st.tuples(
    st.dictionaries(
        st.sampled_from(NAMES), st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), min_size=1, max_size=8
    ),
    st.sampled_from(IGNORES),
    st.sampled_from(["", 'environment = {A = "1"}', 'environment = {A = "${NOT_SET}"}', 'user = "1000"']),
)


@pytest.fixture(scope="module", autouse=True)
def _only_this_machine() -> Iterator[None]:
    with patch.dict("os.environ", BASE_ENVIRONMENT):
        yield


def write(root: Path, state: tuple[dict[str, tuple[str, int]], str | None, str]) -> None:
    """Have exactly these files in a project."""
    for path in root.iterdir():
        if path.name not in (".git", STATE_DIRECTORY):
            (shutil.rmtree if path.is_dir() and not path.is_symlink() else Path.unlink)(path)
    files, ignore, setting = state
    for name, (kind, content) in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to(f"to/{content}")
        elif kind != "none":
            path.write_text(str(content))
            path.chmod(0o755 if kind == "executable" else 0o644)
    if ignore is not None:
        (root / ".dockerignore").write_text(ignore)
    lines = [f'parent_image = "{PARENT}"', setting]
    text = "\n".join(["[pipeline.p]", 'steps = ["a"]', "[pipeline.p.settings.docker]", *lines, ""])
    (root / "stowplan.toml").write_text(text)


@settings(max_examples=30)
@given(st.lists(states, min_size=2, max_size=3), st.sampled_from(["", "x/y"]))
def test_a_commit_and_its_clean_checkout_do_not_differ(
    history: Sequence[tuple[dict[str, tuple[str, int]], str | None, str]], below: str
) -> None:
    place = Path(tempfile.mkdtemp(prefix="revisions-"))
    try:
        top, root = place / "top", place / "top" / below
        root.mkdir(parents=True)
        git(top, "init", "--quiet")
        for state in history:
            write(root, state)
            git(top, "add", "--all", "--force", "--", ".", f":(exclude,top){below or '.'}/{STATE_DIRECTORY}")
            git(top, "commit", "--quiet", "--allow-empty", "--message", "State")
        asked = Asked(lambda: root, bytes, asks=False)
        saved = {}
        for number in range(len(history)):
            git(top, "checkout", "--quiet", "--detach", f"main~{number}")
            for sides in (("HEAD", "now"), ("now", "HEAD")):
                one, other, compared = compare_sides(*sides, asked)
                assert [each.changes for each in compared] == [()], (number, sides)
                (mine,), (theirs,) = one.plans, other.plans
                assert isinstance(mine, BuildPlan)
                assert isinstance(theirs, BuildPlan)
                assert mine.hash == theirs.hash
                saved[number] = one.plans
        # So that two commits differ exactly where their checkouts do.
        for number in range(1, len(history)):
            one, other, compared = compare_sides(f"main~{number}", "main", asked)
            assert (one.plans, other.plans) == (saved[number], saved[0])
            assert any(each.changes for each in compared) == (saved[number] != saved[0])
        assert git(top, "status", "--porcelain", "--untracked-files=no") == ""
    finally:
        shutil.rmtree(place)
