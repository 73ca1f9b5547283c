"""`stowplan diff A B` as a person types it: each way to name a side, each mistake, what it leaves alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.command import PINNED, Project
from tests.git_situations import git

FILE: Final = f"""
[pipeline.training]
steps = ["load", "train"]
settings.docker = {{ parent_image = "{PINNED}", environment = {{ MODE = "${{MODE}}" }} }}
"""
EDITED: Final = FILE.replace('MODE = "', 'LEVEL = "1", MODE = "')


@pytest.fixture
def history(project: Project, unchanged: Project) -> Project:
    """A project with three commits: an edit of the code, and one of a setting. `old` is the first."""
    shutil.copytree(unchanged.root, project.root, dirs_exist_ok=True)
    return project


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same, for tests that change nothing in it. A file and a branch of it are called `both`."""
    project = Project(tmp_path_factory.mktemp("history"))
    project.write({"stowplan.toml": FILE, "train.py": "1\n", "both": "", ".gitignore": ".stowplan/\n"})
    git(project.root, "init", "--quiet")
    project.ok("lock")
    commit(project, "First")
    git(project.root, "branch", "old")
    git(project.root, "tag", "v1.0")
    project.write({"train.py": "2\n"})
    commit(project, "Code")
    project.write({"stowplan.toml": EDITED})
    project.ok("lock")
    commit(project, "Setting")
    git(project.root, "branch", "both")
    return project


def commit(project: Project, message: str) -> None:
    git(project.root, "add", "--all")
    git(project.root, "commit", "--quiet", "--message", message)


def said(project: Project, *sides: str) -> list[str]:
    """What differs: the field of each change."""
    ran = project.ok("diff", *sides, "-o", "json")
    return [change["field"] for change in ran.data["changes"]]


