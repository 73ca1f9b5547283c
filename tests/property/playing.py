"""Hostile cases are played: each command of a case is run, and its answer is judged.

An answer is an exit code that is documented, with words in our form where it is an error. Nothing hidden is
in it, nothing is left behind, and what could be read before can be read after.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from executor.errors import ExecutorError
from executor.state import read_lock_file
from planner import PlannerError
from tests.encodings import found
from tests.property.hostile import PASSWORD, VALUE, Case, Mutation, Odd
from tests.torture.campaign import CODES, Verdict

__all__ = ["Ran", "Run", "play"]


@frozen
class Ran:
    """How a command ended: `code` is None if it did not."""

    code: int | None
    out: bytes
    err: bytes


Run = Callable[[Path, tuple[str, ...], Mapping[str, str]], Ran]
"""Runs stowplan in a directory, with arguments and an environment."""


def play(case: Case, work: Path, run: Run) -> Verdict:
    """Run the commands of a case in a new directory below `work`, and judge the answers."""
    root, home, temporary = work / "project", work / "home", work / "temporary"
    shutil.rmtree(work, ignore_errors=True)
    for directory in (root, home, temporary):
        directory.mkdir(parents=True)
    (work / "outside").write_bytes(b"precious")
    for path, content in case.files.items():
        _put(root, path, content)
    for path, odd in case.odd.items():
        _put_odd(root, path, odd)
    environment = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PATH": str(home),
        "DOCKER_HOST": f"unix://{home}/no.sock",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
        # Requirements are resolved by a uv that asks nobody and keeps nothing.
        "UV_OFFLINE": "1",
        "UV_NO_CACHE": "1",
        "STOWPLAN_SECRET": VALUE,
        **case.environment,
    }
    faults: dict[str, list[str]] = {"torn": [], "leaked": [], "hung": [], "traceback": []}
    for mutations, argv in case.commands:
        for mutation in mutations:
            _mutate(root, mutation)
        before = _Seen.of(root, work)
        ran = run(root, argv, environment)
        for kind, words in _judge(argv, ran, before, _Seen.of(root, work), environment):
            faults[kind].append(f"{argv}: {words}")
        if ran.code is None:
            break
    if not any(faults.values()):
        shutil.rmtree(work, ignore_errors=True)
        return Verdict(f"{len(case.commands)} commands")
    return Verdict(str(case), **{kind: "; ".join(words) for kind, words in faults.items()})


def _put(root: Path, path: str, content: bytes) -> None:
    place = os.fsencode(root) + b"/" + path.encode("utf-8", "surrogateescape")
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)  # noqa: PTH103, PTH120  # bytes
        with open(place, "wb") as file:  # noqa: PTH123  # bytes
            file.write(content)
    except OSError:
        pass  # another file is where its directory would be


def _put_odd(root: Path, path: str, odd: Odd) -> None:
    place = root / path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        match odd.kind:
            case "fifo":
                os.mkfifo(place)
            case "directory":
                (place / "below").mkdir(parents=True)
            case "loop":
                place.symlink_to(place.name)
            case "large":
                with place.open("wb") as file:
                    file.truncate(300 * 1024 * 1024)
            case _:
                place.symlink_to(odd.target)
    except OSError:
        pass  # as above


def _mutate(root: Path, mutation: Mutation) -> None:
    place = root / mutation.path
    try:
        if place.is_file() and not place.is_symlink() and place.stat().st_size < 2**20:
            place.write_bytes(mutation.of(place.read_bytes()))
    except OSError:
        pass


@frozen
class _Seen:
    """A project at one moment: all files outside of the state, and whether lock and records can be read."""

    files: Mapping[str, tuple[int, int, bytes]]
    state: frozenset[str]
    lock: bool
    records: bool
    locks: frozenset[str]
    """The names of the lock: a link to it is one more."""

    @classmethod
    def of(cls, root: Path, work: Path) -> _Seen:
        files, state = {}, set()
        for path in _all(work):
            name = os.fsdecode(os.path.relpath(path, os.fsencode(work)))
            if name.startswith("project/.stowplan/") or name == "project/.stowplan":
                state.add(name.removeprefix("project/.stowplan"))
                continue
            status = os.lstat(path)
            content = b""
            if stat.S_ISREG(status.st_mode) and status.st_size < 2**20:
                with open(path, "rb") as file:  # noqa: PTH123  # bytes
                    content = file.read()
            files[name] = (status.st_mode, status.st_size if stat.S_ISREG(status.st_mode) else 0, content)
        link = os.path.relpath(os.path.realpath(root / "stowplan.lock"), work)
        locks = {"project/stowplan.lock", *([link] if link.endswith(".lock") else [])}
        return cls(files, frozenset(state), _lock_is_whole(root), _records_are_whole(root), frozenset(locks))


def _all(directory: Path) -> Iterator[bytes]:
    for above, directories, names in os.walk(os.fsencode(directory)):
        for name in (*directories, *names):
            yield os.path.join(above, name)  # noqa: PTH118  # bytes


def _lock_is_whole(root: Path) -> bool:
    try:
        return read_lock_file(root / "stowplan.lock") is not None
    except (PlannerError, ExecutorError):
        return False


def _records_are_whole(root: Path) -> bool:
    path = root / ".stowplan/records.sqlite3"
    if path.is_symlink() or not path.is_file() or not path.stat().st_size:
        return False
    try:
        with closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    except sqlite3.Error:
        return False


_PAGE: Final = "project/page.html"
_KEPT: Final = {"", *(f"/{name}" for name in (
    ".gitignore", "cache.sqlite3", "cache.sqlite3-journal", "records.sqlite3", "records.sqlite3-journal",
    "writer", "tmp",
))}  # fmt: skip


def _judge(
    argv: tuple[str, ...], ran: Ran, before: _Seen, after: _Seen, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What is wrong with an answer."""
    if ran.code is None:
        yield "hung", "does not end"
        return
    yield from _answers(argv, ran)
    yield from _secrets(argv, ran, before, after, environment)
    for name in sorted(set(after.files) - set(before.files)):
        if name not in after.locks | {_PAGE} and not name.startswith(("home/cache", "project/relative")):
            yield "leaked", f"leaves {name!r}"
    for name in sorted(before.files):
        if name not in after.locks | {_PAGE} and after.files.get(name) != before.files[name]:
            yield "torn", f"changes {name!r}"
    if after.state:
        for name in sorted(after.state - before.state - _KEPT):
            if not name.startswith("/records.sqlite3.broken-"):
                yield "leaked", f"leaves .stowplan{name}"
    if before.lock and not after.lock:
        yield "torn", "the lock can no longer be read"
    if (
        argv[:1] == ("lock",)
        and ran.code == 0
        and "--check" not in argv
        and b"stowplan.lock is" in ran.out
        and not after.lock
    ):
        yield "torn", "wrote a lock that cannot be read"
    if before.records and not after.records:
        yield "torn", "the records can no longer be read"


