"""A plan that was saved is applied exactly, or what moved is said and nothing is done."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.command import PINNED, Project
from tests.e2e.images import Tags
from tests.encodings import found

FILE: Final = f"""
[pipeline.training]
steps = ["load", "train"]
settings.docker = {{ parent_image = "{PINNED}", environment = {{ TOKEN = "${{TOKEN}}" }} }}

[pipeline.training.step.train.settings.docker]
user = "1000"

[stack.prod.container_registry]
uri = "localhost:1/team"
"""
SECRET: Final = "s3cret-value é&<"
PLAN: Final = ".stowplan/plan.json"


@pytest.fixture
def saved(project: Project, made: Project) -> Project:
    """A project whose plan is saved."""
    project.env |= made.env
    shutil.copytree(made.root, project.root, dirs_exist_ok=True)
    return project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, which each test has a copy of."""
    project = Project(tmp_path_factory.mktemp("saved"), {"TOKEN": SECRET})
    project.write({"stowplan.toml": FILE, "train.py": "1\n", "data/x": ""})
    project.ok("lock")
    ran = project.ok("plan", "--out", PLAN)
    assert f"note: saved in {PLAN}: `stowplan apply {PLAN}` applies exactly this plan\n" in ran.err
    return project


def data(project: Project) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((project.root / PLAN).read_text())
    return loaded


def test_exactly_the_plan_is_applied(project: Project, tags: Tags) -> None:
    parent = f"localhost/stowplan-test/{uuid.uuid4().hex[:12]}:1"
    tags.make(parent)
    project.write({
        "stowplan.toml": f'[pipeline.p]\nsteps = ["a"]\nsettings.docker = {{ parent_image = "{parent}" }}\n',
        "a.py": "1\n",
    })  # fmt: skip
    hashes = [each["hash"] for each in project.ok("plan", "--out", PLAN, "-o", "json").data["images"]]
    applied = project.ok("apply", PLAN, "-o", "json").data
    assert [(each["hash"], each["result"]) for each in applied["images"]] == [(hashes[0], "built")]
    again = project.ok("apply", PLAN, "-o", "json").data
    assert [each["result"] for each in again["images"]] == ["reused"]
    # A parent that was rebuilt is another image.
    tags.make(parent)
    ran = project.run("apply", PLAN)
    assert ran.code == 1
    assert "was rebuilt" in ran.err
    project.write({"a.py": "2\n"})
    state = project.state()
    assert "files: 1 changed (a.py)" in project.run("apply", PLAN).err
    assert project.state() == state


def edit(**files: str) -> Callable[[Project], None]:
    return lambda project: project.write(files)


def change(name: str, before: str, after: str) -> Callable[[Project], None]:
    def changed(project: Project) -> None:
        text = (project.root / name).read_text()
        assert before in text
        (project.root / name).write_text(text.replace(before, after))

    return changed


def without_train(project: Project) -> None:
    change("stowplan.toml", ', "train"]', "]")(project)
    change("stowplan.toml", "[pipeline.training.step.train.settings.docker]\nuser", "[stack.default]\n#")(
        project
    )


def relocked(project: Project) -> None:
    change("stowplan.toml", "0" * 64, "1" * 64)(project)
    project.ok("lock")


def unset(project: Project) -> None:
    project.env["TOKEN"] = "another"


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (edit(**{"train.py": "2\n"}), "training: files: 1 changed (train.py)"),
        (edit(new="1"), "training: files: 1 changed (new)"),
        (lambda project: (project.root / "train.py").chmod(0o755), "training: files: 1 changed (train.py)"),
        (edit(**{".dockerignore": "data\n"}), "training: files: 1 changed (data/x)"),
        (unset, "training: environment: TOKEN changed (hidden)"),
        (change("stowplan.toml", 'user = "1000"', 'user = "2"'), "training/train: user: 1000 → 2"),
        (change("stowplan.toml", '"load", ', '"load", "eval", '), "training: steps: + eval"),
        (without_train, "training/train: no longer needed"),
        (relocked, "training: parent image:"),
    ],
    ids=["edit", "new file", "mode", "ignored", "variable", "setting", "step", "image", "pin"],
)
def test_what_moved_is_said_and_nothing_is_done(
    saved: Project, move: Callable[[Project], None], words: str
) -> None:
    move(saved)
    state = saved.state()
    ran = saved.run("apply", PLAN)
    assert ran.code == 1
    first = f"error: {PLAN}: moved since it was planned: {words}"
    assert first in ran.err
    assert "       undo that, or plan again with `stowplan plan --out`\n" in ran.err
    assert saved.state() == state
    # `diff` says the same of it.
    assert words.split(": ", 1)[1] in saved.ok("diff", PLAN).out
    problems = saved.run("apply", PLAN, "-o", "json").data["problems"]
    assert {problem["code"] for problem in problems} == {"plan-moved"}