BOTH: Final = ["environment", "files"]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([], []),
        (["lock"], []),
        (["lock", "now"], []),
        (["now", "now"], []),
        (["HEAD"], []),
        (["HEAD", "now"], []),
        (["main", "HEAD"], []),
        (["main~1", "main"], ["environment"]),
        (["HEAD~1"], ["environment"]),
        (["HEAD~2", "HEAD~1"], ["files"]),
        (["old"], BOTH),
        (["v1.0", "main"], BOTH),
        (["now", "v1.0"], BOTH),
        (["refs/heads/old", "refs/tags/v1.0"], []),
        (["old", "lock"], ["environment"]),
        (["lock", "old"], ["environment"]),
        (["stowplan.lock", "old"], ["environment"]),
        (["./stowplan.lock"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_each_way_to_name_a_side(unchanged: Project, sides: Sequence[str], expected: list[str]) -> None:
    assert said(unchanged, *sides) == expected


def test_a_hash_and_a_part_of_one_name_a_revision(history: Project) -> None:
    first = git(history.root, "rev-parse", "old")
    ran = history.ok("diff", first[:8], "HEAD", "-o", "json").data
    assert ran["sides"] == [
        {"kind": "revision", "name": first[:8], "commit": first},
        {"kind": "revision", "name": "HEAD", "commit": git(history.root, "rev-parse", "HEAD")},
    ]
    assert [change["key"] for change in ran["changes"]] == ["LEVEL", None]
    assert ran["changes"][0] == {
        "pipeline": "training", "stack": "default", "image": "training", "field": "environment",
        "key": "LEVEL", "code": "added", "before": None, "after": "1", "text": "environment: + LEVEL=1",
        "steps": ["load", "train"], "rebuilt": ["environment", "files"],
    }  # fmt: skip


def test_from_a_directory_of_the_project_and_from_elsewhere(history: Project, tmp_path: Path) -> None:
    below = history.root / "sub/deep"
    below.mkdir(parents=True)
    assert (
        history.run("diff", "old", "HEAD~1", cwd=below).out.splitlines()[2]
        == "    files: 1 changed (train.py)"
    )
    ran = history.run("diff", "old", "HEAD~1", "--project", str(history.root), cwd=tmp_path)
    assert ran.out.splitlines()[2] == "    files: 1 changed (train.py)"


def test_a_project_below_the_top_of_a_repository(history: Project) -> None:
    inner = Project(history.root / "services/training", history.env)
    inner.write({"stowplan.toml": FILE, "code.py": ""})
    commit(history, "Inner")
    inner.write({"code.py": "edited"})
    (history.root / "train.py").write_text("not of the inner project")
    commit(history, "Edit")
    ran = inner.ok("diff", "HEAD~1", "HEAD", "--offline")
    assert "files: 1 changed (code.py)" in ran.out
    early = inner.ok("diff", "HEAD~2", "--offline")
    assert early.err == "note: HEAD~2: there is no project file: all images are new\n"
    assert "new image" in early.out


def test_standard_input_has_a_lock_or_a_saved_plan(history: Project) -> None:
    old = git(history.root, "show", "old:stowplan.lock") + "\n"
    assert "environment: + LEVEL=1" in piped(history, old, "diff", "-").stdout
    assert "environment: - LEVEL" in piped(history, old, "diff", "now", "-").stdout
    history.ok("plan", "--out", ".stowplan/plan.json", env={"MODE": "1"})
    saved = (history.root / ".stowplan/plan.json").read_text()
    assert piped(history, saved, "diff", "-", "HEAD").stdout == "no changes\n"
    for text, words in (("", "unknown schema None"), ("{}", "holds no saved plan"), ("[1]", "expected")):
        done = piped(history, text, "diff", "-")
        assert done.returncode == 1
        assert done.stderr.startswith("error: standard input: "), words


def piped(project: Project, text: str, *argv: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "executor.cli", *argv]
    return subprocess.run(
        words,
        input=text,
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        (["nosuch"], "error: command line: there is no revision and no file 'nosuch'\n"),
        (
            ["mian"],
            "error: command line: there is no revision and no file 'mian'\n       did you mean 'main'?\n",
        ),
        (
            ["nwo"],
            "error: command line: there is no revision and no file 'nwo'\n       did you mean 'now'?\n",
        ),
        (["HEAD~9"], "error: command line: there is no revision and no file 'HEAD~9'\n"),
        (
            ["old:stowplan.lock"],
            (
                "error: command line: 'old:stowplan.lock' is a file of a revision\n"
                "       name the revision alone: old\n"
            ),
        ),
        (
            ["old..main"],
            (
                "error: command line: 'old..main' is a range of revisions\n"
                "       name its two ends: `stowplan diff old main`\n"
            ),
        ),
        (
            ["main..."],
            (
                "error: command line: 'main...' is a range of revisions\n"
                "       name its two ends: `stowplan diff $(git merge-base main HEAD) HEAD`\n"
            ),
        ),
        (
            ["."],
            (
                "error: command line: '.' is a directory\n"
                "       `now` is the project as it is, and --project says where it is\n"
            ),
        ),
        (
            ["training"],
            (
                "error: command line: there is no revision and no file 'training'\n"
                "       for a pipeline, write `--pipeline training`\n"
            ),
        ),
        (["--", "--help"], "error: command line: there is no revision and no file '--help'\n"),
        (["--", "-x", "HEAD"], "error: command line: there is no revision and no file '-x'\n"),
        ([""], "error: command line: there is no revision and no file ''\n"),
        (["no.lock"], "error: no.lock: no such file\n"),
        (["./nosuch"], "error: nosuch: no such file\n"),
        (["no.json"], "error: no.json: no such file\n"),
        (["-", "-"], "error: command line: both sides are standard input\n"),
        (["both"], "error: command line: 'both' is a file and a revision\n       write ./both for the file"),
        (
            ["old", "main", "--pipeline", "trainig"],
            (
                "error: command line: neither old nor main has the pipeline 'trainig'\n"
                "       did you mean 'training'?\n"
            ),
        ),
        (
            ["old", "main", "--pipeline", "training", "--stack", "prod"],
            ("error: command line: neither old nor main has the pipeline 'training' on the stack 'prod'\n"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_names_no_side_is_said(unchanged: Project, sides: Sequence[str], words: str) -> None:
    ran = unchanged.run("diff", *sides)
    assert ran.code == 64
    assert ran.err.startswith(words)


def test_two_files_need_no_project(history: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lock = git(history.root, "show", "old:stowplan.lock")
    (elsewhere / "a.lock").write_text(lock)
    (elsewhere / "b.lock").write_text((history.root / "stowplan.lock").read_text())
    ran = history.run("diff", "a.lock", "b.lock", cwd=elsewhere)
    assert (ran.code, "environment: + LEVEL=1" in ran.out) == (0, True)
    assert sorted(path.name for path in elsewhere.iterdir()) == ["a.lock", "b.lock"]


def test_a_revision_outside_of_a_checkout(project: Project) -> None:
    project.write({"stowplan.toml": FILE})
    ran = project.run("diff", "main")
    assert (ran.code, ran.err) == (
        64,
        (
            "error: command line: there is no file 'main', and no revision: "
            "the project is in no git checkout\n       work in a clone of the repository\n"
        ),
    )


def test_what_is_wrong_in_a_revision_has_its_name(history: Project) -> None:
    history.write({"stowplan.toml": FILE.replace("parent_image", "parent_imag")})
    commit(history, "Misspelt")
    ran = history.run("diff", "old", "HEAD")
    assert ran.code == 1
    assert ran.err.startswith(
        "error: HEAD:stowplan.toml:3: pipeline.training.settings.docker.parent_imag: unknown"
    )
    history.write({"stowplan.toml": FILE, "stowplan.lock": "<<<<<<< ours\n"})
    commit(history, "Conflict")
    ran = history.run("diff", "old", "HEAD")
    assert ran.code == 1
    assert ran.err.startswith("error: HEAD:stowplan.lock")


def test_nothing_of_the_checkout_or_of_its_repository_changes(history: Project) -> None:
    history.write({"train.py": "edited\n", "new.py": ""})
    git(history.root, "add", "new.py")
    history.ok("diff")
    before = history.state()
    for sides in (["old", "main"], ["old"], ["HEAD", "lock"], ["v1.0", "HEAD~1"]):
        history.ok("diff", *sides)
    assert history.state() == before
    # Nor is a file of a revision left anywhere.
    assert list((history.root / ".stowplan").glob("tmp/*")) == []


def test_each_revision_is_planned_with_its_own_lock(history: Project) -> None:
    # Now another image is locked for the same reference, which nobody is asked for.
    text = (history.root / "stowplan.toml").read_text()
    lock = (history.root / "stowplan.lock").read_text()
    history.write(
        {"stowplan.toml": text.replace("0" * 64, "1" * 64), "stowplan.lock": lock.replace("0" * 64, "1" * 64)}
    )
    history.ok("lock")
    commit(history, "Moved")
    ran = history.ok("diff", "HEAD~1", "HEAD", "--offline")
    assert "parent image: " in ran.out


def test_pipelines_and_stacks_that_one_revision_has(history: Project) -> None:
    history.write(
        {"stowplan.toml": EDITED + FILE.replace("pipeline.training", "pipeline.scoring") + "[stack.prod]\n"}
    )
    history.ok("lock")
    commit(history, "More")
    ran = history.ok("diff", "HEAD~1", "HEAD", "-o", "json").data
    assert {(each["pipeline"], each["stack"], each["code"]) for each in ran["changes"]} == {
        ("training", "prod", "added"), ("training", "default", "removed"), ("scoring", "prod", "added"),
    }  # fmt: skip
    only = history.ok("diff", "HEAD~1", "HEAD", "--pipeline", "scoring", "-o", "json").data
    assert {each["pipeline"] for each in only["changes"]} == {"scoring"}
    gone = history.ok("diff", "HEAD", "HEAD~1", "--stack", "prod", "-o", "json").data
    assert {each["code"] for each in gone["changes"]} == {"removed"}


def test_a_pipeline_in_python_is_that_of_the_revision(project: Project) -> None:
    code = f"""
        from stowplan import DockerSettings, pipeline, step
        from settings import LEVEL

        @step
        def train() -> None: ...

        image = DockerSettings(parent_image="{PINNED}", environment={{"LEVEL": LEVEL}})

        @pipeline(settings={{"docker": image}})
        def training() -> None:
            train()
    """
    project.write({
        "stowplan.toml": '[pipeline.training]\nsource = "code:training"\n',
        "code.py": code, "settings.py": 'LEVEL = "1"\n', ".gitignore": ".stowplan/\n",
    })  # fmt: skip
    (project.root / "code.py").rename(project.root / "flow.py")
    project.write({"stowplan.toml": '[pipeline.training]\nsource = "flow:training"\n'})
    git(project.root, "init", "--quiet")
    commit(project, "First")
    project.write({"settings.py": 'LEVEL = "2"\n'})
    commit(project, "Second")
    project.write({"settings.py": 'raise SystemExit("not imported")\n'})
    ran = project.ok("diff", "HEAD~1", "HEAD", "--offline")
    assert "environment: LEVEL 1 → 2" in ran.out
    assert "files: 1 changed (settings.py)" in ran.out
    assert project.ok("diff", "HEAD~1", "HEAD", "--pipeline", "flow:training", "--offline").out == ran.out
    commit(project, "Broken")
    broken = project.run("diff", "HEAD~1", "HEAD", "--offline")
    assert broken.code == 1
    assert broken.err.startswith("error: HEAD:settings.py:1: ")
    assert ".stowplan/tmp" not in broken.err
    assert list((project.root / ".stowplan").glob("tmp/*")) == []


def test_a_run_configuration_is_that_of_the_revision(history: Project) -> None:
    for user in ("1", "2"):
        history.write({"run.yaml": f"settings:\n  docker:\n    user: '{user}'\n"})
        commit(history, f"User {user}")
    history.write({"run.yaml": "settings: {docker: {user: '3'}}\n"})
    ran = history.ok("diff", "HEAD~1", "HEAD", "--config", "run.yaml", "--offline")
    assert "user: 1 → 2" in ran.out
    assert "user: 2 → 3" in history.ok("diff", "HEAD", "--config", "run.yaml", "--offline").out
    # One that a lock names is found in its own commit, too.
    history.ok("lock", "training", "--config", "run.yaml")
    commit(history, "User 3")
    assert said(history, "HEAD") == []
    assert "user: none → 3" in history.ok("diff", "HEAD~1", "HEAD", "--offline").out
    missing = history.run("diff", "old", "HEAD", "--config", "run.yaml", "--offline")
    assert (missing.code, missing.err.splitlines()[0]) == (1, "error: old:run.yaml: does not exist")


def test_variables_that_are_not_set_are_equal(history: Project) -> None:
    assert "MODE" not in history.ok("diff", "old", "main").out
    history.write({"stowplan.toml": EDITED.replace("${MODE}", "${OTHER}")})
    commit(history, "Another")
    assert "environment: MODE ${MODE} → ${OTHER}" in history.ok("diff", "old", "HEAD").out


def test_markdown_begins_with_a_marker(history: Project) -> None:
    found = history.ok("diff", "old", "HEAD", "-o", "markdown").out
    ids = [git(history.root, "rev-parse", name)[:12] for name in ("old", "HEAD")]
    changes = r"environment: + LEVEL\=1<br>files: 1 changed (train.py)<br>builds layers: environment, files"
    assert found.splitlines() == [
        "<!-- stowplan diff -->", "",
        "### training on default", "",
        "| image | steps | changes |", "| --- | --- | --- |",
        f"| `training` | `load`, `train` | {changes} |", "",
        f"Compared: `old` ({ids[0]}), `HEAD` ({ids[1]})",
    ]  # fmt: skip
    same = history.ok("diff", "HEAD", "main", "-o", "markdown").out
    assert same.splitlines()[:3] == ["<!-- stowplan diff -->", "", "no changes"]


def test_the_exit_code_tells_changes(history: Project) -> None:
    assert history.run("diff", "old", "HEAD", "--detailed-exitcode").code == 2
    assert history.run("diff", "HEAD", "main", "--detailed-exitcode").code == 0


def test_the_name_of_a_branch_is_text_wherever_it_is_shown(history: Project) -> None:
    name = "x-<script>-@team-`"
    git(history.root, "branch", name)
    found = history.ok("diff", name, "HEAD", "-o", "markdown").out
    assert "<script>" not in found.replace(f"`` {name} ``", "")
    assert json.loads(history.ok("diff", name, "HEAD", "-o", "json").out)["sides"][0]["name"] == name
