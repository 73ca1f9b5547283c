"""uv asked what requirements come to, with an index of the test's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.resolve.uv import resolve
from planner.facts.needs import Resolve
from planner.requirements.model import Requirement, Requirements
from planner.requirements.resolution import Inputs, Resolution
from tests.index import Index, package_index, sdist, wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that has nothing yet, and a cache of uv for this test alone."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with package_index() as made:
        yield made


def asked(index: Index, *requirements: Requirement, python: str = "3.11.2") -> Resolution:
    """What some requirements come to."""
    inputs = Inputs(
        (("requirements", Requirements.of(requirements)),),
        python,
        "x86_64-manylinux_2_36",
        {"default-index": index.url},
    )
    return resolve(Resolve(inputs), os.environ)


def sha256(data: bytes) -> str:
    """The hash of a file as requirements give it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_only_files_with_a_hash_that_the_requirement_gives_are_taken(index: Index) -> None:
    name, data = wheel("alpha", "1.0")
    index.add("alpha", (name, data))
    index.add("alpha", sdist("alpha", "1.0"))
    (package,) = asked(index, Requirement.parse("alpha==1.0", [sha256(data)])).packages
    assert [file.name for file in package.files] == [name]
    refused = asked(index, Requirement.parse("alpha==1.0", [f"sha256:{'a' * 64}"]))
    assert refused.impossible
    assert refused.reason == "alpha==1.0 has no file that fits with a hash of the requirements"


@pytest.mark.parametrize("text", ["alpha @ {}", "{}"])
def test_a_wheel_of_a_url_has_to_have_the_hash_that_the_requirement_gives(index: Index, text: str) -> None:
    name, data = wheel("alpha", "1.0")
    assert index.site is not None
    index.raw[f"/files/{name}"] = data
    url = f"http://{index.host}:{index.site.port}/files/{name}"
    (package,) = asked(index, Requirement.parse(text.format(url), [sha256(data)])).packages
    assert [file.hash for file in package.files] == [sha256(data)]
    refused = asked(index, Requirement.parse(text.format(url), [f"sha256:{'a' * 64}"]))
    assert refused.impossible
    assert refused.reason == f"alpha @ {url} has no hash of the requirements"


def test_an_index_is_asked_for_a_package_once(index: Index) -> None:
    """Who wants each package is a second question to uv, which has all it takes by then."""
    index.release("alpha", "1.0", ["beta>=1"])
    index.release("beta", "1.0")
    found = asked(index, Requirement.parse("alpha"))
    assert [(each.text, each.requires) for each in found.packages] == [
        ("alpha==1.0", ("beta",)),
        ("beta==1.0", ()),
    ]
    assert index.site is not None
    requests = [(request.method, request.path) for request in index.site.requests]
    assert requests.count(("GET", "/simple/beta/")) == 1
    assert len(set(requests)) == len(requests)


def test_where_uv_keeps_nothing_the_index_is_asked_again(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_CACHE", "1")
    index.release("alpha", "1.0", ["beta>=1"])
    index.release("beta", "1.0")
    found = asked(index, Requirement.parse("alpha"))
    assert found.wanted == {"requirements": ("alpha",)}
    assert [each.requires for each in found.packages] == [("beta",), ()]
