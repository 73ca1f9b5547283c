"""Who wants a package, and where a URL leads to."""

from __future__ import annotations

from typing import Any

import pytest

from planner.compare.changes import diff
from planner.requirements.urls import Origin, origin_of
from planner.requirements.why import Chain, chains, wishes_of
from tests.builders import World, image_of, plan_of

COMMIT = "c" * 40
URL = "git+https://example.com/peft.git"


@pytest.mark.parametrize(
    ("url", "address", "subdirectory"),
    [
        (URL, URL, ""),
        (f"{URL}@v1", URL, ""),
        (f"{URL}@feature/x", URL, ""),
        (f"{URL}@{COMMIT}#subdirectory=a&egg=b", URL, "a"),
        ("git+ssh://git@example.com/x", "git+ssh://git@example.com/x", ""),
        ("git+ssh://git@example.com/x@v1", "git+ssh://git@example.com/x", ""),
        (
            "https://example.com/@scope/x.zip#sha256=" + "1" * 64 + "&subdirectory=b/c",
            "https://example.com/@scope/x.zip",
            "b/c",
        ),
    ],
)
def test_a_url_leads_to_one_place_at_any_revision(url: str, address: str, subdirectory: str) -> None:
    assert origin_of(url) == Origin(address, subdirectory)


@pytest.mark.parametrize(
    "asked", [f"{URL}@v1", f"{URL}@feature/x", f"{URL}#egg=peft", "https://example.com/peft.zip"]
)
def test_a_url_without_a_name_is_who_wants_its_package(asked: str) -> None:
    spec = image_of({"requirements": [asked, "six"]}).spec
    (chain,) = chains(spec, "peft")
    assert (chain.source, chain.packages) == ("requirements", ("peft",))
    assert "example.com/peft" in chain.requirement
    assert wishes_of(spec)["peft"] == f"requirements needs {chain.requirement}"


def test_a_package_that_is_new_is_named_with_the_url_that_wants_it() -> None:
    def plan(table: dict[str, Any]) -> Any:
        return plan_of({"requirements": ["six"], **table}).spec

    texts = [change.text for change in diff(plan({}), plan({"requirements": ["six", f"{URL}@v1"]}))]
    assert not [text for text in texts if "wanted by nobody else" in text]


def test_a_requirement_whose_marker_does_not_hold_wants_nothing() -> None:
    world = World(index={"alpha": {"1.0": ["six"]}, "six": {"1.0": []}})
    table = {"requirements": ["alpha", "six; python_version < '3'"]}
    spec = image_of(table, world=world).spec
    assert list(chains(spec, "six")) == [Chain("requirements", "alpha", ("alpha", "six"))]
    assert wishes_of(spec)["six"] == "wanted by alpha"
