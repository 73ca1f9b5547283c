"""A private index in the life of a project: locked, planned without its login, built, and gone wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from executor.engines.docker import DockerEngine
from tests.authority import Authority, authority
from tests.e2e.command import PINNED, Project
from tests.e2e.images import Tags
from tests.index import Index, two_indexes

LOGIN: Final = "me:s3cr3t-of-index"


@pytest.fixture
def trusted(tmp_path: Path, project: Project) -> Authority:
    """An authority that this machine trusts, beside all that it trusts anyway."""
    made = authority(tmp_path / "authority")
    project.env |= {"SSL_CERT_FILE": str(made.beside_others()), "UV_CACHE_DIR": str(tmp_path / "cache")}
    return made


@pytest.fixture
def indexes(trusted: Authority) -> Iterator[tuple[Index, Index]]:
    """An index that everybody may ask, where somebody took a private name, and a private one."""
    with two_indexes(LOGIN, trusted) as made:
        yield made


def written(
    project: Project, indexes: tuple[Index, Index], *, installer: str = "uv", parent: str = PINNED
) -> None:
    """A project with one image that has a public package, which wants a private one."""
    public, corp = indexes
    option = {"uv": "default-index", "pip": "index-url"}[installer]
    project.write({
        "stowplan.toml": f"""
            [secret.pypi]
            env = "PYPI_LOGIN"

            [pipeline.training]
            steps = ["train"]

            [pipeline.training.settings.docker]
            parent_image = "{parent}"
            python_version = "3.11"
            requirements = ["alpha"]
            python_package_installer = "{installer}"
            python_package_installer_args = {{ {option} = "{public.url}" }}
            machine_network = true

            [[pipeline.training.settings.docker.package_indexes]]
            name = "corp"
            url = "{corp.url}"
            packages = ["corp-*"]
            secret = "pypi"
        """,
        ".dockerignore": "stowplan.*\n",
    })  # fmt: skip


def test_the_login_is_needed_to_resolve_and_for_nothing_else(
    project: Project, indexes: tuple[Index, Index]
) -> None:
    written(project, indexes)
    refused = project.run("lock")
    assert refused.code == 1
    assert "the secret pypi is not there: environment variable PYPI_LOGIN is not set" in refused.err
    wrong = project.run("lock", env={"PYPI_LOGIN": "me:wr0ng-password"})
    assert wrong.code == 1
    assert "the index corp says 401 Unauthorized" in wrong.err
    assert "wr0ng" not in wrong.out + wrong.err
    assert not (project.root / "stowplan.lock").exists()
    project.ok("lock", env={"PYPI_LOGIN": LOGIN})
    lock = (project.root / "stowplan.lock").read_text()
    assert "s3cr3t" not in lock
    assert 'index = "corp"' in lock
    # What is locked is planned without it, by nobody's help.
    for index in indexes:
        index.closed = True
    before = [len(index.site.requests) for index in indexes if index.site]
    project.ok("lock", "--check")
    assert project.ok("plan", "--locked", "-o", "json").data["images"]
    assert "id=netrc+pypi" in project.ok("show", "training", "--dockerfile").out
    assert [len(index.site.requests) for index in indexes if index.site] == before
    # Another login is the same lock.
    project.ok("lock", "--check", env={"PYPI_LOGIN": "me:rotated"})
    for index in indexes:
        index.closed = False
    exported = project.ok("export", "training", "--format", "pylock", env={"PYPI_LOGIN": LOGIN})
    assert "corp_utils-1.0-py3-none-any.whl" in exported.out
    assert "s3cr3t" not in exported.out + exported.err


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_image_has_the_private_package(
    project: Project, indexes: tuple[Index, Index], tags: Tags, base: str, installer: str
) -> None:
    if isinstance(tags.engine, DockerEngine) and not tags.engine.uses_buildkit:
        pytest.skip("the classic builder gives no secrets")
    written(project, indexes, installer=installer, parent=base)
    login = {"PYPI_LOGIN": LOGIN}
    project.ok("lock", "--allow-unpinned", env=login)
    missing = project.run("apply")
    assert missing.code == 1
    assert "environment variable PYPI_LOGIN is not set" in missing.err
    unusable = project.run("apply", env={"PYPI_LOGIN": "machine elsewhere login me password s3cr3t"})
    assert unusable.code == 1
    assert "no login for the index corp: it has no entry for" in unusable.err
    assert unusable.err.startswith("error: stowplan.toml:2: secret.pypi: ")
    applied = project.ok("apply", "-o", "json", env=login)
    (image,) = applied.data["images"]
    look = "import corp_utils; print(corp_utils.__version__, corp_utils.text)"
    done = tags.engine.run(image["reference"], ("python", "-c", look))
    assert done.output.split() == ["1.0", "private"]
    again = project.ok("apply", "-o", "json", env={"PYPI_LOGIN": "me:rotated"})
    assert [each["result"] for each in again.data["images"]] == ["reused"]
    for path, data in project.state().items():
        assert b"s3cr3t" not in data, path
    assert "s3cr3t" not in applied.out + applied.err + json.dumps(again.data)
