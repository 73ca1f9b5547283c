"""Where programs keep what is this user's: below the home directory, unless a variable says where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["docker_directory", "in_home"]


def in_home(environ: Mapping[str, str], name: str) -> Path | None:
    """What has a name in the user's home; None for a user who has no home."""
    # Path.home raises where there is none, and this leaves the tilde.
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111
    return None if home.startswith("~") else Path(home) / name


def docker_directory(environ: Mapping[str, str]) -> Path | None:
    """Where Docker's command line has its configuration, logins and plugins; None as for `in_home`."""
    named = environ.get("DOCKER_CONFIG")
    return Path(named) if named else in_home(environ, ".docker")
