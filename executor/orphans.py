"""Programs that a killed stowplan has started and left running: how they are known, and their end.

Each program that builds or pushes is told the temporary directory that it works for, and so is all that it
starts itself, except what runs in a container. It is an orphan when the owner of that directory is dead. Does
nothing where there is no /proc to look at.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from executor import limits
from executor.scratch import name_of, named_by, owned

__all__ = ["SCRATCH_VARIABLE", "STEP_VARIABLE", "end_orphans", "end_steps_of"]

SCRATCH_VARIABLE: Final = "STOWPLAN_WORKS_FOR"
"""The environment variable that names the temporary directory a program works for (`scratch.name_of`)."""

STEP_VARIABLE: Final = "STOWPLAN_STEP_OF"
"""The environment variable that names the temporary directory of the run of a step without a container."""

# What builds and pushes. Such programs also start what serves others and lives on: Podman's pause process, an
# agent that keeps keys.
_PROGRAMS: Final = frozenset({"podman", "buildah", "docker", "docker-buildx", "runc", "crun"})

_LOOK_SECONDS: Final = 0.05


def end_orphans() -> None:
    """Kill this user's orphans, and wait until they are gone."""
    _end(_orphans)


def end_steps_of(scratch: Path) -> None:
    """Kill the processes of the steps of a run, whose directory this was, and wait until they are gone."""
    name = name_of(scratch)

    def steps() -> Iterator[int]:
        for process, named in _named(STEP_VARIABLE):
            if named == name:
                yield int(process.name)

    _end(steps)


def _end(orphans: Callable[[], Iterator[int]]) -> None:
    killed: set[int] = set()
    until = time.monotonic() + limits.ORPHAN_SECONDS
    while (found := set(orphans())) and time.monotonic() < until:
        for process in found - killed:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        killed |= found
        time.sleep(_LOOK_SECONDS)


def _orphans() -> Iterator[int]:
    for process, name in _named(SCRATCH_VARIABLE):
        scratch = named_by(name)
        with contextlib.suppress(OSError):
            if scratch is not None and _builds(process) and not owned(scratch):
                yield int(process.name)


def _named(variable: str) -> Iterator[tuple[Path, str]]:
    """The processes that have a variable in their environment, each by its directory, with the value."""
    mark = f"{variable}=".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        # Those of other users cannot be read, and those that are gone by now have none.
        with contextlib.suppress(OSError):
            named = next((each for each in path.read_bytes().split(b"\0") if each.startswith(mark)), None)
            if named is not None:
                yield path.parent, os.fsdecode(named[len(mark) :])


def _builds(process: Path) -> bool:
    """Whether a process is one of the programs that build and push, and no pause process of Podman."""
    program = (process / "exe").readlink().name.removesuffix(" (deleted)")
    return program in _PROGRAMS and b"pause" not in (process / "comm").read_bytes()
