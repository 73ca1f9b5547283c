"""Whole runs on real engines: plan, lock, change, diff, apply, and whatever comes between."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from executor.engines.select import choose
from executor.registry.lookup import Found, head
from executor.registry.tags import retag
from planner import Digest, ImageRef, loads
from tests.e2e.command import PINNED, Project, Ran

TOKEN = "hunter22-planted-token"


@pytest.fixture
def training(project: Project, base: str) -> Project:
    """Three steps in two images, nothing to download."""
    project.write(
        {
            "stowplan.toml": f"""
                [pipeline.training]
                steps = ["load", "train", "evaluate"]
                settings.docker = {{ parent_image = "{base}", environment = {{ MODEL_DIR = "/models" }} }}
                [pipeline.training.step.train.settings.docker]
                environment = {{ TOKEN = "${{STOWPLAN_TEST_TOKEN}}" }}
                """,
            "train.py": "print('one')\n",
            "utils/io.py": "",
            # No other run, on this machine or at this time, has these images.
            "utils/unique.py": f"# {uuid.uuid4()}\n",
            ".dockerignore": "*.pyc\n",
            "stale.pyc": "",
        }
    )
    project.env["STOWPLAN_TEST_TOKEN"] = TOKEN
    return project


def actions(ran: Ran) -> dict[str, str]:
    """What is done, or is to be done, about each image."""
    return {image["name"]: image["action"] for image in ran.data["images"]}


def results(ran: Ran) -> dict[str, str]:
    """What came of each image."""
    return {image["name"]: image["result"] for image in ran.data["images"]}


def both(word: str) -> dict[str, str]:
    """The same of both images."""
    return {"training": word, "training/train": word}


def test_from_the_first_plan_to_the_first_rebuild(training: Project, engine: str) -> None:
    planned = training.ok("plan", "-o", "json")
    assert actions(planned) == both("build")
    training.ok("lock")
    training.ok("lock", "--check")

    applied = training.ok("apply", "-o", "json")
    assert actions(applied) == both("build")
    assert results(applied) == both("built")
    again = training.ok("apply", "-o", "json")
    assert actions(again) == both("reuse")
    assert results(again) == both("reused")
    assert [image["hash"] for image in again.data["images"]] == [
        image["hash"] for image in planned.data["images"]
    ]
    assert training.ok("apply").out.endswith("\nBuilt 0, pushed 0, reused 2, failed 0.\n")
    assert training.run("plan", "--detailed-exitcode").code == 0

    reference = applied.image("training/train")["reference"]
    finished = choose(engine).run(reference, ("sh", "-c", "pwd; cat train.py; echo $MODEL_DIR $TOKEN; ls"))
    assert finished.code == 0
    assert finished.output.split("\n")[:3] == ["/app", "print('one')", f"/models {TOKEN}"]
    # Nor is the project file there, which no ignore file has to name.
    assert finished.output.split("\n")[3:] == ["train.py", "utils", ""]

    training.write({"train.py": "print('two')\n", "utils/io.py": "x = 1\n"})
    training.ok("lock", "--check")
    plan = training.run("plan", "-o", "json", "--detailed-exitcode")
    assert plan.code == 2
    assert [
        (change["image"], change["code"], change["key"], change["text"], change["since"])
        for change in plan.data["changes"]
    ] == [
        (name, "changed", None, "files: 2 changed (train.py, utils/io.py)", "build")
        for name in ("training", "training/train")
    ]
    assert plan.image("training")["rebuilt"] == ["files"]
    rebuilt = training.ok("apply", "-o", "json")
    assert results(rebuilt) == both("built")
    assert rebuilt.image("training")["reference"] != applied.image("training")["reference"]
    assert [
        build["status"] for build in training.ok("builds", "list", "--images", "-o", "json").data["records"]
    ] == ["built"] * 4


def test_only_what_changed_is_built(training: Project, engine: str) -> None:
    training.ok("lock")
    training.ok("apply")
    text = (training.root / "stowplan.toml").read_text()
    training.write({"stowplan.toml": text + 'apt_packages = []\nuser = "nobody"\n'})
    diff = training.run("diff", "--detailed-exitcode")
    assert diff.code == 2
    assert "training/train (step train)" in diff.out
    assert "user: none → nobody" in diff.out
    assert training.run("lock", "--check").code == 1
    assert training.run("apply", "--locked").code == 1
    applied = training.ok("apply", "-o", "json")
    assert results(applied) == {"training": "reused", "training/train": "built"}
    # The lock is up to date now, and what was brought up to date is said.
    assert [change["text"] for change in applied.data["lock_changes"]] == [
        "owner of the files: none → nobody",
        "user: none → nobody",
    ]
    training.ok("lock", "--check")
    assert choose(engine).run(applied.image("training/train")["reference"], ("whoami",)).output == "nobody\n"


def test_another_value_of_a_variable_is_another_image_and_the_same_lock(
    training: Project, engine: str
) -> None:
    del engine
    training.ok("lock")
    training.ok("apply")
    other = {"STOWPLAN_TEST_TOKEN": "another-planted-token"}
    training.ok("lock", "--check", env={"STOWPLAN_TEST_TOKEN": ""})
    plan = training.ok("plan", "-o", "json", env=other)
    assert actions(plan) == {"training": "reuse", "training/train": "build"}
    (change,) = plan.data["changes"]
    assert (change["code"], change["key"]) == ("hidden", "TOKEN")
    assert change["text"] == "environment: TOKEN changed (hidden)"
    assert "another-planted-token" not in plan.out


def test_the_value_of_a_variable_is_written_nowhere(training: Project, engine: str) -> None:
    del engine
    text = (training.root / "stowplan.toml").read_text()
    training.write(
        {"stowplan.toml": text + 'local_project_install_command = "echo said $TOKEN; env; exit 3"\n'}
    )
    said = [training.run(*argv) for argv in (
        ["plan"], ["plan", "-o", "json"], ["plan", "-o", "markdown"], ["lock"], ["diff"], ["apply", "-v"],
        ["apply", "-o", "json"], ["apply", "-o", "markdown"], ["show", "train"], ["show", "train", "-o", "json"], ["show", "train", "--dockerfile"],
        ["builds", "list", "-o", "json"], ["builds", "list", "--images", "-o", "json"], ["builds", "show"], ["builds", "show", "-o", "yaml"], ["builds", "show", "1"], ["builds", "show", "2", "-o", "json"],
    )]  # fmt: skip
    for ran in said:
        assert TOKEN not in ran.out + ran.err
    # The command did say it, where it is not seen.
    assert "said ***" in said[5].err
    statuses = {build["status"] for build in said[12].data["records"]}
    assert statuses == {"built", "failed"}
    for path in training.root.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_one_failing_image_does_not_lose_the_others(training: Project, engine: str) -> None:
    del engine
    text = (training.root / "stowplan.toml").read_text()
    training.write({"stowplan.toml": text + 'local_project_install_command = "echo before; exit 3"\n'})
    failed = training.run("apply", "-o", "json")
    assert failed.code == 1
    assert actions(failed) == both("build")
    assert results(failed) == {"training": "built", "training/train": "failed"}
    assert failed.image("training")["error"] is None
    (problem,) = failed.image("training/train")["error"]
    assert set(problem) >= {"code", "where", "found", "fix"}
    assert "before" in problem["found"] + problem["fix"]
    again = training.run("apply")
    assert again.code == 1
    assert again.out.endswith("\nBuilt 0, pushed 0, reused 1, failed 1.\n")
    assert "exit 3" in again.err
    training.write({"stowplan.toml": text})
    assert results(training.ok("apply", "-o", "json")) == {"training": "reused", "training/train": "built"}


def test_push_and_the_ledger(training: Project, engine: str, registry: str) -> None:
    del engine
    text = (training.root / "stowplan.toml").read_text()
    training.write({
        "stowplan.toml": text + f"""
