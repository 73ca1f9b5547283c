"""The login that a user has for a registry, wherever `docker login` or `podman login` put it.

Owns the order of the places, and the credential helpers. Reads them only when a registry asks who is there.
Refuses to let anything of what it finds into a message, and to fail: what cannot be read is no login, with
the reason in words.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import field

from executor import limits
from executor.errors import ExecutorError, ProgramMissing, ProgramSilent
from executor.home import docker_directory, in_home
from executor.process import Command, Stop, run
from executor.reading import NotRead, read_whole
from planner.immutable import frozen
from planner.values import ImageRef

__all__ = ["Helpers", "Login", "docker_login", "find_login"]

_PROGRAM: Final = "docker-credential-"
# What a helper calls Docker Hub, and whom it names in place of a user when the secret is a token, and what it
# says when it has none (github.com/docker/docker-credential-helpers).
_HUB: Final = "https://index.docker.io/v1/"
_TOKEN: Final = "<token>"  # noqa: S105  # the name of a kind
_NOTHING: Final = "credentials not found"
# How it ends if whoever asked the registry gave up.
_ENDED: Final = (-signal.SIGTERM, -signal.SIGKILL)


@frozen
class Login:
    """A name and a password, or a token; `problem` is why there is none to use, where one was to be found."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.username)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it may not be shown."""
        return tuple(filter(None, (self.password, self.token)))

    @property
    def for_engine(self) -> dict[str, str]:
        """As the Docker daemon takes it, which may use a token too (Docker Engine API, "Authentication")."""
        if self.token:
            return {"identitytoken": self.token}
        return {"username": self.username, "password": self.password} if self else {}


@frozen
class Helpers:
    """How credential helpers are run: for how many seconds, and who is told.

    `asking` is called with the name of the program before it runs, and `stoppable` with what ends it.
    """

    seconds: float
    asking: Callable[[str], None] = lambda _: None
    stoppable: Callable[[Stop], None] = lambda _: None


def find_login(ref: ImageRef, environ: Mapping[str, str], helpers: Helpers | None = None) -> Login:
    """The login for the registry of an image: Docker's, else Podman's.

    Where a credential helper is configured (`credsStore`, `credHelpers`), it is run: that program is the
    user's own, and the only place the secret is.
    """
    return _first(_files(environ), ref, helpers)


def docker_login(ref: ImageRef, environ: Mapping[str, str], helpers: Helpers | None = None) -> Login:
    """The same of Docker alone, for its daemon."""
    return _first(_docker_files(environ), ref, helpers)


def _first(paths: Iterable[Path], ref: ImageRef, helpers: Helpers | None) -> Login:
    helpers = helpers or Helpers(limits.HELPER_SECONDS)
    token = problem = ""
    for path in paths:
        try:
            found = _read(path, ref, helpers)
        except NotRead as error:
            problem = problem or f"{path} {error.found}"
            continue
        except ExecutorError as error:
            problem = problem or _blamed(error, path)
            continue
        except Exception:  # the SDK raises whatever a broken file makes it raise
            problem = problem or f"the login in {path} cannot be read"
            continue
        if found.get("username"):
            return Login(found["username"], found.get("password") or "")
        if found.get("identitytoken"):
            token = token or found["identitytoken"]
            problem = problem or f"the login in {path} is an identity token, which only an engine can use"
    return Login(token=token, problem=problem)


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The files that hold logins (docker-login(1); containers-auth.json(5)), the first in effect first."""
    yield from _docker_files(environ)
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    else:
        yield Path(f"/run/containers/{os.geteuid()}/auth.json")
    if config := environ.get("XDG_CONFIG_HOME") or in_home(environ, ".config"):
        yield Path(config) / "containers" / "auth.json"


def _docker_files(environ: Mapping[str, str]) -> Iterator[Path]:
    if directory := docker_directory(environ):
        yield directory / "config.json"


def _read(path: Path, ref: ImageRef, helpers: Helpers) -> dict[str, Any]:
    """What a file says of the registry of an image, its keys in lower case; empty if nothing.

    NotRead if it cannot be read, ExecutorError if a credential helper fails. What is not as `docker login`
    writes it raises whatever the SDK raises.
    """
    data = read_whole(path)
    if not data or not (settings := json.loads(data)):
        return {}
    from docker import auth  # noqa: PLC0415  # a seventh of a second, and only a registry that asks needs it

    config = auth.load_config(config_dict=settings)
    # Podman keeps logins for a part of a registry too: the longest name that fits counts.
    name, found = ref.name, None
    while "/" in name and not found:
        found = config.auths.get(name)
        name = name.rpartition("/")[0]
    if not found and (helper := config.get_credential_store(ref.registry)):
        found = _ask(helper, ref.registry, helpers)
    # The SDK would run the helper itself, and wait for it for ever.
    found = found or auth.AuthConfig({"auths": config.auths}).resolve_authconfig(ref.registry)
    return {key.lower(): value for key, value in (found or {}).items()}


def _ask(helper: str, registry: str, helpers: Helpers) -> dict[str, str]:
    """What a credential helper has for a registry; empty if nothing. ExecutorError if it fails."""
    program = f"{_PROGRAM}{helper}"
    helpers.asking(program)
    server = _HUB if registry == "docker.io" else registry
    done = run(
        Command((program, "get")),
        stdin=[server.encode()],
        timeout=helpers.seconds,
        grace=0,
        stoppable=helpers.stoppable,
    )
    if done.code in _ENDED:
        raise ProgramSilent.of(program, "did not answer in time", "see what it waits for")
    if _NOTHING in done.text or _NOTHING in done.stderr:
        return {}
    try:
        said = json.loads(done.stdout) if done.code == 0 else {}
        username, secret = str(said["Username"]), str(said["Secret"])
    # Nothing of what it says is repeated: that could be the secret.
    except (ValueError, KeyError, TypeError, RecursionError):
        ending = f"exit code {done.code}" if done.code else "something that is not a login"
        raise ExecutorError.of(program, f"ends with {ending}", "run it by itself to see why") from None
    if username == _TOKEN:
        return {"identitytoken": secret}
    return {"username": username, "password": secret}


def _blamed(error: ExecutorError, path: Path) -> str:
    """Which program failed, and how. Who named it is said too: it may be nobody who remembers."""
    (problem,) = error.problems
    match error:
        case ProgramMissing():
            found = "is not installed"
        case ProgramSilent():
            found = "did not answer in time"
        case _:
            found = problem.found
    return f"{problem.where}, the credential helper that {path} names, {found}"
