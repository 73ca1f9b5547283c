"""What shells complete: asked as bash asks, and by bash itself. Nothing is imported, and nothing is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from executor.cli.completion import SHELLS, VARIABLE
from executor.cli.main import run

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = """\
[pipeline.training]
steps = ["load", "train"]
[pipeline.training.settings.docker]
parent_image = "python:3.11-slim@sha256:{digest}"
[secret.pypi]
env = "PYPI"
[pipeline.python]
source = "pipe:train"
[stack.default]
[stack.prod]
container_registry.uri = "localhost:1/team"
"""
LOCK: Final = """\
version = 2
[[image]]
pipeline = "training"
name = "training/train"
steps = ["train"]
[image.parent]
reference = "docker.io/library/python:3.11-slim"
[[package]]
name = "six"
version = "1.16.0"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stowplan.toml").write_text(PROJECT.format(digest="0" * 64), encoding="utf-8")
    (tmp_path / "stowplan.lock").write_text(LOCK, encoding="utf-8")
    (tmp_path / "pipe.py").write_text("open('imported', 'w')\n", encoding="utf-8")
    return tmp_path


def completed(typed: str, directory: Path) -> list[str]:
    """What is offered for what is typed, whose last word is the one to complete. Nothing else is said."""
    words = typed.split(" ")
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), VARIABLE: "bash_complete",
        "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "executor.cli"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("stowplan impa", ["impact"]),
        ("stowplan builds sh", ["show"]),
        ("stowplan plan --det", ["--detailed-exitcode"]),
        ("stowplan plan ", ["training", "python"]),
        ("stowplan plan --stack ", ["default", "prod"]),
        ("stowplan why --pipeline ", ["training", "python"]),
        ("stowplan diff --pipeline ", ["training", "python"]),
        ("stowplan plan --engine p", ["podman"]),
        ("stowplan show tr", ["training", "train", "training/train"]),
        ("stowplan why train s", ["six"]),
        ("stowplan impact p", ["python:3.11-slim", "pypi", "parent_image"]),
        ("stowplan integrations show light", ["lightgbm", "lightning"]),
        ("stowplan schema pro", ["project"]),
        ("stowplan completion f", ["fish"]),
        ("stowplan builds show ", []),
        ("stowplan runs show ", []),
        ("stowplan no-command ", []),
    ],
)
def test_names_of_the_project_are_completed(typed: str, names: list[str], project: Path) -> None:
    found = completed(typed, project)
    assert [name for name in found if name in names] == names
    if names and not typed.startswith("stowplan impact"):
        assert found == names
    assert not (project / "imported").exists()
    assert not (project / ".stowplan").exists()


def test_another_directory_is_completed_from(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert completed("stowplan plan ", elsewhere) == []
    assert completed(f"stowplan plan --project {project} ", elsewhere) == ["training", "python"]


@pytest.mark.parametrize("text", ["[", "pipeline = 3\n", "\udcff", "pipeline.p.steps = 3\n"])
def test_what_cannot_be_read_completes_nothing(text: str, project: Path) -> None:
    (project / "stowplan.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    (project / "stowplan.lock").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert set(completed("stowplan show ", project)) <= {"p"}


def test_a_file_that_never_ends_completes_nothing(project: Path) -> None:
    (project / "stowplan.toml").unlink()
    os.mkfifo(project / "stowplan.toml")
    assert completed("stowplan plan ", project) == []


def test_names_that_a_terminal_would_obey_are_left_out(project: Path) -> None:
    with (project / "stowplan.toml").open("a", encoding="utf-8") as file:
        file.write('[stack."prod\\u001b[31m"]\n')
    assert completed("stowplan plan --stack p", project) == ["prod"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(project: Path) -> None:
    directory = project / "bin"
    directory.mkdir()
    program = directory / "stowplan"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m executor.cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(stowplan completion bash)"; complete -p stowplan\n'
        "COMP_WORDS=(stowplan show train); COMP_CWORD=2; _stowplan_completion stowplan\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=project,
        env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    head, *names = done.stdout.splitlines()
    assert head.endswith("-F _stowplan_completion stowplan")
    assert names == ["training", "train", "training/train"]
    assert done.stderr == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_it_can_read(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    text = capfd.readouterr().out
    assert f"{VARIABLE}={shell}_complete" in text
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n"], input=text, text=True, check=True)


def test_another_shell_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "csh"]) == 64
    assert "bash" in capsys.readouterr().err
