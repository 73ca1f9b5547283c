"""A context that is cut off, wherever that is, makes no image that could be taken for what was planned.

Whoever sends it is gone then: here nobody but the test looks at what comes of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.apply.verification import difference
from executor.context import ARCHIVE_END
from executor.engines.archive import (
    DOCKERFILE,
    archive,
    planned_options,
    whole_dockerfile,
    written_id,
)
from executor.engines.buildx import buildx_command
from executor.engines.docker import DockerEngine
from executor.engines.options import sdk_options
from executor.process import run
from executor.scratch import held
from planner import ImagePlan
from tests.contract.conftest import absent, reason_against
from tests.contract.images import job, planned


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImagePlan, bytes]:
    """An image and its context: files that are empty, small, and as large as a block."""
    root = tmp_path_factory.mktemp("project")
    for name, size in (("a", 0), ("b", 1), ("c", 511), ("d", 512), ("e", 513), ("f", 0), ("g", 10_240)):
        (root / name).write_bytes(name.encode() * size)
    image = planned(root, {"environment": {"A": "1"}})
    return image, b"".join(archive(job(image, root)))


def cuts(image: ImagePlan, data: bytes) -> Iterator[tuple[str, int]]:
    """Where to cut, and what is there."""
    dockerfile = len(whole_dockerfile(image).encode())
    padded = dockerfile + -dockerfile % 512
    begin = len(data) - len(ARCHIVE_END) - padded
    yield "no byte", 0
    yield "one block", 512
    yield "half of the files", begin // 2 // 512 * 512
    yield "all files, before the Dockerfile", begin - 512
    yield "half of its header", begin - 256
    yield "its header", begin
    yield "half of it", begin + dockerfile // 2
    yield "all but the end of the mark", begin + dockerfile - 2
    yield "all of it, without its last block", begin + dockerfile
    yield "all of it", begin + padded
    yield "half of the end", begin + padded + 512


def with_buildkit(data: bytes, image: ImagePlan, place: Path) -> str:
    """The ID of what BuildKit makes of an archive; empty if it makes nothing."""
    with held(place) as scratch:
        file = scratch / "id"
        run(buildx_command(job(image, place), file), stdin=[data], merged=True, timeout=120)
        return written_id(file)


def with_classic(data: bytes, image: ImagePlan, _: Path) -> str:
    """The same of the classic builder."""
    import docker  # noqa: PLC0415  # the SDK takes 90 ms to import

    api = docker.from_env().api
    try:
        options: dict[str, Any] = {"rm": True, "forcerm": True, **sdk_options(planned_options(image))}
        records = api.build(
            fileobj=io.BytesIO(data), custom_context=True, dockerfile=DOCKERFILE, decode=True, **options
        )
        return next((each["aux"]["ID"] for each in records if "ID" in each.get("aux", {})), "")
    except docker.errors.APIError:
        return ""
    finally:
        api.close()


@pytest.mark.parametrize("builder", ["docker-buildkit", "docker-classic"])
def test_a_cut_archive_is_never_what_was_planned(
    whole: tuple[ImagePlan, bytes], builder: str, tmp_path: Path
) -> None:
    if reason := reason_against(builder):
        absent(str(reason))
    image, data = whole
    assert data[: len(data) - len(ARCHIVE_END)].rstrip(b"\0").endswith(str(image.hash).encode() + b"\n")
    build = {"docker-buildkit": with_buildkit, "docker-classic": with_classic}[builder]
    engine = DockerEngine()
    found: dict[str, bool] = {}
    for number, (what, cut) in enumerate(cuts(image, data)):
        place = tmp_path / str(number)
        place.mkdir()
        made = build(data[:cut], image, place)
        info = engine.inspect(made) if made else None
        # An image that is made of it is whole, and says so.
        found[what] = info is not None and difference(image, info, {}) is None
        if made:
            engine.remove(made)
    whole_ones = {what for what, made in found.items() if made}
    assert whole_ones <= {"all of it, without its last block", "all of it", "half of the end"}
    assert "all of it" in whole_ones
