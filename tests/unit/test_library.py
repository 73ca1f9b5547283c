"""stowplan as a library: projects, plans and locks as values, without an engine. mypy checks the types."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import assert_type

import pytest

import stowplan
from planner.image.plan import ImagePlan
from tests.git_situations import git

ROOT = Path(__file__).parents[2]
DIGEST = "0" * 64
TEXT = f"""
[pipeline.report]
steps = ["load", "write"]

[pipeline.report.settings.docker]
parent_image = "python@sha256:{DIGEST}"
apt_packages = ["git"]
environment = {{ A = "1" }}
allow_including_files_in_images = false

[pipeline.report.step.write.settings.docker]
apt_packages = ["curl"]

[stack.default]

[stack.prod]
container_registry = {{ uri = "localhost:1/team" }}
"""

LOCAL = """
[pipeline.local]
steps = ["a", "b"]
step.a.command = "echo done"
step.b.command = "test -e there"
"""
DAILY = f"""
from stowplan import DockerSettings, pipeline, step

@step
def load() -> int:
    return 1

settings = DockerSettings(parent_image="python@sha256:{DIGEST}", apt_packages=["jq"])

@pipeline(settings={{"docker": settings}})
def daily() -> None:
    load()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STOWPLAN_CONTAINER_ENGINE", "podman")
    monkeypatch.delenv("STOWPLAN_STACK", raising=False)
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "stowplan.toml").write_text(TEXT)
    return directory


@pytest.mark.parametrize("kind", [str, Path])
def test_a_project_is_loaded_from_a_path_of_either_kind(root: Path, kind: type[str | Path]) -> None:
    project = stowplan.load(kind(root))
    assert project.root == Path(os.path.realpath(root))
    assert (project.pipelines, project.stacks) == (("report",), ("default", "prod"))
    assert project.pipeline().name == "report"
    assert project.stack("prod").name == "prod"
    assert stowplan.load_project is stowplan.load


def test_the_nearest_project_upwards_is_the_default(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "below").mkdir()
    monkeypatch.chdir(root / "below")
    assert stowplan.load().root == Path(os.path.realpath(root))
    with pytest.raises(stowplan.StowplanError, match=r"no stowplan\.toml"):
        stowplan.load(".")


def test_a_plan_says_what_is_done_about_each_image_and_why(root: Path) -> None:
    plan = stowplan.load(root).plan("report", offline=True)
    assert (plan.pipeline, plan.stack, plan.acts) == ("report", "default", True)
    assert [(image.name, image.steps) for image in plan.images] == [
        ("report", ("load",)),
        ("report/write", ("write",)),
    ]
    image = plan.image("write")
    assert image is not None
    assert image == plan.image("report/write") == plan.images[1]
    assert (image.action, image.code, image.reason) == ("build", "never-built", "never built here")
    assert image.depends == ("the engine does not have it",)
    assert image.problem is None
    assert image.layers == ("environment", "apt packages")
    assert image.reference.endswith(f":{image.hash.hex}")
    assert plan.image("nothing") is None
    assert plan.hash == plan.report.plan.hash
    assert [note.code for note in plan.notes] == ["no-code", "no-code"]
    assert repr(plan) == "<Plan of report on default: 2 to build, 0 to push, 0 to reuse>"


def test_a_plan_has_the_changes_of_each_image(root: Path) -> None:
    project = stowplan.load(root)
    written = project.lock("report", "default", engine="podman")
    assert (written.fresh, written.written) == (False, True)
    assert project.lock("report", "default", check=True).fresh
    (root / "stowplan.toml").write_text(TEXT.replace('"curl"', '"jq"'))
    assert project.plan("report", offline=True).changes == ()  # a project is as it was loaded
    project = stowplan.load(root)
    plan = project.plan("report", offline=True)
    changed = [(image.name, [change.text for change in image.changes]) for image in plan.images]
    assert changed == [("report", []), ("report/write", ["apt: + jq", "apt: - curl"])]
    checked = project.lock("report", "default", check=True)
    assert not checked.fresh
    assert [change.text for change in checked.changes] == ["apt: + jq", "apt: - curl"]
    assert not checked.written


