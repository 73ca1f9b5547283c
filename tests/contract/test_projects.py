"""The user's own command that installs the project: which uv it finds, and whose is what it makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from executor.engines.protocol import Engine
from planner.planning import UV_VERSION
from tests.contract.images import TEST_BASE, build, build_text
from tests.index import wheel

# Where the Python is that the project is to be installed for, and how a parent can be awkward about it.
ENVIRONMENT: Final = "RUN python -m venv {} /opt/env\nENV VIRTUAL_ENV=/opt/env\n"
PARENTS: Final = {
    "system": ("ENV A=1\n", "python"),
    "environment": (ENVIRONMENT.format("--without-pip"), "/opt/env/bin/python"),
    "python3 alone": ('RUN rm "$(command -v python)"\n', "python3"),
    "user": (
        ENVIRONMENT.format("")
        + "RUN useradd --create-home runner && chown -R runner /opt/env\nUSER runner\n",
        "/opt/env/bin/python",
    ),
}
LOOK: Final = """
import cargo, glob, json, os, shutil
print(json.dumps({
    "where": cargo.__file__,
    "uv": shutil.which("uv"),
    "left": [*os.listdir("/tmp"), *glob.glob("/root/.cache/uv"), *glob.glob("/home/*/.cache/uv")],
}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs nothing to be built, and that no build before has made a layer of."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "unique").write_text(str(uuid4()))
    name, data = wheel("cargo", "1.0")
    (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize("kind", PARENTS)
def test_uv_is_there_for_a_command_that_calls_it_and_nothing_stays(
    engine: Engine, new_tag: Callable[[str], str], project: Path, kind: str
) -> None:
    parent, tag = new_tag("localhost"), new_tag("localhost")
    text, program = PARENTS[kind]
    build_text(engine, parent, f"FROM {TEST_BASE}\n{text}\n")
    command = "uv pip install --offline ./cargo-1.0-py3-none-any.whl && uv --version"
    lines = build(engine, tag, project, {"local_project_install_command": command}, parent=parent)
    assert any(f"uv {UV_VERSION}" in line for line in lines)
    done = engine.run(tag, (program, "-c", LOOK))
    assert done.code == 0, done.output
    found = json.loads(done.output)
    assert found["where"].startswith("/opt/env/") is program.startswith("/opt/env/")
    assert (found["uv"], found["left"]) == (None, [])
    engine.remove(tag)


def test_a_command_that_calls_uv_finds_that_of_the_parent(
    engine: Engine, new_tag: Callable[[str], str], project: Path
) -> None:
    """It may be another one, and need no Python."""
    parent, tag = new_tag("localhost"), new_tag("localhost")
    text = (
        'RUN rm "$(command -v python)" /usr/bin/python3* && '
        "printf '#!/bin/sh\\necho \"$@\" $UV_PYTHON > /app/asked\\n' > /usr/bin/uv && chmod +x /usr/bin/uv\n"
    )
    build_text(engine, parent, f"FROM {TEST_BASE}\n{text}")
    build(engine, tag, project, {"local_project_install_command": "uv sync --locked"}, parent=parent)
    assert engine.run(tag, ("cat", "/app/asked")).output.strip() == "sync --locked"
    assert engine.run(tag, ("/bin/sh", "-c", "ls -A /tmp")).output.strip() == ""
    engine.remove(tag)


OWNERS: Final = (
    "find /app -printf '%P %U:%G\\n' | sort > /dev/shm/all; cat /dev/shm/all; stat -c '%n %u:%g' /outside"
)


@pytest.mark.parametrize("tools", ["", "RUN mv /usr/bin/find /usr/bin/gnu-find\n"], ids=["find", "no find"])
@pytest.mark.parametrize("user", ["1234:4321", "1234"])
def test_what_a_command_makes_belongs_to_the_user(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path, user: str, tools: str
) -> None:
    owner = user if ":" in user else f"{user}:0"
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}\nRUN mkdir /app && echo old > /app/theirs\n{tools}")
    (tmp_path / "train.py").write_text("")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/data").write_text("")
    command = (
        "mkdir -p 'a dir' && cp -p train.py 'a dir/copy' && ln -s /outside link && "
        "touch /outside deep/new for-5 && chown 5:5 for-5"
    )
    settings = {"local_project_install_command": command, "user": user}
    build(engine, tag, tmp_path, settings, parent=parent)
    look = OWNERS.replace("find /app", "gnu-find /app") if tools else OWNERS
    done = engine.run(tag, ("/bin/sh", "-c", look))
    assert done.code == 0, done.output
    found = dict(line.rsplit(" ", 1) for line in done.output.splitlines())
    # What it made elsewhere stays root's, and what it gave somebody else, theirs.
    assert found.pop("/outside") == "0:0"
    expected = dict.fromkeys(
        ("", "a dir", "a dir/copy", "deep", "deep/data", "deep/new", "link", "train.py"), owner
    )
    # Without GNU's find nobody tells what was there before.
    kept = {"theirs": owner, "for-5": owner} if tools else {"theirs": "0:0", "for-5": "5:5"}
    assert found == {**expected, **kept}
    engine.remove(tag)
