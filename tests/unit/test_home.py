"""What is a user's is in the home directory, and nowhere for a user who has none."""

from __future__ import annotations

import base64
import json
import os
import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from executor.home import docker_directory, in_home
from executor.registry.credentials import docker_login, find_login
from planner.values import ImageRef


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has a number and no name, as in a container."""

    def fail(_: int) -> NoReturn:
        raise KeyError("no such user")

    for name in ("HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", fail)


def test_in_the_home_or_where_a_variable_says(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert in_home(environ, ".cache") == tmp_path / ".cache"
    assert docker_directory(environ) == tmp_path / ".docker"
    assert docker_directory({**environ, "DOCKER_CONFIG": "/elsewhere"}) == Path("/elsewhere")
    assert docker_directory({**environ, "DOCKER_CONFIG": ""}) == tmp_path / ".docker"


@pytest.mark.usefixtures("nobody")
def test_nowhere_without_a_home() -> None:
    assert in_home(os.environ, ".cache") is None
    assert docker_directory(os.environ) is None


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("name", [".docker/config.json", ".config/containers/auth.json"])
def test_no_login_is_taken_from_a_directory_that_is_called_like_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A project can have a directory `~`: it is not the user's."""
    file = tmp_path / "~" / name
    file.parent.mkdir(parents=True)
    login = base64.b64encode(b"me:planted").decode()
    file.write_text(json.dumps({"auths": {"localhost:1": {"auth": login}}}))
    monkeypatch.chdir(tmp_path)
    ref = ImageRef.parse("localhost:1/app:1")
    assert not find_login(ref, os.environ)
    assert not docker_login(ref, os.environ)
