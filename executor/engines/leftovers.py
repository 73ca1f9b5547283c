"""What killed builds leave in Podman: running commands, working containers, and half-written images.

Owns how they are told from what others build: a runtime knows the directory that a container's files are in,
and Podman writes down with each working container the secrets that its build was offered. One of these, which
nothing uses, names the temporary directory of the build. What belongs to a directory whose owner lives is
left alone, and what names no directory of ours is nobody's business here.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from executor import limits
from executor.process import Command, Completed, run
from executor.scratch import name_of, named_by, owned

__all__ = ["Podman", "build_secret", "remove_containers", "remove_half_written", "stop_commands"]

Podman = Callable[..., Completed]
"""Runs Podman with some arguments."""

_ID: Final = "stowplan-"
_HALF_WRITTEN: Final = re.compile(r'image with ID "([0-9a-f]{64})"')
# Seconds between looks at a list of images that fails: it does while another build is committing one.
_WAITS: Final = (0.5, 1.0, 2.0)
# What reading JSON of others raises that does not say what it should.
_UNREADABLE: Final = (ValueError, TypeError, KeyError, RecursionError)


def build_secret(scratch: Path) -> str:
    """The secret by which the containers of a build are known. Its value is empty, and no command gets it."""
    # In digits: a path may have commas.
    return f"id={_ID}{os.fsencode(name_of(scratch)).hex()},src={os.devnull}"


def stop_commands(runtime: str) -> None:
    """End commands that run for builds whose owners are dead, and have the runtime forget them."""
    listed = run(Command((runtime, "list", "--format=json")), timeout=limits.RUNTIME_SECONDS)
    with contextlib.suppress(*_UNREADABLE):
        for container in json.loads(listed.stdout) or ():
            bundle = Path(container["bundle"])
            # Podman makes its directories in the one that it is told to use for what is temporary.
            if container["id"] == f"buildah-{bundle.name}" and _is_dead(bundle.parent):
                run(Command((runtime, "delete", "--force", container["id"])), timeout=limits.RUNTIME_SECONDS)


def remove_containers(podman: Podman, storage: Path) -> None:
    """Remove the working containers of builds whose owners are dead."""
    for file in storage.glob("*-containers/*/userdata/buildah.json"):
        with contextlib.suppress(OSError, *_UNREADABLE):
            scratch = _scratch(json.loads(file.read_bytes()))
            if scratch is not None and not owned(scratch):
                podman("rm", "--force", file.parents[1].name)
    # Whoever was killed before it could write down what a container is for has left one that nobody can use.
    # It is known to be such a one while nobody is making any.
    listed = podman("ps", "--all", "--external", "--no-trunc", "--format={{.ID}} {{.Status}}")
    for line in listed.text.splitlines():
        container, _, status = line.partition(" ")
        pattern = f"*-containers/{container}/userdata/buildah.json"
        if status == "Storage" and not _is_at_work() and not any(storage.glob(pattern)):
            podman("rm", "--force", container)


def _is_at_work() -> bool:
    """Whether a Podman or a Buildah runs that may have the same storage; none where there is no /proc."""
    mark = b"CONTAINERS_STORAGE_CONF="
    own = mark + os.environb.get(mark[:-1], b"")
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "comm").read_text().strip() not in ("podman", "buildah"):
                continue
            try:
                environ = (path / "environ").read_bytes().split(b"\0")
            except PermissionError:
                return True
            if next((each for each in environ if each.startswith(mark)), mark) == own:
                return True
    return not Path("/proc/self").exists()


def remove_half_written(podman: Podman) -> None:
    """Remove images that are written by half, and break lists of images.

    Other programs list images, even if nothing here does. What fails for seconds is nothing that is being
    written now.
    """
    broken: set[str] | None = None
    for wait in (0.0, *_WAITS):
        time.sleep(wait)
        done = podman("images", "--quiet")
        if done.code == 0:
            return
        named = set(_HALF_WRITTEN.findall(done.stderr))
        broken = named if broken is None else broken & named
    for image in broken or ():
        podman("rmi", "--force", "--no-prune", image)


def _scratch(container: Any) -> Path | None:
    """The temporary directory of the build that made a working container; None if it is not ours."""
    for secret in container["CommonBuildOpts"]["Secrets"] or ():
        match = re.match(rf"id={_ID}((?:[0-9a-f]{{2}})+),", secret)
        if match:
            return named_by(os.fsdecode(binascii.unhexlify(match[1])))
    return None


def _is_dead(scratch: Path) -> bool:
    """Whether a directory is one of ours, by its name, and its owner is dead."""
    return named_by(name_of(scratch)) is not None and not owned(scratch)
