"""What unit tests share: a project of somebody who may not do everything, and a home."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import limits

_NOBODY = 65534


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """An empty directory of a user whom permissions stop: root, whom they do not, becomes nobody."""
    directory = Path(tempfile.mkdtemp())  # tmp_path lies below a directory that nobody may enter
    user = os.geteuid()
    if user == 0:
        os.chown(directory, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
    try:
        yield directory
    finally:
        if user == 0:
            os.seteuid(user)
        for path in (directory, *directory.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(directory)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user, with nothing in it, who does not wait before a registry is asked again."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(limits, "REGISTRY_BACKOFF_SECONDS", 0.0)
    return home
