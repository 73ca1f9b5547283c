"""Packages that were resolved are installed by their hashes, whatever the installer, parent and engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from executor.engines.protocol import Engine
from executor.errors import BuildFailed
from planner.render.dockerfile import context_files
from tests.contract.images import TEST_BASE, build_text, job, planned, quiet
from tests.index import Index, package_index, sdist, wheel

LOOK: Final = """
import alpha, beta, gamma, json, sys
print(json.dumps({
    "versions": [module.__version__ for module in (alpha, beta, gamma)],
    "built": gamma.text,
    "where": alpha.__file__,
}))
"""
# How a parent can be awkward, and what its Python is called.
ENVIRONMENT: Final = """
RUN python -m venv /opt/env && useradd --create-home runner && chown -R runner /opt/env
ENV VIRTUAL_ENV=/opt/env
USER runner
"""
PARENTS: Final = {
    "system": ("", "python"),
    # An environment that is not on the PATH, of an ordinary user.
    "environment": (ENVIRONMENT, "/opt/env/bin/python"),
    "python3 alone": ('RUN rm "$(command -v python)"\n', "python3"),
}


@pytest.fixture(params=PARENTS)
def parent(request: pytest.FixtureRequest, engine: Engine, new_tag: Callable[[str], str]) -> tuple[str, str]:
    """A parent image, and its Python."""
    text, program = PARENTS[request.param]
    if not text:
        return TEST_BASE, program
    base = new_tag("localhost")
    build_text(engine, base, f"FROM {TEST_BASE}\n{text}")
    return base, program


@pytest.fixture
def index() -> Iterator[Index]:
    """An index with wheels, and with a package that has to be built."""
    with package_index() as made:
        made.release("alpha", "1.0", ["beta>=1"])
        made.release("beta", "1.0")
        made.add("gamma", sdist("gamma", "1.0"))
        yield made


def settings(index: Index, installer: str, *requirements: str) -> dict[str, Any]:
    """What an image asks for that has packages from this index."""
    arguments: dict[str, Any] = {"default-index": index.url}
    if installer == "pip":
        arguments = {"index-url": index.url, "trusted-host": index.host}
    return {
        "requirements": list(requirements or ("alpha", "gamma")),
        "python_package_installer": installer,
        "python_package_installer_args": arguments,
    }


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_was_resolved_is_installed_whatever_came_since(
    engine: Engine, tmp_path: Path, index: Index, parent: tuple[str, str], installer: str
) -> None:
    base, program = parent
    image = planned(tmp_path, settings(index, installer), parent=base)
    # A day later.
    index.release("beta", "1.1")
    index.release("alpha", "2.0")
    built = engine.build(job(image, tmp_path), quiet)
    try:
        done = engine.run(built.id, (program, "-c", LOOK))
    finally:
        engine.remove(built.id)
    assert done.code == 0, (done.output, context_files(image.spec))
    found = json.loads(done.output)
    assert found["versions"] == ["1.0", "1.0", "1.0"]
    assert found["built"] == "built"
    assert found["where"].startswith("/opt/env/") is program.startswith("/opt/env/")


@pytest.mark.parametrize(
    ("installer", "words"),
    [
        ("uv", "Hash mismatch for `beta==1.0`"),
        # Below the line that says that these do not match.
        ("pip", "beta==1.0 from http"),
    ],
    ids=["uv", "pip"],
)
def test_a_file_that_is_not_the_one_that_was_resolved_fails_the_build(
    engine: Engine, tmp_path: Path, index: Index, installer: str, words: str
) -> None:
    image = planned(tmp_path, settings(index, installer, "alpha"))
    # The index says the hash that it always said; the bytes are others.
    index.tampered["beta-1.0-py3-none-any.whl"] = wheel("beta", "1.0", text="tampered")[1]
    with pytest.raises(BuildFailed) as failed:
        engine.build(job(image, tmp_path), quiet)
    assert failed.value.problems[0].found.startswith("cannot be installed: exit code")
    assert words in str(failed.value)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_path_without_a_python_is_named(
    engine: Engine, tmp_path: Path, index: Index, installer: str
) -> None:
    asked = {**settings(index, installer, "alpha"), "environment": {"PATH": "/opt/bin:$PATH"}}
    with pytest.raises(BuildFailed) as failed:
        engine.build(job(planned(tmp_path, asked), tmp_path), quiet)
    assert failed.value.problems[0].found == (
        "cannot be installed: environment sets PATH to '/opt/bin:$PATH', and no python is "
        "there; write {parent} in it to keep the PATH of the parent image"
    )


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_package_is_installed_from_the_index_that_is_its_own(
    engine: Engine, tmp_path: Path, index: Index, installer: str
) -> None:
    """Both indexes have beta 1.0, with other bytes in each, and a gamma that has to be built."""
    with package_index() as other:
        other.add("beta", wheel("beta", "1.0", text="other"))
        other.add("gamma", sdist("gamma", "2.0"))
        own = {"package_indexes": [{"name": "other", "url": other.url, "packages": ["Beta", "gam*"]}]}
        image = planned(tmp_path, {**settings(index, installer), **own})
        # What is newer in the index of all others has no hash that is locked.
        index.release("beta", "2.0")
        built = engine.build(job(image, tmp_path), quiet)
        look = LOOK.replace("gamma.text", "[beta.text, gamma.text]")
        try:
            done = engine.run(built.id, ("python", "-c", look))
        finally:
            engine.remove(built.id)
    assert done.code == 0, (done.output, context_files(image.spec))
    found = json.loads(done.output)
    assert found["versions"] == ["1.0", "1.0", "2.0"]
    assert found["built"] == ["other", "built"]
