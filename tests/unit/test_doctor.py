"""Looks of `stowplan doctor`: each is an answer, whatever it does; and which engine is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uv

from executor import limits
from executor.cli.render.doctor import doctor_lines
from executor.cli.render.line import broken, parts_of, text_of
from executor.doctor.check import Check, Look, State, look_at_all
from executor.doctor.engines import settled
from executor.doctor.machine import room
from executor.errors import ExecutorError
from executor.process import Command, run
from executor.workflow.doctor import examined, works
from planner.errors import PlannerError, Problem

FINE = Check("a", "A", State.OK, "fine")


def raising(error: Exception) -> Callable[[], Iterator[Check]]:
    def look() -> Iterator[Check]:
        yield FINE
        raise error

    return look


@pytest.mark.parametrize(
    ("error", "found", "fix"),
    [
        (ExecutorError.of("A", "is broken", "mend it"), "is broken", "mend it"),
        (ExecutorError.of("b.toml", "is broken", "mend it"), "b.toml: is broken", "mend it"),
        (
            PlannerError([Problem.at(("x",), "wrong", "right"), Problem.at(("y",), "wrong", "right")]),
            "x: wrong (and 1 more)",
            "right",
        ),
        (RuntimeError("secret"), "cannot be looked at (RuntimeError)", "report it as a defect"),
    ],
    ids=["its own", "another's", "two", "unknown"],
)
def test_a_look_that_fails_is_an_answer(error: Exception, found: str, fix: str) -> None:
    looks = [Look("a", "A", raising(error)), Look("b", "B", lambda: [FINE])]
    assert look_at_all(looks) == (Check("a", "A", State.FAILED, found, fix), FINE)
    (check,) = Look("a", "A", raising(error), needed=False).checks()
    assert check.state is State.WARNING


def test_a_look_that_hangs_hides_no_other_and_its_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCTOR_SECONDS", 2.0)
    ended = threading.Event()

    def hanging() -> Iterator[Check]:
        # The shell is in a group of its own, and what it starts is in that group.
        done = run(Command(("sh", "-c", "sleep 100 & wait")))
        assert done.code < 0
        ended.set()
        yield FINE

    begin = time.monotonic()
    found = look_at_all([Look("a", "A", hanging, hangs="wake it up"), Look("b", "B", lambda: [FINE])])
    assert found == (
        Check("a", "A", State.FAILED, "does not answer within 2 s", "wake it up"),
        FINE,
    )
    assert ended.wait(60)
    assert time.monotonic() - begin < 60


OK = State.OK
NO = State.FAILED
OUT = State.SKIPPED
BAD = State.WARNING


@pytest.mark.parametrize(
    ("environ", "found", "needed"),
    [
        ({}, (OK, OK), (OK, OK)),
        ({}, (OK, OUT), (OK, OUT)),
        ({}, (OK, NO), (OK, BAD)),
        ({}, (NO, OK), (BAD, OK)),
        ({}, (OUT, BAD), (OUT, BAD)),
        ({}, (NO, NO), (NO, NO)),
        ({}, (OUT, OUT), (NO, NO)),
        ({}, (OUT, NO), (NO, NO)),
        ({"STOWPLAN_CONTAINER_ENGINE": "podman"}, (NO, OK), (OUT, OK)),
        ({"STOWPLAN_CONTAINER_ENGINE": "podman"}, (OK, OUT), (OK, NO)),
        ({"STOWPLAN_CONTAINER_ENGINE": "podman"}, (NO, NO), (OUT, NO)),
        ({"DOCKER_HOST": "unix:///x"}, (NO, OK), (NO, OK)),
    ],
)
def test_the_engine_that_is_used_is_needed(
    environ: Mapping[str, str], found: tuple[State, State], needed: tuple[State, State]
) -> None:
    checks = [
        Check(name, name, state, "found", "" if state is OK else "fix")
        for name, state in zip(("docker", "podman"), found, strict=True)
    ]
    states = settled([FINE, *checks], environ)
    assert tuple(check.state for check in states) == (OK, *needed)
    assert all(check.fix for check in states if check.state in (NO, BAD))


@pytest.mark.parametrize(("gib", "state"), [(0.05, NO), (1, BAD), (50, OK)])
def test_room_that_is_little_is_said(gib: float, state: State) -> None:
    assert room("disk", "disk", int(gib * 2**30)).state is state


def test_a_machine_without_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(uv, "find_uv_bin", missing)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    checks = examined(tmp_path, {"PATH": str(tmp_path)})
    (found,) = (check for check in checks if check.code == "uv")
    assert found == Check(
        "uv", "uv", State.FAILED, "no such program", "install it, or put its directory on the PATH"
    )
    assert not works(checks)


def test_lines_say_what_mends() -> None:
    checks = [FINE, Check("b", "Beta", State.FAILED, "gone", "fetch it")]
    assert list(map(text_of, doctor_lines(checks))) == [
        "✓ ok       A     fine",
        "✗ failed   Beta  gone",
        "           fix: fetch it",
        "",
        "1 ok, 0 warning, 1 failed, 0 skipped.",
    ]


def test_lines_fit_a_terminal_and_no_word_is_cut() -> None:
    words = "a registry that asks for a login, and does not say what else it may want of anybody who asks it"
    check = Check("b", "registry example.com", State.FAILED, words, words)
    lines = [text_of(shown) for line in doctor_lines([FINE, check]) for shown in broken(parts_of(line), 80)]
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()).count(words) == 2
    # What follows stands below the column that it belongs to.
    (at,) = {line.index("a registry") for line in lines if "✗" in line}
    assert lines[2][:at].isspace()
    assert not lines[2][at].isspace()
