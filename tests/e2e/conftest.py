"""Projects to run commands in, and the real engines and registries that some of them need."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.engines.protocol import HASH_LABEL, Engine
from executor.engines.select import choose
from executor.errors import ExecutorError
from tests.contract.conftest import absent, variable
from tests.e2e.command import Project
from tests.e2e.gate import Gate, gate_to
from tests.e2e.images import Tags


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project. Nothing of the user's own choice of engine and platform reaches it."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, {"STOWPLAN_CONTAINER_ENGINE": "", "ZENML_CONTAINER_ENGINE": ""})


@pytest.fixture(params=["docker", "podman"])
def tags(request: pytest.FixtureRequest, project: Project) -> Iterator[Tags]:
    """A real engine, which the project's commands use. What was built and tagged in it is removed."""
    name: str = request.param
    made = Tags(chosen_engine(name))
    project.env["STOWPLAN_CONTAINER_ENGINE"] = name
    yield made
    # What is built on a parent goes before it.
    for build in project.run("builds", "list", "--images", "-o", "json").data["records"]:
        info = made.engine.inspect(build["reference"])
        if info is not None and HASH_LABEL in info.labels:
            # Podman keeps an image that a killed build of another test still holds.
            with contextlib.suppress(ExecutorError):
                made.engine.remove(build["reference"])
    made.remove()


@pytest.fixture
def engine(tags: Tags) -> str:
    """The name of a real engine, which the project's commands use."""
    return tags.engine.name


def chosen_engine(name: str) -> Engine:
    """A real engine; without it a test skips, or fails where engines are required."""
    try:
        return choose(name)
    except ExecutorError as error:
        absent(str(error))


@pytest.fixture
def base() -> str:
    """A parent image that the engines can build on, with a Python in it."""
    return os.environ.get("STOWPLAN_TEST_BASE", "python:3.11-slim")


@pytest.fixture
def registry() -> str:
    """A registry, and a path in it that no other test uses."""
    address = variable("STOWPLAN_TEST_REGISTRY")
    return f"{address}/test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A registry that can be closed."""
    with gate_to(variable("STOWPLAN_TEST_REGISTRY")) as opened:
        yield opened


@pytest.fixture
def parent(tags: Tags, registry: str) -> str:
    """A small parent image, in the engine and in the registry."""
    reference = f"{registry}/parent:1"
    tags.publish(reference)
    return reference
