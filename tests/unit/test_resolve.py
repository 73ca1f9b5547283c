"""uv asked what requirements come to, with an index of the test's own."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from executor import limits
from executor.errors import ProgramSilent
from executor.resolve.uv import addresses, resolve
from planner.facts.needs import Resolve
from planner.requirements.indexes import as_options
from planner.requirements.model import Option, Requirement, Requirements
from planner.requirements.packages import Package
from planner.requirements.resolution import Inputs, Resolution
from planner.settings.package_indexes import PackageIndex
from tests.index import Index, package_index, sdist, wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that has nothing yet, and a cache of uv for this test alone."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with package_index() as made:
        yield made


PLATFORM: Final = "x86_64-manylinux_2_36"


def asked(
    index: Index, *requirements: Requirement, python: str = "3.11.2", platform: str = PLATFORM
) -> Resolution:
    """What some requirements come to."""
    sources = (("requirements", Requirements.of(requirements)),)
    return resolve(Resolve(Inputs(sources, python, platform, {"default-index": index.url})), os.environ)


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
    index.raw[f"/files/{name}"] = data
    url = index.url.replace("/simple", f"/files/{name}")
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
    assert requests.count(("GET", f"{index.path}/simple/beta/")) == 1
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


def test_what_the_arguments_of_the_installer_say_wins_over_files(index: Index) -> None:
    """uv takes neither of them twice."""
    index.release("alpha", "1.0")
    index.release("alpha", "2.0rc1")
    options = (Option("index-url", "http://127.0.0.1:9/simple"), Option("pre"))
    sources = tuple(
        (name, Requirements.of([Requirement.parse("alpha")], options=options))
        for name in ("a", "requirements")
    )
    arguments = {"default-index": index.url, "prerelease": "disallow"}
    found = resolve(Resolve(Inputs(sources, "3.11.2", PLATFORM, arguments)), os.environ)
    assert [package.text for package in found.packages] == ["alpha==1.0"]
    del arguments["prerelease"]
    found = resolve(Resolve(Inputs(sources, "3.11.2", PLATFORM, arguments)), os.environ)
    assert [package.text for package in found.packages] == ["alpha==2.0rc1"]


def test_what_a_project_says_of_versions_counts_and_what_this_machine_says_does_not(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.release("alpha", "1.0")
    index.release("alpha", "2.0rc1")
    sources = (("requirements", Requirements.of([Requirement.parse("alpha")])),)
    arguments = {"default-index": index.url}
    for machine, project, version in (
        ("allow", {}, "1.0"),
        ("disallow", {"UV_PRERELEASE": "allow"}, "2.0rc1"),
    ):
        monkeypatch.setenv("UV_PRERELEASE", machine)
        found = resolve(Resolve(Inputs(sources, "3.11.2", PLATFORM, arguments, project)), os.environ)
        assert [package.version for package in found.packages] == [version]


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


@pytest.fixture
def cuda(index: Index) -> Iterator[Index]:
    """Another index, which has other files under the same names, and what no one else has."""
    index.release("torch", "2.0", ["nvidia"])
    index.release("torch", "2.1", ["nvidia"])
    index.release("vision", "1.0", ["torch"])
    index.release("nvidia", "1.0")
    with package_index() as made:
        made.release("torch", "2.0+cu126", ["nvidia"])
        made.release("vision", "0.1")
        made.release("nvidia", "0.1")
        yield made


def limited(*given: tuple[Index, str]) -> tuple[PackageIndex, ...]:
    """Indexes with the names of packages, or patterns, that are from there alone."""
    return tuple(
        PackageIndex(name=f"index-{number}", url=index.url, packages=packages.split())
        for number, (index, packages) in enumerate(given)
    )


def from_indexes(
    index: Index,
    indexes: Iterable[PackageIndex],
    *requirements: str,
    preferred: Iterable[Package] = (),
) -> Resolution:
    """What requirements come to where the project names indexes beside the default one."""
    asked = Requirements.of(map(Requirement.parse, requirements), options=as_options(indexes))
    inputs = Inputs((("requirements", asked),), "3.11.2", PLATFORM, {"default-index": index.url})
    return resolve(Resolve(inputs, tuple(preferred)), os.environ)


@pytest.mark.parametrize(
    ("requirements", "found"),
    [
        (["torch"], {"torch": "2.0+cu126", "nvidia": "1.0"}),
        (["torch>=2", "vision"], {"torch": "2.0+cu126", "nvidia": "1.0", "vision": "1.0"}),
        # uv alone minds the index only of what it is asked for itself.
        (["vision"], {"torch": "2.0+cu126", "nvidia": "1.0", "vision": "1.0"}),
        (
            ["vision", "torch==2.0+cu126; python_version < '3'"],
            {"torch": "2.0+cu126", "nvidia": "1.0", "vision": "1.0"},
        ),
        # What nobody wants is not installed.
        (["nvidia"], {"nvidia": "1.0"}),
    ],
)
def test_a_package_is_from_the_index_that_is_its_own(
    index: Index, cuda: Index, requirements: list[str], found: dict[str, str]
) -> None:
    resolution = from_indexes(index, limited((cuda, "torch")), *requirements)
    assert {package.name: package.version for package in resolution.packages} == found
    indexes = {package.name: package.index for package in resolution.packages}
    assert indexes == {name: "index-0" if name == "torch" else None for name in found}


def test_several_packages_have_indexes_of_their_own(index: Index, cuda: Index) -> None:
    resolution = from_indexes(index, limited((cuda, "torch nvid*"), (index, "beta")), "vision")
    assert [package.text for package in resolution.packages] == [
        "nvidia==0.1",
        "torch==2.0+cu126",
        "vision==1.0",
    ]
    assert resolution.wanted == {"requirements": ("vision",)}


def test_an_index_that_does_not_have_its_package_is_an_error(index: Index, cuda: Index) -> None:
    index.release("alpha", "1.0")
    resolution = from_indexes(index, limited((cuda, "alpha")), "alpha")
    assert resolution.impossible
    assert "alpha" in resolution.reason


def test_a_version_of_the_lock_is_that_of_its_index(index: Index, cuda: Index) -> None:
    """Two indexes have files of one version: what is locked from one is not what the other has."""
    cuda.add("torch", wheel("torch", "2.1", ["nvidia"], text="cuda"))
    locked = from_indexes(index, (), "torch").packages
    moved = from_indexes(index, limited((cuda, "torch")), "torch", preferred=locked).packages
    was, is_now = (next(each for each in packages if each.name == "torch") for packages in (locked, moved))
    assert (was.version, is_now.version) == ("2.1", "2.1")
    assert was.hashes != is_now.hashes
    # Files that one index replaces are not taken.
    cuda.add("torch", wheel("torch", "2.1", ["nvidia"], text="tampered"))
    again = from_indexes(index, limited((cuda, "torch")), "torch>=2", preferred=moved).packages
    assert is_now in again


# Wheels of one package by its versions: the newest is for glibc alone, the one before it for musl alone.
NATIVE: Final = {
    "3.0": ["cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_17_x86_64"],
    "2.0": ["cp311-cp311-musllinux_1_2_x86_64"],
    "1.0": ["cp311-cp311-manylinux_2_17_aarch64", "cp311-cp311-musllinux_1_1_aarch64"],
    "0.1": ["py3-none-any"],
}


@pytest.mark.parametrize(
    ("python", "platform", "version", "tags"),
    [
        ("3.11.2", "x86_64-manylinux_2_36", "3.0", NATIVE["3.0"]),
        ("3.11", "x86_64-manylinux_2_17", "3.0", NATIVE["3.0"][1:]),
        ("3.11.2", "x86_64-unknown-linux-musl", "2.0", NATIVE["2.0"]),
        ("3.11.2", "aarch64-manylinux_2_36", "1.0", NATIVE["1.0"][:1]),
        ("3.11.2", "aarch64-unknown-linux-musl", "1.0", NATIVE["1.0"][1:]),
        ("3.12.1", "x86_64-manylinux_2_36", "0.1", NATIVE["0.1"]),
    ],
)
def test_a_wheel_is_for_the_image_s_python_architecture_and_c_library(
    index: Index, python: str, platform: str, version: str, tags: list[str]
) -> None:
    for number, wheels in NATIVE.items():
        for tag in wheels:
            index.add("native", wheel("native", number, tag=tag))
    (package,) = asked(index, Requirement.parse("native"), python=python, platform=platform).packages
    assert package.version == version
    assert [file.name for file in package.files] == [f"native-{version}-{tag}.whl" for tag in tags]


def test_a_source_archive_is_taken_where_wheels_are_for_another_c_library(index: Index) -> None:
    index.add("native", wheel("native", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64"))
    wanted, musl = Requirement.parse("native"), "x86_64-unknown-linux-musl"
    refused = asked(index, wanted, platform=musl)
    assert refused.impossible
    assert "native" in refused.reason
    index.add("native", sdist("native", "1.0"))
    (package,) = asked(index, wanted, platform=musl).packages
    assert [file.name for file in package.files] == ["native-1.0.tar.gz"]


def test_what_is_overridden_is_from_the_index_that_is_its_own(index: Index, cuda: Index) -> None:
    index.release("service", "1.0", ["torch<2"])
    index.release("torch", "1.0", ["nvidia"])
    options = as_options(limited((cuda, "torch")))
    sources = (
        ("stack", Requirements.of([Requirement.parse("service")])),
        ("requirements", Requirements.of([Requirement.parse("torch>=2")], options=options)),
    )
    arguments = {"default-index": index.url}
    inputs = Inputs(sources, "3.11.2", PLATFORM, arguments, prevail=("requirements",))
    found = resolve(Resolve(inputs), os.environ)
    assert found.overridden == ("torch",)
    assert [each.text for each in found.packages] == ["nvidia==1.0", "service==1.0", "torch==2.0+cu126"]


def asked_for(index: Index, name: str) -> list[str]:
    """What an index was asked for of a package."""
    assert index.site is not None
    return [request.path for request in index.site.requests if name in request.path]


def test_a_public_package_never_takes_the_place_of_a_private_one(index: Index, cuda: Index) -> None:
    """Dependency confusion: the public index has a newer one, which would run code when it is looked at."""
    index.release("alpha", "1.0", ["Corp.Utils"])
    index.add("corp-utils", sdist("corp-utils", "99.0"))
    cuda.release("corp-utils", "1.0", ["beta"])
    index.release("beta", "1.0")
    cuda.release("beta", "9.0")
    for requirement in ("alpha", "corp_utils"):
        found = from_indexes(index, limited((cuda, "corp-*")), requirement).packages
        assert {each.text: each.index for each in found if each.name != "alpha"} == {
            "corp-utils==1.0": "index-0",
            "beta==1.0": None,
        }
    assert asked_for(index, "corp-utils") == []
    assert asked_for(cuda, "beta") == []


def test_a_package_that_its_index_does_not_have_is_taken_from_nowhere(index: Index, cuda: Index) -> None:
    index.release("alpha", "1.0", ["corp-utils"])
    index.release("alpha", "0.9")
    index.release("corp-utils", "99.0")
    found = from_indexes(index, limited((cuda, "corp-*")), "alpha>=1")
    assert found.impossible
    assert "corp-utils" in found.reason
    assert "127.0.0.1" not in found.reason
    assert asked_for(index, "corp-utils") == []


def test_what_builds_a_package_is_from_the_index_that_is_its_own(index: Index, cuda: Index) -> None:
    """The metadata of a source archive that does not say them all is built, here where it is resolved."""
    index.add("alpha", sdist("alpha", "1.0", requires=["corp-build"], dynamic=True))
    index.add("corp-build", wheel("corp-build", "99.0"))
    cuda.add("corp-build", wheel("corp-build", "1.0"))
    found = from_indexes(index, limited((cuda, "corp-*")), "alpha")
    assert [each.text for each in found.packages] == ["alpha==1.0"]
    assert asked_for(cuda, "corp_build-1.0")
    assert asked_for(index, "corp-build") == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"index-strategy": "unsafe-best-match"},
        {"find-links": "{url}/../links"},
    ],
    ids=str,
)
def test_options_that_look_elsewhere_take_no_package_from_there(
    index: Index, cuda: Index, arguments: dict[str, str]
) -> None:
    name, data = wheel("torch", "3.0")
    index.release("torch", "3.0")
    index.raw |= {"/links": f'<a href="/raw/{name}">{name}</a>'.encode(), f"/raw/{name}": data}
    given = {word: text.format(url=index.url) for word, text in arguments.items()}
    asked = Requirements.of([Requirement.parse("torch")], options=as_options(limited((cuda, "torch"))))
    inputs = Inputs((("requirements", asked),), "3.11.2", PLATFORM, {"default-index": index.url, **given})
    found = resolve(Resolve(inputs), os.environ)
    assert found.impossible
    assert "and not from the index index-0" in found.reason


def test_the_first_index_that_has_a_package_is_the_one_it_is_from(index: Index, cuda: Index) -> None:
    """An index that is limited to nothing goes before the default one, for whatever it has."""
    index.release("torch", "9.0")
    index.release("beta", "1.0")
    other = PackageIndex(name="cuda", url=cuda.url)
    found = from_indexes(index, [other], "torch", "beta").packages
    assert {each.text: each.index for each in found} == {
        "torch==2.0+cu126": "cuda",
        "nvidia==0.1": "cuda",
        "beta==1.0": None,
    }


def test_the_default_index_has_no_name_where_it_is_also_that_of_some_packages(index: Index) -> None:
    index.release("alpha", "1.0", ["beta"])
    index.release("beta", "1.0")
    found = from_indexes(index, limited((index, "beta")), "alpha").packages
    assert {each.name: each.index for each in found} == {"alpha": None, "beta": "index-0"}


def test_indexes_of_variables_of_the_image_are_asked_as_well(index: Index, cuda: Index) -> None:
    with package_index() as third:
        third.release("gamma", "1.0", ["torch"])
        asked = Requirements.of([Requirement.parse("gamma")], options=as_options(limited((cuda, "torch"))))
        variables = {"UV_INDEX": f"third={third.url}"}
        inputs = Inputs(
            (("requirements", asked),), "3.11.2", PLATFORM, {"default-index": index.url}, variables
        )
        found = resolve(Resolve(inputs), os.environ)
    assert {each.text: each.index for each in found.packages} == {
        "gamma==1.0": "third",
        "nvidia==1.0": None,
        "torch==2.0+cu126": "index-0",
    }


def test_the_switch_is_asked_through_no_proxy(
    index: Index, cuda: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, index.host)
    found = from_indexes(index, limited((cuda, "torch")), "torch")
    assert [each.text for each in found.packages] == ["nvidia==1.0", "torch==2.0+cu126"]


def test_what_uv_keeps_of_one_index_is_not_taken_for_what_another_has(
    index: Index, cuda: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where both were asked through one port, as two projects can be."""
    monkeypatch.setattr("executor.resolve.switch._PORTS", range(21_749, 21_750))
    for made in (index, cuda):
        made.keeping = {"simple": "max-age=600", "files": "max-age=600"}
    with package_index() as third:
        third.release("torch", "2.0+cu126", ["alpha"])
        third.release("alpha", "1.0")
        assert "torch==2.0+cu126" in {
            each.text for each in from_indexes(index, limited((cuda, "torch")), "torch").packages
        }
        found = from_indexes(index, limited((third, "torch alpha")), "torch")
    assert [each.text for each in found.packages] == ["alpha==1.0", "torch==2.0+cu126"]


