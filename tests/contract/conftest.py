"""The real registries that the contract is tested against: `eval "$(scripts/engines.sh env)"` names them."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import frozen


@frozen
class AuthRegistry:
    """A registry that asks who is there, and the one user it knows."""

    address: str
    username: str
    password: str


def variable(name: str) -> str:
    """What a variable says of the machine. Without it a test skips, or fails where engines are required."""
    value = os.environ.get(name)
    if value:
        return value
    missing = f'{name} is not set: scripts/engines.sh up, then eval "$(scripts/engines.sh env)"'
    if os.environ.get("STOWPLAN_REQUIRE_ENGINES") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


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
