"""A registry on this machine, asked with the standard library alone.

Docker speaks to it without TLS and without a proxy, and most want no login, so that one question mostly has
its answer before the libraries that `client` takes are imported, which is a third of an `apply` with nothing
to do. Refuses to judge: whatever is no plain answer is asked again by `client`, which has words for it.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Self, TypeVar, cast

from executor import limits
from executor.registry.asking import (
    Missing,
    Question,
    Reader,
    Unknown,
    Untold,
    error_codes,
    in_threads,
    missing,
)
from executor.registry.manifests import ACCEPTED
from planner.values import Digest, ImageRef

__all__ = ["ask_locally", "is_local"]

T = TypeVar("T")

# A digest is that of the bytes sent, and a few of them must not become many.
_HEADERS: Final = {"Accept": ACCEPTED, "Accept-Encoding": "identity"}


def ask_locally(
    questions: Iterable[Question], ask: Callable[[Reader, Question], T], *, seconds: float
) -> dict[Question, T | Missing | Unknown]:
    """What `ask` finds out about those images whose registries are here and answer plainly and in time.

    The other questions are not in it, nor is any that found something amiss. Raises nothing.
    """
    answers: dict[Question, T | Missing | Unknown] = {}

    def run(question: Question) -> None:
        # Whatever it is, `ask_all` has words for it.
        with contextlib.suppress(Exception), _LocalClient(question.ref, seconds) as client:
            try:
                answers[question] = ask(client, question)
            except _NotThere as error:
                answers[question] = missing(question.ref, error.codes)
            except Untold as error:
                answers[question] = error.answer

    local = [question for question in dict.fromkeys(questions) if is_local(question.ref.registry)]
    in_threads(run, local, seconds=seconds)
    # Those that nobody waits for any longer may still answer.
    return dict(answers)


class _NotPlain(Exception):
    """What came is not the plain answer of a registry."""


class _NotThere(Exception):
    """The registry says that it does not have what it was asked for first; `codes` are its reasons."""

    def __init__(self, codes: list[str]) -> None:
        self.codes = codes
        super().__init__(*codes)


class _LocalClient:
    """Asks what `Client` asks, and once: _NotPlain, OSError or HTTPException for all but a plain answer.

    Use it in a `with`. `seconds` is how long it waits for each piece of an answer.
    """

    def __init__(self, ref: ImageRef, seconds: float) -> None:
        self._path = f"/v2/{ref.repository}"
        self._connection = http.client.HTTPConnection(ref.registry, timeout=seconds)
        self._has_image = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def fetch_manifest(self, address: str) -> tuple[bytes, Mapping[str, str]]:
        """A manifest by its tag or digest, and what is said of it."""
        return self._fetch(f"manifests/{address}", limits.MANIFEST_BYTES)

    def fetch_config(self, digest: Digest) -> bytes:
        """A config by its digest."""
        return self._fetch(f"blobs/{digest}", limits.CONFIG_BYTES)[0]

    def _fetch(self, path: str, limit: int) -> tuple[bytes, Mapping[str, str]]:
        self._connection.request("GET", f"{self._path}/{path}", headers=_HEADERS)
        response = self._connection.getresponse()
        body = response.read(limit + 1)
        status, headers = response.status, cast(Mapping[str, str], response.headers)
        if len(body) > limit or response.length:  # it is too long, or what it said would come did not
            raise _NotPlain
        if status == http.client.NOT_FOUND and not self._has_image and (codes := error_codes(body)):
            raise _NotThere(codes)
        # Headers that break off look like headers that end.
        if status != http.client.OK or not (body or "Content-Length" in headers):
            raise _NotPlain
        self._has_image = True
        return body, headers


def is_local(registry: str) -> bool:
    """Whether a registry is on the loopback: Docker takes `localhost`, 127.0.0.0/8 and ::1 without TLS."""
    host = registry[1:].partition("]")[0] if registry.startswith("[") else registry.partition(":")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