def test_an_index_of_a_package_that_nobody_wants_is_not_asked(index: Index, cuda: Index) -> None:
    """A constraint wants nothing, and what torch requires limits nobody then."""
    cuda.release("torch", "2.2", ["nvidia<1"])
    indexes = as_options(limited((cuda, "torch missing")))
    asked = Requirements.of([Requirement.parse("nvidia>=1")], [Requirement.parse("torch<3")], indexes)
    inputs = Inputs((("requirements", asked),), "3.11.2", PLATFORM, {"default-index": index.url})
    found = resolve(Resolve(inputs), os.environ)
    assert [each.text for each in found.packages] == ["nvidia==1.0"]
    urls = addresses(Resolve(inputs), os.environ)
    assert isinstance(urls, Mapping)
    assert list(urls) == [file.hash for each in found.packages for file in each.files]
    assert cuda.site is not None
    assert cuda.site.requests == []


# --- a uv that does not answer


def with_arguments(arguments: Mapping[str, str]) -> Inputs:
    sources = (("requirements", Requirements.of([Requirement.parse("alpha")])),)
    return Inputs(sources, "3.11.2", PLATFORM, arguments)


def test_arguments_that_uv_does_not_take_are_no_contradiction(index: Index) -> None:
    inputs = with_arguments({"default-index": index.url, "resolution": "oldest"})
    found = resolve(Resolve(inputs), os.environ)
    assert found.reason.startswith("invalid value 'oldest' for '--resolution")
    assert (found.refused, found.impossible, found.transient) == (True, False, False)


def test_a_repository_that_cannot_be_reached_may_be_reached_later(index: Index) -> None:
    found = asked(index, Requirement.parse("x @ git+https://127.0.0.1:1/x.git"))
    assert "unable to access" in found.reason
    assert (found.transient, found.impossible) == (True, False)


def test_a_question_that_does_not_end_is_ended(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing of it stays in the directory for temporary files."""
    del index
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(limits, "RESOLVE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        inputs = with_arguments({"default-index": f"http://127.0.0.1:{silent.getsockname()[1]}/simple"})
        with pytest.raises(ProgramSilent) as caught:
            resolve(Resolve(inputs), os.environ)
    assert caught.value.exit_code == 75
    assert list(temporary.iterdir()) == []