def _answers(argv: tuple[str, ...], ran: Ran) -> Iterator[tuple[str, str]]:
    both = ran.out + ran.err
    if ran.code not in CODES or b"Traceback (most recent" in both or b"defect of stowplan" in both:
        yield "traceback", f"code {ran.code}: {both[-600:]!r}"
    elif b"the details are in" in both:
        yield "traceback", f"without words of its own: {both[-600:]!r}"
    elif ran.code not in {0, 2} and b"error" not in both and b"stale" not in both:
        yield "traceback", f"code {ran.code} without an error: {both[-600:]!r}"
    elif ran.code == 2 and "--detailed-exitcode" not in argv and "--exit-code" not in argv:
        yield "traceback", f"code 2: {both[-600:]!r}"


def _secrets(
    argv: tuple[str, ...], ran: Ran, before: _Seen, after: _Seen, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Hidden values, and control characters, in what was printed and written."""
    written = b"\0".join(
        content
        for name, (_, _, content) in after.files.items()
        if before.files.get(name, (0, 0, b""))[2] != content
    )
    value = environment["STOWPLAN_SECRET"]
    for where, data in (("prints", ran.out + ran.err), ("writes", written)):
        for name, hidden in (("a login", PASSWORD), ("a value", value if VALUE in value else "")):
            if name == "a login" and any(PASSWORD in word for word in argv):
                continue
            if hidden and (forms := found(hidden, data)):
                yield "leaked", f"{where} {name}: {_around(data, forms[0].encode())!r}"
    exact = "--dockerfile" in argv or "--context" in argv
    for number in (*range(9), *range(11, 32), 127):
        if bytes([number]) in (ran.err if exact else ran.out + ran.err) and not (
            number == 27 and "FORCE_COLOR" in environment
        ):
            yield "leaked", f"prints a control character: {_around(ran.out + ran.err, bytes([number]))!r}"
            break


def _around(data: bytes, part: bytes) -> bytes:
    place = data.find(part)
    return data[max(0, place - 80) : place + 80]
