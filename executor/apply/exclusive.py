"""One stowplan at a time works on one image in one engine: who comes second finds what the first has made.

Owns a lock for each image, in the user's cache directory and not in the project, so that two projects that
want one image build it once. The kernel lets go of a lock when its holder ends, however that is. While an
image is worked on, a file beside its lock says so: what a killed stowplan has left behind in an engine is
known by it, and is tidied up by the next one. Refuses to be needed: where there can be no lock, an image may
be built twice, and nothing worse.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from executor.errors import ExecutorError
from executor.home import in_home
from executor.mutex import locked
from planner.values import Digest

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from executor.engines.protocol import Engine

__all__ = ["alone", "tidy"]

# Between looks whether whoever waits was interrupted.
_LOOK_SECONDS: Final = 0.5
_UNFINISHED: Final = ".unfinished"
_ANY_IMAGE: Final = "[0-9a-f]" * 64


@contextlib.contextmanager
def alone(
    engine: Engine, image: Digest, *, check: Callable[[], None], on_wait: Callable[[], None]
) -> Iterator[bool]:
    """Work on an image of an engine while nobody else does; whether somebody else had to be waited for.

    `check` is called while it waits, and what it raises ends that. `on_wait` is called once before.
    """
    place = _place()
    if place is None:
        yield False
        return
    lock, waited = None, False
    try:
        while (lock := _locked(place, engine, image, _LOOK_SECONDS if waited else 0)) is None:
            if not waited:
                on_wait()
            waited = True
            check()
        file = place / f"{_of(engine)}-{image.hex}{_UNFINISHED}"
        file.touch()
    except OSError as error:
        _warn(place, error)
        if lock is not None:
            lock.release()
        yield waited
        return
    try:
        yield waited
        # What raises has not ended well: whether it left anything is looked at by the next one.
        file.unlink(missing_ok=True)
    finally:
        lock.release()


def tidy(engine: Engine) -> None:
    """Have an engine remove what killed work has left in it, if there was any.

    What others are working on is left alone, and what cannot be removed is left for the next time.
    """
    place = _place()
    if place is None:
        return
    with contextlib.suppress(OSError):
        for file in sorted(place.glob(f"{_of(engine)}-{_ANY_IMAGE}{_UNFINISHED}")):
            image = Digest(file.name.removesuffix(_UNFINISHED).rpartition("-")[2])
            lock = _locked(place, engine, image, 0)
            if lock is not None:
                try:
                    with contextlib.suppress(ExecutorError):
                        engine.tidy(image)
                        file.unlink(missing_ok=True)
                finally:
                    lock.release()


def _place() -> Path | None:
    """Where the locks are, made if it is not there; None if it cannot be."""
    base = os.environ.get("XDG_CACHE_HOME") or ""
    # XDG Base Directory Specification: what is not absolute does not count.
    cache = Path(base) if Path(base).is_absolute() else in_home(os.environ, ".cache")
    if cache is None:
        return None
    place = cache / "stowplan" / "building"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        _warn(place, error)
        return None
    return place


def _of(engine: Engine) -> str:
    """An engine and where it keeps its images, as a part of a file's name."""
    return f"{engine.name}-{hashlib.sha256(engine.place.encode()).hexdigest()[:8]}"


def _locked(place: Path, engine: Engine, image: Digest, seconds: float) -> BaseFileLock | None:
    """The lock of an image; None if another has it for so long."""
    # 256 files at most, however many images there are: nobody can remove a lock that another may wait for.
    return locked(place / f"{_of(engine)}-{image.hex[:2]}.lock", seconds)


def _warn(place: Path, error: OSError) -> None:
    reason = error.strerror or error
    words = f"cannot be written to ({reason}): parallel builds of one image do not wait for each other"
    warnings.warn(f"{place} {words}", stacklevel=2)
