"""The real engines and registries that the contract is tested against.

`eval "$(scripts/engines.sh env)"` names the registries.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import pytest
from attrs import frozen

from executor.engines.docker import DockerEngine
from executor.engines.podman import PodmanEngine
from executor.engines.protocol import Engine
from executor.errors import ExecutorError
from tests.contract.images import TEST_BASE, build_text

ENGINES: dict[str, Callable[[], Engine]] = {
    "docker-classic": lambda: DockerEngine("classic"),
    "docker-buildkit": lambda: DockerEngine("buildkit"),
    "podman": PodmanEngine,
}


@frozen
class AuthRegistry:
    """A registry that asks who is there, and the one user it knows."""

    address: str
    username: str
    password: str


def variable(name: str) -> str:
    """What a variable says of the machine. Without it a test skips, or fails where engines are required."""
    value = os.environ.get(name)
    if not value:
        absent(f'{name} is not set: scripts/engines.sh up, then eval "$(scripts/engines.sh env)"')
    return value


def absent(what: str) -> NoReturn:
    """Something that the tests need is not there: a laptop skips them, a machine that promised it fails."""
    if os.environ.get("STOWPLAN_REQUIRE_ENGINES") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture
def registry() -> str:
    """The address of a registry that asks for no login."""
    return variable("STOWPLAN_TEST_REGISTRY")


@pytest.fixture
def auth_registry() -> AuthRegistry:
    """A registry that asks for a login."""
    return AuthRegistry(
        variable("STOWPLAN_TEST_AUTH_REGISTRY"),
        os.environ.get("STOWPLAN_TEST_AUTH_USER", "stowplan"),
        os.environ.get("STOWPLAN_TEST_AUTH_PASSWORD", "stowplan-test"),
    )


@pytest.fixture
def repository() -> str:
    """A path in a registry that no other test uses."""
    return f"stowplan-test/{uuid4().hex}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a user without any login."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@functools.cache
def reason_against(name: str) -> str | None:
    """Why an engine cannot be tested; None when it can."""
    reason = ENGINES[name]().unavailable()
    return str(reason) if reason else None


@pytest.fixture(scope="session", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each real engine in turn."""
    name: str = request.param
    if reason := reason_against(name):
        absent(f"{name}: {reason}")
    return ENGINES[name]()


@pytest.fixture
def new_tag(engine: Engine) -> Iterator[Callable[[str], str]]:
    """Makes references that no other test uses, in a registry or on this machine, and removes them."""
    made: list[str] = []

    def make(registry: str = "localhost") -> str:
        made.append(f"{registry}/stowplan-test/{uuid4().hex}:1")
        return made[-1]

    yield make
    for reference in made:
        # Podman keeps an image that a killed build still holds.
        with contextlib.suppress(ExecutorError):
            engine.remove(reference)


@pytest.fixture
def tag(new_tag: Callable[[str], str]) -> str:
    """A reference on this machine."""
    return new_tag("localhost")


@pytest.fixture(scope="session")
def environment_base(engine: Engine) -> Iterator[str]:
    """A parent image with an active virtual environment."""
    reference = f"localhost/stowplan-test/{uuid4().hex}:venv"
    text = (
        f"FROM {TEST_BASE}\n"
        "RUN python -m venv /opt/venv\n"
        "ENV VIRTUAL_ENV=/opt/venv\n"
        "ENV PATH=/opt/venv/bin:$PATH\n"
    )
    build_text(engine, reference, text)
    yield reference
    engine.remove(reference)
