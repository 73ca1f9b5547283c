"""What is read of a folder without running it, and that its text is TOML whatever the names are."""

from __future__ import annotations

import ast
import os
import resource
import signal
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import ExecutorError
from executor.scaffold.folder import Folder, Repository, RunConfigurationFile, Script, folder_at, name_from
from executor.scaffold.project_text import Installed, project_text
from executor.scaffold.python_files import PythonPipeline, is_program, parsed, pipelines_of
from executor.scaffold.walk import files_of
from executor.workflow.scaffold import scaffold
from planner import toml
from planner.pipeline import Pipeline

# No file has a NUL in its name.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(NAMES, NAMES, NAMES, st.lists(NAMES, max_size=3), st.sampled_from([(), ("tool", "stowplan")]))
def test_whatever_names_have_the_text_says_it(
    path: str, url: str, reason: str, words: list[str], prefix: tuple[str, ...]
) -> None:
    folder = Folder(
        name=name_from(path, "project"),
        python="3.11",
        python_from="here",
        scripts=(Script("train", path, ("python", path)),),
        groups=tuple(words),
        dockerfile=path,
        configurations=(RunConfigurationFile(path, ()),),
        repository=Repository(name_from(url, "origin"), "git", url),
    )
    installed = Installed({"requirements": path}, (({"pyproject_path": path}, reason),))
    data = toml.parse(project_text(folder, installed, prefix))
    for key in prefix:
        data = data[key]
    assert set(data) == {"pipeline", "stack"}
    assert data["stack"] == {"default": {}}
    ((name, table),) = data["pipeline"].items()
    Pipeline.decode({"name": name, "steps": table["steps"], "step": table["step"]})
    assert table["step"]["train"]["command"] == ["python", path]
    assert table["settings"]["docker"]["requirements"] == path


@given(NAMES, NAMES, st.lists(NAMES, max_size=3))
def test_pipelines_of_others_are_steps_that_can_be_planned(name: str, file: str, steps: list[str]) -> None:
    found = PythonPipeline(name, file, "a:b", "zenml", tuple(steps), ())
    folder = Folder(name="p", python="3.11", python_from="here", pipelines=(found,))
    ((_, table),) = toml.parse(project_text(folder, Installed({})))["pipeline"].items()
    assert Pipeline.decode({"name": "p", "steps": table["steps"]}).steps


def test_steps_are_what_the_project_decorates(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps/all.py").write_text("import zenml\n@zenml.step\ndef train(): ...\n")
    text = (
        "from zenml import pipeline as p\nfrom steps.all import train\n@p\ndef a():\n  Client()\n  train()\n"
    )
    (tmp_path / "p.py").write_text(text)
    (found,) = folder_at(tmp_path, {}).pipelines
    assert found.steps == ("train",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from stowplan import pipeline\n@pipeline\ndef a(): ...", [("a", "m:a")]),
        ("from stowplan import pipeline as p\n@p(name='b')\ndef a(): ...", [("b", "m:a")]),
        ("import stowplan\n@stowplan.pipeline()\ndef a(): ...", [("a", "m:a")]),
        ("import stowplan as s\n@s.pipeline\ndef a(): ...", [("a", "m:a")]),
        (
            "try:\n  from stowplan import pipeline\nexcept E:\n  pass\n@x\n@pipeline\ndef a(): ...",
            [("a", "m:a")],
        ),
        ("from kfp.dsl import pipeline\n@pipeline\ndef a(): ...", []),
        ("from stowplan import pipeline\ndef a(): ...", []),
        ("def pipeline(f): ...\n@pipeline\ndef a(): ...", []),
    ],
)
def test_pipelines_are_told_by_where_their_decorator_is_from(text: str, names: list[tuple[str, str]]) -> None:
    found = pipelines_of("m.py", ast.parse(text))
    assert [(each.name, each.source) for each in found] == names


def test_steps_of_a_pipeline_are_in_the_order_in_which_they_run() -> None:
    text = """
        from stowplan import pipeline, step
        @pipeline(settings=dict(a=1))
        def training(a, b=1, *, c, d=2):
            print("x")
            report(train.with_options(x=1)(load(), a), path=str(a))
            report(train(1))
    """
    (found,) = pipelines_of("jobs/__init__.py", ast.parse(textwrap.dedent(text)))
    assert found.steps == ("load", "train", "report")
    assert found.parameters == ("a", "c")
    assert found.source == "jobs:training"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("print(1)", True),
        ("if __name__ == '__main__':\n    pass", True),
        ("for x in y:\n    pass", True),
        ("import a\n'''doc'''\nX = f()\ndef g(): ...\nclass C: ...", False),
        ("", False),
    ],
)
def test_a_program_does_something(text: str, program: bool) -> None:
    assert is_program(ast.parse(text)) is program


@pytest.mark.parametrize("data", [b"print 1", b"\x00", b"\xff", b"(" * 10_000, b"-" * 100_000])
def test_what_is_no_python_is_passed_over(data: bytes) -> None:
    assert parsed(data) is None


def test_a_walk_ends_and_follows_no_link(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(8):
        deep = deep / "d"
        deep.mkdir()
        (deep / "f.py").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a.py").touch()
    (tmp_path / b"\xff.py".decode(errors="surrogateescape")).touch()
    found = list(files_of(str(tmp_path)))
    assert found == ["a.py", "d/f.py", "d/d/f.py", "d/d/d/f.py"]
    assert folder_at(tmp_path, {}).pipelines == ()


def test_what_may_not_be_read_or_written(unprivileged: Path) -> None:
    (unprivileged / "train.py").write_text("print(1)\n")
    for name in ("conf.yaml", "pyproject.toml", "requirements.txt", "secret.py", "Dockerfile"):
        (unprivileged / name).write_text("x\n")
        (unprivileged / name).chmod(0)
    (unprivileged / "closed").mkdir(mode=0)
    made = scaffold(unprivileged, os.environ)
    assert made.folder.unread == (
        "pyproject.toml cannot be read: Permission denied",
        "secret.py cannot be read: Permission denied",
        "Dockerfile cannot be read: Permission denied",
        "conf.yaml cannot be read: Permission denied",
    )
    ((settings, why),) = made.installed.refused
    assert settings == {"requirements": "requirements.txt"}
    assert "Permission denied" in why
    unprivileged.chmod(0o555)
    with pytest.raises(ExecutorError, match=r"stowplan\.toml: cannot be written: Permission denied"):
        made.write()
    assert not (unprivileged / "stowplan.toml").exists()


def test_what_is_added_is_taken_back_if_it_is_not_whole(tmp_path: Path) -> None:
    """A file may grow no further: what fits of an addition would be broken TOML."""
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.ruff]\n")
    made = scaffold(tmp_path, os.environ, pyproject=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ExecutorError, match=r"pyproject\.toml: cannot be written"):
            made.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "[tool.ruff]\n"
    assert made.write() == ("pyproject.toml", ".dockerignore")
    assert path.read_text().startswith("[tool.ruff]\n\n# Written by")
