"""Stacks: where images go."""

from __future__ import annotations

from typing import Any

import pytest

from planner import ContainerRegistry, PlannerError, Stack


def test_without_a_registry_images_stay_here() -> None:
    """`localhost/…` is what Docker and Podman both take for an image that was built here."""
    assert Stack().repository(None) == "localhost/stowplan"
    assert Stack().repository("team/training") == "localhost/team/training"


@pytest.mark.parametrize(
    ("default", "target", "expected"),
    [
        (None, None, "gcr.io/my-project/stowplan"),
        ("models", None, "gcr.io/my-project/models"),
        (None, "team/training", "gcr.io/my-project/team/training"),
        ("models", "training", "gcr.io/my-project/training"),
    ],
)
def test_the_repository_is_appended_to_the_uri(
    default: str | None, target: str | None, expected: str
) -> None:
    registry = ContainerRegistry(uri="gcr.io/my-project", default_repository=default)
    assert Stack(container_registry=registry).repository(target) == expected


def test_a_registry_is_a_value_or_a_table() -> None:
    table = {"uri": "localhost:5000/team/", "default_repository": "x"}
    value = ContainerRegistry(uri="localhost:5000/team", default_repository="x")
    assert Stack(container_registry=table).container_registry == value


@pytest.mark.parametrize(
    "uri", ["localhost", "localhost:5000", "gcr.io", "ghcr.io/a/b_c", "[::1]:5000", "192.168.0.1:5000/x"]
)
def test_addresses(uri: str) -> None:
    assert ContainerRegistry(uri=uri).uri == uri


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("https://gcr.io/x", "'https://gcr.io/x' has a scheme"),
        ("user:pw@gcr.io", "holds credentials"),
        ("https://user:pw@gcr.io", "holds credentials"),
        ("team", "not the address of a registry: 'team'"),
        ("team/x", "not the address of a registry: 'team/x'"),
        ("gcr.io/Team", "not the address of a registry: 'gcr.io/Team'"),
        ("gcr.io:port", "not the address of a registry: 'gcr.io:port'"),
        ("", "not the address of a registry: ''"),
        (5000, "expected a string, found an integer"),
    ],
)
def test_no_addresses(uri: Any, found: str) -> None:
    with pytest.raises(PlannerError) as refused:
        Stack(container_registry={"uri": uri})
    assert [f"{p.where}: {p.found}" for p in refused.value.problems] == [f"container_registry.uri: {found}"]
    assert "pw" not in str(refused.value)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(PlannerError) as refused:
        Stack.decode(
            {"name": "a/b", "registry": {}, "container_registry": {"url": "x", "default_repository": "X"}}
        )
    assert [str(problem.where) for problem in refused.value.problems] == [
        "registry", "name", "container_registry.url", "container_registry.uri",
        "container_registry.default_repository",
    ]  # fmt: skip
    assert "did you mean 'container_registry'?" in str(refused.value)
    assert "did you mean 'uri'?" in str(refused.value)