def test_sides_are_compared(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = stowplan.load(root)
    assert [each.stack for each in project.diff(offline=True).compared] == ["default", "prod"]
    project.lock()
    assert project.diff().changes == ()
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "one")
    (root / "stowplan.toml").write_text(TEXT.replace('"curl"', '"jq"'))
    found = project.diff("HEAD", stack="prod")
    assert (found.before.kind, found.after.kind) == ("revision", "now")
    assert [change.text for change in found.changes] == ["apt: + jq", "apt: - curl"]
    assert project.diff("HEAD", root / "stowplan.lock").changes == ()
    with pytest.raises(stowplan.StowplanError, match="no standard input"):
        project.diff("-")
    monkeypatch.chdir(root)
    with pytest.raises(stowplan.StowplanError, match="'HAED'"):
        project.diff("HAED")


def test_a_plan_is_saved_and_is_that_plan_again_or_an_error(root: Path) -> None:
    project = stowplan.load(root)
    plan = project.plan("report", "prod", offline=True)
    file = root / ".stowplan" / "plan.json"
    plan.save(file)
    again = project.saved_plan(str(file))
    assert (again.hash, again.pipeline, again.stack) == (plan.hash, "report", "prod")
    (root / "stowplan.toml").write_text(TEXT.replace('"curl"', '"jq"'))
    with pytest.raises(stowplan.StowplanError, match="moved since it was planned") as raised:
        stowplan.load(root).saved_plan(file)
    assert {problem.code for problem in raised.value.problems} == {"plan-moved"}
    with pytest.raises(stowplan.StowplanError, match=r"ends with \.json"):
        plan.save(root / "plan.txt")


def test_what_is_wrong_is_one_kind_of_error_with_all_problems(root: Path) -> None:
    project = stowplan.load(root)
    with pytest.raises(stowplan.StowplanError) as raised:
        project.plan("reprot")
    (problem,) = raised.value.problems
    # A program has no command line.
    assert str(problem) == "there is no pipeline 'reprot': did you mean 'report'?"
    assert isinstance(raised.value, stowplan.ExecutorError)
    with pytest.raises(stowplan.StowplanError, match="no container engine is called 'pod'"):
        project.plan("report", engine="pod")
    with pytest.raises(stowplan.StowplanError, match="there is no stack 'prd'"):
        project.plan("report", "prd")
    with pytest.raises(stowplan.StowplanError, match=r"stowplan\.lock does not exist"):
        project.plan("report", locked=True)
    with pytest.raises(stowplan.StowplanError, match="not a date"):
        project.lock(exclude_newer="tomorrow")
    with pytest.raises(stowplan.StowplanError) as raised:
        stowplan.DockerSettings(parent_image="Python:3", user=1000)  # type: ignore[arg-type]
    assert [problem.where.dotted for problem in raised.value.problems] == ["parent_image", "user"]
    (root / "stowplan.toml").write_text("[pipeline.report]\nstpes = []\n[stack.a]\nregistry = 1\n")
    with pytest.raises(stowplan.StowplanError) as raised:
        stowplan.load(root)
    assert len(raised.value.problems) > 1
    assert all(problem.where.line for problem in raised.value.problems)


def test_a_decorated_pipeline_of_this_process_is_planned(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "daily_of_test.py").write_text(DAILY)
    monkeypatch.syspath_prepend(root)
    try:
        daily = import_module("daily_of_test").daily
        plan = stowplan.load(root).plan(daily, offline=True)
    finally:
        sys.modules.pop("daily_of_test", None)
    assert (plan.pipeline, [image.steps for image in plan.images]) == ("daily", [("load",)])


