"""uv asked what requirements come to, with an index of the test's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

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


PLATFORM: Final = "x86_64-manylinux_2_36"


def asked(index: Index, *requirements: Requirement, python: str = "3.11.2") -> Resolution:
    """What some requirements come to."""
    sources = (("requirements", Requirements.of(requirements)),)
    return resolve(Resolve(Inputs(sources, python, PLATFORM, {"default-index": index.url})), os.environ)


def own_first(index: Index, stack: Iterable[str], own: Iterable[str], *constraints: str) -> Resolution:
    """What requirements of a stack and a project's own come to, where the latter win."""
    sources = (
        ("stack", Requirements.of(map(Requirement.parse, stack))),
        ("requirements", Requirements.of(map(Requirement.parse, own), map(Requirement.parse, constraints))),
    )
    arguments = {"default-index": index.url}
    inputs = Inputs(sources, "3.11.2", PLATFORM, arguments, prevail=("requirements",))
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


@pytest.fixture
def releases(index: Index) -> Index:
    """An index with two versions of some packages, and one that wants the older of one of them."""
    for name in ("alpha", "beta", "gamma"):
        index.release(name, "1.0")
        index.release(name, "2.0", ["extra; extra == 'more'"])
    index.release("extra", "1.0")
    index.release("service", "1.0", ["alpha<2"])
    return index


@pytest.mark.parametrize(
    ("stack", "own", "found", "overridden"),
    [
        # Nothing is overridden where nothing contradicts.
        (["alpha<2"], ["alpha>=1"], ["alpha==1.0"], ()),
        (["alpha<2"], ["alpha>=2"], ["alpha==2.0"], ("alpha",)),
        # What a package of the stack requires gives way as well.
        (["service"], ["alpha>=2"], ["alpha==2.0", "service==1.0"], ("alpha",)),
        # The stack's word on what nobody contradicts stays.
        (["alpha<2", "beta<2"], ["alpha>=2", "beta>=1"], ["alpha==2.0", "beta==1.0"], ("alpha",)),
        (["alpha<2", "beta<2"], ["alpha>=2", "beta"], ["alpha==2.0", "beta==1.0"], ("alpha",)),
        (["alpha<2", "beta<2"], ["alpha>=2", "beta>=2"], ["alpha==2.0", "beta==2.0"], ("alpha", "beta")),
        # So do its extras.
        (["alpha[more]<2"], ["alpha>=2"], ["alpha==2.0", "extra==1.0"], ("alpha",)),
        # A requirement whose marker does not hold here wants nothing.
        (
            ["alpha<2", "beta<2"],
            ["alpha>=2", "beta>=2; python_version < '3'"],
            ["alpha==2.0", "beta==1.0"],
            ("alpha",),
        ),
        (["alpha<2"], ["alpha>=2; python_full_version == '3.11.2'"], ["alpha==2.0"], ("alpha",)),
    ],
)
def test_own_requirements_win_where_they_contradict_others(
    releases: Index, stack: list[str], own: list[str], found: list[str], overridden: tuple[str, ...]
) -> None:
    resolution = own_first(releases, stack, own)
    assert [package.text for package in resolution.packages] == found
    assert resolution.overridden == overridden


def test_own_constraints_win_too(releases: Index) -> None:
    resolution = own_first(releases, ["service", "beta"], ["beta"], "alpha>=2", "beta<2")
    assert [package.text for package in resolution.packages] == ["alpha==2.0", "beta==1.0", "service==1.0"]
    assert resolution.overridden == ("alpha",)


@pytest.mark.parametrize(
    ("stack", "own"), [(["beta"], ["service", "alpha>=2"]), (["alpha<2", "alpha>=2"], ["beta>=1"])]
)
def test_contradictions_on_one_side_stay_contradictions(
    releases: Index, stack: list[str], own: list[str]
) -> None:
    resolution = own_first(releases, stack, own)
    assert resolution.impossible
    assert "alpha" in resolution.reason
    assert resolution.overridden == ()
