"""Builds that are named, misses that name what is closest, and reuse in a second clone, on real engines."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Project
from tests.e2e.images import Tags
from tests.e2e.two_images import actions, hashes, results, write


def build(project: Project, stack: str = "local") -> str:
    """Make a build; its id."""
    name: str = project.ok("build", "p", "--stack", stack, "-o", "json").data["id"]
    return name


def test_a_named_build_is_taken_as_it_is(project: Project, parent: str, tags: Tags) -> None:
    del tags
    write(project, parent)
    first = build(project)
    shown = project.ok("builds", "show", first, "-o", "json").data
    lock = (project.root / "stowplan.lock").read_bytes()
    write(project, parent, value="2")
    planned = project.ok("plan", "p", "--stack", "local", "--build", first[:5], "-o", "json")
    assert actions(planned) == ["reuse", "reuse"]
    assert [image["code"] for image in planned.data["images"]] == ["named-build"] * 2
    assert [note["code"] for note in planned.data["notes"] if note["code"].startswith("build-")] == [
        "build-other-settings"
    ] * 2
    said = project.ok("apply", "p", "--stack", "local", "--build", first)
    assert f"note: build {first} was made with other settings for a: environment: A 1 → 2" in said.err
    ran = project.ok("apply", "p", "--stack", "local", "--build", first, "-o", "json")
    assert results(ran) == ["reused", "reused"]
    assert ran.data["build"] == first
    assert [image["reference"] for image in ran.data["images"]] == [
        image["reference"] for image in shown["images"]
    ]
    # Nothing was built, and the lock says what it said.
    assert len(project.ok("builds", "list", "--images", "-o", "json").data["records"]) == 2
    assert (project.root / "stowplan.lock").read_bytes() == lock


def test_a_run_configuration_and_a_file_name_a_build(
    project: Project, parent: str, tags: Tags, tmp_path: Path
) -> None:
    del tags
    write(project, parent)
    first = build(project)
    file = tmp_path / "first.json"
    project.ok("builds", "export", first, str(file))
    write(project, parent, value="2")
    second = build(project)
    project.write({"run.yaml": f"build: {first}\n"})
    ran = project.ok("apply", "p", "--stack", "local", "--config", "run.yaml", "-o", "json")
    assert ran.data["build"] == first
    # The command line goes over it.
    arguments = ("apply", "p", "--stack", "local", "--config", "run.yaml", "-o", "json", "--build")
    assert project.ok(*arguments, second).data["build"] == second
    # A file is enough where nothing is known of the build.
    shutil.rmtree(project.root / ".stowplan")
    assert project.ok(*arguments, str(file)).data["build"] == first
    assert project.run(*arguments, second).code == 64
    assert project.ok("builds", "show", first, "-o", "json").data["id"] == first


def test_a_named_build_whose_images_are_gone_says_what_to_do(
    project: Project, parent: str, tags: Tags
) -> None:
    write(project, parent)
    first = build(project)
    images = project.ok("builds", "show", first, "-o", "json").data["images"]
    tags.engine.remove(images[1]["reference"])
    ran = project.run("apply", "p", "--stack", "local", "--build", first)
    assert ran.code == 1
    assert f"build {first}: its image {images[1]['reference']} is no longer in {tags.engine.name}" in ran.err
    assert "stowplan build" in ran.err
    tags.make(images[1]["reference"])
    ran = project.run("apply", "p", "--stack", "local", "--build", first)
    assert ran.code == 1
    assert "is another image" in ran.err


def test_a_named_build_of_another_engine_is_refused(project: Project, parent: str, tags: Tags) -> None:
    write(project, parent)
    first = build(project)
    other = {"docker": "podman", "podman": "docker"}[tags.engine.name]
    ran = project.run("apply", "p", "--stack", "local", "--build", first, "--engine", other)
    assert ran.code == 1
    assert f"use --engine {tags.engine.name}" in ran.err


def test_a_named_build_of_a_registry_is_looked_at_there(
    project: Project, parent: str, tags: Tags, registry: str
) -> None:
    """And another stack is noted."""
    del tags
    write(project, parent, registry)
    first = build(project, "prod")
    ran = project.ok("apply", "p", "--stack", "local", "--build", first, "-o", "json")
    assert [image["verified"] for image in ran.data["images"]] == [True, True]
    assert all("@sha256:" in image["reference"] for image in ran.data["images"])
    assert "build-other-stack" in {note["code"] for note in ran.data["notes"]}


def test_nothing_is_reused_where_that_is_prevented(project: Project, parent: str, tags: Tags) -> None:
    del tags
    write(project, parent)
    first = build(project)
    planned = project.ok("plan", "p", "--stack", "local", "--prevent-build-reuse", "-o", "json")
    assert [image["code"] for image in planned.data["images"]] == ["reuse-prevented"] * 2
    again = project.ok("build", "p", "--stack", "local", "--prevent-build-reuse", "-o", "json").data
    assert [image["result"] for image in again["images"]] == ["built", "built"]
    assert again["id"] == first
    ran = project.run("apply", "p", "--stack", "local", "--prevent-build-reuse", "--build", first)
    assert ran.code == 64


def test_a_miss_names_what_is_closest(project: Project, parent: str, tags: Tags) -> None:
    del tags
    write(project, parent)
    build(project)
    # What was one step's variable is one of the pipeline: a is what b was, but for another variable.
    text = (project.root / "stowplan.toml").read_text()
    (project.root / "stowplan.toml").write_text(
        text.replace('{ A = "1" }', '{ A = "1", B = "2" }').replace('environment = { B = "1" }\n', "")
    )
    planned = project.ok("plan", "p", "--stack", "local", "-o", "json")
    closest = planned.image("p")["closest"]
    assert (closest["pipeline"], closest["stack"]) == ("p", "local")
    assert [change["text"] for change in closest["changes"]] in (
        [["environment: + B=2"], ["environment: B 1 → 2"]]
    )
    made = project.ok("apply", "p", "--stack", "local", "-o", "json")
    assert made.image("p")["closest"] == closest
    # Where there is a hit, there is no closest.
    assert project.ok("plan", "p", "--stack", "local", "-o", "json").image("p")["closest"] is None
    assert project.ok("apply", "p", "--stack", "local", "-o", "json").image("p")["closest"] is None


@pytest.mark.parametrize("ledger", [False, True], ids=["no ledger", "ledger"])
def test_a_second_clone_builds_nothing_that_the_registry_has(
    project: Project, parent: str, tags: Tags, registry: str, tmp_path: Path, *, ledger: bool
) -> None:
    """It has no records, and not even the first one's ledger."""
    write(project, parent, registry)
    first = project.ok("build", "p", "--stack", "prod", "-o", "json").data
    clone = Project(tmp_path / "clone", project.env)
    clone.root.mkdir()
    for name in ("stowplan.toml", *(["stowplan.lock"] if ledger else [])):
        shutil.copy(project.root / name, clone.root / name)
    for image in first["images"]:
        tags.engine.remove(image["reference"])
    planned = clone.ok("plan", "p", "--stack", "prod", "-o", "json")
    assert actions(planned) == ["reuse", "reuse"]
    assert hashes(planned) == [image["hash"] for image in first["images"]]
    said = clone.ok("build", "p", "--stack", "prod").out.splitlines()
    assert said[-2:] == ["Built 0, pushed 0, reused 2, failed 0.", f"build {first['id']}"]
    second = clone.ok("builds", "show", "-o", "json").data
    assert [image["result"] for image in second["images"]] == ["reused", "reused"]
    assert [image["digest"] for image in second["images"]] == [image["digest"] for image in first["images"]]
    # The images were not even pulled.
    for image in first["images"]:
        assert tags.engine.inspect(image["reference"]) is None


