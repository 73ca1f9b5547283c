"""What is said of a checkout is what is in it, whatever was done to its files and whatever their names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.observe.checkout import code_state
from tests.git_situations import BASE_ENVIRONMENT, git

NAMES: Final = (
    "a.py", "b c.py", "-option", "--", ":(exclude)x", "*.py", "[a]", 'q"u', "tab\there", "new\nline", "é",
    "!n", "sub/a.py", "sub/deep/b", "Sub.py",
)  # fmt: skip
ACTIONS: Final = ("edit", "touch", "delete", "executable", "stage", "unstage", "nothing")
steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES)), max_size=6)


@pytest.fixture(scope="module", autouse=True)
def _only_this_machine() -> Iterator[None]:
    with patch.dict("os.environ", BASE_ENVIRONMENT):
        yield


def files(root: Path) -> dict[str, tuple[bytes, bool]]:
    """The files below a directory: what they hold, and whether they are executable."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }


def act(top: Path, root: Path, action: str, name: str) -> None:
    path = root / name
    match action:
        case "edit":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("edited\n")
        case "touch" if path.exists():
            path.touch()
        case "delete":
            path.unlink(missing_ok=True)
        case "executable" if path.exists():
            path.chmod(0o755)
        case "stage":
            git(top, "add", "--all")
        case "unstage":
            git(top, "reset", "--quiet")


@given(
    st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=6), steps, st.sampled_from(["", "x/y"])
)
def test_a_checkout_is_clean_exactly_if_it_has_the_files_of_its_commit(
    names: Sequence[str], done: Sequence[tuple[str, str]], below: str
) -> None:
    place = Path(tempfile.mkdtemp(prefix="checkout-"))
    try:
        top, root = place / "top", place / "top" / below
        root.mkdir(parents=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"{name}\n")
        (top / "elsewhere").write_text("1\n")
        git(top, "init", "--quiet")
        git(top, "add", "--all")
        git(top, "commit", "--quiet", "--message", "All")
        committed = files(root)
        (top / "elsewhere").write_text("2\n")
        if below:
            (top / "new").write_text("")
        else:
            git(top, "checkout", "--quiet", "--", "elsewhere")
        for action, name in done:
            act(top, root, action, name)
        state = code_state(root)
        assert state.unknown == ""
        assert state.subdirectory == below
        there = files(root)
        differing = {name for name in {*there, *committed} if there.get(name) != committed.get(name)}
        said = {*state.changed, *state.untracked}
        # A directory that has nothing that git knows is one entry.
        directories = tuple(name for name in said if name.endswith("/"))
        assert all(name in said or name.startswith(directories) for name in differing)
        # What is staged and taken back differs from the commit in the index alone.
        if not git(root, "diff", "--cached", "--name-only", "--", "."):
            assert bool(said) is bool(differing)
            assert {name for name in said if not name.endswith("/")} <= differing
    finally:
        shutil.rmtree(place)
