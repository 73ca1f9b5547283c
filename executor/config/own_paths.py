"""Paths of settings that are written from the root of the file system, named from the root of the project."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from executor.observe.files import decoded, encoded

__all__ = ["own_paths"]

_PATHS: Final = ("build_context_root", "dockerfile", "pyproject_path")
_CONFIGS: Final = ("build_config", "parent_image_build_config")


def own_paths(settings: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """A table of settings whose paths are from the root, where they name something below it.

    Any other path is as it is, for the check of its setting.
    """
    found = dict(settings)
    for name in _PATHS:
        if name in found:
            found[name] = _own(found[name], root)
    match found.get("requirements"):
        case str() as path:
            found["requirements"] = _own(path, root)
        case list() as entries:
            found["requirements"] = [_entry(entry, root) for entry in entries]
    for name in _CONFIGS:
        inner = found.get(name)
        if isinstance(inner, Mapping) and "dockerignore" in inner:
            found[name] = {**inner, "dockerignore": _own(inner["dockerignore"], root)}
    return found


def _own(path: Any, root: Path) -> Any:
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        return path
    for top in (os.path.abspath(os.fsencode(root)), os.path.realpath(os.fsencode(root))):  # noqa: PTH100  # as files are
        below = os.path.relpath(encoded(path), top)
        if below != b".." and not below.startswith(b"../"):
            return decoded(below)
    return path


def _entry(entry: Any, root: Path) -> Any:
    """An entry of a list of requirements: a path, or `-r` or `-c` and a path."""
    if not isinstance(entry, str):
        return entry
    option, space, path = entry.strip().partition(" ")
    if option in {"-r", "-c", "--requirement", "--constraint"} and space:
        return f"{option} {_own(path.strip(), root)}"
    return _own(entry, root)
