"""Whatever is in a project, its state, the environment and the arguments: an answer in words.

The bounded form of `make torture ARGS=hostile`, in this process: no streams and no time limit are tried.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given

from executor.cli.main import run
from executor.records.store import Records
from tests.property.hostile import PASSWORD, VALUE, Case, cases
from tests.property.playing import Ran, play
from tests.property.strategies import examples


def here(root: Path, argv: tuple[str, ...], environment: Mapping[str, str]) -> Ran:
    """Run the command line in this process."""
    with (
        _streams() as (out, err),
        _place(root, environment),
        warnings.catch_warnings(record=True, action="always"),
    ):
        code = run(list(argv))
        sys.stdout.flush()
        sys.stderr.flush()
        return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _streams() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Streams as `main` has them."""
    raw = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(each, "utf-8", "backslashreplace") for each in raw)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield raw


@contextlib.contextmanager
def _place(root: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A directory and an environment."""
    before, kept, temporary = Path.cwd(), dict(os.environ), tempfile.tempdir
    os.environ.clear()
    try:
        os.environ.update(environment)
        os.chdir(root)
        tempfile.tempdir = None
        yield
    finally:
        tempfile.tempdir = temporary
        os.chdir(before)
        os.environ.clear()
        os.environ.update(kept)


@examples(150)
@given(cases())
def test_every_answer_is_in_words(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        verdict = play(case, Path(directory) / "work", here)
    assert verdict.good, verdict


# --- the judge


GOOD = Case(
    files={"stowplan.toml": b"[pipeline.p]\nsteps = ['a']\n"},
    odd={},
    environment={},
    commands=(((), ("plan",)),),
)


def leaving(name: str, content: bytes = b"") -> Callable[[Path], None]:
    """Leaves a file."""

    def leave(root: Path) -> None:
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    return leave


FAULTS: dict[str, tuple[Ran, Callable[[Path], object], str]] = {
    "traceback": (Ran(1, b"", b"Traceback (most recent call last):\n"), Path.exists, "traceback"),
    "defect": (
        Ran(70, b"", b"error: TypeError in x.py:1, which is a defect of stowplan\n"),
        Path.exists,
        "traceback",
    ),
    "no words of its own": (Ran(1, b"", b"error: x: the details are in y\n"), Path.exists, "traceback"),
    "no words": (Ran(1, b"", b""), Path.exists, "traceback"),
    "killed": (Ran(-11, b"", b""), Path.exists, "traceback"),
    "changes that nobody asked about": (Ran(2, b"", b""), Path.exists, "traceback"),
    "no end": (Ran(None, b"", b""), Path.exists, "hung"),
    "a login": (Ran(0, f"https://x:{PASSWORD}@y".encode(), b""), Path.exists, "leaked"),
    "a value": (Ran(0, b"", b"note: " + base64.b64encode(VALUE.encode())), Path.exists, "leaked"),
    "a value in a file": (Ran(0, b"", b""), leaving("stowplan.lock", VALUE.encode()), "leaked"),
    "a control character": (Ran(0, b"\x1b[31m", b""), Path.exists, "leaked"),
    "a file": (Ran(0, b"", b""), leaving("new"), "leaked"),
    "a file outside": (Ran(0, b"", b""), leaving("../temporary/new"), "leaked"),
    "a file in the state": (Ran(0, b"", b""), leaving(".stowplan/new"), "leaked"),
    "a project file that is another": (Ran(0, b"", b""), leaving("stowplan.toml"), "torn"),
    "a file outside that is another": (Ran(0, b"", b""), leaving("../outside"), "torn"),
    "a broken lock": (Ran(0, b"stowplan.lock is written\n", b""), leaving("stowplan.lock", b"[["), "torn"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_judge_sees_each_kind_of_fault(tmp_path: Path, kind: str) -> None:
    ran, does, expected = FAULTS[kind]

    def misbehave(root: Path, *_: object) -> Ran:
        does(root)
        return ran

    case = evolve(GOOD, commands=(((), ("lock",)),)) if kind == "a broken lock" else GOOD
    verdict = play(case, tmp_path / "work", misbehave)
    assert getattr(verdict, expected), verdict
    assert not verdict.good


def test_the_judge_finds_no_fault_where_there_is_none(tmp_path: Path) -> None:
    assert play(GOOD, tmp_path / "work", lambda *_: Ran(0, b"fine\n", b"")).good
    assert not (tmp_path / "work").exists()


def test_the_judge_sees_what_can_no_longer_be_read(tmp_path: Path) -> None:
    whole = b"version = 2\n"
    case = evolve(GOOD, files={**GOOD.files, "stowplan.lock": whole})
    assert play(case, tmp_path / "work", lambda *_: Ran(0, b"", b"")).good

    def tear(root: Path, *_: object) -> Ran:
        (root / "stowplan.lock").write_bytes(whole[:-4])
        return Ran(0, b"", b"")

    assert "can no longer be read" in play(case, tmp_path / "work", tear).torn


def test_the_judge_sees_records_that_can_no_longer_be_read(tmp_path: Path) -> None:
    def tear(root: Path, argv: tuple[str, ...], *_: object) -> Ran:
        records = root / ".stowplan/records.sqlite3"
        if argv == ("plan",):
            Records(root).prepare()
        else:
            records.write_bytes(records.read_bytes()[:5000])
        return Ran(0, b"", b"")

    whole = evolve(GOOD, commands=(((), ("plan",)), ((), ("plan",))))
    assert play(whole, tmp_path / "work", tear).good
    torn = evolve(GOOD, commands=(((), ("plan",)), ((), ("diff",))))
    assert "the records can no longer be read" in play(torn, tmp_path / "work", tear).torn
