"""What `plan` announces is what `apply` does, in every situation of ledger, records, registry and engine.

Each situation is made for real: images that are there, gone or replaced, in a real registry and a real
engine. What has to come of it stands here once more, apart from the code that decides. Where plan and apply
may differ, the plan has to say on what it depends, and only where that is not so they do.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve, frozen

from executor.apply.outcome import Result
from executor.cli.main import run
from executor.engines.protocol import Engine
from executor.engines.select import choose
from executor.errors import ExecutorError
from executor.records.store import Record, Records
from executor.state import update_lock
from planner import Destination, Digest, ImagePlan, ImageRef, Pushed
from tests.contract.conftest import absent, variable
from tests.contract.images import quiet
from tests.e2e.command import Project
from tests.e2e.images import import_image

_WRONG: Final = Digest("8" * 64)


@frozen
class Situation:
    """Where the image of the plan is, by each of those who are asked.

    `records` may say that it was pushed where it goes now, that it was built there, that it was built under
    another name, or nothing. An engine may have it under that other name too.
    """

    push: bool
    ledger: str
    records: str
    registry: str
    engine: str

    def __str__(self) -> str:
        where = "push" if self.push else "local"
        return f"{where}-ledger {self.ledger}-{self.records}-registry {self.registry}-engine {self.engine}"

    @property
    def held(self) -> bool:
        """Whether the engine has it under a name that somebody knows."""
        return self.engine == "there" or (
            self.engine == "other name" and self.records == "recorded elsewhere"
        )

    @property
    def expected(self) -> tuple[str, str, str | None]:
        """What apply has to do about the image, what comes of it, and why not if that is nothing."""
        made: tuple[str, str, str | None] = ("build", "built", None)
        if self.held:
            made = ("push", "pushed", None) if self.push else ("reuse", "reused", None)
        elif self.engine == "wrong":
            made = ("build", "failed", "foreign-image")
        if not self.push or self.registry == "absent":
            return made
        match self.registry, self.ledger:
            case "wrong", _:
                return "build", "failed", "foreign-tag"
            case "there", "wrong":
                return "build", "failed", "ledger-differs"
            case "silent", "absent":
                return "build", "failed", "registry-unknown"
            case _:
                return "reuse", "reused", None

    def holds(self, dependency: str, engine: str) -> bool:
        """Whether something that a plan depends on is so."""
        has = self.registry in ("there", "wrong")
        return {
            "the registry still has it": self.registry == "there" and self.ledger != "wrong",
            "the registry does not have it": not has,
            f"{engine} still has it": self.held,
            "the engine does not have it": not self.held and self.engine != "wrong",
        }[dependency]


SITUATIONS: Final = (
    *itertools.starmap(
        Situation,
        itertools.product(
            (True,),
            ("there", "absent", "wrong"),
            ("unrecorded",),
            ("there", "absent", "wrong", "silent"),
            ("there", "absent", "wrong"),
        ),
    ),
    *itertools.starmap(
        Situation,
        itertools.product(
            (True,),
            ("there", "absent"),
            ("recorded pushed", "recorded built"),
            ("there", "absent", "silent"),
            ("there", "absent"),
        ),
    ),
    *itertools.starmap(
        Situation,
        itertools.product(
            (True,),
            ("absent",),
            ("recorded elsewhere", "unrecorded"),
            ("there", "absent"),
            ("other name",),
        ),
    ),
    *itertools.starmap(
        Situation,
        itertools.product(
            (False,),
            ("absent",),
            ("recorded built", "recorded elsewhere", "unrecorded"),
            ("absent",),
            ("there", "absent", "wrong", "other name"),
        ),
    ),
)


def test_there_are_enough_situations_and_all_differ() -> None:
    assert len(set(SITUATIONS)) == len(SITUATIONS) >= 40


@frozen
class Workshop:
    """A project whose one image was built once, and another image to put in its place.

    `kept` is a name of the built image that no plan knows, `elsewhere` one that a record may know. `pushed`
    is the digest that the registry has it under in `there`; in `taken` it has the other image.
    """

    lock: str
    engine: Engine
    address: str
    base: str
    other: str
    kept: str
    elsewhere: str
    image: ImagePlan
    pushed: Digest


@pytest.fixture(scope="module", params=["docker", "podman"])
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The image of a small project, built once by each engine, and pushed once."""
    name: str = request.param
    try:
        engine = choose(name)
    except ExecutorError as error:
        absent(str(error))
    address = f"{variable('STOWPLAN_TEST_REGISTRY')}/predict-{uuid.uuid4().hex[:12]}"
    base, other, kept, elsewhere = (f"{address}/{each}:1" for each in ("base", "other", "kept", "elsewhere"))
    project = Project(tmp_path_factory.mktemp("workshop"))
    used = [base, other, kept]
    try:
        for reference in (base, other):
            import_image(engine, reference)
        used.append(str(ImageRef.parse(base).pinned(engine.push(base, quiet))))
        write(project, base, address)
        command(project, "lock")
        ran = command(project, "apply", "--stack", "local", "--engine", name)
        (built,) = ran["images"]
        assert built["result"] == "built", built
        image = Records(project.root).last("p", "local", "p")
        assert image is not None
        engine.tag(image.reference, kept)
        engine.remove(image.reference)
        digits = image.hash.hex
        there, taken = (f"{address}/{each}/p:{digits}" for each in ("there", "taken"))
        used += [there, taken]
        engine.tag(kept, there)
        engine.tag(other, taken)
        pushed = engine.push(there, quiet)
        engine.push(taken, quiet)
        lock = (project.root / "stowplan.lock").read_text()
        yield Workshop(lock, engine, address, base, other, kept, elsewhere, image, pushed)
    finally:
        for reference in reversed(used):
            engine.remove(reference)


