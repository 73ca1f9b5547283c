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
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from executor import limits
from executor.scratch import named_by, owned

__all__ = ["SCRATCH_VARIABLE", "end_orphans"]

SCRATCH_VARIABLE: Final = "STOWPLAN_WORKS_FOR"
"""The environment variable that names the temporary directory a program works for (`scratch.name_of`)."""

# What builds and pushes. Such programs also start what serves others and lives on: Podman's pause process, an
# agent that keeps keys.
_PROGRAMS: Final = frozenset({"podman", "buildah", "docker", "docker-buildx", "runc", "crun"})

_LOOK_SECONDS: Final = 0.05


def end_orphans() -> None:
    """Kill this user's orphans, and wait until they are gone."""
    killed: set[int] = set()
    until = time.monotonic() + limits.ORPHAN_SECONDS
    while (found := set(_orphans())) and time.monotonic() < until:
        for process in found - killed:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        killed |= found
        time.sleep(_LOOK_SECONDS)


def _orphans() -> Iterator[int]:
    mark = f"{SCRATCH_VARIABLE}=".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        # Those of other users cannot be read, and those that are gone by now have none.
        with contextlib.suppress(OSError):
            named = (each for each in path.read_bytes().split(b"\0") if each.startswith(mark))
            scratch = named_by(os.fsdecode(next(named, b"")[len(mark) :]))
            if scratch is not None and _builds(path.parent) and not owned(scratch):
                yield int(path.parent.name)


def _builds(process: Path) -> bool:
    """Whether a process is one of the programs that build and push, and no pause process of Podman."""
    program = (process / "exe").readlink().name.removesuffix(" (deleted)")
    return program in _PROGRAMS and b"pause" not in (process / "comm").read_bytes()
