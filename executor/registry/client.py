"""A client of one repository of a registry: dxf's, with the manners of Docker.

Plain HTTP to this machine and nowhere else, no proxy on the way to it, and the login that the user has.
Owns how much of an answer is read. Takes its time to import: `asking` does so only when a registry has to
be asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from dxf import DXF
from requests import HTTPError, PreparedRequest, Response, Session

from executor.registry.asking import Untold
from executor.registry.credentials import Login, find_login
from executor.registry.manifests import ACCEPTED
from planner.values import Digest, ImageRef

__all__ = ["Client"]

# What registries should take (OCI distribution spec, "Pushing Manifests"), so none has a longer one.
_MANIFEST_LIMIT: Final = 4 << 20
# No specification says how long a config may be. Podman and skopeo read 4 MiB of one (containers/image,
# `iolimits`) and Docker all of it: twice Podman's bound is more than an image that both can run needs.
_CONFIG_LIMIT: Final = 8 << 20


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
        response.close()
        self.login = login = find_login(self._ref, self._environ)
        self.authenticate(
            login.username or None,
            login.password if login else None,
            actions=self._actions,
            response=response,
        )

    def head_manifest(self, address: str) -> Mapping[str, str]:
        """What is said of a manifest without sending it; nothing where only sending it will tell."""
        try:
            response = self._request("head", f"manifests/{address}", headers={"Accept": ACCEPTED})  # type: ignore[no-untyped-call]
        except HTTPError as error:
            # Such an answer has no words. Those of a GET tell a registry from any other server.
            if error.response.status_code not in (404, 405):
                raise
            return {}
        headers: Mapping[str, str] = response.headers
        return headers

    def fetch_manifest(self, address: str) -> tuple[bytes, Mapping[str, str]]:
        """A manifest by its tag or digest, and what is said of it. Untold if it is too long."""
        return self._fetch(f"manifests/{address}", _MANIFEST_LIMIT, {"Accept": ACCEPTED})

    def fetch_config(self, digest: Digest) -> bytes:
        """A config by its digest. Untold if it is too long."""
        return self._fetch(f"blobs/{digest}", _CONFIG_LIMIT, {})[0]

    def read(self, response: Response, limit: int) -> bytes:
        """The body of an answer, of at most `limit` bytes. Untold if it is longer."""
        body = bytearray()
        for chunk in response.iter_content(1 << 16):
            body += chunk
            if len(body) > limit:
                raise Untold(
                    f"{self._ref.registry} sends more than {limit >> 20} MiB for {self._ref.familiar}"
                )
        return bytes(body)

    def _fetch(self, path: str, limit: int, headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        # Uncompressed: a digest is that of the bytes sent, and a few of them must not become many.
        headers = {**headers, "Accept-Encoding": "identity"}
        with self._request("get", path, headers=headers, stream=True) as response:  # type: ignore[no-untyped-call]
            return self.read(response, limit), response.headers

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