def write_step(project: Project, base: str, word: str) -> None:
    """A pipeline of one function, which is in its image, and prints a word and its Python."""
    project.write({
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["say"]
            settings.docker = {{ parent_image = "{base}" }}
            [pipeline.p.step.say]
            function = "pipe:say"
            """,
        "pipe.py": f"""
            import sys


            def say():
                print("{word}", "in", sys.executable)
            """,
    })  # fmt: skip


def test_a_run_of_a_named_build_runs_the_code_that_it_contains(
    project: Project, base: str, engine: str
) -> None:
    del engine
    write_step(project, base, "first")
    first = project.ok("build", "p", "-o", "json").data
    assert first["contains_code"]
    write_step(project, base, "second")
    old = project.ok("run", "p", "--build", first["id"])
    assert "first in" in old.out + old.err
    assert f"note: build {first['id']} contains code that is not the local code" in old.err
    # Without a name, the local code runs: that is another image.
    new = project.ok("run", "p")
    assert "second in" in new.out + new.err
    assert len(project.ok("builds", "list", "-o", "json").data["builds"]) == 2
    assert project.run("run", "p", "--local", "--build", first["id"]).code == 64


@pytest.mark.parametrize(
    "variable", ["STOWPLAN_CONTAINER_PYTHON_EXECUTABLE", "ZENML_CONTAINER_PYTHON_EXECUTABLE"]
)
def test_a_function_is_run_by_the_python_that_is_named(
    project: Project, base: str, engine: str, variable: str
) -> None:
    del engine
    write_step(project, base, "run")
    ran = project.ok("run", "p", env={variable: "python3"})
    assert re.search(r"run in /.*/python3$", ran.out + ran.err, re.MULTILINE)