def test_where_images_go_is_part_of_the_plan(saved: Project) -> None:
    saved.ok("plan", "--stack", "prod", "--offline", "--out", PLAN)
    change("stowplan.toml", "localhost:1/team", "localhost:1/other")(saved)
    ran = saved.run("apply", PLAN)
    assert ran.code == 1
    assert "training: repository: localhost:1/team/stowplan → localhost:1/other/stowplan" in ran.err


def test_what_was_asked_for_with_the_plan_is_in_it(saved: Project) -> None:
    saved.write({"run.yaml": "settings:\n  docker:\n    user: '7'\n"})
    saved.ok("plan", "--config", "run.yaml", "--prevent-build-reuse", "--out", PLAN)
    known = data(saved)
    assert (known["config"], known["frozen"], known["prevent_build_reuse"]) == ("run.yaml", False, True)
    assert saved.ok("diff", PLAN).out == "no changes\n"
    saved.write({"run.yaml": "settings:\n  docker:\n    apt_packages: [git]\n"})
    saved.ok("plan", "--config", "run.yaml", "--out", PLAN)
    saved.write({"run.yaml": "settings:\n  docker:\n    apt_packages: [vim]\n"})
    assert "training: apt: " in saved.run("apply", PLAN).err


def test_a_frozen_plan_stays_one(saved: Project) -> None:
    saved.ok("plan", "--frozen", "--out", PLAN)
    change("stowplan.toml", 'user = "1000"', 'user = "2"')(saved)
    # The lock says what is built, and it is as it was: what fails is to build it.
    ran = saved.run(
        "apply", PLAN, env={"STOWPLAN_CONTAINER_ENGINE": "docker", "DOCKER_HOST": "tcp://127.0.0.1:1"}
    )
    assert ran.code == 75
    assert "moved since it was planned" not in ran.err


def test_no_value_of_a_variable_is_in_it(saved: Project) -> None:
    assert found(SECRET, (saved.root / PLAN).read_text()) == []
    assert (saved.root / PLAN).read_text().count('"TOKEN"') > 0


@pytest.mark.parametrize(
    "option", [["--stack", "prod"], ["--frozen"], ["--config", "a.yaml"], ["--build", "x"]]
)
def test_what_a_saved_plan_says_is_not_said_again(saved: Project, option: list[str]) -> None:
    ran = saved.run("apply", PLAN, *option)
    assert ran.code == 64
    assert f"{option[0]} is part of the saved plan" in ran.err


def test_variables_that_stand_for_options_say_nothing_of_a_saved_plan(saved: Project) -> None:
    (saved.root / "train.py").write_text("2\n")
    asked = {"STOWPLAN_FROZEN": "1", "STOWPLAN_STACK": "prod", "STOWPLAN_LOCKED": ""}
    ran = saved.run("apply", PLAN, env=asked)
    assert (ran.code, "files: 1 changed (train.py)" in ran.err) == (1, True)


