"""What stowplan keeps beside a project: `stowplan.lock`, and the directory `.stowplan/`.

Owns reading and replacing the lock: whole or not at all, one writer at a time; and where temporary files
are, which is `.stowplan/tmp/`, where no build context finds them. Refuses to follow a link out of the
project, and to read anything but a regular file of a sensible size.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from attrs import evolve

from executor import limits
from executor.errors import ExecutorError, Failure, remedy
from executor.mutex import locked
from executor.reading import NotRead, read_whole
from executor.scratch import held, sweep
from planner.errors import Place, PlannerError, Problem
from planner.lock.converter import RESTORE
from planner.lock.lock import LOCK_NAME, Lock
from planner.lock.text import dumps, loads

__all__ = [
    "LARGEST_LOCK_BYTES",
    "STATE_DIRECTORY",
    "lock_of_file",
    "lock_text",
    "log_directory",
    "prepare_state",
    "read_lock",
    "scratch_directory",
    "scratch_of",
    "state_directory",
    "sweep_scratch",
    "update_lock",
    "write_file",
]

STATE_DIRECTORY: Final = ".stowplan"
_NO_LOCK: Final = "name a lock file, or restore this one from version control"
_SCRATCH: Final = "tmp"
_LOGS: Final = "logs"
# What is in a directory that others use too says whose it is.
_PREFIX: Final = "stowplan-"
# What records and lock of a large plan take.
_ROOM_BYTES: Final = 1024 * 1024
# A lock of 10,000 images is a few MB.
LARGEST_LOCK_BYTES: Final = 64 * 1024 * 1024


def state_directory(root: Path) -> Path:
    """The project's `.stowplan/`, made if it does not exist, with a `.gitignore` that keeps it out of git."""
    directory = root / STATE_DIRECTORY
    ignore = directory / ".gitignore"
    try:
        _make(directory)
        if not ignore.exists():
            _replace(ignore, "*\n", directory)
    except OSError as error:
        raise _not_written(str(directory), error) from None
    return directory


def log_directory(root: Path, run: str | None = None) -> Path:
    """The directory with the logs of builds, or that of a run in it, made if it does not exist."""
    logs = state_directory(root) / _LOGS
    wanted = logs if run is None else logs / run
    try:
        for directory in dict.fromkeys((logs, wanted)):
            _make(directory)
    except OSError as error:
        raise _not_written(str(logs), error) from None
    return wanted


def scratch_of(root: Path, name: str) -> Path:
    """The temporary directory of a name in the project, be it there or not."""
    return root / STATE_DIRECTORY / _SCRATCH / name


@contextlib.contextmanager
def scratch_directory(root: Path | None, *, large: bool = False) -> Iterator[Path]:
    """A directory that only this user can enter, and that is gone afterwards.

    It is in the project's `.stowplan/tmp/`: on the file system that the project is on, and swept by the next
    command in the project if this process is killed. Where the user names a directory for temporary files
    outside of the project, as TMPDIR, what is `large` is there instead: a whole build context may be too much
    for the project's file system, its quota, or its backup. It is there for everything where there is no
    project. ExecutorError if it cannot be made.
    """
    named = _named_place() if large else None
    if root is not None and named is not None and _is_in(named, root):
        # Another process would take it for files of the project.
        named = None
    name = STATE_DIRECTORY if named is None else f"{named} (TMPDIR)"
    with contextlib.ExitStack() as stack:
        try:
            if named is None and root is not None:
                place = state_directory(root.absolute()) / _SCRATCH
                _make(place)
                directory = stack.enter_context(held(place))
            else:
                import tempfile  # noqa: PLC0415  # only what has no project, or is large, is elsewhere

                directory = stack.enter_context(held(named or Path(tempfile.gettempdir()), _PREFIX))
        except OSError as error:
            raise _not_written(name, error) from None
        yield directory


def sweep_scratch(root: Path) -> None:
    """Remove what processes that are dead have left of their temporary files, here and in TMPDIR."""
    place = root / STATE_DIRECTORY / _SCRATCH
    with contextlib.suppress(OSError):
        if not any(path.is_symlink() for path in (place.parent, place)):
            sweep(place)
    if named := _named_place():
        sweep(named, _PREFIX)


def _named_place() -> Path | None:
    """Where the user wants temporary files."""
    return Path(name).absolute() if (name := os.environ.get("TMPDIR")) else None


def _is_in(place: Path, root: Path) -> bool:
    return place.resolve().is_relative_to(root.resolve())


def _make(directory: Path) -> None:
    """Make a directory of the state. OSError if there is something else, ExecutorError if it is a link."""
    if directory.is_symlink():
        raise ExecutorError.of(str(directory), "is a link: it could lead out of the project", "remove it")
    directory.mkdir(exist_ok=True)


def _not_written(name: str, error: OSError) -> ExecutorError:
    return ExecutorError.of(name, f"cannot be written: {error.strerror or error}", remedy(error))


def lock_text(root: Path) -> str | None:
    """The text of the project's lock; None if it has none."""
    return _text(_lock_file(root), LOCK_NAME)


def read_lock(root: Path) -> Lock | None:
    """The project's lock; None if it has none. PlannerError if it cannot be read."""
    text = lock_text(root)
    return None if text is None else loads(text)


def read_lock_file(path: Path) -> Lock | None:
    """The lock in a file that somebody named; None if it does not exist. Errors name that file."""
    try:
        data = read_whole(path, LARGEST_LOCK_BYTES)
    except NotRead as error:
        raise ExecutorError.of(str(path), error.found, error.fix) from None
    return None if data is None else lock_of_file(data, str(path))


