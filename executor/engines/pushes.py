"""Pushes that fail: which are tried again, and what an engine's words about the others mean.

An engine tells why only in words, its own or those of the Go libraries it is made of. Owns how these are
read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from executor import limits
from executor.engines.interrupts import Task
from executor.engines.protocol import OnLine
from executor.errors import BuildFailed, Failure
from planner.errors import Place, Problem
from planner.values import Digest, ImageRef

__all__ = ["passes", "pushed", "refused", "unheard"]

# Statuses (docker/distribution, registry/client/errors.go; containers/image, docker/errors.go), and the words
# of Go's `net`, `net/http` and `syscall` for connections that fail. No certificate and no refusal is among
# them.
_PASSING: Final = re.compile(
    r"(?:HTTP status|StatusCode|status code|status|HTTP response body)\W*(?:from \w+ request\W*)?"
    r"(?:429|5\d\d)\b"
    r"|\b(?:500 Internal Server Error|502 Bad Gateway|503 Service Unavailable|504 Gateway Time)"
    r"|parsing HTTP (?:429|5\d\d) response|toomanyrequests|too many requests"
    r"|connection refused|connection reset|broken pipe|\bEOF\b|i/o timeout|TLS handshake timeout"
    r"|context deadline exceeded|Client\.Timeout|no such host|server misbehaving|network is unreachable"
    r"|no route to host|server closed idle connection|transport connection broken",
    re.IGNORECASE,
)


def passes(reason: str) -> bool:
    """Whether trying again later may help, by the words of an engine that could not push or pull."""
    return _PASSING.search(reason) is not None


def pushed(
    reference: str, program: str, task: Task, on_line: OnLine, push: Callable[[], Digest | str]
) -> Digest:
    """Push with `push`, which returns why it failed if it did; the digest.

    What passes is tried again, which `on_line` is told. BuildFailed if it does not come about, whose kind
    says whether trying again later may help.
    """
    left, wait = limits.PUSH_RETRIES, limits.PUSH_BACKOFF_SECONDS
    started = time.monotonic()
    while isinstance(done := push(), str):
        late = time.monotonic() - started > limits.PUSH_RETRY_SECONDS
        if late or not left or not passes(done):
            raise refused(reference, done, program)
        on_line(f"{done}: pushing again in {wait:g} s")
        task.wait(wait)
        left, wait = left - 1, wait * 2
    return done


def unheard(reference: str) -> BuildFailed:
    """The error of a push of which nothing is heard any more."""
    registry = ImageRef.parse(reference).registry
    found = f"cannot be pushed: {registry} takes nothing for {limits.PUSH_SILENCE_SECONDS:g} s"
    problem = Problem(Place(file=reference), found, f"try again when {registry} works")
    return BuildFailed([problem], Failure.REGISTRY_UNAVAILABLE)


def refused(reference: str, reason: str, program: str) -> BuildFailed:
    """The error of a push that failed for a reason."""
    registry = ImageRef.parse(reference).registry
    kind, fix = Failure.REGISTRY_REFUSED, f"check that you may push to {registry}: {program} login {registry}"
    if passes(reason):
        kind, fix = Failure.REGISTRY_UNAVAILABLE, f"try again when {registry} works"
    return BuildFailed([Problem(Place(file=reference), f"cannot be pushed: {reason}", fix)], kind)
