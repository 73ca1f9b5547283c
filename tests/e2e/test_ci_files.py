"""What the repository has for the CI of others: a hook of pre-commit, an action and a recipe.

Action and recipe are checked against the schemas of GitHub and GitLab, and their shell is run: with the real
stowplan and git, and with a stand-in for the host that takes the comment. The hook is run by pre-commit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.command import PINNED, ROOT, Project
from tests.git_situations import git
from tests.web import Reply, Request, serving

_MARKER: Final = "<!-- stowplan diff -->"
_FILE: Final = f'[pipeline.a]\nsteps = ["a"]\nsettings.docker = {{ parent_image = "{PINNED}" }}\n'
_EDITED: Final = _FILE.replace(" }", ', apt_packages = ["git"] }')
_ACTION: Final = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
_GITLAB: Final = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text("utf-8"))["stowplan"]
# As GitHub runs a `shell: bash`, and much as GitLab does.
_BASH: Final = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")
# The program that writes to GitHub, as far as the action goes. It keeps the comments in a file.
_GH: Final = """\
#!{python}
import json, os, subprocess, sys
from pathlib import Path

arguments = sys.argv[1:]
assert arguments.pop(0) == "api" and os.environ["GH_TOKEN"] == "of a job"
kept = Path(__file__).with_name("comments.json")
comments = json.loads(kept.read_text())
if "--jq" in arguments:
    flag, path, _, expression = arguments
    assert (flag, path) == ("--paginate", "repos/me/shop/issues/7/comments")
    print(subprocess.run(["jq", "-r", expression], input=kept.read_text(), check=True, text=True,
                         capture_output=True).stdout, end="")
else:
    _, _, method, path, _, body = arguments
    assert body.startswith("body=@")
    text = Path(body.removeprefix("body=@")).read_text()
    if method == "POST":
        assert path == "repos/me/shop/issues/7/comments"
        comments.append({{"id": 100 + len(comments), "body": text}})
    else:
        (mine,) = [each for each in comments if path == f"repos/me/shop/issues/comments/{{each['id']}}"]
        mine["body"] = text
    kept.write_text(json.dumps(comments))
