"""A client of one repository of a registry: dxf's, with the manners of Docker.

Plain HTTP to this machine and nowhere else, no proxy on the way to it, and the login that the user has.
Owns how much of an answer is read. Takes its time to import: `asking` does so only when a registry has to
be asked.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self
from urllib.parse import urlsplit

from dxf import DXF
from requests import HTTPError, PreparedRequest, Response, Session
from urllib3.exceptions import ProtocolError

from executor import limits
from executor.process import Stop
from executor.registry.asking import Untold
from executor.registry.credentials import Helpers, Login, find_login
from executor.registry.local import is_local
from executor.registry.manifests import ACCEPTED
from executor.registry.patience import Patience
from planner.values import Digest, ImageRef

__all__ = ["Client"]

_CHUNK_BYTES: Final = 1 << 16
# Where a registry keeps its blobs elsewhere, there is one redirect.
_REDIRECTS: Final = 5


class _Session(Session):
    """A session that says who is asked, and reads no more of any answer than is asked for."""

    def __init__(self, asking: Callable[[str], None], local: bool) -> None:
        super().__init__()
        self._asking = asking
        self.trust_env = not local
        self.max_redirects = _REDIRECTS
        # Or requests would put a password from ~/.netrc in place of the registry's token.
        self.auth = _unchanged
        # A digest is that of the bytes sent, and a few of them must not become many.
        self.headers["Accept-Encoding"] = "identity"
        self.hooks["response"].append(self._bound)

    def send(self, request: PreparedRequest, **settings: Any) -> Response:
        """Send a request, each that a redirect leads to as well."""
        self._asking(urlsplit(request.url or "").netloc.rpartition("@")[2])
        return super().send(request, **settings)

    def _bound(self, response: Response, *, stream: bool = False, **_: Any) -> None:
        """Read an answer that requests would read to its end: all that nobody asked for as a stream."""
        if not stream or response.is_redirect:
            response.raw = io.BytesIO(_body(response, limits.ANSWER_BYTES))


class Client(DXF):
    """Asks a registry for what it knows of the repository of an image. Use it in a `with`."""

    def __init__(
        self, ref: ImageRef, *, timeout: float, environ: Mapping[str, str], actions: Sequence[str] = ("pull",)
    ) -> None:
        host = "registry-1.docker.io" if ref.registry == "docker.io" else ref.registry
        self.login: Login | None = None
        """The login that was used; None while the registry has not asked for any."""
        self.waits_for = ref.registry
        """Who was asked last: the registry, a server that it leads to, or a credential helper."""
        self._patience = Patience(ref.registry, time.monotonic() + timeout)
        self._stop: Stop | None = None
        self._ref = ref
        self._environ = environ
        self._actions = list(actions)
        self._local = is_local(ref.registry)
        super().__init__(host, ref.repository, _log_in, insecure=self._local, timeout=timeout)
        # dxf refuses to log in without TLS. Docker does so on the loopback, where nobody listens in.
        self._insecure = False

    def __enter__(self) -> Self:
        self._sessions.insert(0, _Session(self._asking, self._local))
        return self

    def _asking(self, host: str) -> None:
        registry = self._ref.registry
        self.waits_for = registry if host == self._host else f"{host} (where {registry} leads to)"

    def give_up(self) -> bool:
        """Kill the credential helper that runs, from another thread; whether there is one."""
        if self._stop is not None:
            self._stop()
        return self._stop is not None

    def log_in(self, response: Response) -> None:
        """Answer a registry that asks who is there, by name if the user has a login."""
        response.close()
        self.login = login = find_login(self._ref, self._environ, self._helpers())
        self.authenticate(
            login.username or None,
            login.password if login else None,
            actions=self._actions,
            response=response,
        )

    def _helpers(self) -> Helpers:
        def asking(program: str) -> None:
            self.waits_for = f"the credential helper {program}"

        def stoppable(stop: Stop) -> None:
            self._stop = stop

        return Helpers(min(limits.HELPER_SECONDS, self._patience.seconds), asking, stoppable)

    def head_manifest(self, address: str) -> Mapping[str, str]:
        """What is said of a manifest without sending it; nothing where only sending it will tell."""

        def ask() -> Response:
            return self._request("head", f"manifests/{address}", headers={"Accept": ACCEPTED})  # type: ignore[no-untyped-call,no-any-return]

        try:
            response = self._patience.until_answered(ask)
        except HTTPError as error:
            # Such an answer has no words. Those of a GET tell a registry from any other server.
            if error.response.status_code not in (404, 405):
                raise
            return {}
        headers: Mapping[str, str] = response.headers
        return headers

    def fetch_manifest(self, address: str) -> tuple[bytes, Mapping[str, str]]:
        """A manifest by its tag or digest, and what is said of it. Untold if it is too long."""
        return self._fetch(f"manifests/{address}", limits.MANIFEST_BYTES, {"Accept": ACCEPTED})

    def fetch_config(self, digest: Digest) -> bytes:
        """A config by its digest. Untold if it is too long."""
        return self._fetch(f"blobs/{digest}", limits.CONFIG_BYTES, {})[0]

    def read(self, response: Response, limit: int) -> bytes:
        """The body of an answer, of at most `limit` bytes. ValueError if it is longer."""
        return _body(response, limit)

    def _fetch(self, path: str, limit: int, headers: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        def ask() -> tuple[bytes, Mapping[str, str]]:
            with self._request("get", path, headers=headers, stream=True) as response:  # type: ignore[no-untyped-call]
                try:
                    body = _body(response, limit)
                except _TooLong:
                    raise Untold(
                        f"{self._ref.registry} sends more than {limit >> 20} MiB for {self._ref.familiar}"
                    ) from None
                if not body and "Content-Length" not in response.headers:
                    # Headers that break off look like headers that end.
                    raise ProtocolError("no body", ConnectionResetError())
                return body, response.headers

        return self._patience.until_answered(ask)

    def put_manifest(self, tag: str, content: bytes, kind: str) -> None:
        """Give a manifest a tag: the very bytes, or it would have another digest."""
        headers = {"Content-Type": kind}
        # Twice is as good as once: the same bytes under the same name.
        self._patience.until_answered(
            lambda: self._request("put", f"manifests/{tag}", data=content, headers=headers)  # type: ignore[no-untyped-call]
        )


class _TooLong(ValueError):
    """An answer is longer than it may be."""


def _body(response: Response, limit: int) -> bytes:
    """The body of an answer, of at most `limit` bytes. _TooLong if it is longer."""
    body = bytearray()
    for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > limit:
            response.raw.close()
            raise _TooLong
    return bytes(body)


def _log_in(client: Any, response: Response) -> None:
    client.log_in(response)


def _unchanged(request: PreparedRequest) -> PreparedRequest:
    return request
