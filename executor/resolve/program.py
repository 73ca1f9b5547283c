"""Which uv is run: the one that stowplan depends on, else the one on the PATH."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from executor.errors import ProgramMissing

__all__ = ["uv_program"]


def uv_program(environ: Mapping[str, str]) -> str:
    """The path of uv. ProgramMissing if there is none.

    A distribution may package stowplan without the binary, and have uv beside it.
    """
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # only what is looked at anew needs it

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv", path=environ.get("PATH", ""))
    if found is None:
        raise ProgramMissing.of("uv", "no such program", "install it, or put its directory on the PATH")
    return found
