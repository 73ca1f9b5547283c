"""Stacks with components: what they ask for, which is active, and what is shown of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from executor.cli.main import run
from executor.cli.render.text import uses_text
from planner import (
    BuildPlan,
    Facts,
    Pin,
    Pins,
    Pipeline,
    PlannerError,
    Stack,
    Step,
    diff,
    dumps,
    loads,
    make_plan,
    make_spec,
    needs,
)
from planner.compare.actions import Action, decide
from planner.components import ArtifactStore, Component, StepOperator
from planner.image.use import Use
from planner.lock.lock import Lock
from tests.builders import PARENT, World, digest, observed

PROJECT = f"""\
[pipeline.training]
steps = ["load"]
settings.docker = {{ parent_image = "python:3.11-slim@sha256:{"0" * 64}" }}
[stack.default]
[stack.prod]
container_registry = {{ uri = "localhost:5000/team", default_repository = "training" }}
artifact_store = {{ flavor = "s3", uri = "s3://bucket/x", requirements = ["s3fs"] }}
orchestrator = {{ flavor = "local_docker" }}
step_operator = {{ name = "gpu", flavor = "vertex" }}
"""


def stack(**components: Any) -> Stack:
    return Stack.decode({"name": "prod", **components})


def refused(**components: Any) -> list[str]:
    with pytest.raises(PlannerError) as error:
        stack(**components)
    return [f"{each.where}: {each.found}" for each in error.value.problems]


# --- components -----------------------------------------------------------------------------------------


URIS = [
    "s3://bucket/path", "gs://bucket", "az://container/x", "file:///srv/store", "/srv/store", "store",
    "../store", "a b",
]  # fmt: skip


@pytest.mark.parametrize("uri", URIS)
def test_an_artifact_store_has_a_url_or_a_directory(uri: str) -> None:
    store = stack(artifact_store={"uri": uri}).artifact_store
    assert store is not None
    assert store.uri == uri


def test_a_store_of_which_no_place_is_said_is_none_to_keep_code_in() -> None:
    assert stack(artifact_store={"flavor": "s3"}).artifact_store is None
    assert Stack().artifact_store is None
    assert Stack(components={"artifact_store": Component(flavor="s3")}).artifact_store is None
    assert Stack(components={"artifact_store": ArtifactStore(uri="x")}).artifact_store is not None


def test_fields_belong_to_the_kinds_that_have_them() -> None:
    assert sorted(refused(
        artifact_store={"uri": "https://user:pw@host/x", "name": "a"},
        orchestrator={"uri": "s3://x"},
        step_operator={"name": "../x", "uri": "y"},
        deployer={"url": 5},
    )) == [
        "artifact_store.name: unknown name",
        "artifact_store.uri: holds credentials: 'https://***@host/x'",
        "deployer.url: unknown name",
        "orchestrator.uri: unknown name",
        "step_operator.name: not a name: '../x'",
        "step_operator.uri: unknown name",
    ]  # fmt: skip
    assert refused(artifact_store={"uri": ""}) == ["artifact_store.uri: not where artifacts can be: ''"]
    assert refused(artifact_store={"uri": "S3:bucket"}) == [
        "artifact_store.uri: not where artifacts can be: 'S3:bucket'"
    ]


def test_a_step_operator_is_asked_for_by_its_name_or_as_the_one_that_there_is() -> None:
    named = stack(step_operator={"name": "gpu"})
    assert isinstance(named.operator("gpu"), StepOperator)
    assert named.operator(True) is named.operator("gpu")
    assert [named.operator(asked) for asked in ("cpu", None, False)] == [None, None, None]
    assert stack(step_operator={"flavor": "vertex"}).operator("any") is not None
    assert Stack().operator("gpu") is None
    assert Stack().operator(True) is None


# --- images by key --------------------------------------------------------------------------------------

BASE = {"parent_image": PARENT, "allow_including_files_in_images": False}
GIT = {"docker": {"apt_packages": ["git"]}}
DEPLOYING = stack(deployer={"flavor": "docker"}, step_operator={"name": "gpu"})
MIXED = Pipeline(
    name="p",
    steps=[
        "load",
        Step(name="train", step_operator="gpu"),
        Step(name="ship", settings=GIT, step_operator=True),
    ],
    settings={"docker": {**BASE, "apt_packages": ["curl"]}},
)
# Each step asks for more than the pipeline: no step runs in an image of that.
APART = Pipeline(
    name="p",
    steps=[Step(name="load", settings=GIT), Step(name="train", settings=GIT)],
    settings={"docker": {**BASE, "apt_packages": ["curl"]}},
)


def planned(pipeline: Pipeline, on: Stack, **pins: Any) -> BuildPlan:
    return make_plan(pipeline, on, observed(pipeline, on, World(), **pins), **pins)


def uses(plan: BuildPlan) -> dict[str, tuple[Use, ...]]:
    return {image.name: image.uses for image in plan.images}


def test_each_image_says_what_asks_for_it_and_equal_ones_are_one() -> None:
    plan = planned(MIXED, DEPLOYING)
    assert uses(plan) == {
        "p": (Use("orchestrator", ("load",)), Use("step_operator", ("train",)), Use("deployer")),
        "p/ship": (Use("step_operator", ("ship",)),),
    }
    assert [uses_text(image) for image in plan.images] == [
        "steps load, train (step operator for train, deployer)",
        "step ship (step operator)",
    ]
    # Neither moves a hash, nor adds an image.
    plain = planned(MIXED, Stack(name="prod"))
    assert [image.hash for image in plain.images] == [image.hash for image in plan.images]
    assert uses(plain)["p"] == (Use("orchestrator", ("load", "train")),)


def test_the_deployer_has_an_image_where_no_step_runs_in_one_of_the_pipeline() -> None:
    assert uses(planned(APART, Stack(name="prod"))) == {"p/load": (Use("orchestrator", ("load", "train")),)}
    plan = planned(APART, DEPLOYING)
    assert uses(plan) == {
        "p/load": (Use("orchestrator", ("load", "train")),), "p": (Use("deployer"),),
    }  # fmt: skip
    image = plan.image("p")
    assert image is not None
    assert (image.steps, image.runs, uses_text(image)) == ((), True, "deployer")
    assert [item.kind for item in image.spec.instructions] == ["apt"]
    assert uses(planned(APART, stack(deployer={"flavor": "local"}))).keys() == {"p/load"}


def test_the_image_of_the_deployer_is_built_though_no_step_runs_in_it() -> None:
    plan = planned(APART, DEPLOYING)
    assert {name: made.action for name, made in decide(plan, {}).items()} == {
        "p/load": Action.BUILD, "p": Action.BUILD,
    }  # fmt: skip


def test_the_image_of_the_deployer_is_locked_like_any_other() -> None:
    """The lock needs no more than the name: it is that of the pipeline, whether steps run in it or not."""
    for pipeline in (APART, MIXED):
        facts = observed(pipeline, DEPLOYING, World(), checkout=False)
        lock = loads(dumps(Lock((make_spec(pipeline, DEPLOYING, facts),))))
        pins = Pins(lock)
        plan = planned(pipeline, DEPLOYING, pins=pins)
        assert diff(lock.plan("p", "prod"), plan.spec) == ()
        frozen_facts = observed(pipeline, DEPLOYING, World(), pins=pins)
        frozen = make_plan(pipeline, DEPLOYING, frozen_facts, pins=pins, frozen=True)
        assert frozen == plan
        assert uses(frozen) == uses(plan)


def test_a_parent_that_only_the_deployer_has_is_taken_from_the_lock() -> None:
    """Also where an engine told its digest, and where a step has the name of the pipeline."""
    told = {name: Pin(digest(name)) for name in (PARENT, "debian:12-slim")}
    for name in ("load", "p"):
        away = Step(name=name, settings={"docker": {"parent_image": "debian:12-slim"}})
        pipeline = Pipeline(name="p", steps=[away], settings={"docker": BASE})
        world = World(pins=told)
        locked = make_spec(pipeline, DEPLOYING, observed(pipeline, DEPLOYING, world, checkout=False))
        assert len({image.spec.external for image in locked.images}) == 2
        assert needs(pipeline, DEPLOYING, Facts(), pins=Pins(Lock((locked,))), checkout=False) == ()


def test_a_lock_without_the_image_of_the_deployer_is_not_taken_as_it_is() -> None:
    without = Stack(name="prod")
    facts = observed(APART, without, World(), checkout=False)
    pins = Pins(Lock((make_spec(APART, without, facts),)))
    facts = observed(APART, DEPLOYING, World(), pins=pins)
    with pytest.raises(PlannerError, match="no image for the deployer of 'p' on 'prod'"):
        make_plan(APART, DEPLOYING, facts, pins=pins, frozen=True)


@pytest.mark.parametrize(
    ("on", "asked", "expected"),
    [
        (Stack(), "gpu", "the stack default has no step operator gpu: train runs as any other step"),
        (Stack(), True, "the stack default has no step operator: train runs as any other step"),
        (stack(step_operator={"name": "gpus"}), "gpu",
         ("the stack prod has no step operator gpu: its step operator is called gpus; "
         "train runs as any other step")),
        (stack(step_operator={}), "gpu", None),
    ],
)  # fmt: skip
def test_a_step_operator_that_there_is_not_is_a_note(on: Stack, asked: Any, expected: str | None) -> None:
    pipeline = evolve(MIXED, steps=[Step(name="train", step_operator=asked)])
    found = [note.text for note in planned(pipeline, on).notes if note.code == "no-step-operator"]
    assert found == ([expected] if expected else [])


# --- commands -------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stowplan.toml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STOWPLAN_STACK", raising=False)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_stacks_are_listed_and_one_is_active(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["stack", "list"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["default", "active"],
        ["prod", "localhost:5000/team", "artifact_store", "s3,", "orchestrator", "local_docker,",
         "step_operator", "vertex"],
    ]  # fmt: skip
    monkeypatch.setenv("STOWPLAN_STACK", "prod")
    assert run(["stack", "list", "-o", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "stowplan/stacks/1"
    assert {each["name"]: each["active"] for each in data["stacks"]} == {"default": False, "prod": True}


@pytest.mark.usefixtures("project")
def test_a_stack_shows_its_components(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOWPLAN_STACK", "prod")
    assert run(["stack", "show"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stack               prod (active)",
        "artifact_store      s3, uri s3://bucket/x, installs s3fs",
        "container_registry  uri localhost:5000/team, default_repository training",
        "orchestrator        local_docker",
        "step_operator       vertex, name gpu",
    ]
    assert run(["stack", "show", "default", "-o", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == {"schema": "stowplan/stack/1", "name": "default", "active": False, "components": []}
    assert run(["stack", "show", "default"]) == 0
    assert "container_registry  none: images stay in the local engine" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_the_stack_of_the_environment_is_that_of_each_command_about_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOWPLAN_STACK", "prd")
    for words in (["plan"], ["show", "training"], ["stack", "show"]):
        assert run(words) == 64
        said = capsys.readouterr().err
        assert "STOWPLAN_STACK: there is no stack 'prd'" in said
        assert "did you mean 'prod'?" in said
    # What is said on the command line goes over it, and an empty one says nothing.
    assert run(["stack", "show", "default"]) == 0
    monkeypatch.setenv("STOWPLAN_STACK", "")
    assert run(["stack", "show"]) == 0
    assert "default (active)" in capsys.readouterr().out
