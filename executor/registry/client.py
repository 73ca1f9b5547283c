"""A client of one repository of a registry: dxf's, with the manners of Docker.

Plain HTTP to this machine and nowhere else, no proxy on the way to it, and the login that the user has.
Takes its time to import: `registry` does so only when a registry has to be asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Self

from dxf import DXF
from requests import PreparedRequest, Response, Session

from executor.registry.credentials import Login, find_login
from planner.values import ImageRef

__all__ = ["Client"]


class Client(DXF):
    """Asks a registry for what it knows of the repository of an image. Use it in a `with`."""

    def __init__(
        self, ref: ImageRef, *, timeout: float, environ: Mapping[str, str], actions: Sequence[str] = ("pull",)
    ) -> None:
        host = "registry-1.docker.io" if ref.registry == "docker.io" else ref.registry
        self.login: Login | None = None
        """The login that was used; None while the registry has not asked for any."""
        self._ref = ref
        self._environ = environ
        self._actions = list(actions)
        self._local = _is_local(ref.registry)
        super().__init__(host, ref.repository, _log_in, insecure=self._local, timeout=timeout)
        # dxf refuses to log in without TLS. Docker does so on the loopback, where nobody listens in.
        self._insecure = False

    def __enter__(self) -> Self:
        session = Session()
        session.trust_env = not self._local
        # Or requests would put a password from ~/.netrc in place of the registry's token.
        session.auth = _unchanged
        self._sessions.insert(0, session)
        return self

    def log_in(self, response: Response) -> None:
        """Answer a registry that asks who is there, by name if the user has a login."""
        self.login = login = find_login(self._ref, self._environ)
        self.authenticate(
            login.username or None,
            login.password if login else None,
            actions=self._actions,
            response=response,
        )

    def put_manifest(self, tag: str, content: bytes, kind: str) -> None:
        """Give a manifest a tag: the very bytes, or it would have another digest."""
        headers = {"Content-Type": kind}
        self._request("put", f"manifests/{tag}", data=content, headers=headers)  # type: ignore[no-untyped-call]


def _log_in(client: Any, response: Response) -> None:
    client.log_in(response)


def _unchanged(request: PreparedRequest) -> PreparedRequest:
    return request


def _is_local(registry: str) -> bool:
    """Whether a registry is on the loopback: Docker takes `localhost`, 127.0.0.0/8 and ::1 without TLS."""
    host = registry[1:].partition("]")[0] if registry.startswith("[") else registry.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
