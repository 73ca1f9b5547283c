"""The Dockerfiles of `fixtures/dockerfiles` as images of a plan: planned, locked, changed.

`pytest --update-golden` (or `make golden`) writes their locks anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from executor.observe.world import WorkingTree, answer
from planner import (
    BuildPlan,
    Digest,
    Facts,
    ImageDigest,
    ImagePlan,
    Lock,
    Need,
    Pin,
    Pins,
    Stack,
    diff,
    dockerfile,
    dumps,
    loads,
    make_plan,
    make_spec,
    needs,
)
from planner.custom import custom_of_spec
from planner.dockerfiles.reach import reached
from planner.dockerfiles.reading import read
from tests.builders import pipeline_of
from tests.dockerfiles import DIRECTORY, DOCKERFILES

EXPECTED = DIRECTORY.parent / "expected/dockerfiles"


class _World(WorkingTree):
    """The files of a fixture, on a machine that is the same everywhere."""

    def python_version(self) -> str:
        return "3.11"

    def host_platform(self) -> str:
        return "linux/amd64"


def settings_of(name: str) -> Mapping[str, Any]:
    """The settings that build a Dockerfile of the fixtures as it is meant."""
    fixture = DOCKERFILES[name]
    options: dict[str, Any] = {"build_args": dict(fixture.build_args)}
    if fixture.target:
        options["target"] = fixture.target
    return {
        "parent_image": None,
        "dockerfile": "Dockerfile",
        "build_context_root": ".",
        "parent_image_build_config": {"build_options": options},
        "allow_including_files_in_images": False,
        "secrets": {secret: {"env": secret.upper()} for secret in fixture.secrets},
    }


def _answer(need: Need[Any], world: _World) -> Any:
    if isinstance(need, ImageDigest):
        digest = Digest(hashlib.sha256(str(need.ref).encode()).hexdigest())
        return Pin(digest, "index", need.platform or "linux/amd64")
    return answer(need, world)


def planned(root: Path, name: str, *, pins: Pins = Pins(), **more: Any) -> BuildPlan:  # noqa: B008  # frozen
    """The plan of one step with a Dockerfile of the fixtures, whose files are in a directory."""
    pipeline = pipeline_of({**settings_of(name), **more})
    world = _World(root, {})
    facts = Facts()
    while missing := needs(pipeline, Stack(), facts, pins=pins):
        facts = facts.also({need: _answer(need, world) for need in missing})
    return make_plan(pipeline, Stack(), facts, pins=pins)


def only(plan: BuildPlan) -> ImagePlan:
    """The one image of a plan."""
    (image,) = plan.images
    return image


@pytest.fixture(params=DOCKERFILES)
def name(request: pytest.FixtureRequest) -> str:
    """Each Dockerfile in turn."""
    made: str = request.param
    return made


@pytest.fixture
def root(name: str, tmp_path: Path) -> Path:
    """A copy of its files: observing leaves a cache beside them."""
    return shutil.copytree(DIRECTORY / name, tmp_path / name, symlinks=True)


def test_it_is_one_image_whose_lock_is_its_golden_file(name: str, root: Path, update_golden: bool) -> None:
    plan = planned(root, name)
    text = dumps(Lock([plan.spec]))
    if update_golden:
        (EXPECTED / f"{name}.lock").write_bytes(text.encode())
    assert text == (EXPECTED / f"{name}.lock").read_bytes().decode(), "review, then `make golden`"
    lock = loads(text)
    assert lock.plans == (plan.spec,)
    # Nothing is asked of a registry any more.
    pipeline = pipeline_of(settings_of(name))
    world, facts = _World(root, {}), Facts()
    while missing := needs(pipeline, Stack(), facts, pins=Pins(lock), checkout=False):
        assert not any(isinstance(need, ImageDigest) for need in missing)
        facts = facts.also({need: answer(need, world) for need in missing})
    assert make_spec(pipeline, Stack(), facts, pins=Pins(lock)) == plan.spec
    assert diff(lock.plan("training", "default"), plan.spec) == ()


def test_what_is_locked_says_what_the_file_says(name: str, root: Path) -> None:
    """But for the numbers of stages, which are those of the stages that are left."""
    spec = only(planned(root, name)).spec
    fixture = DOCKERFILES[name]
    machine = "linux/amd64"
    written = reached(
        read(fixture.text(name), "Dockerfile"), machine, machine, fixture.build_args, fixture.target
    )
    locked = custom_of_spec(spec).reach
    assert locked.statements == written.statements
    assert locked.images == written.images
    for found, expected in ((locked.sources, written.sources), (locked.secrets, written.secrets)):
        assert [evolve(each, line=0) for each in found] == [evolve(each, line=0) for each in expected]
    assert (locked.user, locked.base, dict(locked.buildkit).keys()) == (
        written.user,
        written.base,
        dict(written.buildkit).keys(),
    )
    # And so does what is built, with a digest for each image: an ARG that only FROM had is needed no more.
    built = reached(read(dockerfile(spec), "built"), machine, machine, fixture.build_args)
    inner = [
        [each.keyword for stage in reach.stages for each in stage.statements] for reach in (built, written)
    ]
    assert inner[0] == inner[1]
    assert all(image.reference.digest for image in built.images)


def test_one_line_moves_it_and_is_named(name: str, root: Path) -> None:
    before = planned(root, name)
    file = root / "Dockerfile"
    text = file.read_bytes().decode()
    # Some copy all of the context, and the Dockerfile with it.
    copied = "Dockerfile" in set(only(before).checkout.trees["context"].paths())
    # Behind the last line of the target.
    written = reached(
        read(text, "Dockerfile"), "linux/amd64", "linux/amd64", DOCKERFILES[name].build_args,
        DOCKERFILES[name].target,
    )  # fmt: skip
    at = written.target.statements[-1].last_line
    lines = text.split("\n")
    end = "\r" if lines[0].endswith("\r") else ""
    file.write_bytes("\n".join([*lines[:at], f"LABEL changed=1{end}", *lines[at:]]).encode())
    after = planned(root, name)
    assert only(after).hash != only(before).hash
    assert [change.text for change in diff(before, after)] == [
        f"Dockerfile:{at + 1}: + LABEL changed=1",
        *(["build context: 1 changed (Dockerfile)"] if copied else []),
    ]
    # A comment in its place says nothing.
    file.write_bytes("\n".join([*lines[:at], f"# changed{end}", *lines[at:]]).encode())
    after = planned(root, name)
    assert after.spec == before.spec
    assert (only(after).hash == only(before).hash) is not copied


def test_a_file_moves_it_exactly_if_it_can_be_copied(name: str, root: Path) -> None:
    before = only(planned(root, name))
    reached_paths = set(before.checkout.trees["context"].paths())
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".stowplan" not in path.parts
        if path.name not in ("Dockerfile", ".dockerignore", "Dockerfile.dockerignore")
    ]
    for path in paths:
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n# changed\n")
        after = only(planned(root, name))
        inside = str(path.relative_to(root)) in reached_paths
        assert (after.hash != before.hash) is inside, path
        assert after.spec.hash == before.spec.hash
        path.write_bytes(kept)


def test_two_images_stand_on_each_other(name: str, root: Path) -> None:
    below, on_top = planned(root, name, environment={"A": "1"}).images
    assert on_top.parent is below
    assert below.hash == only(planned(root, name)).hash
