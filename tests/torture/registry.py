"""300 faults of registries, while stowplan plans, locks, looks for what is newer, and pushes.

Nothing that a registry did not say in whole may be pinned or written into the ledger; and whatever it does,
a command ends in its time, says so in words, and shows no password.
"""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import define, field

from executor.state import read_lock_file
from planner.lock.lock import LOCK_NAME
from tests.torture.campaign import Verdict
from tests.torture.commands import MARK, fault_of, leftovers, run
from tests.torture.faults import INDEX_DIGEST, PLANTED, FaultyRegistry, draw, login

__all__ = ["CAMPAIGN", "Registry"]

LIMITS: Final[Mapping[str, float]] = {
    "PLAN_REGISTRY_SECONDS": 1.0, "REGISTRY_SECONDS": 1.0, "REGISTRY_BACKOFF_SECONDS": 0.05,
    "HELPER_SECONDS": 0.5, "GREETING_SECONDS": 1.0, "ANSWER_SECONDS": 5.0,
}  # fmt: skip
# What a command may take on a busy machine, where each of its limits is a second.
_DEADLINE_SECONDS: Final = 20.0

_COMMANDS: Final = (
    ("plan",), ("plan", "-o", "json"), ("lock",), ("lock", "--upgrade"), ("outdated",),
    ("outdated", "-o", "json"), ("diff",), ("show", "training"), ("apply",),
)  # fmt: skip

_HELPERS: Final = {
    "": "",
    "that hangs": "trap '' TERM\nsleep 300 &\nsleep 300",
    "that fails": f"echo {PLANTED} >&2\nexit 3",
    "that prints garbage": f"echo '{PLANTED}'",
    "that works": f"""echo '{{"Username": "me", "Secret": "{PLANTED}"}}'""",
    "that floods": "yes x | head -c 5000000",
}


@define
class Registry:
    """The campaign. Cases need neither an engine nor a real registry."""

    name: str = "registry"
    count: int = 300
    _server: FaultyRegistry = field(init=False)
    _silent: socket.socket = field(init=False)
    _lock: str = field(init=False, default="")
    _work: Path = field(init=False)

    def prepare(self, work: Path) -> None:
        """Start the server, and lock a project while all is well."""
        self._work = work
        self._server = FaultyRegistry()
        self._server.start()
        self._silent = socket.create_server(("127.0.0.1", 0))
        with tempfile.TemporaryDirectory(dir=work) as place:
            project = self._project(Path(place), f"localhost:{self._server.port}", lock=False)
            ran = run(
                ["lock"], project, self._environ(Path(place), "prepare"),
                limits_of_it={}, deadline=_DEADLINE_SECONDS,
            )  # fmt: skip
            assert ran.code == 0, ran.out + ran.err
            self._lock = (project / LOCK_NAME).read_text()
            assert INDEX_DIGEST in self._lock

    def close(self) -> None:
        """Stop the server."""
        self._server.close()
        self._silent.close()

    def case(self, number: int, rng: random.Random) -> Verdict:
        """One command, while the registry has one fault."""
        with tempfile.TemporaryDirectory(dir=self._work) as place:
            return self._case(Path(place), f"registry-{os.getpid()}-{number}", rng)

    def _case(self, place: Path, case: str, rng: random.Random) -> Verdict:
        command = rng.choice(_COMMANDS)
        helper = rng.choice(["", "", "", *_HELPERS])
        fault = draw(rng, closed=_closed_port(), silent=self._silent.getsockname()[1])
        if helper and rng.random() < 0.6:
            fault = login(rng.choice([1, 1, 1000]))
        address = f"localhost:{self._server.port}"
        if rng.random() < 0.05:
            address = rng.choice(["registry.invalid:5000", f"{_abroad()}:{self._server.port}", "localhost:1"])
        locked = command[0] == "outdated" or rng.random() < 0.3
        project = self._project(place, address, lock=locked and address.endswith(f"t:{self._server.port}"))
        if command[0] == "outdated" and not (project / LOCK_NAME).exists():
            command = ("lock",)
        before = _digests(project)
        self._install(place, helper)
        self._server.begin(fault)
        ran = run(
            command, project, self._environ(place, case), limits_of_it=LIMITS, deadline=_DEADLINE_SECONDS
        )
        self._server.begin(None)
        what = f"{' '.join(command)} at {address.partition(':')[0]}: {fault}"
        what += f", a helper {helper}" if helper else ""
        wrong = fault_of(ran)
        if processes := leftovers(case):
            wrong["leaked"] = f"processes: {processes}"
        elif PLANTED in ran.out + ran.err or _holds(project, PLANTED):
            wrong["leaked"] = f"the password: {ran.err[-1000:]}"
        elif files := _strays(place):
            wrong["leaked"] = f"files: {files}"
        if extra := _digests(project) - before - {INDEX_DIGEST}:
            wrong["torn"] = f"the lock pins {extra}"
        return Verdict(what, **wrong)

    def _project(self, place: Path, address: str, *, lock: bool) -> Path:
        project = place / "project"
        project.mkdir()
        (project / "stowplan.toml").write_text(
            '[pipeline.training]\nsteps = ["train"]\n[pipeline.training.settings.docker]\n'
            f'parent_image = "{address}/team/base:1"\n'
            f'[stack.default]\ncontainer_registry = {{ uri = "{address}/team" }}\n'
        )
        (project / "train.py").write_text("print('train')\n")
        if lock:
            (project / LOCK_NAME).write_text(self._lock)
        return project

    def _environ(self, place: Path, case: str) -> dict[str, str]:
        for name in ("home", "tmp", "bin"):
            (place / name).mkdir(exist_ok=True)
        return {
            "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "HOME": str(place / "home"), "NO_COLOR": "1",
            "TMPDIR": str(place / "tmp"), "XDG_RUNTIME_DIR": str(place / "home"), MARK: case,
            # Nobody may be built with here: what is asked for is not whether an engine works.
            "DOCKER_HOST": f"unix://{place}/none.sock",
        }  # fmt: skip

    def _install(self, place: Path, helper: str) -> None:
        """A login of the user, or the program that has it."""
        config = place / "home/.docker/config.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        if not helper:
            return
        (place / "bin").mkdir(exist_ok=True)
        program = place / "bin/docker-credential-planted"
        program.write_text(f"#!/bin/sh\n{_HELPERS[helper]}\n")
        program.chmod(0o755)
        config.write_text('{"credsStore": "planted"}')


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _abroad() -> str:
    """An address of this machine that is not the loopback: nothing goes there without TLS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _digests(project: Path) -> set[str]:
    """The digests that a project's lock pins; it has to be whole."""
    lock = read_lock_file(project / LOCK_NAME)
    if lock is None:
        return set()
    images = [image for plan in lock.plans for image in plan.images]
    return {str(image.spec.external.digest) for image in images if image.spec.external.digest}


def _holds(directory: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in directory.rglob("*") if path.is_file())


def _strays(place: Path) -> list[str]:
    """Temporary files that are still there."""
    found = [*(place / "tmp").rglob("*"), *(place / "project/.stowplan/tmp").rglob("*")]
    found += [path for path in (place / "project").iterdir() if path.name.startswith(".stowplan.lock")]
    return [str(path.relative_to(place)) for path in found]


CAMPAIGN: Final = Registry()
