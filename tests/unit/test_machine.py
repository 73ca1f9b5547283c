"""What a machine says of uv and pip for itself: how indexes are reached is minded, and nothing else."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from executor.errors import ExecutorError
from executor.resolve.machine import machine
from executor.resolve.uv import resolve
from planner import make_plan
from planner.facts.needs import Resolve
from planner.requirements.indexes import as_options
from planner.requirements.model import Requirement, Requirements
from planner.requirements.resolution import Inputs, Resolution
from planner.settings.package_indexes import PackageIndex
from tests.builders import LOCAL, asked, observed, pipeline_of
from tests.index import Index, package_index

PLATFORM: Final = "x86_64-manylinux_2_36"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody who configured nothing."""
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return made


def written(home: Path, name: str, text: str) -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def indexes() -> Iterator[tuple[Index, Index]]:
    """A mirror, and an index with something newer."""
    with package_index() as mirror, package_index() as other:
        mirror.release("alpha", "1.0")
        other.release("alpha", "9.0")
        yield mirror, other


def alpha(*own: PackageIndex, **variables: str) -> Resolution:
    asked = Requirements.of([Requirement.parse("alpha")], options=as_options(own))
    return resolve(Resolve(Inputs((("requirements", asked),), "3.11.2", PLATFORM, {}, variables)), os.environ)


def versions(found: Resolution) -> list[str]:
    assert not found.reason
    return [package.text for package in found.packages]


