"""Only what was planned is reused, and nothing but the plan decides what is built."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from executor.engines.protocol import HASH_LABEL, Engine
from executor.engines.select import choose
from executor.process import Command, run
from executor.registry.lookup import Found, head
from planner import ImageRef, loads
from tests.e2e.command import PINNED, Project, Ran
from tests.e2e.conftest import chosen_engine
from tests.e2e.images import Tags
from tests.e2e.two_images import actions, results, write


def local(project: Project, *argv: str, env: dict[str, str] | None = None) -> Ran:
    """A command about the images of this machine, which ends well."""
    return project.ok(*argv, "--stack", "local", "-o", "json", env=env)


def derived(engine: Engine, parent: str, reference: str) -> None:
    """An image that somebody else has built on one of ours: it inherits the label."""
    done = run(
        Command((engine.name, "build", f"--tag={reference}", "-")),
        stdin=[f"FROM {parent}\nENV C=1\n".encode()],
    )
    assert done.code == 0, done.stderr
    info = engine.inspect(reference)
    assert info is not None
    assert HASH_LABEL in info.labels


def test_the_environment_says_neither_platform_nor_time(project: Project, parent: str, tags: Tags) -> None:
    write(project, parent)
    other = {"DOCKER_DEFAULT_PLATFORM": "linux/arm64", "SOURCE_DATE_EPOCH": "1234567890"}
    planned = local(project, "plan")
    assert [image["hash"] for image in local(project, "plan", env=other).data["images"]] == [
        image["hash"] for image in planned.data["images"]
    ]
    ids = []
    for env in (other, {}):
        ran = local(project, "apply", env=env)
        assert results(ran) == ["built", "built"]
        for image in ran.data["images"]:
            info = tags.engine.inspect(image["reference"])
            assert info is not None
            assert info.platform == "linux/amd64"
            ids.append(info.id)
            tags.engine.remove(image["reference"])
    # The same plan is the same image, byte for byte, times included.
    assert ids[:2] == ids[2:]


def test_a_local_parent_that_was_rebuilt_is_another_parent(project: Project, tags: Tags) -> None:
    parent = f"localhost/test-{uuid.uuid4().hex[:12]}:1"
    tags.make(parent)
    write(project, parent)
    first = local(project, "apply")
    assert results(first) == ["built", "built"]
    (note,) = [note for note in first.data["notes"] if note["code"] == "local-parent"]
    assert note["key"] == parent
    assert "differs on other machines" in note["text"]
    assert results(local(project, "apply")) == ["reused", "reused"]

    tags.make(parent)
    planned = local(project, "plan")
    assert actions(planned) == ["build", "build"]
    assert {change["code"] for change in planned.data["changes"]} == {"rebuilt"}
    second = local(project, "apply")
    assert results(second) == ["built", "built"]
    assert {image["hash"] for image in second.data["images"]}.isdisjoint(
        image["hash"] for image in first.data["images"]
    )


def test_what_sits_under_the_tag_in_an_engine_is_not_taken_for_ours(
    project: Project, parent: str, tags: Tags
) -> None:
    write(project, parent)
    ours = local(project, "apply").data["images"]
    references = [image["reference"] for image in ours]
    child = tags.made(f"localhost/test-{uuid.uuid4().hex[:12]}:1")
    derived(tags.engine, references[0], child)
    # An image that has nothing to do with it, and one that is built on ours.
    tags.make(references[1])
    tags.engine.tag(child, references[0])
    ran = project.run("apply", "--stack", "local", "-o", "json")
    assert ran.code == 1
    assert results(ran) == ["failed", "failed"]
    for image in ran.data["images"]:
        (problem,) = image["error"]
        info = tags.engine.inspect(image["reference"])
        assert info is not None
        assert problem["code"] == "foreign-image"
        assert info.id.removeprefix("sha256:")[:12] in problem["found"]
        assert f"{tags.engine.name} rmi {image['reference']}" in problem["fix"]
    for reference in references:
        tags.engine.remove(reference)
    assert results(local(project, "apply")) == ["built", "built"]


def test_what_sits_under_the_tag_in_a_registry_is_not_taken_for_ours(
    project: Project, parent: str, registry: str, tags: Tags
) -> None:
    write(project, parent, registry)
    ours = local(project, "apply").data["images"]
    places = [f"{registry}/p:{image['hash'].removeprefix('sha256:')}" for image in ours]
    derived(tags.engine, ours[0]["reference"], tags.made(places[0]))
    tags.engine.push(places[0], lambda _: None)
    tags.publish(places[1])
    for reference in places:
        tags.engine.remove(reference)
    before = [head(ImageRef.parse(place), timeout=10) for place in places]
    planned = project.ok("plan", "--stack", "prod", "-o", "json")
    ran = project.run("apply", "--stack", "prod", "-o", "json")
    assert ran.code == 1
    assert results(ran) == ["failed", "failed"]
    for image, announced, words in zip(
        ran.data["images"],
        planned.data["images"],
        ("setting it was not the last thing its build did", f"has no label {HASH_LABEL}"),
        strict=True,
    ):
        (problem,) = image["error"]
        assert problem["code"] == announced["blocked"]["code"] == "foreign-tag"
        assert words in problem["found"]
    assert [head(ImageRef.parse(place), timeout=10) for place in places] == before


def test_a_plan_knows_what_is_pushed_and_what_the_registry_has(
    project: Project, parent: str, registry: str, tags: Tags
) -> None:
    write(project, parent, registry)
    project.ok("lock")
    empty = (project.root / "stowplan.lock").read_bytes()
    assert results(local(project, "apply")) == ["built", "built"]
    planned = project.ok("plan", "--stack", "prod", "-o", "json")
    assert actions(planned) == ["push", "push"]
    assert project.ok("plan", "--stack", "prod").out.endswith("\nPlan: 0 to build, 2 to push, 0 to reuse.\n")
    text = project.ok("apply", "--stack", "prod").out
    assert [line.split()[0] for line in text.splitlines()] == ["pushed", "pushed", "Built"]
    assert text.endswith("\nBuilt 0, pushed 2, reused 0, failed 0.\n")
    ledger = loads((project.root / "stowplan.lock").read_text()).pushed
    for entry in ledger:
        tags.made(f"{registry}/p:{entry.image.hex}")

    # A clone whose lock does not know of it asks the registry, and writes down what that says.
    clone = Project(project.root.parent / "clone", project.env)
    shutil.copytree(project.root, clone.root, ignore=shutil.ignore_patterns(".stowplan"))
    (clone.root / "stowplan.lock").write_bytes(empty)
    planned = clone.ok("plan", "--stack", "prod", "-o", "json")
    assert [(image["action"], image["code"], image["depends"]) for image in planned.data["images"]] == [
        ("reuse", "in-registry", [])
    ] * 2
    assert actions(clone.ok("plan", "--stack", "prod", "--offline", "-o", "json")) == ["build", "build"]
    ran = clone.ok("apply", "--stack", "prod", "-o", "json")
    assert (results(ran), {image["pushed"] for image in ran.data["images"]}) == (["reused"] * 2, {False})
    assert loads((clone.root / "stowplan.lock").read_text()).pushed == ledger


def test_two_clones_that_push_at_once_have_one_digest(project: Project, registry: str) -> None:
    engines = {name: Tags(chosen_engine(name)) for name in ("docker", "podman")}
    parent = f"{registry}/parent:1"
    pinned = ImageRef.parse(parent).pinned(engines["docker"].publish(parent))
    engines["podman"].made(str(pinned))
    write(project, parent, registry)
    project.ok("lock")
    clones = {name: Project(project.root.parent / name, dict(project.env)) for name in engines}
    for clone in clones.values():
        shutil.copytree(project.root, clone.root)

    def push(name: str) -> Ran:
        return clones[name].run("apply", "--stack", "prod", "--engine", name, "-o", "json")

    with ThreadPoolExecutor() as pool:
        ran = dict(zip(engines, pool.map(push, engines), strict=True))
    try:
        assert {name: each.code for name, each in ran.items()} == {"docker": 0, "podman": 0}, ran
        ledgers = [loads((clone.root / "stowplan.lock").read_text()).pushed for clone in clones.values()]
        assert ledgers[0] == ledgers[1]
        for entry in ledgers[0]:
            found = head(ImageRef.parse(f"{registry}/p:{entry.image.hex}"), timeout=10)
            assert found == Found(entry.digest)
    finally:
        for name, tags in engines.items():
            for image in ran[name].data["images"]:
                tags.made(image["reference"])
            tags.remove()


def test_an_option_that_no_builder_has_is_refused_when_planning(project: Project) -> None:
    write(project, PINNED, settings="build_config = { build_options = { nocach = true } }")
    for argv in (["plan", "--stack", "local"], ["lock"], ["apply", "--stack", "local"]):
        ran = project.run(*argv)
        assert ran.code == 1
        assert "stowplan.toml:" in ran.err
        assert "did you mean 'no_cache'" in ran.err


FILES = {
    "train.py": "",
    ".git/config": "",
    ".venv/lib/module.py": "",
    ".env": "SECRET=1\n",
    "requirements.txt": "",
    "package/__init__.py": "",
    "package/__pycache__/module.pyc": "",
}


@pytest.fixture
def files(project: Project) -> Project:
    """A project with files and without an ignore file, in two images."""
    project.write({
        **FILES,
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["a", "b"]
            settings.docker = {{ parent_image = "{PINNED}", environment = {{ A = "1" }} }}
            [pipeline.p.step.b.settings.docker]
            environment = {{ B = "1" }}
            """,
    })  # fmt: skip
    return project


