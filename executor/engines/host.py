"""Where the Docker daemon is, as far as that shows without the SDK: what names it, and who listens.

Owns the words about what is wrong with an address, and what to do. Refuses to import the SDK.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from executor import limits
from executor.engines.names import DAEMON_VARIABLES
from executor.engines.protocol import Unusable
from executor.errors import Failure
from executor.home import docker_directory
from executor.reading import LARGEST_TEXT_BYTES, NotRead, open_regular, read_whole
from planner.logins import typed

__all__ = ["away", "current_context", "fix", "local_socket", "refusal", "unusable", "wrong_address"]

_SOCKET: Final = Path("/var/run/docker.sock")
_ADDRESSES: Final = "write unix:///path/of/docker.sock, or tcp://host:port"


def unusable() -> Unusable | None:
    """Why there is no daemon; None when that does not show here."""
    if endless := _endless_configuration():
        return endless
    if os.environ.get("DOCKER_CONTEXT"):
        return None
    host = os.environ.get("DOCKER_HOST")
    if host:
        return wrong_address("DOCKER_HOST", host) or refusal(host)
    if current_context() is not None:
        return None
    if not os.path.exists(_SOCKET):  # noqa: PTH110  # Path.exists raises where it may not look
        found = f"there is no {_SOCKET}, and neither DOCKER_HOST nor a docker context names a daemon"
        return Unusable(found, fix(), absent=True)
    return refusal(f"unix://{_SOCKET}")


def local_socket() -> str | None:
    """The socket of the daemon, where it is one of this machine that neither TLS nor a context is about."""
    if os.environ.get("DOCKER_CONTEXT"):
        return None
    host = os.environ.get("DOCKER_HOST")
    if host:
        kind, _, path = host.partition("unix://")
        return path or None if not kind else None
    return str(_SOCKET) if current_context() is None else None


def wrong_address(name: str, host: str) -> Unusable | None:
    """What is wrong with the address of a daemon that `name` gives; None if it can be one.

    What the SDK would take for another address than was meant, such as `unix:/`, counts as wrong.
    """
    shown = typed(host)
    kind, mark, rest = host.partition("://")
    found, remedy = "", _ADDRESSES
    match kind.lower() if mark else "":
        case "unix" | "http+unix":  # contexts of the SDK's own making are written in the second way
            if not rest.startswith("/"):
                found = f"{name} is {shown!r}, which has no absolute path to a socket"
        case "tcp" | "http" | "https":
            found = "" if _has_port(rest) else f"{name} is {shown!r}, which has no host with a port"
        case "ssh":
            found = f"{name} is {shown!r}, and stowplan cannot reach a daemon over SSH"
            remedy = (
                "forward its socket: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock USER@HOST`, and set "
                "DOCKER_HOST=unix:///tmp/docker.sock"
            )
        case "npipe":
            pass
        case "":
            found = f"{name} is {shown!r}, which is not the address of a daemon"
        case _:
            found = f"{name} is {shown!r}, and no daemon is reached by {typed(kind)}://"
    return Unusable(found, remedy, Failure.ENGINE_REFUSED) if found else None


def _has_port(rest: str) -> bool:
    try:
        parts = urlsplit(f"//{rest}")
        return bool(parts.hostname and parts.port)
    except ValueError:
        return False


def refusal(host: str) -> Unusable | None:
    """Why nobody answers on a socket of this machine. The SDK would say so at length, and leave it open."""
    kind, _, path = host.partition("unix://")
    if kind not in ("", "http+") or not path:
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        # A daemon that hangs takes no more connections once its queue is full.
        connection.settimeout(limits.GREETING_SECONDS)
        try:
            connection.connect(path)
        except TimeoutError:
            return away(f"{path} takes no connection within {limits.GREETING_SECONDS:g} s")
        except OSError as error:
            return away(f"{path}: {error.strerror or error}")
    return None


def away(found: str) -> Unusable:
    """A daemon that does not answer, be it because it is not there."""
    return Unusable(found, fix())


def fix() -> str:
    """What to do about a daemon that does not answer, by what names it."""
    for name in DAEMON_VARIABLES:
        if value := os.environ.get(name):
            return f"check that the daemon runs that {name} names ({typed(value)}), or unset it"
    if current_context() is not None:
        return "check that the daemon runs that the current context names, or choose one: docker context use"
    if os.path.exists(_SOCKET):  # noqa: PTH110  # as above
        return "check that the daemon runs (systemctl status docker) and that you may use its socket"
    return "install Docker and start its daemon (docs.docker.com/engine/install), or set DOCKER_HOST"


def _endless_configuration() -> Unusable | None:
    """Why neither the SDK nor Docker's command line would come to the end of `config.json`."""
    directory = docker_directory(os.environ)
    if directory is None:
        return None
    path = directory / "config.json"
    try:
        with open_regular(path) as file:
            ends = os.fstat(file.fileno()).st_size <= LARGEST_TEXT_BYTES
    except OSError as error:
        # What may not be read is as good as not there, for Docker too.
        ends = error.errno != errno.EINVAL
    if ends:
        return None
    found = f"{path} is not a regular file of at most {LARGEST_TEXT_BYTES >> 20} MiB"
    return Unusable(found, "put a regular file in its place, or remove it", Failure.ENGINE_REFUSED)


def current_context() -> str | None:
    """The name of the context that `docker context use` chose; None if it chose none."""
    directory = docker_directory(os.environ)
    try:
        config = json.loads(read_whole(directory / "config.json") or b"{}") if directory else {}
    except (NotRead, ValueError, RecursionError):
        return None
    name = config.get("currentContext", "default") if isinstance(config, dict) else "default"
    return None if name == "default" else str(name)