@pytest.mark.parametrize("where", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "index-url", "index", "pip"])
def test_a_mirror_of_the_machine_is_where_packages_are(
    home: Path, indexes: tuple[Index, Index], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    mirror, _ = indexes
    if where.startswith("UV_"):
        monkeypatch.setenv(where, mirror.url)
    else:
        texts = {
            "index-url": f'index-url = "{mirror.url}"\n',
            "index": f'[[index]]\nname = "mirror"\nurl = "{mirror.url}"\ndefault = true\n',
            "pip": f'[pip]\nindex-url = "{mirror.url}"\n',
        }
        written(home, ".config/uv/uv.toml", texts[where])
    found = alpha()
    assert versions(found) == ["alpha==1.0"]
    assert found.left_out == ()
    # A mirror does not show.
    assert [package.index for package in found.packages] == [None]


VARIABLES: Final = ["UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"]


@pytest.mark.parametrize("name", VARIABLES)
def test_an_index_that_only_this_machine_names_is_not_asked(
    home: Path, indexes: tuple[Index, Index], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    del home
    mirror, other = indexes
    monkeypatch.setenv("UV_DEFAULT_INDEX", mirror.url)
    monkeypatch.setenv(name, other.url)
    monkeypatch.setenv("UV_INDEX_STRATEGY", "unsafe-best-match")
    found = alpha()
    assert versions(found) == ["alpha==1.0"]
    assert found.left_out == (name,)
    assert other.site is not None
    assert other.site.requests == []
    # What the image says is the project's.
    assert versions(alpha(UV_INDEX=other.url)) == ["alpha==9.0"]
    assert versions(alpha(PackageIndex(name="own", url=other.url))) == ["alpha==9.0"]


def test_a_configuration_is_read_for_how_indexes_are_reached_alone(
    home: Path, indexes: tuple[Index, Index]
) -> None:
    mirror, other = indexes
    text = f"""
    prerelease = "allow"
    extra-index-url = ["{other.url}"]
    cache-dir = "{home}/cache"
    [[index]]
    name = "extra"
    url = "{other.url}"
    [[index]]
    url = "{mirror.url}"
    default = true
    [pip]
    keyring-provider = "disabled"
    find-links = ["{other.url}"]
    """
    path = written(home, ".config/uv/uv.toml", text)
    found = alpha()
    assert versions(found) == ["alpha==1.0"]
    assert found.left_out == (f"{path}: extra-index-url", f"{path}: index", f"{path}: pip: find-links")
    own = PackageIndex(name="corp", url="https://pypi.corp/simple", packages=["corp-*"])
    assert tomllib.loads(machine([own]).config) == {
        "cache-dir": f"{home}/cache",
        "pip": {"keyring-provider": "disabled"},
        "index": [
            {"name": "corp", "url": "https://pypi.corp/simple", "explicit": True},
            {"url": mirror.url, "default": True},
        ],
    }


def test_the_configuration_of_a_user_goes_before_that_of_the_system(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = home / "etc"
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(system))
    written(
        system, "uv/uv.toml", 'cache-dir = "/system"\nnative-tls = true\n[pip]\nindex-url = "https://s"\n'
    )
    written(home, ".config/uv/uv.toml", 'cache-dir = "/own"\n[pip]\nindex-url = "https://o"\n')
    merged = {"cache-dir": "/own", "native-tls": True, "pip": {"index-url": "https://o"}, "index": []}
    assert tomllib.loads(machine([]).config) == merged
    other = written(home, "other.toml", 'cache-dir = "/named"\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(other))
    assert tomllib.loads(machine([]).config) == {"cache-dir": "/named", "index": []}
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert tomllib.loads(machine([]).config) == {"index": []}


LOGIN: Final = "https://me:s3cr3t@pypi.corp/simple"


@pytest.mark.parametrize("where", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "index-url", "index", "pip"])
def test_a_login_in_the_url_of_a_mirror_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    place = where
    if where.startswith("UV_"):
        monkeypatch.setenv(where, LOGIN)
    else:
        texts = {
            "index-url": f'index-url = "{LOGIN}"\n',
            "index": f'[[index]]\nurl = "{LOGIN}"\ndefault = true\n',
            "pip": f'[pip]\nindex-url = "{LOGIN}"\n',
        }
        path = written(home, ".config/uv/uv.toml", texts[where])
        place = f"{path}: pip" if where == "pip" else str(path)
    with pytest.raises(ExecutorError) as refused:
        alpha()
    (problem,) = refused.value.problems
    assert str(problem.where) == place
    assert problem.found == "holds credentials"
    assert "~/.netrc" in problem.fix
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("text", ["index-url = s3cr3t", "\xff"])
def test_a_configuration_that_is_no_toml_is_an_error_that_does_not_show_it(home: Path, text: str) -> None:
    path = home / ".config/uv/uv.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ExecutorError, match=r"uv\.toml: is not TOML") as refused:
        machine([])
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.__context__ is None


def test_what_pip_is_told_is_named_and_not_minded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    own = written(home, ".config/pip/pip.conf", f"[global]\nextra-index-url = {LOGIN}\n[install]\npre = 1\n")
    named = written(home, "named.conf", "[install]\nfind_links = /wheels\n")
    written(home, ".pip/pip.conf", "no section")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    monkeypatch.setenv("PIP_INDEX_URL", LOGIN)
    environ = {**os.environ, "XDG_CONFIG_DIRS": str(home / "none")}
    found = [each for each in machine([], environ).left_out if "/etc/pip.conf" not in each]
    assert found == ["PIP_INDEX_URL", f"{own}: extra-index-url", f"{named}: find-links"]


def test_a_note_names_what_was_left_out() -> None:
    pipeline = pipeline_of({"requirements": ["six"]})
    (need,) = [each for each in asked({"requirements": ["six"]}) if isinstance(each, Resolve)]
    facts = observed(pipeline, LOCAL)
    found = evolve(facts.ask(need), left_out=("UV_INDEX", "/etc/pip.conf: find-links"))
    plan = make_plan(pipeline, LOCAL, facts.also({need: found}))
    (text,) = [note.text for note in plan.notes if note.code == "machine-indexes"]
    assert text.startswith(
        "ignored, since other machines may not have it: UV_INDEX, /etc/pip.conf: find-links;"
    )
