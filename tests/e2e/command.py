"""The command line as a person runs it: a process with a directory, an environment and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field

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

    def run(self, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ran:
        """Run stowplan and wait for it."""
        ended = subprocess.run(
            self.command(*argv),
            cwd=cwd or self.root,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

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