"""


def _program(name: str, package: str) -> None:
    if shutil.which(name) is None:
        words = f"{name} is not there: apt-get install {package}"
        if os.environ.get("STOWPLAN_REQUIRE_ENGINES"):
            pytest.fail(words)
        pytest.skip(words)


@pytest.mark.parametrize(
    ("schema", "name"), [("vendor.github-actions", "action.yml"), ("vendor.gitlab-ci", "ci/gitlab.yml")]
)
def test_a_file_is_what_its_host_takes(schema: str, name: str) -> None:
    words = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / name))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_shell_of_both_is_without_fault() -> None:
    _program("shellcheck", "shellcheck")
    scripts = [step["run"] for step in _ACTION["runs"]["steps"]] + ["\n".join(_GITLAB["script"])]
    for script in scripts:
        done = subprocess.run(
            ("shellcheck", "--shell=bash", "-"), input=script, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of a job: stowplan is installed, and git is told nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "STOWPLAN_"))}
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "HOME": str(tmp_path), "NO_COLOR": "1"}


@pytest.fixture
def clone(project: Project, tmp_path: Path) -> Path:
    """What a job has of a branch: one commit, which changes a setting and brings the lock up to date."""
    project.write({"stowplan.toml": _FILE, "train.py": "1\n"})
    project.ok("lock")
    git(project.root, "init", "--quiet")
    _commit(project)
    git(project.root, "checkout", "--quiet", "-b", "branch")
    project.write({"stowplan.toml": _EDITED})
    project.ok("lock")
    _commit(project)
    place = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=branch", project.root.as_uri(), str(place))
    return place


def _commit(project: Project) -> None:
    git(project.root, "add", "--all")
    git(project.root, "commit", "--quiet", "--message", "Change")


def _make_stale(clone: Path) -> None:
    (clone / "stowplan.toml").write_text(_FILE)
    git(clone, "commit", "--quiet", "--all", "--message", "Stale")


# --- GitHub


def _github(
    clone: Path, environ: Mapping[str, str], **inputs: str
) -> Iterator[tuple[str, subprocess.CompletedProcess[str]]]:
    """Run the steps of the action after the installation, up to one that fails."""
    given = {name: each["default"] for name, each in _ACTION["inputs"].items()} | inputs
    context = {f"inputs.{name}": value for name, value in given.items()} | {"github.event.number": "7"}
    (clone.parent / "temporary").mkdir(exist_ok=True)
    for step in _ACTION["runs"]["steps"][1:]:
        own = {
            name: re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: context[found[1]], value)
            for name, value in step["env"].items()
        } if "env" in step else {}  # fmt: skip
        done = subprocess.run(
            (*_BASH, step["run"]),
            cwd=clone,
            env={
                **environ,
                "GITHUB_BASE_REF": "main",
                "GITHUB_REPOSITORY": "me/shop",
                "GITHUB_STEP_SUMMARY": str(clone.parent / "summary.md"),
                "RUNNER_TEMP": str(clone.parent / "temporary"),
                **own,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        yield step["name"], done
        if done.returncode != 0:
            return


@pytest.fixture
def comments(tmp_path: Path) -> Path:
    """The comments of the pull request, which the stand-in for `gh` keeps."""
    _program("jq", "jq")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/gh"
    program.write_text(_GH.format(python=sys.executable))
    program.chmod(0o755)
    kept = tmp_path / "bin/comments.json"
    kept.write_text(json.dumps([{"id": 1, "body": f"I like {_MARKER}"}]))
    return kept


def test_the_action_writes_a_comment_and_then_edits_it(
    clone: Path, environ: dict[str, str], comments: Path
) -> None:
    ran = dict(_github(clone, environ, token="of a job"))  # no real one
    assert {name: done.returncode for name, done in ran.items()} == {
        "Compare": 0, "Comment": 0, "Check the lock": 0,
    }  # fmt: skip
    text = (clone.parent / "summary.md").read_text()
    assert text.startswith(f"{_MARKER}\n")
    assert "git" in text
    assert [each["body"] for each in json.loads(comments.read_text())] == [f"I like {_MARKER}", text]

    _make_stale(clone)
    ran = dict(_github(clone, environ, token="of a job"))  # as above
    assert ran["Comment"].returncode == 0
    _, second = json.loads(comments.read_text())
    assert second["id"] == 101
    assert second["body"].startswith(f"{_MARKER}\n")
    assert second["body"] != text
    assert (ran["Check the lock"].returncode, "stowplan.lock is stale" in ran["Check the lock"].stdout) == (
        1,
        True,
    )


def test_the_action_does_not_write_a_comment_that_is_too_long(
    clone: Path, environ: dict[str, str], comments: Path
) -> None:
    names = ", ".join(f'"package-{number:05}"' for number in range(5000))
    (clone / "stowplan.toml").write_text(_FILE.replace(" }", f", apt_packages = [{names}] }}"))
    git(clone, "commit", "--quiet", "--all", "--message", "Many")
    ran = dict(_github(clone, environ, token="of a job"))  # as above
    assert ran["Comment"].returncode == 0
    _, comment = json.loads(comments.read_text())
    words = "This is too long for a comment: the summary of the job has it."
    assert comment["body"] == f"{_MARKER}\n\n{words}\n"
    assert "package-04999" in (clone.parent / "summary.md").read_text()


# --- GitLab


def _gitlab(clone: Path, environ: Mapping[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the recipe, but for the installation."""
    first, *script = _GITLAB["script"]
    assert " pip install " in first
    return subprocess.run(
        (*_BASH, "\n".join(script)),
        cwd=clone,
        env={**environ, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_recipe_writes_a_note_and_then_edits_it(clone: Path, environ: dict[str, str]) -> None:
    notes: list[dict[str, Any]] = [{"id": 1, "body": f"I like {_MARKER}"}]
    path = "/api/v4/projects/5/merge_requests/7/notes"

    def answer(request: Request) -> Reply:
        assert request.headers["Private-Token"] == "of a project"
        where, _, question = request.path.partition("?")
        if request.method == "GET":
            assert (where, question) == (path, "sort=asc&per_page=100")
            return Reply(body=json.dumps(notes).encode())
        body = json.loads(request.body)["body"]
        if request.method == "POST":
            assert where == path
            notes.append({"id": 100, "body": body})
        else:
            assert (request.method, where) == ("PUT", f"{path}/100")
            notes[1]["body"] = body
        return Reply(body=b"{}")

    with serving(answer) as site:
        variables = {
            "GITLAB_TOKEN": "of a project",
            "CI_API_V4_URL": f"http://{site.address}/api/v4",
            "CI_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_IID": "7",
        }
        ran = _gitlab(clone, environ, **variables)
        assert (ran.returncode, "stowplan.lock is up to date" in ran.stdout) == (0, True), ran.stderr
        first = (clone / "stowplan.md").read_text()
        assert [note["body"] for note in notes] == [f"I like {_MARKER}", first]
        _make_stale(clone)
        ran = _gitlab(clone, environ, **variables)
        assert (ran.returncode, "stowplan.lock is stale" in ran.stdout) == (1, True), ran.stderr
    assert [note["body"] for note in notes] == [f"I like {_MARKER}", (clone / "stowplan.md").read_text()]
    assert notes[1]["body"] != first


def test_without_a_token_the_recipe_prints_what_it_would_write(clone: Path, environ: dict[str, str]) -> None:
    ran = _gitlab(clone, environ)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{_MARKER}\n")


# --- pre-commit


def test_the_hook_stops_a_commit_with_a_stale_lock(
    project: Project, environ: dict[str, str], tmp_path: Path
) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", ours)
    git(ours, "init", "--quiet")
    git(ours, "add", "--all")
    git(ours, "commit", "--quiet", "--message", "Hooks")
    # Instead of an installation from an index, the stowplan that is here.
    hook = {"id": "stowplan-lock", "language": "system"}
    source = {"repo": str(ours), "rev": git(ours, "rev-parse", "HEAD"), "hooks": [hook]}
    project.write({"stowplan.toml": _FILE, ".pre-commit-config.yaml": yaml.safe_dump({"repos": [source]})})
    project.ok("lock")
    git(project.root, "init", "--quiet")
    git(project.root, "add", "--all")

    def commits() -> tuple[int, str]:
        program = (sys.executable, "-m", "pre_commit", "run")
        home = {**environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            program, cwd=project.root, env=home, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    code, said = commits()
    assert (code, "stowplan.lock is up to date....." in said) == (0, True), said
    project.write({"stowplan.toml": _EDITED})
    git(project.root, "add", "--all")
    code, said = commits()
    assert (code, "stowplan.lock is stale: 1 plan, 1 image; write it with `stowplan lock`" in said) == (
        1,
        True,
    ), said