def test_what_is_no_code_is_in_no_context(files: Project) -> None:
    assert files.ok("show", "a", "--context").out.split() == [
        "package/__init__.py",
        "requirements.txt",
        "train.py",
    ]
    planned = files.ok("plan", "-o", "json")
    assert [note["code"] for note in planned.data["notes"]] == ["default-ignore-rules", "not-installed"]
    assert files.ok("plan").out.count("note: ") == 2
    # What git does not keep does not count.
    (files.root / "empty/below").mkdir(parents=True)
    assert files.ok("plan", "-o", "json").data["plan"] == planned.data["plan"]
    # Nor does a comment or a tag in the project file, which an ignore file cannot bring back.
    text = (files.root / "stowplan.toml").read_text()
    files.write({"stowplan.toml": f"# A comment.\n{text}", ".dockerignore": "!stowplan.toml\n.env\n.venv\n"})
    shown = files.ok("show", "a", "--context").out.split()
    assert "stowplan.toml" not in shown
    assert ".git/config" in shown
    planned = files.ok("plan", "-o", "json")
    notes = {note["code"]: note["key"] for note in planned.data["notes"]}
    assert notes.keys() == {"suspicious-files", "not-installed"}
    assert notes["suspicious-files"] == ".git"


def test_output_may_go_to_a_file_of_the_project(files: Project, engine: str, parent: str) -> None:
    text = (files.root / "stowplan.toml").read_text()
    files.write({"stowplan.toml": text.replace(PINNED, parent)})
    with (files.root / "err").open("wb") as err, (files.root / "out").open("wb") as out:
        ended = subprocess.run(
            files.command("apply"),
            cwd=files.root,
            env=files.environment(),
            stdout=out,
            stderr=err,
            check=False,
        )
    assert ended.returncode == 0, (files.root / "err").read_text()
    assert (files.root / "out").read_text().endswith("\nBuilt 2, pushed 0, reused 0, failed 0.\n")
    assert "building" in (files.root / "err").read_text()
    assert choose(engine).name == engine