def test_a_run_without_images_is_a_value_and_is_carried_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STOWPLAN_PYTHON", sys.executable)
    (tmp_path / "stowplan.toml").write_text(LOCAL)
    project = stowplan.load(tmp_path)
    kinds: list[str] = []
    # As in a program whose main thread does something else.
    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(project.run, on_step_event=lambda event: kinds.append(event.kind)).result()
    assert [(item.step, str(item.status)) for item in ran.outcomes] == [("a", "succeeded"), ("b", "failed")]
    assert (ran.succeeded, ran.applied, ran.record.status) == (False, None, "failed")
    assert set(kinds) == {"started", "line", "ended"}
    with pytest.raises(stowplan.StowplanError) as raised:
        ran.check()
    assert len(raised.value.problems) == 1
    (tmp_path / "there").touch()
    again = project.run(rerun_failed=True)
    assert (again.id, again.check().succeeded) == (ran.id, True)
    assert [item.kept for item in again.outcomes] == [True, False]
    assert capfd.readouterr() == ("", "")


def test_threads_share_a_project_and_this_process_stays_as_it_is(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before = (dict(os.environ), Path.cwd())
    project = stowplan.load(root)
    names = ["default", "prod"] * 4
    with ThreadPoolExecutor(max_workers=8) as pool:
        plans = list(pool.map(lambda stack: project.plan("report", stack, offline=True), names))
        locks = list(pool.map(lambda _: project.lock(), range(4)))
    assert len({plan.hash for plan in plans}) == 2
    assert sum(lock.written for lock in locks) == 1
    assert project.lock(check=True).fresh
    assert capfd.readouterr() == ("", "")
    assert (dict(os.environ), Path.cwd()) == before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_planning_loads_nothing_of_the_command_line(root: Path) -> None:
    code = (
        "import sys, stowplan\n"
        f"stowplan.load({str(root)!r}).plan('report', offline=True)\n"
        "print([name for name in sys.modules if name.startswith(('executor.cli', 'click', 'rich'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def _program(root: Path) -> None:
    """What users write: mypy, which is strict, sees the types of all of it, and each mistake."""
    events: list[str] = []
    project = stowplan.load(str(root))
    assert_type(project, stowplan.Project)
    plan = project.plan("report", stack="prod", config=root / "run.yaml", engine="podman", locked=True)
    assert_type(plan, stowplan.Plan)
    assert_type(plan.images[0], stowplan.PlannedImage)
    assert_type(plan.images[0].action, stowplan.Action)
    assert_type(plan.images[0].reason, str)
    assert_type(plan.images[0].plan, ImagePlan)
    assert_type(plan.images[0].problem, stowplan.Problem | None)
    applied = plan.apply(engine="docker", jobs=4, on_event=lambda event: events.append(event.image))
    assert_type(applied, stowplan.Applied)
    assert_type(applied.outcomes[0].result, stowplan.Result)
    assert_type(project.apply().check().build, stowplan.Build | None)
    assert_type(project.lock(upgrade_packages=["six"]).changes, tuple[stowplan.Change, ...])
    assert_type(project.run(local=True).outcomes, tuple[stowplan.StepOutcome, ...])
    assert_type(project.diff("main", Path("plan.json")).changes, tuple[stowplan.Change, ...])
    assert_type(project.saved_plan("plan.json"), stowplan.Plan)
    assert_type(project.builds, tuple[stowplan.Build, ...])
    project.plan(stck="prod")  # type: ignore[call-arg]
    project.plan(engine=1)  # type: ignore[arg-type]
    project.apply(jobs="2")  # type: ignore[arg-type]
    plan.hash = plan.images[0].hash  # type: ignore[misc]
    stowplan.DockerSettings(requirements=["six"], apt_packages=1)  # type: ignore[arg-type]
    stowplan.DockerSettings(aptpackages=["git"])  # type: ignore[call-arg]
