"""What `plan` announces is what `apply` does, in every situation of ledger, records, registry and engine.

Each situation is made for real: images that are there, gone or replaced, in a real registry and a real
engine. Where plan and apply could differ, the plan has to say on what it depends, and only then may they.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from executor.engines.protocol import Engine
from executor.engines.select import choose
from executor.state import update_lock
from planner import Digest, ImageRef, Pushed
from tests.contract.conftest import variable
from tests.e2e.command import Project

LEDGERS = ("there", "absent", "wrong")
RECORDS = ("there", "absent")
REGISTRIES = ("there", "absent", "wrong", "silent")
ENGINES = ("there", "absent", "wrong")
PUSHED = [("push", *each) for each in itertools.product(LEDGERS, RECORDS, REGISTRIES, ENGINES)]
LOCAL = [("local", "absent", records, "absent", engine) for records in RECORDS for engine in ENGINES]
SITUATIONS = PUSHED + LOCAL


@frozen
class Workshop:
    """A project whose one image was built once, and another image to put in its place."""

    project: Project
    engine: Engine
    address: str
    base: str
    other: str
    built: str
    hash: str
    records: bytes


def test_there_are_enough_situations() -> None:
    assert len(SITUATIONS) >= 40


def tiny_image(engine: Engine, name: str, tmp_path: Path, text: str) -> None:
    """An image of one small file, under a tag of its own in the engine."""
    from executor.process import Command, run

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("etc/text")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    path = tmp_path / "root.tar"
    path.write_bytes(archive.getvalue())
    done = run(Command((engine.name, "import", str(path), name)), timeout=120)
    assert done.code == 0, done.stderr


@pytest.fixture(scope="module", params=["docker", "podman"])
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The image of a small project, built once by each engine."""
    from tests.contract.conftest import absent

    name: str = request.param
    try:
        engine = choose(name)
    except Exception as error:  # whatever keeps it from working
        absent(f"{name}: {error}")
    address = variable("STOWPLAN_TEST_REGISTRY")
    mark = uuid.uuid4().hex[:12]
    directory = tmp_path_factory.mktemp("workshop")
    base, other = (f"{address}/predict-{mark}/{each}:1" for each in ("base", "other"))
    for reference, text in ((base, "base"), (other, "other")):
        tiny_image(engine, reference, directory, text + mark)
    engine.push(base, lambda _: None)
    project = Project(directory / "project", {"STOWPLAN_CONTAINER_ENGINE": name})
    project.root.mkdir()
    write(project, base, f"{address}/predict-{mark}/first")
    project.ok("lock")
    (image,) = project.ok("apply", "--stack", "local", "-o", "json").data["images"]
    assert image["result"] == "built"
    yield Workshop(
        project,
        engine,
        address,
        base,
        other,
        image["reference"],
        image["hash"],
        (project.root / ".stowplan/records.sqlite3").read_bytes(),
    )
    for reference in (base, other, image["reference"]):
        engine.remove(reference)


def write(project: Project, base: str, uri: str) -> None:
    project.write({
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["a"]
            settings.docker = {{ parent_image = "{base}", environment = {{ A = "1" }}, allow_including_files_in_images = false }}
            [stack.local]
            [stack.prod]
            container_registry = {{ uri = "{uri}", default_repository = "p" }}
            """,
    })  # fmt: skip


@pytest.fixture
def situation(workshop: Workshop, tmp_path: Path) -> Callable[..., tuple[Project, str]]:
    """Makes a copy of the project in one situation; the project, and its stack."""

    def make(where: str, ledger: str, records: str, registry: str, engine: str) -> tuple[Project, str]:
        project = Project(tmp_path / "copy", dict(workshop.project.env))
        project.root.mkdir()
        uri = f"{workshop.address}/predict-{uuid.uuid4().hex[:12]}"
        if registry == "silent":
            uri = f"127.0.0.1:1/{uuid.uuid4().hex[:12]}"
        write(project, workshop.base, uri)
        project.write({"stowplan.lock": (workshop.project.root / "stowplan.lock").read_text()})
        digits = workshop.hash.removeprefix("sha256:")
        reference = f"{uri}/p:{digits}" if where == "push" else workshop.built
        keeper = "localhost/keeper:1"
        workshop.engine.tag(workshop.built, keeper) if workshop.engine.inspect(workshop.built) else None
        digest = "sha256:" + "7" * 64
        if registry in ("there", "wrong"):
            workshop.engine.tag(keeper if registry == "there" else workshop.other, reference)
            digest = str(workshop.engine.push(reference, lambda _: None))
        set_ledger(
            project, ledger, reference, workshop.hash, digest if registry == "there" else "sha256:" + "7" * 64
        )
        if engine == "there":
            workshop.engine.tag(keeper, reference)
        elif engine == "wrong":
            workshop.engine.tag(workshop.other, reference)
        else:
            workshop.engine.remove(reference)
        if engine != "there" and where == "push":
            workshop.engine.remove(workshop.built)
        if records == "there":
            place = project.root / ".stowplan"
            place.mkdir(exist_ok=True)
            (place / "records.sqlite3").write_bytes(workshop.records)
        return project, "prod" if where == "push" else "local"

    return make


def set_ledger(project: Project, ledger: str, reference: str, image: str, digest: str) -> None:
    if ledger == "absent":
        return
    if ledger == "wrong":
        digest = "sha256:" + "8" * 64
    name = ImageRef.parse(reference).name
    entry = Pushed(Digest.parse(image), ImageRef.parse(f"{name}@{digest}"), "p", "prod")
    update_lock(project.root, lambda lock: lock.with_pushed([entry]))


RESULTS = {"build": "built", "push": "pushed", "reuse": "reused"}


@pytest.mark.parametrize("given", SITUATIONS, ids="-".join)
def test_plan_and_apply_agree(
    workshop: Workshop, situation: Callable[..., tuple[Project, str]], given: tuple[str, ...]
) -> None:
    where, _, _, registry, engine = given
    project, stack = situation(*given)
    try:
        (planned,) = project.ok("plan", "--stack", stack, "-o", "json").data["images"]
        ran = project.run("apply", "--stack", stack, "-o", "json")
        (done,) = json.loads(ran.out)["images"]
        # What the plan says it depends on, and whether that is so.
        violated = {
            "the registry still has it": registry != "there",
            "the registry does not have it": registry != "absent",
            f"{workshop.engine.name} still has it": engine != "there",
            "the engine does not have it": engine != "absent",
        }
        doubts = [dependency for dependency in planned["depends"] if violated[dependency]]
        if planned["blocked"]:
            assert done["result"] == "failed", (planned, done)
            assert done["code"] == planned["code"], (planned, done)
        elif not doubts:
            assert (done["action"], done["result"]) == (planned["action"], RESULTS[planned["action"]]), (
                planned,
                done,
            )
        # Whatever was planned, something foreign is never taken for ours.
        if done["result"] == "reused":
            assert registry == "there" or (where == "local" and engine == "there") or not done["verified"]
        assert ran.code == (0 if done["result"] != "failed" else ran.code)
    finally:
        restore(workshop, done_reference=None)


def restore(workshop: Workshop, done_reference: str | None) -> None:
    """The built image is back under its own tag, and nothing else is."""
    del done_reference
    if workshop.engine.inspect("localhost/keeper:1"):
        workshop.engine.tag("localhost/keeper:1", workshop.built)


_ = (Any, evolve)