def write(project: Project, base: str, uri: str) -> None:
    """A project of one image, on a stack of this machine and on one with a registry."""
    project.write({
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["a"]
            [pipeline.p.settings.docker]
            parent_image = "{base}"
            environment = {{ A = "1" }}
            allow_including_files_in_images = false
            [stack.local]
            [stack.prod]
            container_registry = {{ uri = "{uri}", default_repository = "p" }}
            """,
    })  # fmt: skip


def command(project: Project, *argv: str) -> Any:
    """What a command prints as JSON, run in this process: a hundred situations are to cost seconds."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*argv, "--project", str(project.root), "-o", "json"])
    assert out.getvalue(), err.getvalue()
    return {**json.loads(out.getvalue()), "exit": code}


@pytest.fixture
def situated(workshop: Workshop, tmp_path: Path) -> Iterator[Callable[[Situation], tuple[Project, str]]]:
    """Makes a copy of the project in a situation: the project, and its stack."""
    engine = workshop.engine
    used = [workshop.elsewhere]

    def make(situation: Situation) -> tuple[Project, str]:
        uri = {
            "there": f"{workshop.address}/there",
            "wrong": f"{workshop.address}/taken",
            "silent": "127.0.0.1:1",
            "absent": f"{workshop.address}/{uuid.uuid4().hex[:12]}",
        }[situation.registry]
        project = Project(tmp_path)
        write(project, workshop.base, uri)
        project.write({"stowplan.lock": workshop.lock})
        planned = workshop.image
        if situation.push:
            planned = evolve(planned, destination=Destination(f"{uri}/p", push=True))
        used.append(planned.reference)
        _ledger(project, planned, situation.ledger, workshop.pushed)
        _record(project, planned, situation.records, workshop)
        engine.remove(planned.reference)
        match situation.engine:
            case "there":
                engine.tag(workshop.kept, planned.reference)
            case "wrong":
                engine.tag(workshop.other, planned.reference)
            case "other name":
                engine.tag(workshop.kept, workshop.elsewhere)
        return project, "prod" if situation.push else "local"

    yield make
    for reference in used:
        engine.remove(reference)


def _ledger(project: Project, image: ImagePlan, ledger: str, digest: Digest) -> None:
    if ledger == "absent":
        return
    repository = ImageRef.parse(image.destination.repository)
    entry = Pushed(image.hash, repository.pinned(_WRONG if ledger == "wrong" else digest), "p", "prod")
    update_lock(project.root, lambda lock: lock.with_pushed([entry]))


def _record(project: Project, image: ImagePlan, records: str, workshop: Workshop) -> None:
    if records == "unrecorded":
        return
    pushed = records == "recorded pushed"
    record = Record(
        id=0,
        finished="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        pipeline="p",
        stack="prod" if image.destination.push else "local",
        image="p",
        hash=str(image.hash),
        status=Result.BUILT,
        engine=workshop.engine.name,
        reference=workshop.elsewhere if records == "recorded elsewhere" else image.reference,
        digest=str(workshop.pushed) if pushed else None,
    )
    Records(project.root).add(record, image)


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
def test_plan_and_apply_agree(
    workshop: Workshop, situated: Callable[[Situation], tuple[Project, str]], situation: Situation
) -> None:
    project, stack = situated(situation)
    options = ("--stack", stack, "--engine", workshop.engine.name)
    planned = command(project, "plan", *options)
    before = (project.root / "stowplan.lock").read_bytes()
    ran = command(project, "apply", *options)
    after = (project.root / "stowplan.lock").read_bytes()
    (announced,), (done,) = planned["images"], ran["images"]
    assert (planned["lock"], ran["lock_changes"]) == ("fresh", [])

    # What is done is what the situation asks for.
    action, result, code = situation.expected
    assert (done["action"], done["result"]) == (action, result)
    if code is not None:
        assert done["code"] == code
        assert [problem["code"] for problem in done["error"]] == [code]
        assert ran["exit"] == (75 if code == "registry-unknown" else 1)
        assert after == before
    else:
        assert (done["error"], ran["exit"]) == (None, 0)
    assert done["pushed"] == (situation.push and result in ("built", "pushed"))
    # What nobody has verified is not called verified, and where it is, there is proof.
    assert done["verified"] == (result != "reused" or situation.registry != "silent")

    # And it is what was announced, as far as what the plan depends on is so.
    doubts = [each for each in announced["depends"] if not situation.holds(each, workshop.engine.name)]
    if not doubts:
        assert announced["action"] == action
        assert (announced["blocked"]["code"] if announced["blocked"] else None) == code
    else:
        assert announced["blocked"] is None
    assert planned["counts"][announced["action"]] == 1
    # Nobody who has records of it is surprised.
    if situation.records != "unrecorded" and situation.engine in ("there", "other name"):
        assert announced["action"] in ("push", "reuse") or announced["blocked"]

    # Whoever has applied has nothing left to do.
    if code is None:
        again = command(project, "plan", *options, "--detailed-exitcode")
        assert (again["images"][0]["action"], again["exit"]) == ("reuse", 0)
