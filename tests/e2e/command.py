"""The command line as a person runs it: a process with a directory, an environment and an exit code."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from executor.cli.main import main

# Each command is a process, but one that is forked where everything is imported: most of the time of a
# command is that of its imports.
PROCESSES: Final = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.e2e.preloaded"])

ROOT: Final = Path(__file__).parents[2]
# No registry has to be asked for a parent that is given by its digest.
PINNED: Final = f"python@sha256:{'0' * 64}"


@define
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed as JSON, which must be all that it printed."""
        return json.loads(self.out)

    def image(self, name: str) -> Any:
        """One image of what it printed as JSON."""
        return next(image for image in self.data["images"] if image["name"] == name)


def be_command(argv: Sequence[str], cwd: str, environ: Mapping[str, str], out: Any, err: Any) -> None:
    """Be stowplan, in a new process: the target of one that is forked."""
    # The parent's three streams go: these are those that the command has.
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out.detach(), err.detach())):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = map(os.fdopen, range(3), "rww")
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    main(list(argv))


@define
class Project:
    """A directory with files, and stowplan run in it."""

    root: Path
    env: dict[str, str] = field(factory=dict)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files by their paths; indentation that all lines share is dropped."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))

    def command(self, *argv: str) -> list[str]:
        """The words of a stowplan command."""
        return [sys.executable, "-m", "executor.cli", *argv]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment that commands run in."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **self.env, **(extra or {})}

    def start(
        self, *argv: str, out: int, err: int, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> BaseProcess:
        """Start stowplan with two open files for what it says."""
        arguments = (argv, str(cwd or self.root), self.environment(env), DupFd(out), DupFd(err))
        process = PROCESSES.Process(target=be_command, args=arguments)
        process.start()
        return process

    def run(self, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ran:
        """Run stowplan and wait for it."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = self.start(*argv, out=out.fileno(), err=err.fileno(), env=env, cwd=cwd)
            process.join(600)
            assert process.exitcode is not None, f"stowplan {' '.join(argv)} does not end"
            for file in (out, err):
                file.seek(0)
            return Ran(process.exitcode, out.read(), err.read())

    def ok(self, *argv: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run stowplan, which must end well."""
        ran = self.run(*argv, env=env)
        assert ran.code == 0, f"stowplan {' '.join(argv)} ended with {ran.code}:\n{ran.out}\n{ran.err}"
        return ran

    def state(self) -> dict[str, bytes]:
        """All files of the project and what is in them, but for the cache, which any command may write."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.is_symlink()
            if not str(path).endswith((".stowplan/.gitignore", ".stowplan/cache.sqlite3"))
        }
