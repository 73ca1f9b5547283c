"""Projects to run commands in, and the real engines and registries that some of them need."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.engines.protocol import HASH_LABEL
from executor.engines.select import choose
from executor.errors import ExecutorError
from tests.contract.conftest import absent, variable
from tests.e2e.command import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project. Nothing of the user's own choice of engine reaches it."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, {"STOWPLAN_CONTAINER_ENGINE": "", "ZENML_CONTAINER_ENGINE": ""})


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest, project: Project) -> Iterator[str]:
    """The name of a real engine, which the project's commands use. What they built is removed."""
    name: str = request.param
    try:
        chosen = choose(name)
    except ExecutorError as error:
        absent(str(error))
    project.env["STOWPLAN_CONTAINER_ENGINE"] = name
    yield name
    for reference in project.run("builds", "list", "-o", "json").data["builds"]:
        info = chosen.inspect(reference["reference"])
        if info is not None and HASH_LABEL in info.labels:
            # Podman keeps an image that a killed build of another test still holds.
            with contextlib.suppress(ExecutorError):
                chosen.remove(reference["reference"])


@pytest.fixture
def base() -> str:
    """A parent image that the engines can build on."""
    return os.environ.get("STOWPLAN_TEST_BASE", "python:3.11-slim")


@pytest.fixture
def registry() -> str:
    """A registry, and a path in it that no other test uses."""
    address = variable("STOWPLAN_TEST_REGISTRY")
    return f"{address}/test-{uuid.uuid4().hex[:12]}"
