from __future__ import annotations

import json
import shlex
from urllib.parse import quote, quote_plus

import pytest

from executor.engines.archive import whole_dockerfile
from executor.engines.interrupts import Tasks
from executor.engines.logs import UNTOLD, Log, build_failed
from executor.engines.mark import label_line, mark
from executor.engines.platforms import platform
from executor.engines.protocol import HASH_LABEL
from executor.engines.references import image_id, named, only_digest, parsed, references
from executor.errors import BuildFailed, ExecutorError
from planner.errors import Place
from planner.mask import Mask
from planner.render.installers import NO_PYTHON
from planner.values import Digest, ImageRef
from tests.builders import digest, image_of

# Its Dockerfile has the parent on line 2, ENV on line 3, and RUN for the packages on line 4.
IMAGE = image_of({"environment": {"A": "1"}, "apt_packages": ["one"]})
SECRETS = {"A": "hunter22", "B": "hunter22-and-more", "C": 'it\'s "a" $ecret\\', "SHORT": "abc", "EMPTY": ""}


def logged(text: str, **secrets: str) -> Log:
    log = Log(lambda _: None, Mask(secrets.values()))
    for line in text.splitlines():
        log(line)
    return log


def in_a_url(text: str) -> str:
    """As the SDK sends build arguments."""
    return quote(json.dumps({"x": text}))


@pytest.mark.parametrize("name", ["A", "B", "C"])
@pytest.mark.parametrize("written", [str, shlex.quote, json.dumps, repr, quote, quote_plus, in_a_url])
def test_secrets_are_hidden_however_they_are_written(name: str, written: object) -> None:
    assert callable(written)
    text = written(SECRETS[name])
    hidden = Mask(SECRETS.values())(f"<{text}>")
    assert "***" in hidden
    assert not any(part in hidden for part in ("hunter22", "and-more", "ecret"))


def test_what_is_no_secret_is_shown() -> None:
    text = "abc of the ship: a, b, c"
    assert Mask(SECRETS.values())(text) == text
    assert Mask()(text) == text


def test_only_a_parent_that_may_come_is_worth_trying_again() -> None:
    refused = 'Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    for instruction, reason, code in (
        ("FROM localhost:1/base:1", refused, 75),
        ("FROM localhost:1/base:1", "401 Unauthorized", 1),
        ("RUN curl", refused, 1),
    ):
        log = logged(f"Step 1/4 : {instruction}")
        assert build_failed(IMAGE, log, reason).exit_code == code


def test_a_log_hides_keeps_and_passes_on() -> None:
    lines: list[str] = []
    log = Log(lines.append, Mask(SECRETS.values()))
    log("\x1b[91mtoken hunter22\x1b[0m")
    assert lines == list(log.lines) == ["token ***"]


BUILDKIT = """\
#5 [2/3] RUN one &&     two
#4 0.100 elsewhere
#5 0.271 first
#5 0.280 last hunter22
#5 ERROR: process "/bin/sh -c one &&     two" did not complete successfully: exit code: 3
------
 > [2/3] RUN one &&     two:
0.271 first
------
Dockerfile.stowplan:4
--------------------
   4 | >>> RUN one && \\
--------------------
ERROR: failed to solve: process "/bin/sh -c one &&     two" did not complete successfully: exit code: 3
"""
CLASSIC = """\
Step 2/4 : ENV A=1
 ---> 3e70940c3e9a
Step 3/4 : RUN one &&     two
 ---> Running in faf7257d3786
first
last hunter22
 ---> Removed intermediate container faf7257d3786
"""
PODMAN = """\
STEP 2/4: ENV A=1
--> 7c60d80f3e6
STEP 3/4: RUN one &&     two
first
last hunter22
Error: building at STEP "RUN one &&     two": while running runtime: exit status 3
"""


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (BUILDKIT, UNTOLD),
        (CLASSIC, "The command '/bin/sh -c one &&     two' returned a non-zero code: 3"),
        (PODMAN, UNTOLD),
    ],
    ids=["buildkit", "classic", "podman"],
)
def test_three_builders_say_which_command_failed(log: str, reason: str) -> None:
    error = build_failed(IMAGE, logged(log, A="hunter22"), reason)
    (problem,) = error.problems
    assert problem.where == Place(("apt_packages",), IMAGE.name)
    assert problem.found == "cannot be installed: exit code 3"
    assert problem.fix.split("\n")[:2] == ["first", "last ***"]
    assert "hunter22" not in repr(error)


