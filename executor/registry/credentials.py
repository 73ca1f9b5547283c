"""The login that a user has for a registry, wherever `docker login` or `podman login` put it.

Owns the order of the places. Reads them only when a registry asks who is there. Refuses to let anything
of what it finds into a message, and to fail: what cannot be read is no login, with the reason in words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field

from planner.immutable import frozen
from planner.values import ImageRef

__all__ = ["Login", "find_login"]


@frozen
class Login:
    """A name and a password, both empty where there is no login; `problem` is why there is none to use."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.username)


def find_login(ref: ImageRef, environ: Mapping[str, str]) -> Login:
    """The login for the registry of an image: Docker's, else Podman's.

    Where a credential helper is configured (`credsStore`, `credHelpers`), the docker SDK runs it: that
    program is the user's own, and the only place the secret is.
    """
    problem = ""
    for path in _files(environ):
        try:
            found = _read(path, ref) if path.is_file() else {}
        except Exception:  # the SDK raises whatever a broken file or helper makes it raise
            problem = problem or f"the login in {path} cannot be read"
            continue
        if found.get("username"):
            return Login(found["username"], found.get("password") or "")
        if found.get("identitytoken"):
            problem = problem or f"the login in {path} is an identity token, which only an engine can use"
    return Login(problem=problem)


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The files that hold logins (docker-login(1); containers-auth.json(5)), the first in effect first."""
    # As a shell has it, which leaves the tilde where there is no home.
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111  # Path.home raises there
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    else:
        yield Path(f"/run/containers/{os.geteuid()}/auth.json")
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _read(path: Path, ref: ImageRef) -> dict[str, Any]:
    """What a file says of the registry of an image, its keys in lower case; empty if nothing."""
    from docker import auth  # noqa: PLC0415  # a seventh of a second, and only a registry that asks needs it

    config = auth.load_config(str(path))
    # Podman keeps logins for a part of a registry too: the longest name that fits counts.
    name, found = ref.name, None
    while "/" in name and not found:
        found = config.auths.get(name)
        name = name.rpartition("/")[0]
    found = found or auth.resolve_authconfig(config, ref.registry)
    return {key.lower(): value for key, value in (found or {}).items()}
