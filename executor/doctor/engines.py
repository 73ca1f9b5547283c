"""The container engines: whether they answer, what they are, what builds, and the room they have."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from executor import limits
from executor.doctor.check import Check, State
from executor.doctor.machine import room
from executor.engines.buildx import no_buildx
from executor.engines.daemon import Daemon
from executor.engines.docker import DockerEngine
from executor.engines.host import local_socket
from executor.engines.names import ENGINES, VARIABLES, asked_engine
from executor.engines.protocol import Unusable
from executor.errors import ExecutorError
from executor.process import Command, run

__all__ = ["buildx", "docker", "podman", "settled"]

_SUBJECTS: Final = {"docker": "Docker", "podman": "Podman"}


def docker() -> Iterator[Check]:
    """The Docker daemon."""
    if unusable := DockerEngine().unavailable():
        yield _unusable("docker", unusable)
        return
    with Daemon().client(limits.GREETING_SECONDS) as client:
        said: Mapping[str, Any] = client.info()
    rootless = any("rootless" in str(option) for option in said.get("SecurityOptions") or ())
    # That of a machine elsewhere, or of a virtual one, is none of this file system's.
    place = str(said.get("DockerRootDir") or "") if local_socket() else ""
    yield _engine("docker", str(said.get("ServerVersion") or "unknown"), rootless, place)


def podman() -> Iterator[Check]:
    """Podman, of this user."""
    from executor.engines.podman import PodmanEngine  # noqa: PLC0415  # as `select` has it

    if unusable := PodmanEngine().unavailable():
        yield _unusable("podman", unusable)
        return
    command = Command(("podman", "info", "--format=json"))
    try:
        said = json.loads(run(command, timeout=limits.GREETING_SECONDS).text)
        number, place = str(said["version"]["Version"]), str(said["store"]["graphRoot"])
        rootless = bool(said["host"]["security"]["rootless"])
    except (ValueError, LookupError, TypeError):
        found = "`podman info` says what no Podman does"
        raise ExecutorError.of("podman", found, "run it by itself to see why: podman info") from None
    yield _engine("podman", number, rootless, place)


def _unusable(name: str, why: Unusable) -> Check:
    state = State.SKIPPED if why.absent else State.FAILED
    return Check(name, _SUBJECTS[name], state, why.reason, why.fix)


def _engine(name: str, number: str, rootless: bool, place: str) -> Check:
    about = f"{number}, rootless" if rootless else number
    if not place or not os.path.isdir(place):  # noqa: PTH112  # Path.is_dir raises where it may not look
        return Check(name, _SUBJECTS[name], State.OK, about)
    free = shutil.disk_usage(place).free
    prune = f"stowplan builds prune, then {name} image prune"
    found = room(name, _SUBJECTS[name], free, prune)
    return evolve(found, found=f"{about}; {found.found} at {place}")


def settled(checks: Iterable[Check], environ: Mapping[str, str] = os.environ) -> tuple[Check, ...]:
    """What was found of the engines, by what the project needs: the one that is asked for, else any."""
    checks = tuple(checks)
    asked = asked_engine(None, environ)
    works = [
        check.code for check in checks if check.code in ENGINES and check.state in (State.OK, State.WARNING)
    ]
    return tuple(_settled(check, asked, works) for check in checks)


def _settled(check: Check, asked: str | None, works: list[str]) -> Check:
    if check.code == "buildx" and ("docker" not in works or asked == "podman"):
        return evolve(check, state=State.SKIPPED, found="Docker is not used", fix="")
    if check.code not in ENGINES or check.state not in (State.FAILED, State.SKIPPED):
        return check
    others = [name for name in works if name != check.code]
    if asked == check.code or (not others and asked is None):
        return evolve(check, state=State.FAILED)
    if asked is not None or check.state is State.SKIPPED:
        used = asked or others[0]
        return evolve(check, state=State.SKIPPED, found=f"{check.found}; {used} is used", fix="")
    return evolve(check, state=State.WARNING, fix=f"{check.fix}; or {VARIABLES[0]}={others[0]}")


def buildx(asked: str) -> Iterator[Check]:
    """BuildKit's command line. ExecutorError if it does not work, and is asked for."""
    if asked == "classic":
        yield Check("buildx", "Docker buildx", State.SKIPPED, "the classic builder is asked for")
        return
    try:
        done = run(Command(("docker", "buildx", "version")), timeout=limits.GREETING_SECONDS)
        said = done.text.split() if done.code == 0 else []
    except ExecutorError:
        said = []
    if said:
        yield Check("buildx", "Docker buildx", State.OK, said[1] if len(said) > 1 else said[0])
    elif asked == "buildkit":
        raise no_buildx()
    else:
        found = "does not work: Docker builds with the classic builder, without caches, secrets and mounts"
        yield Check(
            "buildx",
            "Docker buildx",
            State.WARNING,
            found,
            "install docker's buildx plugin: github.com/docker/buildx#installing",
        )
