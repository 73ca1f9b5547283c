"""How registries are asked: all at once, within a time, and in which words a failure is told.

Owns what is asked about (an image, and a platform where that matters), the two answers that every
question may get (it is not there, it cannot be told), and the words for them: who failed, be it a registry, a
server that it leads to or a credential helper. Refuses to wait longer than it is told to, whatever hangs, and
to repeat what a library or a server says of a failure: that could hold
a credential.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from attrs import field
from attrs.validators import matches_re, optional

from executor import limits
from planner.immutable import frozen
from planner.values import Digest, ImageRef

if TYPE_CHECKING:
    from executor.registry.client import Client

__all__ = [
    "Missing",
    "Question",
    "Reader",
    "Unknown",
    "Untold",
    "ask_all",
    "error_codes",
    "in_threads",
    "missing",
]

T = TypeVar("T")

# For a thread to end whose credential helper was killed.
_LEAVE_SECONDS: Final = 1.0


@frozen
class Question:
    """An image to ask about. `platform` (`linux/arm64`) says which one is meant where it has several.

    ValueError for what is not a platform.
    """

    ref: ImageRef
    platform: str | None = field(
        default=None, validator=optional(matches_re(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?"))
    )


@frozen
class Missing:
    """The registry says that it does not have the image."""

    reason: str


@frozen
class Unknown:
    """The registry did not tell. `transient` says whether asking again later may help."""

    reason: str
    transient: bool = True


class Reader(Protocol):
    """What gets what a registry has in the repository of an image."""

    def fetch_manifest(self, address: str) -> tuple[bytes, Mapping[str, str]]:
        """A manifest by its tag or digest, and what is said of it."""

    def fetch_config(self, digest: Digest) -> bytes:
        """A config by its digest."""


class Untold(Exception):
    """Ends a question whose answer can only be Unknown. Never leaves this package."""

    def __init__(self, reason: str) -> None:
        self.answer = Unknown(reason, transient=False)
        super().__init__(reason)


def ask_all(
    questions: Iterable[Question],
    ask: Callable[[Client, Question], T],
    *,
    timeout: float,
    environ: Mapping[str, str] | None = None,
    actions: tuple[str, ...] = ("pull",),
) -> dict[Question, T | Missing | Unknown]:
    """What `ask` finds out about each, all at once; Missing or Unknown where it raises or takes too long.

    A credential helper that still runs when the time is over is killed. `environ` (by default this process's)
    says where the user's logins are, and `actions` what they have to allow. Raises nothing.
    """
    questions = list(dict.fromkeys(questions))
    if not questions:
        return {}
    # A tenth of a second, only if a registry is asked; and here, not in several threads at once.
    from executor.registry.client import Client  # noqa: PLC0415

    environ = os.environ if environ is None else environ
    answers: dict[Question, T | Missing | Unknown] = {}

    def run(question: Question) -> None:
        with clients[question] as client:
            try:
                answers[question] = ask(client, question)
            except Exception as error:  # an answer that is none makes dxf, and us, raise whatever it may
                answers[question] = _why(error, client, question.ref)

    clients = {
        question: Client(question.ref, timeout=timeout, environ=environ, actions=actions)
        for question in questions
    }
    threads = in_threads(run, questions, seconds=timeout)
    silent = {
        question: Unknown(f"{client.waits_for} did not answer within {timeout:g} s")
        for question, client in clients.items()
    }
    helped = [question for question, client in clients.items() if client.give_up()]
    for question in helped:
        threads[question].join(_LEAVE_SECONDS)
    return {**silent, **answers}


def in_threads(
    run: Callable[[Question], None], questions: Iterable[Question], *, seconds: float
) -> dict[Question, threading.Thread]:
    """Run each question in a thread of its own, all at once, and wait for `seconds` in all; the threads.

    Nobody waits any longer for those that still run: a name server that hangs knows nothing of timeouts.
    """
    end = time.monotonic() + seconds
    threads = {
        question: threading.Thread(target=run, args=(question,), daemon=True) for question in questions
    }
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0, end - time.monotonic()))
    return threads


def _why(error: Exception, client: Client, ref: ImageRef) -> Missing | Unknown:
    """What a failure says of an image."""
    import requests  # noqa: PLC0415  # see ask_all
    from dxf.exceptions import DXFUnauthorizedError  # noqa: PLC0415  # see ask_all
    from urllib3.exceptions import NameResolutionError, TimeoutError  # noqa: A004, PLC0415  # see ask_all

    from executor.registry.patience import broke_off  # noqa: PLC0415  # see ask_all

    registry = client.waits_for
    match error:
        case Untold():
            return error.answer
        case DXFUnauthorizedError():
            return Unknown(_refused(client, ref), transient=False)
        case requests.HTTPError():
            return _status(error.response, client, ref)
        case requests.exceptions.ProxyError():
            return Unknown(f"the proxy on the way to {registry} does not let through")
        case requests.exceptions.SSLError():
            return Unknown(f"no TLS connection to {registry} that this machine can trust", transient=False)
        case requests.Timeout() | TimeoutError():
            return Unknown(f"{registry} did not answer in time")
        case _ if broke_off(error):
            return Unknown(f"{registry} hung up before its answer was complete")
        case requests.ConnectionError() if not _talks(error):
            return _no_registry(ref)
        case requests.ConnectionError():
            cause = getattr(error.args[0], "reason", None) if error.args else None
            if isinstance(cause, NameResolutionError):
                return Unknown(f"the name {registry} does not resolve")
            return Unknown(f"{registry} cannot be reached")
        case _:
            return _no_registry(ref)


def _talks(error: Exception) -> bool:
    """Whether it was a connection that failed, and not what was said on it."""
    from urllib3.exceptions import ProtocolError  # noqa: PLC0415  # see ask_all

    return not any(isinstance(cause, ProtocolError) for cause in error.args)


def _status(response: Any, client: Client, ref: ImageRef) -> Missing | Unknown:
    """What an answer with an error status says of an image (OCI distribution spec, "Error codes")."""
    registry, status = client.waits_for, response.status_code
    if registry != ref.registry and status in (404, 410):
        return Unknown(f"{registry} does not have it", transient=False)
    if status == 404:
        codes = _codes(response, client)
        if not codes:
            return _no_registry(ref)
        return missing(ref, codes)
    if status == 403:
        return Unknown(_refused(client, ref), transient=False)
    if status == 429:
        fix = f"try again later, or docker login {ref.registry}"
        return Unknown(f"{registry} has been asked too often: {fix}")
    return Unknown(f"{registry} answered with status {status}", transient=status >= 500)


def _codes(response: Any, client: Client) -> list[str]:
    """The codes of the errors in an answer; none if it is not that of a registry."""
    try:
        return error_codes(client.read(response, limits.ANSWER_BYTES))
    except Exception:  # it is too long, or breaks off
        return []


def error_codes(body: bytes) -> list[str]:
    """The codes of the errors in the body of an answer; none if it has none."""
    try:
        return [str(error["code"]) for error in json.loads(body)["errors"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def missing(ref: ImageRef, codes: Iterable[str]) -> Missing:
    """What the codes of a registry that does not have an image say."""
    if "NAME_UNKNOWN" in codes:
        return Missing(f"{ref.registry} has no repository {ref.repository}")
    return Missing(f"{ref.registry} has no {ref.familiar}")


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
