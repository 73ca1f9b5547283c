"""Where Podman finds the caches of builds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.engines.caches import link_caches
from executor.errors import ExecutorError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for temporary files of this user."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def test_builds_share_their_caches(place: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        link_caches(tmp_path / name)
    link_caches(tmp_path / "two")  # as for a second build in one directory
    for cache in ("buildah-cache", f"buildah-cache-{os.geteuid()}"):
        (tmp_path / "one" / cache / "kept").write_text("")
        assert (tmp_path / "two" / cache / "kept").exists()
        assert (place / cache).stat().st_mode & 0o777 == 0o700


def test_caches_of_somebody_else_are_not_taken(place: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (place / "buildah-cache").symlink_to(tmp_path / "theirs")
    (tmp_path / "one").mkdir()
    with pytest.raises(
        ExecutorError, match=r"there is no place for caches: .*buildah-cache is not this user's"
    ):
        link_caches(tmp_path / "one")
    assert list((tmp_path / "one").iterdir()) == []


def test_a_place_without_room_for_caches_is_told(place: Path, tmp_path: Path) -> None:
    (place / "buildah-cache").write_text("")
    with pytest.raises(ExecutorError, match="there is no place for caches: File exists"):
        link_caches(tmp_path)
    (place / "buildah-cache").unlink()
    place.rmdir()
    with pytest.raises(ExecutorError, match="there is no place for caches: No such file or directory"):
        link_caches(tmp_path)