def lock_of_file(data: bytes, name: str) -> Lock:
    """The lock that a file holds which somebody named. Errors name that file."""
    try:
        return loads(data.decode(errors="replace"))
    except PlannerError as error:
        raise PlannerError(_of_file(problem, Path(name)) for problem in error.problems) from None


def _of_file(problem: Problem, path: Path) -> Problem:
    """A problem of a lock as one of the lock in a file."""
    if problem.where.file != LOCK_NAME:
        return problem
    # What `stowplan lock` repairs is the project's own.
    fix = problem.fix if problem.fix != RESTORE or path.name == LOCK_NAME else _NO_LOCK
    return evolve(problem, where=evolve(problem.where, file=str(path)), fix=fix)


def _lock_file(root: Path) -> Path:
    """The file that holds the project's lock, which may be a link to it inside the project."""
    link = root / LOCK_NAME
    target = Path(os.path.realpath(link))  # Path.resolve raises for a loop, before 3.13
    if not target.is_relative_to(os.path.realpath(root)):
        raise ExecutorError.of(LOCK_NAME, f"is a link to {target}, outside the project", "make it a file")
    # What is taken for a broken lock is overwritten by `stowplan lock`.
    if target.suffix != link.suffix:
        raise ExecutorError.of(
            LOCK_NAME, f"is a link to {target}, which is not a .lock file", "make it a file"
        )
    return target


def _text(path: Path, name: str) -> str | None:
    try:
        data = read_whole(path, LARGEST_LOCK_BYTES)
    except NotRead as error:
        raise ExecutorError.of(name, error.found, error.fix) from None
    # What is not UTF-8 is damage that a repair can drop: the text around it is still there.
    return None if data is None else data.decode(errors="replace")


def prepare_state(root: Path, *, lock: bool) -> None:
    """Make sure that files can be written here, and with `lock` that the lock can be replaced.

    ExecutorError, or PlannerError, if that shows to be impossible: a lock that cannot be read, permissions, a
    file system that is for reading only, or no room for some files of a usual size.
    """
    with scratch_directory(root) as scratch:
        try:
            with (scratch / "room").open("xb") as file:
                file.write(bytes(_ROOM_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _not_written(STATE_DIRECTORY, error) from None
    if lock:
        with _exclusively(state_directory(root)):
            read_lock(root)
            _check_replaceable(_lock_file(root))


def _check_replaceable(target: Path) -> None:
    """ExecutorError if no other file can take the place of this one."""
    try:
        # A file that may only be read can be replaced, and one that nobody may change (chattr +i) cannot.
        with contextlib.suppress(FileNotFoundError):
            os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno != errno.EACCES:
            raise _not_written(LOCK_NAME, error) from None
    effective = os.access in os.supports_effective_ids
    if not os.access(target.parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise _not_written(str(target.parent), PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def update_lock(root: Path, change: Callable[[Lock], Lock], *, repairs: bool = False) -> bool:
    """Replace the lock by what `change` makes of it; whether its file changed.

    Where the lock does not exist, `change` gets an empty one. With `repairs` it gets what can be kept of
    a lock that cannot be read. Two processes that do so at once do it one after the other, and neither
    loses the other's change.
    """
    directory = state_directory(root)
    with _exclusively(directory):
        before = lock_text(root)
        lock = Lock() if before is None else _repaired(before) if repairs else loads(before)
        after = dumps(change(lock))
        if after == before:
            return False
        # The file itself is replaced where it is a link.
        target = _lock_file(root)
        try:
            _replace(target, after, directory)
        except OSError as error:
            raise _not_written(LOCK_NAME, error) from None
        return True


def _repaired(text: str) -> Lock:
    from planner.lock.repair import repair  # noqa: PLC0415  # few locks are broken

    return repair(text).lock


@contextlib.contextmanager
def _exclusively(directory: Path) -> Iterator[None]:
    path = directory / "writer"
    try:
        lock = locked(path, limits.WRITER_SECONDS)
    except OSError as error:
        raise ExecutorError.of(
            str(path), f"cannot be locked: {error.strerror or error}", remedy(error)
        ) from None
    if lock is None:
        found = f"another stowplan has been writing it for {limits.WRITER_SECONDS:g} s"
        busy = Problem(Place(file=LOCK_NAME), found, "wait for it, or stop it")
        raise ExecutorError([busy], Failure.BUSY)
    try:
        yield
    finally:
        lock.release()


def write_file(root: Path, path: Path, text: str) -> None:
    """Write a file that somebody named, in the project at `root` or elsewhere: whole or not at all.

    ExecutorError if that fails.
    """
    try:
        if _is_in(path, root):
            # No build context finds the unfinished file there.
            _replace(path, text, state_directory(root))
            return
        with held(path.parent, f".{_PREFIX}") as scratch:
            (scratch / "new").write_text(text, encoding="utf-8", newline="\n")
            (scratch / "new").replace(path)
    except OSError as error:
        raise _not_written(str(path), error) from None


def _replace(path: Path, text: str, directory: Path) -> None:
    """Write a file so that at any instant, even of a crash, it is the old one or the new one, whole.

    The new one is written below the state directory, which has to be on the same file system.
    """
    place = directory / _SCRATCH
    _make(place)
    with held(place) as scratch:
        new = scratch / "new"
        # A new file gets the permissions of any new file; one that is replaced keeps its own.
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