def sealed(known: Mapping[str, Any]) -> str:
    """A plan with the digest that an edit has left wrong."""
    rest = {name: each for name, each in known.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return json.dumps({**rest, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"})


def edited(project: Project) -> str:
    return (project.root / PLAN).read_text().replace('"load"', '"lood"')


def another_version(project: Project) -> str:
    return sealed({**data(project), "schema": "stowplan/saved-plan/2", "stowplan": "9.0"})


def other_hashes(project: Project) -> str:
    return sealed({**data(project), "plan": f"sha256:{'0' * 64}", "stowplan": "0.0.1"})


def without_trees(project: Project) -> str:
    return sealed({**data(project), "trees": {}})


def cut(project: Project) -> str:
    text = (project.root / PLAN).read_text()
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (edited, "was edited or damaged: its digest is not that of what it holds"),
        (
            another_version,
            "was written by another version, stowplan 9.0: its schema is 'stowplan/saved-plan/2'",
        ),
        (other_hashes, "has other hashes than this version makes: stowplan 0.0.1 wrote it"),
        (without_trees, "cannot be read by this version: "),
        (cut, "holds no saved plan: it is not JSON, or was cut off"),
        (lambda _: "", "holds no saved plan: it is not JSON, or was cut off"),
        (lambda _: "[" * 100_000, "holds no saved plan: it is not JSON, or was cut off"),
        (lambda _: "[]", "holds no saved plan: it has no schema"),
        (lambda _: '{"schema": 1}', "holds no saved plan: its schema is 1"),
        (
            lambda project: project.ok("plan", "-o", "json").out,
            "holds no saved plan: its schema is 'stowplan/plan/2'",
        ),
    ],
    ids=["edited", "version", "hashes", "trees", "cut", "empty", "deep", "list", "number", "printed"],
)
def test_what_is_no_saved_plan_is_told_apart(
    saved: Project, text: Callable[[Project], str], words: str
) -> None:
    (saved.root / PLAN).write_text(text(saved))
    state = saved.state()
    ran = saved.run("apply", PLAN)
    assert (ran.code, ran.err.startswith(f"error: {PLAN}: {words}")) == (1, True), ran.err
    assert saved.state() == state
    assert saved.run("apply", PLAN, "-o", "json").data["problems"][0]["code"] == "plan-unreadable"


def test_a_plan_of_another_project_is_refused(saved: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other", saved.env)
    other.write({"stowplan.toml": FILE.replace("training", "scoring")})
    ran = other.run("apply", str(saved.root / PLAN))
    assert ran.code == 1
    assert "is a plan of 'training' on 'prod', which this project does not have" in ran.err
    # One that calls its pipeline the same has other files.
    other.write({"stowplan.toml": FILE, "x": ""})
    assert "moved since it was planned" in other.run("apply", str(saved.root / PLAN)).err


@pytest.mark.parametrize(
    ("out", "code", "words"),
    [
        ("plan", 64, "--out: the name of a saved plan ends with .json, not 'plan'"),
        ("plan.json", 64, "--out: plan.json is among the files that are copied into an image"),
        ("data/../plan.json", 64, "is among the files that are copied into an image"),
        ("../none/plan.json", 1, "cannot be written: No such file or directory"),
        ("data", 64, "is a directory"),
    ],
)
def test_where_a_plan_cannot_be_saved(saved: Project, out: str, code: int, words: str) -> None:
    before = saved.state()
    ran = saved.run("plan", "--out", out)
    assert ran.code == code
    assert words in ran.err
    assert saved.state() == before


def test_a_file_that_images_do_not_have_holds_a_plan(saved: Project) -> None:
    saved.write({".dockerignore": "*.json\n"})
    for out in ("plan.json", "../plan.json", ".stowplan/sub/../plan.json"):
        (saved.root / ".stowplan/sub").mkdir(exist_ok=True)
        saved.ok("plan", "--out", out)
        assert saved.ok("diff", f"./{out}").out == "no changes\n"
    before = (saved.root / "plan.json").read_bytes()
    saved.ok("plan", "--out", "plan.json")
    assert (saved.root / "plan.json").read_bytes() == before
    assert [path.name for path in saved.root.parent.iterdir() if path.name.startswith(".")] == []


def test_a_saved_plan_is_of_no_build(saved: Project) -> None:
    ran = saved.run("plan", "--out", PLAN, "--build", "x")
    assert (ran.code, "there is no plan to save with --out" in ran.err) == (64, True)
