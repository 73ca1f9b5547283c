"""A value is planted in the environment and looked for, in every encoding, in all that commands leave behind:
what they print, the lock, the records, the logs, temporary files, and the arguments of the programs they run.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.command import Project, Ran
from tests.e2e.conftest import chosen_engine
from tests.encodings import forms, found

# With what encoders change, and long enough for a line of base64 to be cut in it.
TOKEN: Final = "pl4nted+T0ken/with=\"quotes\" 'n' $igns & <more> \\ é " + "0123456789abcdefghijKLMNOP" * 3

# Run in the image by a command that fails: it writes its environment down in many ways. All of it goes to one
# stream, since the classic builder reads two of them in any order.
LEAK: Final = """
    import base64, html, json, os, shlex, sys, textwrap, urllib.parse
    token = os.environ["TOKEN"]
    data = token.encode()
    for text in (token, f"me:{token}", json.dumps({"auth": token}), f"https://me:{token}@h"):
        print(text, shlex.quote(text), json.dumps(text), repr(text), ascii(text), html.escape(text))
        print(urllib.parse.quote(text), urllib.parse.quote_plus(text), urllib.parse.quote(text, safe=""))
        print(text.encode().hex(), text.encode().hex().upper(), text.encode())
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            print(encode(text.encode()).decode(), urllib.parse.quote(encode(text.encode()), safe=""))
            for line in textwrap.wrap(encode(text.encode()).decode(), 76):
                print(line)
    print("the last words", flush=True)
    sys.exit(3)
    """

# In place of a program: writes its arguments down and becomes the program.
WATCHED: Final = """\
#!/bin/sh
{{ printf '%s\\0' "$@"; echo; }} >> '{log}'
exec {program} "$@"
"""


@pytest.fixture(params=["buildkit", "classic", "podman"])
def leaking(request: pytest.FixtureRequest, project: Project, tmp_path: Path, base: str) -> Iterator[Project]:
    """A project of two images, one of which writes a planted value down while it is built, and fails."""
    name = "podman" if request.param == "podman" else "docker"
    engine = chosen_engine(name)
    programs, scratch = tmp_path / "programs", tmp_path / "scratch"
    scratch.mkdir()
    program = f"'{shutil.which(name)}'"
    # Docker's builder is a plugin, which is started by itself. The real one is not where ours is looked for.
    watched = {name: program, "cli-plugins/docker-buildx": f"env -u DOCKER_CONFIG {program} buildx"}
    for path, real in watched.items():
        (programs / path).parent.mkdir(parents=True, exist_ok=True)
        (programs / path).write_text(WATCHED.format(log=tmp_path / "arguments", program=real))
        (programs / path).chmod(0o755)
    project.env |= {
        "STOWPLAN_CONTAINER_ENGINE": name,
        "STOWPLAN_DOCKER_BUILDER": "auto" if request.param == "podman" else request.param,
        "TOKEN": TOKEN,
        "DOCKER_CONFIG": str(programs),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(scratch),
    }
    project.write({
        "leak.py": LEAK,
        "stowplan.toml": f"""
            [pipeline.p]
            steps = ["a"]
            [pipeline.p.settings.docker]
            parent_image = "{base}"
            environment = {{ TOKEN = "${{TOKEN}}", INDEX = "https://me:${{TOKEN}}@example.org/simple" }}
            runtime_environment = {{ AGAIN = "x${{TOKEN}}y" }}
            local_project_install_command = "python3 leak.py"
            build_config.build_options.network = "none"
            [pipeline.q]
            steps = ["a"]
            [pipeline.q.settings.docker]
            parent_image = "{base}"
            environment = {{ TOKEN = "${{TOKEN}}" }}
            build_config.build_options.network = "none"
            """,
    })  # fmt: skip
    yield project
    for build in project.run("builds", "list", "--images", "-o", "json").data["records"]:
        if build["status"] == "built":
            engine.remove(build["reference"])


def said(ran: Ran) -> str:
    """All that a command printed."""
    return f"{ran.out}\n{ran.err}"


def left(directory: Path) -> dict[str, list[str]]:
    """The files below a directory that the planted value is in, in whatever encoding, and in which."""
    paths = [path for path in directory.rglob("*") if path.is_file() and path.name != "leak.py"]
    hits = {str(path.relative_to(directory)): found(TOKEN, path.read_bytes()) for path in paths}
    return {name: which for name, which in hits.items() if which}


def test_a_value_is_left_nowhere(leaking: Project, tmp_path: Path) -> None:
    outputs = ("text", "json", "markdown")
    for output in outputs:
        for command in (["plan", "p"], ["show", "p/a", "--pipeline", "p"], ["lock"], ["diff"]):
            assert found(TOKEN, said(leaking.run(*command, "-o", output))) == []
        failed = leaking.run("apply", "p", "-o", output)
        assert failed.code == 1
        # It is the build that failed, and its output that was masked.
        assert "the last words" in said(failed)
        assert "***" in said(failed)
        assert found(TOKEN, said(failed)) == []
    for output in outputs:
        shown = leaking.ok("builds", "show", "1", "-o", output)
        assert "the last words" in shown.out
        assert found(TOKEN, shown.out) == []
        for listed in (("list",), ("list", "--images")):
            assert found(TOKEN, said(leaking.ok("builds", *listed, "-o", output))) == []
    assert {path.name for path in leaking.root.rglob("*")} >= {"stowplan.lock", "records.sqlite3"}
    assert left(leaking.root) == {}
    assert left(tmp_path / "scratch") == {}
    # The classic builder is spoken to without a program.
    arguments = tmp_path / "arguments"
    assert arguments.exists() == (leaking.env["STOWPLAN_DOCKER_BUILDER"] != "classic")
    if arguments.exists():
        assert b"build\0" in arguments.read_bytes()
        assert found(TOKEN, arguments.read_bytes()) == []


def test_a_value_of_an_image_that_is_built_is_left_in_the_image_only(leaking: Project) -> None:
    built = leaking.ok("apply", "q", "-o", "json")
    assert found(TOKEN, said(built)) == []
    leaking.env["TOKEN"] = "another value"
    for output in ("text", "json", "markdown"):
        changed = leaking.ok("plan", "q", "-o", output)
        assert "TOKEN" in changed.out
        assert found(TOKEN, said(changed)) == []
    leaking.env["TOKEN"] = TOKEN + "\n"
    refused = leaking.run("apply", "q")
    assert refused.code == 1
    assert "TOKEN" in refused.err
    assert found(TOKEN, said(refused)) == []
    assert left(leaking.root) == {}


def test_what_is_looked_for_can_be_found(tmp_path: Path) -> None:
    for form in forms(TOKEN):
        (tmp_path / "file").write_text(f"x{form}y")
        assert left(tmp_path)
    database = sqlite3.connect(tmp_path / "records.sqlite3")
    with database:
        database.execute("CREATE TABLE builds (error TEXT)")
        database.execute("INSERT INTO builds VALUES (?)", (textwrap.dedent(TOKEN),))
    database.close()
    assert "records.sqlite3" in left(tmp_path)
