"""The code of a step, brought to the source root: fetched, checked, unpacked beside it, and moved into it."""

from __future__ import annotations

import errno
import shutil
import stat
import tempfile
from pathlib import Path

from . import unpack
from .errors import TRY_AGAIN, Refused, reason
from .job import Archive, Repository

__all__ = ["place"]

# How often an archive is downloaded that is not the one that was planned.
_TIMES = 2


def place(code: Archive | Repository, directory: Path, exchange: Path) -> None:
    """Bring the code of a step to its directory.

    What is there already stays, as where an image copies files; a file of the code takes the place of one of
    the same path. Refused says which download failed and why, or what is wrong with what came.
    """
    try:
        # A parent image that nothing is built on has none.
        directory.mkdir(parents=True, exist_ok=True)
        # On the file system of the directory, into which it is moved.
        fetched = Path(tempfile.mkdtemp(prefix=".stowplan-", dir=str(directory)))
    except OSError as error:
        raise Refused(
            "code-not-written",
            f"the code cannot be written to {directory}: {reason(error)}",
            "let the user of the image write there, or include the code in the image",
        ) from None
    try:
        _fetch(code, fetched, exchange)
        _move(fetched / "code", directory)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def _fetch(code: Archive | Repository, fetched: Path, exchange: Path) -> None:
    target = fetched / "code"
    target.mkdir()
    if isinstance(code, Repository):
        from . import repository  # noqa: PLC0415  # with all that reaches networks

        repository.fetch(code, target, fetched)
        unpack.check_links(target)
        return
    if code.file is not None:
        _unpack(exchange / code.file, code, target)
        return
    from . import download  # noqa: PLC0415  # as above

    for number in range(_TIMES):
        archive = fetched / f"archive-{number}"
        download.download(code.url or "", archive)
        try:
            _unpack(archive, code, target)
        except Refused:
            # A server or a proxy may have sent less than all, and called it all.
            if number == _TIMES - 1:
                raise
            archive.unlink()
        else:
            return


def _unpack(archive: Path, code: Archive, target: Path) -> None:
    try:
        file = archive.open("rb")
    except OSError as error:
        raise Refused(
            "code-missing",
            f"the archive of the code cannot be read: {reason(error)}",
            "run it again",
            TRY_AGAIN,
        ) from None
    with file:
        if unpack.digest_of(file) != code.sha256:
            raise Refused("code-refused", "the archive of the code is not the one of the job", "run it again")
        file.seek(0)
        unpack.unpack(file, target)


def _move(source: Path, target: Path) -> None:
    """Move all that is in one directory to another, in which there may be files already."""
    for item in source.iterdir():
        place = target / item.name
        try:
            there = place.lstat().st_mode
        except FileNotFoundError:
            _rename(item, place)
            continue
        if stat.S_ISDIR(item.lstat().st_mode):
            if not stat.S_ISDIR(there):
                raise Refused(
                    "code-not-written",
                    f"{place} is a directory in the code but not in the image",
                    "remove it from the image",
                )
            _move(item, place)
        elif stat.S_ISDIR(there):
            raise Refused(
                "code-not-written",
                f"{place} is a file in the code but a directory in the image",
                "remove it from the image",
            )
        else:
            _rename(item, place)


def _rename(item: Path, place: Path) -> None:
    """Move one thing to where nothing is, or a file to where another file or a link is."""
    try:
        item.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # A part of the directory may be a volume, as where an image declares one.
        if place.is_symlink() or place.exists():
            place.unlink()
        shutil.move(str(item), str(place))
