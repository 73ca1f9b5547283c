"""How code is delivered, as the command line says it: in each state of a checkout, without an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.e2e.command import Project
from tests.git_situations import BASE_ENVIRONMENT, REGISTERED, SITUATIONS, git

# What a lock is asked about: states that say different things of the code.
STATES: Final = (
    "clean, and pushed",
    "a file is edited",
    "a file is not tracked",
    "the commit is not pushed",
    "a detached HEAD at a commit that is pushed",
    "a shallow clone",
    "no checkout",
    "a bare repository",
)


def made(name: str, tmp_path: Path) -> Project:
    """A project in a situation, on a machine that says nothing of git."""
    place = tmp_path / "place"
    place.mkdir(parents=True)
    return Project(SITUATIONS[name].make(place), {**BASE_ENVIRONMENT, "STOWPLAN_CONTAINER_ENGINE": "docker"})


def test_a_lock_says_the_same_in_every_checkout(tmp_path: Path) -> None:
    locks = set()
    for number, name in enumerate(STATES):
        project = made(name, tmp_path / str(number))
        project.ok("lock")
        project.ok("lock", "--check")
        locks.add((project.root / "stowplan.lock").read_bytes())
    assert len(locks) == 1


def test_a_plan_says_how_the_code_gets_there(tmp_path: Path) -> None:
    project = made("clean, and pushed", tmp_path)
    commit = git(project.root, "rev-parse", "HEAD")
    words = f"code: downloaded from {REGISTERED} at {commit[:12]} (it is committed and pushed)"
    assert f"           {words}\n" in project.ok("plan", "--offline").out
    assert words in project.ok("plan", "--offline", "-o", "markdown").out.replace("\u200b", "")
    assert words.removeprefix("code: ") in project.ok("show", "train", "--offline").out
    found = project.ok("plan", "--offline", "-o", "json").data
    assert found["commit"] == commit
    (image,) = found["images"]
    assert image["delivery"] == {
        "kind": "repository",
        "reason": "it is committed and pushed",
        "repository": {
            "name": "team",
            "type": "git",
            "url": REGISTERED,
            "commit": commit,
            "tree": git(project.root, "rev-parse", "HEAD^{tree}"),
            "subdirectory": "",
            "secret": None,
            "branch": "main",
        },
    }
    shown = project.ok("show", "train", "--offline", "-o", "json").data
    assert shown["files"] == []
    assert "COPY --chown=0:0 bootstrap/ /\n" in shown["dockerfile"]
    assert "trees/files" not in shown["dockerfile"]


def test_a_plan_of_a_checkout_that_is_edited_says_why_the_code_is_copied(tmp_path: Path) -> None:
    project = made("a file is edited", tmp_path)
    words = "copied into the image"
    why = "not committed: train.py; the stack default has no artifact store"
    assert f"           code: {words} ({why})\n" in project.ok("plan", "--offline").out
    found = project.ok("plan", "--offline", "-o", "json").data
    assert found["commit"] is None
    assert found["images"][0]["delivery"]["kind"] == "image"


def test_what_cannot_be_delivered_is_an_error_with_its_line(tmp_path: Path) -> None:
    project = made("many files are edited", tmp_path)
    file = project.root / "stowplan.toml"
    file.write_text(file.read_text().replace(" }", ", allow_including_files_in_images = false }", 1))
    ran = project.run("plan", "--offline")
    assert ran.code == 1
    names = ", ".join([f"f{number}.py" for number in range(10)])
    assert ran.err == (
        "error: stowplan.toml:3: pipeline.training.settings.docker.allow_download_from_code_repository: "
        f"the code cannot be downloaded: not committed: {names} and 3 more\n"
        "       commit and push, or stash, or allow another way, as allow_including_files_in_images does\n"
    )
    # What is written down does not depend on that.
    project.ok("lock")


def test_no_login_of_a_remote_is_shown(tmp_path: Path) -> None:
    project = made("the remote has a login", tmp_path)
    for command in (("plan",), ("plan", "-o", "json"), ("show", "train")):
        ran = project.ok(*command, "--offline")
        assert "s3cret" not in ran.out + ran.err
    git(project.root, "remote", "set-url", "origin", "https://me:s3cret@git.example.com/team/other")
    ran = project.ok("plan", "--offline")
    assert "origin is git.example.com/team/other" in ran.out
    assert "s3cret" not in ran.out + ran.err


GITHUB: Final = '[code_repository.team]\ntype = "github"\n'
GIT: Final = '[code_repository.team]\ntype = "git"\n'


@pytest.mark.parametrize(
    ("text", "error", "fix"),
    [
        (
            '[code_repositry.team]\nurl = "x"',
            "6: code_repositry: unknown name",
            "did you mean 'code_repository'?",
        ),
        (
            f'{GITHUB}uri = "https://github.com/a/b"',
            "7: code_repository.team.uri: unknown name",
            "did you mean 'url'?",
        ),
        (
            f'{GITHUB}url = "https://github.com/a/b"\nsecret = "githab"\n[secret.github]\nenv = "TOKEN"',
            "8: code_repository.team.secret: the secret githab is not declared",
            "did you mean 'github'?",
        ),
        (
            f'{GIT}url = "--upload-pack=touch x"',
            "7: code_repository.team.url: not the URL of a repository: '--upload-pack=touch x'",
            "write it like 'https://github.com/owner/name'",
        ),
        (
            '[code_repository."../x"]\ntype = "git"\nurl = "https://h/a"',
            "6: code_repository.../x.name: not a name: '../x'",
            "use a-z, A-Z, 0-9 and '_', after the first also '.' and '-', at most 100",
        ),
        (
            f'{GIT}url = "https://me:s3cret@h/a"',
            "7: code_repository.team.url: holds credentials: 'https://***@h/a'",
            'leave it out, and name its secret: secret = "NAME"',
        ),
    ],
)
def test_what_is_wrong_with_a_repository_is_said_with_its_line(
    project: Project, text: str, error: str, fix: str
) -> None:
    pipeline = '[pipeline.p]\nsteps = ["a"]\nsettings.docker.parent_image = "x"\n\n'
    project.write({"stowplan.toml": pipeline + text})
    ran = project.run("plan", "--offline")
    assert ran.code == 1
    assert f"error: stowplan.toml:{error}\n       {fix}\n" in ran.err
