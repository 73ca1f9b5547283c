"""Short ways from files to planned images, from those to images in an engine, and back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, assert_never

from executor.context import context
from executor.engines.protocol import HASH_LABEL, BuildJob, Engine
from executor.observe.cache import Cache
from executor.observe.files import read_text
from executor.observe.trees import read_tree
from planner import (
    Digest,
    Fact,
    Facts,
    FileText,
    FileTree,
    HostPlatform,
    ImageDigest,
    ImagePlan,
    ImageRef,
    Need,
    Pin,
    PythonVersion,
    Secret,
    Stack,
    Variable,
    make_plan,
    needs,
)
from planner.render.dockerfile import dockerfile
from planner.values import build_argument
from tests.builders import pipeline_of

# The parent of all images here, by digest where the machine says which.
TEST_BASE: Final = str(ImageRef.parse(os.environ.get("STOWPLAN_TEST_BASE", "python:3.11-slim")))
_BASE_DIGEST: Final = os.environ.get("STOWPLAN_TEST_BASE_DIGEST")


def EMPTY_CONTEXT() -> Iterator[bytes]:  # noqa: N802  # a value that happens to be a function
    """A build context without any file."""
    yield bytes(1024)


def quiet(_: str) -> None:
    """Take a line of a log and say nothing."""


def planned(
    root: Path,
    settings: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    parent: str = TEST_BASE,
) -> ImagePlan:
    """The plan of the one image that these settings ask for, from the files that are there."""
    pipeline = pipeline_of({"parent_image": parent, **(settings or {})})
    facts = Facts()
    with Cache(root) as cache:
        while missing := needs(pipeline, Stack(), facts):
            facts = facts.also({need: _answer(need, root, variables or {}, cache) for need in missing})
    (image,) = make_plan(pipeline, Stack(), facts).images
    return image


def _answer(need: Need, root: Path, variables: Mapping[str, str], cache: Cache) -> Fact:
    match need:
        case PythonVersion():
            return "3.11"
        case HostPlatform():
            return "linux/amd64"
        case FileText(path):
            return read_text(root, path)
        case FileTree():
            return read_tree(root, need, cache)
        case Variable(name):
            return Secret(variables[name])
        case ImageDigest(ref):
            pinned = str(ref) == TEST_BASE and _BASE_DIGEST
            return Pin(Digest.parse(_BASE_DIGEST), "registry") if pinned and _BASE_DIGEST else Pin()
        case _:
            assert_never(need)


def job(image: ImagePlan, root: Path, tag: str, variables: Mapping[str, str] | None = None) -> BuildJob:
    """What an engine is told of a planned image."""
    return BuildJob(
        tag=tag,
        dockerfile=dockerfile(image),
        context=lambda: context(image, root),
        options=image.options,
        labels={HASH_LABEL: str(image.hash)},
        secrets={build_argument(name): value for name, value in (variables or {}).items()},
    )


def build(
    engine: Engine,
    tag: str,
    root: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    variables: Mapping[str, str] | None = None,
    parent: str = TEST_BASE,
) -> list[str]:
    """Plan an image, build it, and return the log."""
    lines: list[str] = []
    image = planned(root, settings, variables, parent)
    engine.build(job(image, root, tag, variables), lines.append)
    return lines


def told(engine: Engine, tag: str, program: str) -> Any:
    """What a Python program in a new container of the image prints as JSON."""
    done = engine.run(tag, ("python", "-c", program))
    assert done.code == 0, done.output
    return json.loads(done.output)


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true within the time that a loaded machine may take."""
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False
