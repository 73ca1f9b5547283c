"""A cache of the installer that is kept between builds, on each builder that can keep one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from attrs import evolve

from executor.apply.builder import ImageBuilder
from executor.engines.docker import DockerEngine
from executor.engines.protocol import Engine
from executor.errors import BuildFailed
from executor.process import Command, run
from planner import Facts
from planner.compare.actions import Action, Decision
from planner.image.capabilities import Capability, required
from tests.contract.conftest import absent, reason_against
from tests.contract.images import TEST_BASE, build_text, job, planned, quiet
from tests.index import Index
from tests.web import Reply, Request, serving

LEFT: Final = "ls -A / /root /root/.cache /dev/shm /tmp 2>&1"


@pytest.fixture
def index() -> Iterator[Index]:
    """An index whose files may be kept, as those of PyPI may."""
    made = Index()
    made.release("alpha", "1.0")

    def answer(request: Request) -> Reply:
        reply = made.answer(request)
        kept = {"Cache-Control": "max-age=86400"} if "/files/" in request.path else {}
        return evolve(reply, headers={**reply.headers, **kept})

    with serving(answer, host="0.0.0.0") as site:  # noqa: S104  # containers ask it
        made.site = site
        yield made


def settings(index: Index, installer: str, mount: str | None, day: str = "") -> dict[str, Any]:
    """What an image asks for, with a cache or without. On another day all layers are built anew.

    With `no_cache`, BuildKit would begin with an empty cache.
    """
    arguments: dict[str, Any] = {"default-index": index.url}
    if installer == "pip":
        arguments = {"index-url": index.url, "trusted-host": index.host}
    return {
        "requirements": ["alpha"],
        "python_package_installer": installer,
        "python_package_installer_args": arguments,
        "python_package_installer_cache_mount": mount,
        "environment": {"DAY": day or uuid4().hex},
    }


def downloads(index: Index) -> int:
    """How often the wheel was asked for whole."""
    assert index.site is not None
    return sum(
        request.path.endswith(".whl") and request.method == "GET" and "Range" not in request.headers
        for request in index.site.requests
    )


def layers(engine: Engine, image: str) -> list[str]:
    """What an image consists of."""
    done = run(Command((engine.name, "image", "inspect", "--format={{json .RootFS.Layers}}", image)))
    assert done.code == 0, done.stderr
    found: list[str] = json.loads(done.text)
    return found


def needs_caches(engine: Engine) -> None:
    """Leave a test to the builders that can keep a cache."""
    if isinstance(engine, DockerEngine) and not engine.uses_buildkit:
        pytest.skip("the classic builder keeps no cache: see the last test here")


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_was_downloaded_is_not_downloaded_again(
    engine: Engine, tmp_path: Path, index: Index, installer: str
) -> None:
    needs_caches(engine)
    mount = f"type=cache,target=/root/.cache/{installer},id={uuid4().hex}"
    days = [uuid4().hex, uuid4().hex]
    made, counts = [], []
    for given, day in ((mount, days[0]), (mount, days[1]), (None, days[1])):
        image = planned(tmp_path, settings(index, installer, given, day))
        before = downloads(index)
        made.append(engine.build(job(image, tmp_path), quiet).id)
        counts.append(downloads(index) - before)
    try:
        assert counts == [1, 0, 1]
        # And nothing of the cache is in the image.
        assert layers(engine, made[1]) == layers(engine, made[2])
        assert engine.run(made[1], ("/bin/sh", "-c", LEFT)) == engine.run(made[2], ("/bin/sh", "-c", LEFT))
        assert engine.run(made[1], ("python", "-c", "import alpha")).code == 0
    finally:
        for each in dict.fromkeys(made):
            engine.remove(each)


def test_a_user_who_may_not_write_a_cache_installs_without_it(
    engine: Engine, tmp_path: Path, index: Index, new_tag: Callable[[str], str]
) -> None:
    needs_caches(engine)
    parent = new_tag("localhost")
    build_text(
        engine,
        parent,
        f"FROM {TEST_BASE}\nRUN useradd --uid 1234 runner && python -m venv /opt/env && "
        "chown -R runner /opt/env\nENV VIRTUAL_ENV=/opt/env\nUSER runner\n",
    )
    counts = []
    for owner in ("", ",uid=1234"):
        mount = f"type=cache,target=/home/runner/.cache/uv,id={uuid4().hex}{owner}"
        for _ in range(2):
            image = planned(tmp_path, settings(index, "uv", mount), parent=parent)
            before = downloads(index)
            engine.remove(engine.build(job(image, tmp_path), quiet).id)
            counts.append(downloads(index) - before)
    assert counts == [1, 1, 1, 0]


def test_a_builder_that_keeps_no_cache_says_so_before_it_builds(tmp_path: Path, index: Index) -> None:
    if reason := reason_against("docker-classic"):
        absent(f"docker-classic: {reason}")
    engine = DockerEngine("classic")
    image = planned(tmp_path, settings(index, "uv", "/root/.cache/uv"))
    assert required(image) - engine.capabilities == {Capability.CACHE_MOUNT}
    builder = ImageBuilder(engine, tmp_path, Facts(), lambda _: pytest.fail("it was built"))
    with pytest.raises(BuildFailed, match="docker cannot keep a cache between builds"):
        builder.carry_out(image, Decision(Action.BUILD, "never-built", "never built here"))
