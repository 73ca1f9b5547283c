"""What the hash of an image is made of: all of it, with its origin; and what an image missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given

from executor.apply.outcome import Result
from executor.cli.main import run
from executor.config.project import load_project
from executor.records.store import Record, Records
from executor.workflow.plans import plan
from planner import BuildPlan, Stack
from planner.compare.explanation import Field, Origin, explanation
from planner.compare.impact import subjects_of
from planner.compare.subjects import Subject
from planner.facts.facts import Facts
from planner.image.plan import ImagePlan
from planner.lock.lock import Lock, Pins
from planner.settings.effective import settle
from tests.builders import World, file, pipeline_of, plan_of
from tests.property import shapes
from tests.unit.test_impact import looked

PINNED: Final = f"python:3.11-slim@sha256:{'1' * 64}"


def fields(table: dict[str, Any], world: World | None = None, lock: Lock | None = None) -> dict[str, Field]:
    """The fields of the one image of some settings, by their dotted paths."""
    made = looked(table, ("train",), world=world or World())
    (subject,) = subjects_of(made)
    locked = lock.plans[0].images[0] if lock else None
    return {".".join(field.path): field for field in explanation(subject, locked)}


def test_each_value_has_its_origin() -> None:
    world = World(entries=(file("train.py"),), variables={"HOME": "/home/me"})
    table = {
        "parent_image": PINNED,
        "environment": {"A": "${HOME}"},
        "apt_packages": ["git"],
        "requirements": ["six==1.16.0"],
        "user": "1000",
        "build_config": {"build_options": {"labels": {"team": "a"}, "network": "host"}},
    }
    found = fields(table, world)
    shown = {path: (field.value, field.origin) for path, field in found.items()}
    assert shown["parent_image"] == (f"docker.io/library/{PINNED}", Origin.SETTING)
    assert shown["options.labels.team"] == ("a", Origin.SETTING)
    assert shown["options.network"] == ("host", Origin.SETTING)
    assert shown["layers.environment.variables.A"] == ("${HOME}", Origin.SETTING)
    assert shown["layers.apt packages.packages.0"] == ("git", Origin.SETTING)
    assert shown["layers.requirements.closure.six"][1] is Origin.LOOKED_UP
    assert shown["layers.requirements.installer.version"][1] is Origin.STOWPLAN
    assert shown["layers.user.user"] == ("1000", Origin.SETTING)
    assert shown["checkout.trees.files"][1] is Origin.CHECKOUT
    assert shown["checkout.platform"] == ("linux/amd64", Origin.MACHINE)
    assert shown["checkout.variables.HOME"][1] is Origin.MACHINE
    assert not [value for value, _ in shown.values() if "/home/me" in value]
    where = found["layers.environment.variables.A"].where
    assert where is not None
    assert where.dotted == "pipeline.training.settings.docker.environment.A"


def test_what_a_lock_pins_is_of_the_lock() -> None:
    table = {"requirements": ["six"]}
    lock = Lock().with_plans([plan_of(table).spec])
    made = looked(table, ("train",), world=World())
    assert Pins(lock).lock == lock
    (subject,) = subjects_of(made)
    found = {".".join(each.path): each.origin for each in explanation(subject, lock.plans[0].images[0])}
    assert found["parent_image"] is Origin.LOCK
    assert found["layers.requirements.closure.six"] is Origin.LOCK
    assert found["layers.requirements.installer.version"] is Origin.LOCK


def test_a_package_of_an_integration_is_of_no_setting_for_it() -> None:
    found = fields({"required_integrations": ["lightgbm"]})
    assert found["layers.apt packages.packages.0"].origin is Origin.STACK


def test_a_dockerfile_has_its_lines() -> None:
    world = World(texts={"Dockerfile": "FROM python:3.11-slim\n\nRUN true\n"}, entries=())
    table = {"dockerfile": "Dockerfile", "parent_image": None, "allow_including_files_in_images": False}
    found = fields(table, world)
    where = found["layers.dockerfile.lines.1"].where
    assert found["layers.dockerfile.lines.1"].value == "RUN true"
    assert (where and where.file, where and where.line) == ("Dockerfile", 3)


def of_any(image: ImagePlan) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The fields of an image that no settings lead to."""
    pipeline = pipeline_of({})
    subject = Subject(image, settle(pipeline.layers()), pipeline, Stack(), Facts())
    return tuple((field.path, field.value) for field in explanation(subject))


@given(shapes.plans(), shapes.plans())
def test_nothing_that_counts_is_left_out(one: BuildPlan, other: BuildPlan) -> None:
    hashes: dict[Any, str] = {}
    for image in (*one.images, *other.images):
        assert hashes.setdefault(of_any(image), image.hash.hex) == image.hash.hex


PROJECT: Final = f"""\
[pipeline.p]
steps = ["a"]
settings.docker = {{ parent_image = "{PINNED}", environment = {{ A = "1" }} }}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stowplan.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "a.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recorded(project: Path) -> str:
    """The hash of the image as it is now, which is recorded as built."""
    loaded = load_project(project)
    (image,) = plan(loaded, loaded.pipelines["p"], loaded.stack(None), offline=True).plan.images
    now = "2024-05-06T07:08:09+00:00"
    record = Record(0, now, 1.0, "p", "default", image.name, str(image.hash), Result.BUILT, "docker", "x")
    Records(project).add(record, image)
    return str(image.hash)


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert run(["explain", "a", *words, "-o", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_closest_image_is_named_with_what_differs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explained(capsys)["against"] is None
    before = recorded(project)
    same = explained(capsys)
    assert (same["against"]["hash"], same["against"]["changes"]) == (before, [])
    text = PROJECT.replace('A = "1"', 'A = "2"')
    (project / "stowplan.toml").write_text(text, encoding="utf-8")
    found = explained(capsys)["against"]
    assert (found["name"], found["hash"]) == ("p on default, record 1", before)
    assert [change["text"] for change in found["changes"]] == ["environment: A 1 → 2"]


def test_any_earlier_image_can_be_asked_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = recorded(project)
    for value in ("2", "3"):
        (project / "stowplan.toml").write_text(PROJECT.replace('A = "1"', f'A = "{value}"'), encoding="utf-8")
        recorded(project)
    for name in ("1", before, before.removeprefix("sha256:")[:12]):
        found = explained(capsys, "--against", name)["against"]
        assert found["hash"] == before
        assert [change["text"] for change in found["changes"]] == ["environment: A 1 → 3"]


@pytest.mark.usefixtures("project")
def test_an_image_that_there_is_not_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "b"]) == 64
    assert "no image 'b'" in capsys.readouterr().err
    assert run(["explain", "a", "--against", "nowhere"]) == 64
    assert "there is no build 'nowhere'" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_the_text_is_a_tree_with_origins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  layers" in lines
    assert "    environment  stowplan.toml:3" in lines
    assert "        A  1  stowplan.toml:3" in lines
    assert lines[-1] == "No image was built here that it could be compared with."
    assert run(["explain", "a", "-o", "markdown"]) == 0
    assert "| `layers.environment.variables.A` | `1` | stowplan.toml:3 |" in capsys.readouterr().out