def test_podman_repeats_what_a_command_would_say_and_that_is_not_said() -> None:
    """Each command that installs says what it says if there is no Python."""
    text = next(line for line in whole_dockerfile(IMAGE).splitlines() if line.startswith("RUN"))
    repeated = f'Error: building at STEP "{text} || {{ echo "{NO_PYTHON}" >&2; exit 1; }}": exit status 1'
    for said, found in (
        ("operation timed out", "exit code 1"),
        (NO_PYTHON, "the parent image has no python"),
    ):
        log = logged(f"STEP 3/4: {text}\n{said}\n{repeated}\n")
        (problem,) = build_failed(IMAGE, log, "exit status 1").problems
        assert problem.found == f"cannot be installed: {found}"


def test_what_no_setting_asked_for_is_said_as_it_stands() -> None:
    log = logged("Step 2/4 : ENV A=1\nout\n")
    (problem,) = build_failed(IMAGE, log, "no such thing").problems
    assert (problem.where.line, problem.found) == (3, "`ENV A=1` failed: no such thing")


def test_a_command_is_named_by_its_setting() -> None:
    image = image_of({"local_project_install_command": "make it"})
    line = whole_dockerfile(image).splitlines().index("WORKDIR /app") + 2
    (problem,) = build_failed(image, logged(f"Dockerfile.stowplan:{line}\n"), "exit code: 2").problems
    assert problem.where == Place(("local_project_install_command",), image.name)
    assert problem.found == "`make it` failed: exit code 2"
    assert image.hash.hex not in str(problem)


def test_a_failure_before_any_command() -> None:
    log = logged("#2 [internal] load metadata\nERROR: failed to solve: x: not found\n")
    (problem,) = build_failed(IMAGE, log, UNTOLD).problems
    assert (problem.found, problem.where.line) == ("x: not found", None)


def test_a_builder_that_says_nothing() -> None:
    (problem,) = build_failed(IMAGE, logged(""), UNTOLD).problems
    assert problem.found == "the builder ended without an image"
    assert problem.fix == "it wrote nothing"


def test_only_the_last_lines_are_shown() -> None:
    text = CLASSIC + "".join(f"line {number}\n" for number in range(2000))
    (problem,) = build_failed(IMAGE, logged(text), "exit code 1").problems
    assert problem.fix.count("\n") == 14
    assert problem.fix.endswith("line 1999")


@pytest.mark.parametrize(
    ("before", "cause"),
    [
        (["Reading package lists..."], ["E: Unable to locate package nope"]),
        (["Collecting"], ["ERROR: No matching distribution found", "hint"]),
        (["Using Python 3.11"], ["  \u00d7 No solution found:", "  ╰─▶ Because there is no version of six"]),
        (["Traceback", '  File "x.py"'], ["ValueError: no"]),
        ([], ["make: *** [all] Error 1"]),
        ([], ["one", "two errors found"]),
    ],
)
def test_the_cause_begins_with_the_line_that_says_it(before: list[str], cause: list[str]) -> None:
    text = "\n".join(["Step 4/4 : RUN x", *before, *cause])
    (problem,) = build_failed(IMAGE, logged(text), "exit code 1").problems
    assert problem.fix.split("\n") == cause


def test_a_later_stage_of_podman_is_shown_without_a_line() -> None:
    (problem,) = build_failed(IMAGE, logged("[2/2] STEP 1/3: RUN x\nout\n"), "exit status 1").problems
    assert (problem.where.line, problem.found) == (None, "`RUN x` failed: exit code 1")


