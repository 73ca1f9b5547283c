"""Paths of a project as text: `posixpath.relpath` would ask where this process works."""

from __future__ import annotations

import posixpath

__all__ = ["inside", "joined"]


def inside(path: str, directory: str) -> str | None:
    """A path of the project as it is called from a directory of it; None for what is not below that.

    Neither are paths that begin with `/` or `~/`: where these are, only a machine knows.

    >>> inside("./docker/keys/token", "docker"), inside("keys", "docker"), inside("/docker/keys", "docker")
    ('keys/token', None, None)
    """
    if path.startswith(("/", "~/")):
        return None
    found = posixpath.normpath(path)
    above = posixpath.normpath(directory) + "/" if directory not in ("", ".") else ""
    return found.removeprefix(above) if found.startswith(above) and not found.startswith("../") else None


def joined(directory: str, name: str) -> str:
    """The path of what is in a directory; either may be empty, for the root of the project.

    >>> joined("docker", "keys"), joined("", "keys"), joined("docker", "")
    ('docker/keys', 'keys', 'docker')
    """
    return f"{directory}/{name}" if directory and name else directory or name
