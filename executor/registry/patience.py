"""Asking a registry again: after which failures, how often, and how long to wait in between.

Owns which failures pass by themselves. urllib3's `Retry` counts, and reads Retry-After (RFC 9110, 10.2.3).
Refuses to wait past the end of the time that all of a question has. Says each wait to the log
`stowplan.registry`.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final, TypeVar

import requests
import urllib3

from executor import limits

__all__ = ["Patience", "broke_off"]

T = TypeVar("T")

LOG: Final = logging.getLogger("stowplan.registry")

# What passes, where 500 is most often a defect that stays (RFC 9110, 15.6; RFC 6585, 4).
_PASSING: Final = frozenset({429, 502, 503, 504})
_NO_WAIT: Final = "without delay"


class Patience:
    """How long one question to `registry` goes on: until `end`, a time of `time.monotonic()`."""

    def __init__(self, registry: str, end: float) -> None:
        self._registry = registry
        self._end = end
        self._retry = urllib3.Retry(
            total=limits.REGISTRY_RETRIES,
            backoff_factor=limits.REGISTRY_BACKOFF_SECONDS,
            status_forcelist=_PASSING,
        )

    @property
    def seconds(self) -> float:
        """What is left of the time."""
        return max(0.0, self._end - monotonic())

    def until_answered(self, ask: Callable[[], T]) -> T:
        """What `ask` returns, which may be called again. Raises what it raised where that would not help."""
        while True:
            try:
                return ask()
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                found = self._passing(error)
                wait = self._next(error) if found else None
                if wait is None:
                    raise
            LOG.info(
                "%s %s: asking again %s", self._registry, found, f"in {wait:.3g} s" if wait else _NO_WAIT
            )
            sleep(wait)

    def _passing(self, error: Exception) -> str:
        """What happened, if it is of a kind that passes; empty if not."""
        if isinstance(error, requests.HTTPError) and error.response is not None:
            status = error.response.status_code
            return f"answered {status}" if status in _PASSING else ""
        if isinstance(error, requests.exceptions.SSLError | requests.exceptions.ProxyError):
            return ""
        return "hung up" if broke_off(error) else ""

    def _next(self, error: Exception) -> float | None:
        """Count one more attempt; the seconds to wait for it, None if it is one too many."""
        response: Any = getattr(error, "response", None)
        try:
            self._retry = self._retry.increment("GET")
        except urllib3.exceptions.MaxRetryError:
            return None
        try:
            wait = self._retry.get_retry_after(response) if response is not None else None
        # What is neither a number nor a date, or one that no clock shows.
        except (urllib3.exceptions.InvalidHeader, ArithmeticError, LookupError, TypeError, ValueError):
            wait = None
        if wait is None:
            wait = self._retry.get_backoff_time()
        return wait if wait < self.seconds else None


def broke_off(error: Exception) -> bool:
    """Whether a connection was reset, or an answer ended before its end, in the words of both libraries.

    What was no HTTP from its beginning did not break off.
    """
    causes = [cause for cause in (error, *error.args) if isinstance(cause, urllib3.exceptions.ProtocolError)]
    inner = [part for cause in causes for part in cause.args[1:]]
    return any(isinstance(part, OSError | http.client.IncompleteRead) for part in inner)
