"""Mistakes as people make them: what fixtures/mistakes has, and a project to make each in.

A row has the files or settings of a project, a command, its message and its exit code. Its `remedy` is what
the message says to do: other files or settings, commands of a shell, or another command line.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import tomlkit
from attrs import frozen

from tests.e2e.command import PINNED, ROOT, Project, Ran

__all__ = ["DIRECTORY", "Mistake", "made", "mistakes", "remedied", "written"]

DIRECTORY: Final = ROOT / "fixtures" / "mistakes"
# The settings of a row go below the last table.
_PLAIN: Final = f"""[pipeline.train]
steps = ["load", "fit"]

[pipeline.train.settings.docker]
parent_image = "{PINNED}"
"""
_CUSTOM: Final = """[pipeline.train]
steps = ["load"]

[pipeline.train.settings.docker]
dockerfile = "Dockerfile"
"""
# What every project has, unless a row says otherwise.
_FILES: Final = {
    "stowplan.toml": _PLAIN,
    "train.py": """
        def load():
            return 1

        def fit(data=0):
            return data

        def raises():
            return {}["missing"]
        """,
    ".dockerignore": ".git\n.stowplan\n",
    "flow.py": f"""
        from stowplan import DockerSettings, pipeline, step

        @step
        def load() -> int:
            return 1

        @pipeline(settings={{"docker": DockerSettings(parent_image="{PINNED}")}})
        def training():
            load()

        def plain():
            pass
        """,
}


@frozen
class Mistake:
    """A row of the table."""

    area: str
    row: Mapping[str, Any]

    @property
    def id(self) -> str:
        """How the test of it is called."""
        return f"{self.area}: {self.row['name']}"


def mistakes() -> Iterator[Mistake]:
    """All rows of the table."""
    for path in sorted(DIRECTORY.glob("*.toml")):
        for row in tomlkit.parse(path.read_text()).unwrap()["mistake"]:
            yield Mistake(path.stem, row)


def made(project: Project, mistake: Mistake) -> Ran:
    """Make a mistake in an empty project; how its command ends."""
    _lay_out(project, _FILES)
    return _run(project, mistake.row, mistake.row)


def remedied(project: Project, mistake: Mistake) -> Ran:
    """Do what the message says; how the command ends now."""
    remedy = {"stdout": "", **mistake.row["remedy"]}
    return _run(project, remedy, {**mistake.row, **remedy})


def written(project: Project, ran: Ran) -> str:
    """The errors that a command printed, or its last line if none, without what is of this machine."""
    lines: list[str] = []
    for line in ran.err.splitlines():
        if line.startswith("error:") or (lines and line.startswith(" ")):
            lines.append(line)
    text = "\n".join(lines or (ran.err + ran.out).splitlines()[-1:]) + "\n"
    for found, name in (
        (PINNED, "PARENT"),
        (str(project.root), "PROJECT"),
        (str(project.root.parent), "ABOVE"),
        (sys.executable, "PYTHON"),
    ):
        text = text.replace(found, name)
    return re.sub(r"\b[0-9a-f]{12}\b", "COMMIT", re.sub(r"(?<=logs/)r\w+", "RUN", text))


def _run(project: Project, does: Mapping[str, Any], whole: Mapping[str, Any]) -> Ran:
    """Do what a row or its remedy says, and run the command; `whole` is the row as it is by then."""
    settings = whole.get("settings", "").lstrip("\n") + "\n"
    if "dockerfile" in whole and ("dockerfile" in does or "settings" in does):
        _lay_out(project, {"Dockerfile": whole["dockerfile"], "stowplan.toml": _CUSTOM + settings})
    elif "settings" in does:
        _lay_out(project, {"stowplan.toml": _PLAIN + settings})
    _lay_out(project, does.get("files", {}))
    project.env.update(does.get("env", {}))
    for line in does.get("shell", ()):
        _shell(project, line)
    argv = shlex.split(whole.get("run", "plan"))
    if not whole.get("stdout"):
        return project.run(*argv)
    with Path(whole["stdout"]).open("w") as out, tempfile.TemporaryFile("w+") as err:
        process = project.start(*argv, out=out.fileno(), err=err.fileno())
        process.join(60)
        err.seek(0)
        assert process.exitcode is not None
        return Ran(process.exitcode, "", err.read())


def _lay_out(project: Project, files: Mapping[str, str]) -> None:
    project.write({name: text.replace("PARENT", PINNED) for name, text in files.items()})


def _shell(project: Project, line: str) -> None:
    """Run a line: stowplan as the tests run it, anything else in a shell."""
    if line.startswith("stowplan "):
        project.ok(*shlex.split(line)[1:])
        return
    done = subprocess.run(
        ["/bin/sh", "-ec", line.replace("PARENT", PINNED)],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
