"""The directory of the code, where any user may write to it: whoever runs the container, group 0 may."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from executor.engines.protocol import Engine
from executor.process import Command, run
from tests.contract.images import TEST_BASE, build, build_text

# As root and as users that no image knows: all that is in the directory, and what can be done to it.
LOOK: Final = """
import json, os
found = {}
for directory, below, files in os.walk("/app"):
    for path in [directory, *(os.path.join(directory, name) for name in files)]:
        state = os.lstat(path)
        found[path] = [state.st_uid, state.st_gid, oct(state.st_mode)[-4:]]
for path in found:
    if os.path.basename(path) not in ("here", "link", "theirs", "tool") and os.path.isfile(path):
        open(path, "a").close()
    elif os.path.isdir(path):
        os.mkdir(os.path.join(path, "by-any-user"))
os.chdir("/app")
open("train.py", "w").write("changed")
os.rename("train.py", "moved.py")
print(json.dumps({"ids": [os.getuid(), os.getgid()], "found": found}))
"""
COMMAND: Final = (
    "umask 077 && mkdir -p build && echo x > build/made && touch src/new 'a b' && ln -s /outside link && "
    "touch tool && chmod 0500 tool"
)
PARENTS: Final = {
    "plain": "ENV A=1\n",
    "user": "USER 1001:0\n",
    "volume": "VOLUME /app\n",
    "directory": "RUN mkdir -m 0700 /app && echo old > /app/theirs && chown -R 5:5 /app\n",
    "no find": "RUN mv /usr/bin/find /usr/bin/gnu-find\n",
}


def as_user(engine: Engine, tag: str, user: str, program: str) -> Any:
    """What a Python program prints as JSON in a container that another user runs."""
    done = run(Command((engine.name, "run", "--rm", f"--user={user}", tag, "python", "-c", program)))
    assert done.code == 0, done.stderr
    return json.loads(done.text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a directory, an executable and a link."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/data").write_text(str(uuid4()))
    (tmp_path / "train.py").write_text("")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "here").symlink_to("train.py")
    return tmp_path


@pytest.mark.parametrize("owner", [None, "1234"])
@pytest.mark.parametrize("kind", PARENTS)
def test_any_user_may_write(
    engine: Engine, new_tag: Callable[[str], str], project: Path, kind: str, owner: str | None
) -> None:
    parent, tag = new_tag("localhost"), new_tag("localhost")
    build_text(engine, parent, f"FROM {TEST_BASE}\n{PARENTS[kind]}")
    settings = {"writable_by_any_user": True, "user": owner}
    # A volume of the parent's keeps nothing that a command makes in it, but with BuildKit.
    commanded = kind not in {"volume", "directory"}
    if commanded:
        settings["local_project_install_command"] = COMMAND
    build(engine, tag, project, settings, parent=parent)
    found = as_user(engine, tag, "12345:0", LOOK)
    assert found["ids"] == [12345, 0]
    uid = int(owner or 0)
    # What a command makes is that of whoever runs it, where no user is set.
    maker = uid if owner or kind != "user" else 1001
    files = found["found"]
    assert files.pop("/app/here")[:2] == [uid, 0]
    expected = {
        "/app": [uid, 0, "0775"],
        "/app/src": [uid, 0, "0775"],
        "/app/src/data": [uid, 0, "0664"],
        "/app/train.py": [uid, 0, "0664"],
        "/app/run.sh": [uid, 0, "0775"],
    }
    if kind == "directory":
        expected["/app/theirs"] = [5, 5, "0644"]
    if commanded:
        assert files.pop("/app/link")[1] == 0
        expected |= {
            "/app/build": [maker, 0, "0770"],
            "/app/build/made": [maker, 0, "0660"],
            "/app/src/new": [maker, 0, "0660"],
            "/app/a b": [maker, 0, "0660"],
            "/app/tool": [maker, 0, "0550"],
        }
    assert files == expected
    engine.remove(tag)


def test_what_was_copied_is_stored_once(engine: Engine, tag: str, project: Path) -> None:
    """Modes are those of the build context, and no command changes those of what is there already."""
    size = 3_000_000
    (project / "large").write_bytes(b"x" * size)
    command = {"local_project_install_command": "true"}
    sizes = []
    for settings in ({}, {"writable_by_any_user": True, **command}):
        build(engine, tag, project, settings)
        done = run(Command((engine.name, "image", "inspect", "--format={{.Size}}", tag)))
        sizes.append(int(done.text))
    assert sizes[1] - sizes[0] < size // 2


def test_only_if_it_is_asked_for(engine: Engine, tag: str, project: Path) -> None:
    build(engine, tag, project, {"user": "1234"})
    look = (
        "import json, os; print(json.dumps([os.access(path, os.W_OK) for path in ('/app', '/app/train.py')]))"
    )
    assert as_user(engine, tag, "12345:0", look) == [False, False]
    assert as_user(engine, tag, "1234:1234", look) == [True, True]
