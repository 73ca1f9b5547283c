"""One holder at a time, and one kind of error where nothing can be locked."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import BaseFileLock

from executor.mutex import locked


def test_one_at_a_time(tmp_path: Path) -> None:
    first = locked(tmp_path / "file", 0)
    assert first is not None
    assert locked(tmp_path / "file", 0) is None
    first.release()
    second = locked(tmp_path / "file", 0)
    assert second is not None
    second.release()


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (NotImplementedError("FileSystem does not appear to support flock"), errno.ENOLCK),
        (OSError(errno.EIO, "Input/output error"), errno.EIO),
    ],
)
def test_what_cannot_be_locked_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, number: int
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    monkeypatch.setattr(BaseFileLock, "acquire", fail)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        locked(tmp_path / "file", 0)
    assert caught.value.errno == number
