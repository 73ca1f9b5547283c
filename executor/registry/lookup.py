"""The digest that an image has in its registry, asked over HTTP.

Owns the three answers (it is there, it is not, it cannot be told), the words for the third, and giving
an image one more tag. Refuses to wait longer than it is told to, whatever hangs, and to repeat what a
library or a server says of a failure: that could hold a credential.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import frozen

from executor.errors import ExecutorError, RegistryUnavailable
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.registry.client import Client

__all__ = ["Answer", "Found", "Missing", "Unknown", "head", "heads", "retag"]

# Answers of an old registry to a client that it takes for an older one: of a rewritten manifest.
_REWRITTEN: Final = "application/vnd.docker.distribution.manifest.v1+"


@frozen
class Found:
    """The registry has the image. The digest is what the reference points at: an index if there is one."""

    digest: Digest


@frozen
class Missing:
    """The registry says that it does not have the image."""

    reason: str


@frozen
class Unknown:
    """The registry did not tell. `transient` says whether asking again later may help."""

    reason: str
    transient: bool = True


Answer: TypeAlias = Found | Missing | Unknown


def head(ref: ImageRef, *, timeout: float, environ: Mapping[str, str] | None = None) -> Answer:
    """What the registry of an image says of it, within `timeout` seconds in all.

    A reference with a digest is looked up by it. `environ` (by default this process's) says where the
    user's logins are. Raises nothing.
    """
    return heads([ref], timeout=timeout, environ=environ)[ref]


def heads(
    refs: Iterable[ImageRef], *, timeout: float, environ: Mapping[str, str] | None = None
) -> dict[ImageRef, Answer]:
    """The same for several images, all asked at once."""

    def job(ref: ImageRef) -> Callable[[], Answer]:
        return lambda: _answer(ref, _look, timeout, environ)

    return _at_once({ref: job(ref) for ref in refs}, timeout)


def retag(ref: ImageRef, tag: str, *, timeout: float, environ: Mapping[str, str] | None = None) -> Digest:
    """Give what `ref` points at one more tag in its registry, without moving a layer; its digest.

    RegistryUnavailable if trying again later may help, else ExecutorError.
    """

    def put(client: Client, ref: ImageRef) -> Answer:
        _, response = client.get_manifest_and_response(_alias(ref))
        client.put_manifest(tag, response.content, response.headers["Content-Type"])
        return Found(Digest(hashlib.sha256(response.content).hexdigest()))

    done = _at_once({ref: lambda: _answer(ref, put, timeout, environ, ("pull", "push"))}, timeout)[ref]
    if isinstance(done, Found):
        return done.digest
    kind = RegistryUnavailable if isinstance(done, Unknown) and done.transient else ExecutorError
    raise kind.of(f"{ref.name}:{tag}", f"cannot be tagged: {done.reason}", "run apply again when it can")


def _at_once(jobs: Mapping[ImageRef, Callable[[], Answer]], timeout: float) -> dict[ImageRef, Answer]:
    """The answer of each job; Unknown for one that has none in time.

    In threads that nobody waits for any longer: a name server or a credential helper that hangs knows
    nothing of timeouts.
    """
    if not jobs:
        return {}
    from executor.registry import client  # noqa: F401, PLC0415  # here, and not in several threads at once

    answers: dict[ImageRef, Answer] = {}

    def run(ref: ImageRef) -> None:
        answers[ref] = jobs[ref]()

    end = time.monotonic() + timeout
    threads = [threading.Thread(target=run, args=(ref,), daemon=True) for ref in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    silent = {ref: Unknown(f"{ref.registry} did not answer within {timeout:g} s") for ref in jobs}
    return {**silent, **answers}


def _answer(
    ref: ImageRef,
    question: Callable[[Client, ImageRef], Answer],
    timeout: float,
    environ: Mapping[str, str] | None,
    actions: tuple[str, ...] = ("pull",),
) -> Answer:
    from executor.registry.client import Client  # noqa: PLC0415  # a tenth of a second, only if it is needed

    environ = os.environ if environ is None else environ
    with Client(ref, timeout=timeout, environ=environ, actions=actions) as client:
        try:
            return question(client, ref)
        except Exception as error:  # dxf raises whatever an answer that is none makes it raise
            return _why(error, client, ref)


def _alias(ref: ImageRef) -> str:
    return str(ref.digest or ref.tag or "latest")


def _look(client: Client, ref: ImageRef) -> Answer:
    """Ask without fetching first: Docker Hub counts each manifest that is fetched, and no HEAD."""
    from requests import HTTPError  # noqa: PLC0415  # see _answer

    alias = _alias(ref)
    try:
        name, response = client.head_manifest_and_response(alias)
    except HTTPError as error:
        # Such an answer has no words. Those of a GET tell a registry from any other server.
        if error.response.status_code not in (404, 405):
            raise
        name, response = None, error.response
    kind = response.headers.get("Content-Type", "")
    if name is None:
        content, response = client.get_manifest_and_response(alias)
        kind = json.loads(content).get("mediaType") or response.headers.get("Content-Type", "")
        name = f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        if "manifest" not in kind and "image.index" not in kind:
            return _no_registry(ref)
    if kind.startswith(_REWRITTEN):
        return Unknown(f"{ref.registry} only has {ref.familiar} in a format of before 2016", transient=False)
    return Found(Digest.parse(name))


def _why(error: Exception, client: Client, ref: ImageRef) -> Answer:
    """What a failure says of an image."""
    import requests  # noqa: PLC0415  # see _answer
    from dxf.exceptions import DXFUnauthorizedError  # noqa: PLC0415  # see _answer
    from urllib3.exceptions import NameResolutionError  # noqa: PLC0415  # see _answer

    registry = ref.registry
    match error:
        case DXFUnauthorizedError():
            return Unknown(_refused(client, ref), transient=False)
        case requests.HTTPError():
            return _status(error.response, client, ref)
        case requests.exceptions.ProxyError():
            return Unknown(f"the proxy on the way to {registry} does not let through")
        case requests.exceptions.SSLError():
            return Unknown(f"no TLS connection to {registry} that this machine can trust", transient=False)
        case requests.Timeout():
            return Unknown(f"{registry} did not answer in time")
        case requests.ConnectionError():
            cause = getattr(error.args[0], "reason", None) if error.args else None
            if isinstance(cause, NameResolutionError):
                return Unknown(f"the name {registry} does not resolve")
            return Unknown(f"{registry} cannot be reached")
        case _:
            return _no_registry(ref)


def _status(response: Any, client: Client, ref: ImageRef) -> Answer:
    """What an answer with an error status says of an image (OCI distribution spec, "Error codes")."""
    registry, status = ref.registry, response.status_code
    if status == 404:
        codes = _codes(response)
        if not codes:
            return _no_registry(ref)
        if "NAME_UNKNOWN" in codes:
            return Missing(f"{registry} has no repository {ref.repository}")
        return Missing(f"{registry} has no {ref.familiar}")
    if status == 403:
        return Unknown(_refused(client, ref), transient=False)
    if status == 429:
        return Unknown(f"{registry} has been asked too often: try again later, or docker login {registry}")
    return Unknown(f"{registry} answered with status {status}", transient=status >= 500)


def _codes(response: Any) -> list[str]:
    """The codes of the errors in an answer; none if it is not that of a registry."""
    try:
        return [str(error["code"]) for error in response.json()["errors"]]
    except (ValueError, TypeError, KeyError):
        return []


def _refused(client: Client, ref: ImageRef) -> str:
    """Why a registry would not tell: it says the same of what is not there and of what is private."""
    login, registry = client.login, ref.registry
    if login is not None and login.problem:
        return f"{registry} asks for a login, and {login.problem}"
    if login:
        return f"{registry} refused the credentials, or has no {ref.familiar}: docker login {registry}"
    return f"{registry} asks for a login, or has no {ref.familiar}: docker login {registry}"


def _no_registry(ref: ImageRef) -> Unknown:
    return Unknown(f"{ref.registry} does not answer like a registry", transient=False)