def test_interruption_stops_what_is_going_on_and_nothing_later() -> None:
    tasks = Tasks()
    tasks.interrupt()
    stopped: list[str] = []
    with tasks.begun("localhost/x:1") as task:
        task.check()
        task.stoppable(lambda: stopped.append("early"))
        chunks = task.guarded(iter([b"1", b"2", b"3"]))
        assert next(chunks) == b"1"
        tasks.interrupt()
        task.stoppable(lambda: stopped.append("late"))
        assert stopped == ["early", "late"]
        with pytest.raises(BuildFailed, match="localhost/x:1: interrupted"):
            task.check()
        with pytest.raises(BuildFailed, match="interrupted"):
            next(chunks)
    with tasks.begun("localhost/x:1") as task:
        assert not task.interrupted


def test_references_are_given_in_full() -> None:
    assert str(parsed("python")) == "docker.io/library/python:latest"
    pinned = f"python:3.11@{digest('a')}"
    assert str(parsed(pinned)) == f"docker.io/library/python@{digest('a')}"
    with pytest.raises(ExecutorError, match="not an image reference"):
        parsed("Not An Image")


def test_the_digests_of_an_image() -> None:
    one, two = digest("1"), digest("2")
    listed = references(
        [f"python@{one}", "<none>@<none>", f"localhost:5000/x@{two}", f"localhost:5000/x@{one}"]
    )
    assert [str(ref) for ref in listed] == [
        f"docker.io/library/python@{one}",
        f"localhost:5000/x@{two}",
        f"localhost:5000/x@{one}",
    ]
    assert only_digest(ImageRef.parse("python:3.11"), listed) == one
    assert only_digest(ImageRef.parse("localhost:5000/x:1"), listed) is None
    assert only_digest(ImageRef.parse("localhost:5000/x").pinned(two), listed) == two
    assert only_digest(ImageRef.parse("redis"), listed) is None
    assert references(None) == ()


def test_ids_are_no_references() -> None:
    digits = "1" * 64
    assert image_id(digits) == image_id(f"sha256:{digits}") == digits
    assert image_id("python:3.11") is image_id("1" * 12) is image_id(f"x@sha256:{digits}") is None
    assert named(digits) == named(f"sha256:{digits}") == f"sha256:{digits}"
    assert named("python") == "docker.io/library/python:latest"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("linux", "amd64"), "linux/amd64"),
        (("linux", "arm64", "v8"), "linux/arm64"),
        (("linux", "aarch64"), "linux/arm64"),
        (("Linux", "x86_64", "v1"), "linux/amd64"),
        (("linux", "amd64", "v3"), "linux/amd64/v3"),
        (("linux", "arm", "7"), "linux/arm/v7"),
        (("linux", "arm"), "linux/arm/v7"),
        (("linux", "armel"), "linux/arm/v6"),
        (("", ""), ""),
    ],
)
def test_platforms(found: tuple[str, ...], said: str) -> None:
    assert platform(*found) == said


ONE, TWO = digest("one"), digest("two")


@pytest.mark.parametrize(
    ("last", "image"),
    [
        (f"LABEL {HASH_LABEL}={ONE}", ONE),
        (label_line(ONE), ONE),
        (f"/bin/sh -c #(nop)  LABEL {HASH_LABEL}={ONE}", ONE),
        (f"/bin/bash -ec #(nop) LABEL {HASH_LABEL}={ONE}", ONE),
        (f'LABEL "{HASH_LABEL}"="{ONE}"', ONE),
        (f"LABEL {HASH_LABEL}={TWO}", None),
        (f"LABEL {HASH_LABEL}={ONE} a=b", None),
        (f"RUN echo LABEL {HASH_LABEL}={ONE}", None),
        ("ENV A=1", None),
        ("", None),
    ],
)
def test_an_image_is_marked_by_the_last_thing_that_was_done_to_it(last: str, image: Digest | None) -> None:
    assert mark({HASH_LABEL: str(ONE)}, last) == image
    assert mark({}, last) is None
