"""The bootstrap as containers run it: its file, a Python, a source root and an exchange directory."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from executor.bootstrap_file import bootstrap

__all__ = ["OLD_PYTHONS", "PYTHONS", "Bench", "Ran", "sha256"]

_VERSIONS: Final = ["2.7", *(f"3.{minor}" for minor in range(6, 16))]


@cache
def _pythons() -> dict[str, str]:
    """Every Python of this machine, by its version."""
    names = [shutil.which(f"python{version}") for version in _VERSIONS]
    kept = sorted(str(path) for path in (Path.home() / ".pyenv/versions").glob("*/bin/python"))
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    for python in (*filter(None, names), *kept):
        asked = subprocess.run(
            [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=False,
            capture_output=True,
            text=True,
        )
        version = asked.stdout.strip()
        # A name of a version manager may lead nowhere.
        if re.fullmatch(r"\d+\.\d+", version):
            found.setdefault(version, python)
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


_SORTED: Final = sorted(_pythons().items(), key=lambda item: _number(item[0]))
PYTHONS: Final = [item for item in _SORTED if _number(item[0]) >= (3, 8)]
"""Those that the bootstrap is for."""

OLD_PYTHONS: Final = [item for item in _SORTED if _number(item[0]) < (3, 8)]
"""Those that it is not for."""


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@frozen
class Ran:
    """How the bootstrap ended, and what it left."""

    exit_code: int
    stdout: str
    stderr: str
    result: Any

    @property
    def error(self) -> Any:
        """What `result.json` says that went wrong."""
        return self.result["error"]


@frozen
class Bench:
    """Where a step is run: directories of a test."""

    directory: Path
    python: str = sys.executable
    environment: Mapping[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for path in (self.root, self.exchange):
            path.mkdir(parents=True, exist_ok=True)
        self.file.write_bytes(bootstrap())

    @property
    def root(self) -> Path:
        """The source root."""
        return self.directory / "app"

    @property
    def exchange(self) -> Path:
        """The exchange directory."""
        return self.directory / "exchange"

    @property
    def file(self) -> Path:
        """The bootstrap."""
        return self.directory / "bootstrap.pyz"

    def write(self, name: str, text: str) -> None:
        """Write a file of the source root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def job(
        self,
        function: str | None = None,
        *,
        command: Sequence[str] | None = None,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] = (),
        **more: Any,
    ) -> dict[str, Any]:
        """A job for it."""
        return {
            "version": 1,
            "run": "r1",
            "step": "train",
            "directory": str(self.root),
            "code": None,
            "entrypoint": {"function": function} if function else {"command": list(command or ())},
            "inputs": dict(inputs or {}),
            "outputs": list(outputs),
            **more,
        }

    def start(self, job: object) -> subprocess.Popen[str]:
        """Start a job, whose output and end are awaited by `ended`."""
        process = subprocess.Popen(
            [self.python, str(self.file), "run", str(self.exchange)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **self.environment},
        )
        assert process.stdin is not None
        process.stdin.write(job if isinstance(job, str) else json.dumps(job))
        process.stdin.close()
        process.stdin = None
        return process

    def ended(self, process: subprocess.Popen[str]) -> Ran:
        """How a process ends."""
        stdout, stderr = process.communicate()
        result = self.exchange / "result.json"
        found = json.loads(result.read_text(encoding="ascii")) if result.exists() else None
        return Ran(process.returncode, stdout, stderr, found)

    def run(self, job: object) -> Ran:
        """Run a job to its end."""
        return self.ended(self.start(job))

    def output(self, ran: Ran, name: str = "output") -> bytes:
        """The bytes of an output."""
        assert ran.error is None, ran
        written = ran.result["outputs"][name]
        path = self.exchange / str(written["file"])
        assert (sha256(path), path.stat().st_size) == (written["sha256"], written["bytes"])
        return path.read_bytes()
