"""Exit codes follow from kinds of failure, and the reference prints what the code holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from executor import limits
from executor.apply.outcome import Outcome, Result
from executor.apply.outcome import exit_code as outcome_code
from executor.engines.interrupts import Tasks
from executor.engines.pushes import passes, pushed, refused
from executor.errors import (
    FAILURES,
    BuildFailed,
    EngineUnavailable,
    ExecutorError,
    Failure,
    RegistryUnavailable,
    UsageError,
    exit_code,
)
from planner.compare.actions import Action
from planner.errors import PlannerError, Problem, StowplanError
from planner.values import Digest

REFERENCE: Final = (Path(__file__).parents[2] / "docs/reference.md").read_text("utf-8")


def section(title: str) -> str:
    return REFERENCE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_reference_prints_the_table() -> None:
    printed = [row for row in rows("Exit codes") if row[0].startswith("`")]
    assert printed == [[f"`{kind}`", str(end.code), end.words] for kind, end in FAILURES.items()]
    assert set(FAILURES) == set(Failure)


def test_every_exit_code_of_a_failure_is_in_the_table_of_exit_codes() -> None:
    listed = {int(row[0]) for row in rows("Exit codes") if row[0].isdecimal()}
    assert {end.code for end in FAILURES.values()} <= listed


def test_the_reference_prints_the_limits() -> None:
    text = section("Time limits and retries")
    numbers = [float(number) for number in re.findall(r"\b\d+\b", text)]
    for name in (
        "PLAN_REGISTRY",
        "REGISTRY",
        "HELPER",
        "WRITER",
        "GREETING",
        "ANSWER",
        "STORAGE",
        "WATCH",
        "PUSH_SILENCE",
        "RUNTIME",
        "SETPRIV",
        "ENDING",
        "ORPHAN",
    ):
        assert getattr(limits, f"{name}_SECONDS") in numbers
    for size in (limits.MANIFEST_BYTES, limits.CONFIG_BYTES, limits.ANSWER_BYTES):
        assert f"{size >> 20} MiB" in text
    assert f"asked again at most {limits.REGISTRY_RETRIES} times" in text
    assert f"tried again at most {limits.PUSH_RETRIES} times" in text


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ([], 0),
        ([Failure.BUILD_FAILED], 1),
        ([Failure.USAGE], 64),
        ([Failure.ENGINE_UNAVAILABLE, Failure.REGISTRY_UNAVAILABLE], 75),
        ([Failure.ENGINE_UNAVAILABLE, Failure.BUILD_FAILED], 1),
        ([Failure.REGISTRY_REFUSED, Failure.REGISTRY_UNAVAILABLE], 1),
    ],
)
def test_several_failures_have_one_exit_code(failures: list[Failure], code: int) -> None:
    assert exit_code(failures) == code


def test_an_error_has_the_kind_of_its_class_or_its_own() -> None:
    assert ExecutorError.of("x", "y", "z").exit_code == 1
    assert UsageError.of("x", "y", "z").exit_code == 64
    assert EngineUnavailable.of("x", "y", "z").exit_code == 75
    assert BuildFailed([], Failure.ENGINE_UNAVAILABLE).exit_code == 75


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (RegistryUnavailable.of("x", "y", "z"), ExecutorError([], Failure.BUSY), 75),
        (BuildFailed.of("x", "y", "z"), ExecutorError.of("x", "y", "z"), 1),
        (RegistryUnavailable.of("x", "y", "z"), PlannerError([Problem.at("x", "y", "z")]), 1),
        (BuildFailed.of("x", "y", "z"), ExecutorError([], Failure.DEFECT), 1),
    ],
)
def test_errors_that_are_joined_have_the_exit_code_of_several_failures(
    first: ExecutorError, second: StowplanError, code: int
) -> None:
    """As of an image that was not pushed, and whose record could not be written."""
    assert ExecutorError.joined([first, second]).exit_code == code
    assert ExecutorError.joined([second, first]).exit_code == code


def outcome(error: StowplanError | None) -> Outcome:
    return Outcome("x", Digest("0" * 64), Action.BUILD, Result.FAILED, "localhost/x:1", error=error)


def test_outcomes_have_the_exit_code_of_their_failures() -> None:
    away = outcome(RegistryUnavailable.of("x", "y", "z"))
    wrong = outcome(PlannerError([Problem.at("x", "y", "z")]))
    assert [outcome_code(group) for group in ([], [outcome(None)], [away], [away, wrong])] == [0, 0, 75, 1]


# --- pushes, in the words of engines

PASSING: Final = [
    "received unexpected HTTP status: 500 Internal Server Error",
    "received unexpected HTTP status: 503 Service Unavailable",
    "writing blob: initiating layer upload to /v2/x in localhost:1: received unexpected HTTP status: 502 Bad",
    "error parsing HTTP 429 response body: invalid character '<' looking for beginning of value",
    "toomanyrequests: You have reached your pull rate limit.",
    "too many requests to registry",
    'Get "http://localhost:1/v2/": dial tcp [::1]:1: connect: connection refused',
    'Head "https://x/v2/": net/http: TLS handshake timeout',
    "read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer",
    'Put "http://localhost:1/v2/x": EOF',
    "unexpected EOF",
    "dial tcp: lookup registry.invalid on 1.1.1.1:53: no such host",
    "dial tcp 10.0.0.1:443: i/o timeout",
]
STAYING: Final = [
    "denied: requested access to the resource is denied",
    "unauthorized: authentication required",
    "received unexpected HTTP status: 400 Bad Request",
    "received unexpected HTTP status: 404 Not Found",
    "unknown: the repository 5000 is read-only",
    'Get "https://x/v2/": x509: certificate signed by unknown authority',
    'Get "https://x/v2/": http: server gave HTTP response to HTTPS client',
    "An image does not exist locally with the tag: localhost:5000/x",
    "the daemon did not tell the digest",
]


@pytest.mark.parametrize(
    ("reason", "code"), [*((each, 75) for each in PASSING), *((each, 1) for each in STAYING)]
)
def test_a_push_that_fails_has_the_exit_code_of_its_reason(reason: str, code: int) -> None:
    error = refused("localhost:5000/x:1", reason, "podman")
    (problem,) = error.problems
    assert passes(reason) is (code == 75)
    assert error.exit_code == code
    assert problem.found == f"cannot be pushed: {reason}"
    assert ("podman login localhost:5000" in problem.fix) is (code == 1)


def push(*answers: Digest | str) -> tuple[list[str], Digest | None]:
    """What is said while one push after the other has these answers, and the digest."""
    lines: list[str] = []
    left = list(answers)
    with Tasks().begun("localhost:5000/x:1") as task:
        try:
            return lines, pushed("localhost:5000/x:1", "docker", task, lines.append, lambda: left.pop(0))
        except BuildFailed:
            return lines, None
        finally:
            assert left == []


def test_a_push_is_tried_again_where_that_may_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_BACKOFF_SECONDS", 0.0)
    digest = Digest("1" * 64)
    assert push(PASSING[0], PASSING[1], digest) == (
        [f"{PASSING[0]}: pushing again in 0 s", f"{PASSING[1]}: pushing again in 0 s"],
        digest,
    )
    lines, missing = push(*[PASSING[0]] * (1 + limits.PUSH_RETRIES))
    assert (len(lines), missing) == (limits.PUSH_RETRIES, None)
    assert push(STAYING[0]) == ([], None)


def test_a_wait_for_another_push_ends_when_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PUSH_BACKOFF_SECONDS", 600.0)
    tasks = Tasks()

    def fail() -> str:
        tasks.interrupt()
        return PASSING[0]

    with tasks.begun("localhost:5000/x:1") as task, pytest.raises(BuildFailed, match="interrupted"):
        pushed("localhost:5000/x:1", "docker", task, lambda _: None, fail)