[stack.default]
[stack.prod]
container_registry = {{ uri = "{registry}", default_repository = "models" }}
""",
    })  # fmt: skip
    training.ok("lock")
    pushed = training.ok("apply", "--stack", "prod", "-o", "json")
    assert results(pushed) == both("built")
    assert [image["pushed"] for image in pushed.data["images"]] == [True, True]
    ledger = loads((training.root / "stowplan.lock").read_text()).pushed
    assert {entry.name: str(entry.reference) for entry in ledger} == {
        image["name"]: f"{registry}/models@{image['digest']}" for image in pushed.data["images"]
    }
    training.ok("lock", "--check")

    # A clean clone, with no engine, knows which images to run.
    clone = Project(training.root.parent / "clone", dict(training.env))
    shutil.copytree(training.root, clone.root, ignore=shutil.ignore_patterns(".stowplan"))
    nowhere = {"STOWPLAN_CONTAINER_ENGINE": "", "DOCKER_HOST": "unix:///nowhere", "PATH": "/nowhere"}
    assert actions(clone.ok("plan", "--stack", "prod", "-o", "json", env=nowhere)) == both("reuse")
    # Nor does applying need one: the registry has them.
    assert results(clone.ok("apply", "--stack", "prod", "-o", "json", env=nowhere)) == both("reused")
    # The image that another stack wants is in the engine already.
    assert results(training.ok("apply", "-o", "json")) == both("reused")
    for image in training.ok("apply", "--stack", "prod", "-o", "json").data["images"]:
        answer = head(ImageRef.parse(image["reference"]), timeout=10)
        assert isinstance(answer, Found)
        assert str(answer.digest) == image["digest"]


def test_repositories_and_tags(training: Project, engine: str, registry: str) -> None:
    del engine
    training.write({
        "stowplan.toml": (training.root / "stowplan.toml").read_text().replace(
            'environment = { MODEL_DIR = "/models" }',
            'environment = { MODEL_DIR = "/models" }, image_tag = "1.0.0", target_repository = "team/models"',
        ) + f'[stack.prod]\ncontainer_registry = {{ uri = "{registry}" }}\n',
    })  # fmt: skip
    ran = training.run("apply", "-o", "json")
    assert ran.code == 0, ran.err
    (note,) = [note for note in ran.data["notes"] if note["code"] == "tag-moves"]
    assert note["key"] == "1.0.0"
    assert "image_tag" in note["text"]
    last = ran.data["images"][-1]
    assert last["reference"].startswith(f"{registry}/team/models:")
    tagged = head(ImageRef.parse(f"{registry}/team/models:1.0.0"), timeout=10)
    assert tagged == Found(Digest.parse(last["digest"]))
    # A tag that moved comes back, even where the image need not be built.
    retag(ImageRef.parse(ran.data["images"][0]["reference"]), "1.0.0", timeout=10)
    assert head(ImageRef.parse(f"{registry}/team/models:1.0.0"), timeout=10) != tagged
    assert results(training.ok("apply", "-o", "json")) == both("reused")
    assert head(ImageRef.parse(f"{registry}/team/models:1.0.0"), timeout=10) == tagged


def test_prevent_build_reuse_builds_anyway(training: Project, engine: str) -> None:
    del engine
    text = (
        (training.root / "stowplan.toml")
        .read_text()
        .replace("parent_image", "prevent_build_reuse = true, parent_image")
    )
    training.write({"stowplan.toml": text})
    for _ in range(2):
        assert results(training.ok("apply", "-o", "json")) == both("built")


def building(training: Project, seconds: int) -> tuple[subprocess.Popen[str], str]:
    """An `apply` that is in the middle of a build that takes so long, and what it has said so far."""
    text = (training.root / "stowplan.toml").read_text()
    # A layer that no build before has left in the engine's cache.
    command = f"echo waiting {uuid.uuid4()}; sleep {seconds}"
    training.write({"stowplan.toml": text + f'local_project_install_command = "{command}"\n'})
    training.ok("lock")
    process = subprocess.Popen(
        training.command("apply", "-v"),
        cwd=training.root,
        env=training.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "waiting" in line and "echo" not in line:
            break
    return process, said


def test_killed_at_any_instant_the_next_run_goes_on(training: Project, engine: str) -> None:
    del engine
    process, _ = building(training, seconds=8)
    before = (training.root / "stowplan.lock").read_bytes()
    process.kill()
    process.communicate()
    assert (training.root / "stowplan.lock").read_bytes() == before
    builds = training.ok("builds", "list", "--images", "-o", "json").data["records"]
    assert "training/train" not in {build["image"] for build in builds}
    ran = training.ok("apply", "-o", "json")
    assert ran.image("training/train")["result"] in {"built", "reused"}


def test_interrupted_it_says_so_and_records_it(training: Project, engine: str) -> None:
    del engine
    process, said = building(training, seconds=300)
    process.send_signal(signal.SIGINT)
    said += process.communicate()[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    builds = training.ok("builds", "list", "--images", "-o", "json").data["records"]
    assert {build["image"]: build["status"] for build in builds}["training/train"] == "interrupted"


def test_two_at_once_lose_nothing(training: Project, engine: str, registry: str) -> None:
    del engine
    training.write({
        "stowplan.toml": (training.root / "stowplan.toml").read_text()
        + "".join(
            f'[stack.s{number}]\ncontainer_registry = {{ uri = "{registry}/{number}" }}\n' for number in range(3)
        ),
    })  # fmt: skip
    training.ok("lock")
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda number: training.run("apply", "--stack", f"s{number}"), range(3)))
    assert [run.code for run in runs] == [0, 0, 0], "\n".join(run.err[-2000:] for run in runs if run.code)
    lock = loads((training.root / "stowplan.lock").read_text())
    assert len(lock.plans) == 3
    assert len(lock.pushed) == 6


def test_a_file_edited_while_building_is_refused(training: Project, engine: str) -> None:
    del engine
    script = (
        "from pathlib import Path\n"
        "from stowplan import apply, load_project, observe\n"
        "from planner import make_plan\n"
        "project = load_project(Path('.').resolve())\n"
        "pipeline, stack = project.pipeline(None), project.stack(None)\n"
        "facts = observe(pipeline, stack, root='.')\n"
        "plan = make_plan(pipeline, stack, facts)\n"
        "Path('train.py').write_text('print(3)')\n"
        "for outcome in apply(plan, facts, root='.'):\n"
        "    print(outcome.result, outcome.error)\n"
    )
    command = training.command()
    ended = subprocess.run(
        [command[0], "-c", script],
        cwd=training.root,
        env=training.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.count("failed") == 2
    assert ended.stdout.count("train.py") == 2


def test_no_engine_is_a_reason_to_try_again(training: Project) -> None:
    training.env["STOWPLAN_CONTAINER_ENGINE"] = "docker"
    training.env["DOCKER_HOST"] = "unix:///nowhere.sock"
    text = (training.root / "stowplan.toml").read_text()
    training.write({"stowplan.toml": re.sub('parent_image = "[^"]*"', f'parent_image = "{PINNED}"', text)})
    training.ok("plan")
    ran = training.run("apply")
    assert ran.code == 75
    assert "docker" in ran.err
