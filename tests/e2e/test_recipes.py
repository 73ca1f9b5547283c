"""The jobs of docs/how-to.md that need a host: their scripts run here, with a stand-in for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e.command import PINNED, ROOT, Project
from tests.e2e.pages import Page
from tests.git_situations import git

FILE: Final = f"""
[pipeline.training]
steps = ["train"]
settings.docker = {{ parent_image = "{PINNED}" }}
"""
# What `gh api` does of it: lists comments through a filter of jq, posts one, and edits one.
GH: Final = """\
#!{python}
import json, pathlib, sys
words = sys.argv[1:]
store = pathlib.Path({store!r})
comments = json.loads(store.read_text())
assert words.pop(0) == "api", words
if words[0] == "--method":
    (_, method, path, flag, field) = words
    name, _, file = field.partition("=@")
    assert (flag, name) == ("-F", "body"), words
    body = pathlib.Path(file).read_text()
    if method == "POST":
        assert path == "repos/team/code/issues/7/comments", path
        comments.append({{"id": len(comments) + 1, "body": body}})
    else:
        assert method == "PATCH", method
        (prefix, _, number) = path.rpartition("/")
        assert prefix == "repos/team/code/issues/comments", path
        comments[int(number) - 1]["body"] = body
    store.write_text(json.dumps(comments))
else:
    assert words[:3] == ["--paginate", "repos/team/code/issues/7/comments", "--jq"], words
    assert words[3] == {jq!r}, words
    for each in comments:
        if each["body"].startswith({marker!r}):
            print(each["id"])
"""
MARKER: Final = "<!-- stowplan diff -->"
JQ: Final = f'.[] | select(.body | startswith("{MARKER}")) | .id'


@pytest.fixture
def script() -> str:
    """The script of the job that comments."""
    page = Page.read(ROOT / "docs/how-to.md")
    jobs: list[Any] = [yaml.safe_load(block.text) for block in page.blocks if block.language == "yaml"]
    (job,) = [each["jobs"]["comment"] for each in jobs if "comment" in each.get("jobs", {})]
    (found,) = [step["run"] for step in job["steps"] if "gh api" in step.get("run", "")]
    return str(found)


@pytest.mark.parametrize("main", ["", "project", "lock"])
def test_a_pull_request_has_one_comment_which_is_kept_up_to_date(
    project: Project, tmp_path: Path, script: str, main: str
) -> None:
    root = project.root
    project.write({"README": "", ".gitignore": ".stowplan/\n"})
    if main:
        project.write({"stowplan.toml": FILE})
    if main == "lock":
        project.ok("lock")
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root)
    git(root, "checkout", "--quiet", "-b", "feature")
    project.write({"stowplan.toml": FILE.replace(" }", ', user = "1" }')})
    project.ok("lock")
    store = tmp_path / "comments"
    store.write_text(json.dumps([{"id": 1, "body": f"Somebody quotes {MARKER}"}]))
    bodies = []
    for user in ("1", "2"):
        project.write({"stowplan.toml": FILE.replace(" }", f', user = "{user}" }}')})
        project.ok("lock")
        commit(root)
        checkout = tmp_path / f"checkout-{user}"
        git(tmp_path, "clone", "--quiet", "--depth=1", "--branch=feature", f"file://{root}", checkout.name)
        run(script, checkout, tmp_path, store)
        said = json.loads(store.read_text())
        assert [each["id"] for each in said] == [1, 2]
        assert said[0]["body"] == f"Somebody quotes {MARKER}"
        bodies.append(said[1]["body"])
    assert all(body.startswith(f"{MARKER}\n\n### training on default\n") for body in bodies)
    assert ["none → 1" in body or "new image" in body for body in bodies] == [True, not main]
    assert ("user: none → 2" in bodies[1]) == bool(main)
    assert ("origin/main: there is no project file" in bodies[0]) == (not main)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Commit")


def run(script: str, checkout: Path, place: Path, store: Path) -> None:
    """Run the script of a job, as a runner of GitHub does."""
    programs = place / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "gh").write_text(GH.format(python=sys.executable, store=str(store), jq=JQ, marker=MARKER))
    stowplan = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m executor.cli "$@"\n'
    (programs / "stowplan").write_text(stowplan)
    for program in programs.iterdir():
        program.chmod(0o755)
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "GITHUB_BASE_REF": "main",
        "GITHUB_REPOSITORY": "team/code",
        "PULL_REQUEST": "7",
        "RUNNER_TEMP": str(place),
        "HOME": str(place),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    words = ["bash", "-e", "-o", "pipefail", "-c", textwrap.dedent(script)]
    done = subprocess.run(words, cwd=checkout, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
