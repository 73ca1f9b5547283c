"""Short ways from files to planned images, from those to images in an engine, and back."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from executor.context import files
from executor.engines.protocol import HASH_LABEL, BuildJob, Engine
from executor.network import Network
from executor.observe.cache import Cache
from executor.observe.files import is_file, read_text
from executor.observe.programs import output_of
from executor.observe.trees import read_tree
from executor.observe.world import answer
from executor.process import Command, run
from executor.resolve.uv import resolve
from planner import (
    Digest,
    Facts,
    FileTree,
    HiddenValue,
    ImageDigest,
    ImageId,
    ImagePlan,
    ImagePython,
    ImageRef,
    LocalImage,
    Need,
    Pin,
    Printed,
    ProgramOutput,
    PythonOf,
    Resolve,
    Stack,
    Tree,
    make_plan,
    needs,
)
from planner.facts.code_state import CodeState
from planner.values import FrozenMapping, build_argument
from tests.builders import pipeline_of

# The parent of all images here, by digest where the machine says which.
TEST_BASE: Final = str(ImageRef.parse(os.environ.get("STOWPLAN_TEST_BASE", "python:3.11-slim")))
_BASE_DIGEST: Final = os.environ.get("STOWPLAN_TEST_BASE_DIGEST")


def quiet(_: str) -> None:
    """Take a line of a log and say nothing."""


@frozen
class Machine:
    """The world of these tests: the files that are there, and nothing else that is looked for."""

    root: Path
    cache: Cache
    variables: Mapping[str, str] = field(default=FrozenMapping())

    def text(self, path: str) -> str | None:
        """The text of a file."""
        return read_text(self.root, path)

    def is_file(self, path: str) -> bool:
        """Whether there is a file."""
        return is_file(self.root, path)

    def output(self, need: ProgramOutput) -> Printed:
        """What a program of this machine prints."""
        return output_of(need, self.root, os.environ)

    def tree(self, need: FileTree) -> Tree:
        """The files under some rules."""
        return read_tree(self.root, need, self.cache)

    def variable(self, name: str) -> HiddenValue | None:
        """The value of a variable."""
        return HiddenValue(self.variables[name])

    def python_version(self) -> str:
        """The Python of the parent image."""
        return "3.11"

    def host_platform(self) -> str:
        """The platform of the machines that run these tests."""
        return "linux/amd64"

    def code_state(self) -> CodeState:
        """No checkout."""
        return CodeState("the files of a test are in no checkout", "look elsewhere")

    def answer(self, need: Need[Any]) -> Any:
        """The answer to one need. Only the usual parent has a digest."""
        match need:
            case ImageDigest(ref):
                if str(ref) != TEST_BASE or not _BASE_DIGEST:
                    return Pin()
                return Pin(Digest.parse(_BASE_DIGEST), "manifest", self.host_platform())
            case LocalImage():
                return ImageId()
            case PythonOf(_, _, version):
                return ImagePython(version or "3.11.2", "x86_64-manylinux_2_36")
            case Resolve():
                return resolve(need, self.variables)
            case _:
                return answer(need, self)


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
        machine = Machine(root, cache, variables or {})
        while missing := needs(pipeline, Stack(), facts):
            facts = facts.also({need: machine.answer(need) for need in missing})
    (image,) = make_plan(pipeline, Stack(), facts).images
    return image


def job(
    image: ImagePlan,
    root: Path,
    variables: Mapping[str, str] | None = None,
    secrets: Mapping[str, bytes] | None = None,
    network: Network = Network(),  # noqa: B008  # frozen
) -> BuildJob:
    """What an engine is told of a planned image."""
    values = {build_argument(name): value for name, value in (variables or {}).items()}
    return BuildJob(
        image, lambda: files(image, root), FrozenMapping(values), secrets=secrets or {}, network=network
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
    """Plan an image, build it, give it a tag, and return the log."""
    lines: list[str] = []
    image = planned(root, settings, variables, parent)
    engine.tag(engine.build(job(image, root, variables), lines.append).id, tag)
    return lines


def build_text(engine: Engine, tag: str, text: str) -> None:
    """An image from a Dockerfile of somebody else, as their own command line builds it."""
    program = ("docker", "buildx", "build", "--load") if engine.name == "docker" else ("podman", "build")
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "Dockerfile").write_text(text)
        extra = ("--format=docker",) if engine.name == "podman" else ()
        done = run(Command((*program, *extra, f"--tag={tag}", directory)), merged=True)
    assert done.code == 0, done.text


def images_of(engine: Engine, image: ImagePlan) -> set[str]:
    """The IDs of all images in the engine that bear the label of a plan, with a name or without."""
    listing = ("images", "--quiet", "--no-trunc", f"--filter=label={HASH_LABEL}={image.hash}")
    # Podman's list fails while another build is committing an image.
    done = run(Command((engine.name, *listing)))
    for _ in range(50):
        if done.code == 0:
            break
        time.sleep(0.1)
        done = run(Command((engine.name, *listing)))
    assert done.code == 0, done.stderr
    return set(done.text.split())


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
