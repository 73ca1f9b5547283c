"""What may stand in the place of a file and is none."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest


def make_device(path: Path) -> None:
    """A device of which reading has no end; skips the test where none can be made."""
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero
        path.open("rb").close()
    except PermissionError:
        pytest.skip("only root makes devices, and not everywhere")


def make_socket(path: Path) -> None:
    """A socket on which nobody listens any more."""
    # The whole path may be longer than the address of a socket.
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)
