"""A cache that is kept between builds: the directory it is mounted at, and how it is shared.

Owns both spellings that are taken: a path, and the mount specification of a Dockerfile's `RUN --mount`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from planner.errors import Problem
from planner.immutable import frozen
from planner.settings.checks import saying, text

__all__ = ["CacheMount", "cache_mount"]

_PATH: Final = r"/[A-Za-z0-9_./-]+"
# Dockerfile reference, "RUN --mount=type=cache", with its aliases. What says where the cache comes from, or
# with which mode, is left out: a cache starts empty, and not every builder keeps to a mode.
_TARGETS: Final = frozenset({"target", "dst", "destination"})
_OWNERS: Final = frozenset({"uid", "gid"})
_SHARING: Final = ("shared", "private", "locked")
_EXAMPLE: Final = "write a path, like '/root/.cache/uv', or 'type=cache,target=/root/.cache/uv'"


@frozen
class CacheMount:
    """A directory of the container that keeps its content between builds.

    `id` tells it from other caches, by default its target; `sharing` is what builds at once do. `uid` and
    `gid` are numbers: who owns a cache that is made.
    """

    target: str
    id: str | None = None
    sharing: str | None = None
    uid: str | None = None
    gid: str | None = None

    @classmethod
    def parse(cls, given: str) -> CacheMount:
        """Read a path or a mount specification. ValueError says what is wrong with it."""
        if re.fullmatch(_PATH, given):
            return cls(given)
        if "=" not in given:
            raise ValueError(f"not an absolute path: {given!r}")
        target = mount_id = sharing = None
        owner: dict[str, str] = {}
        kind = "bind"
        for part in given.split(","):
            key, _, value = part.partition("=")
            if key == "type":
                kind = value
            elif key in _TARGETS and re.fullmatch(_PATH, value):
                target = value
            elif key in _TARGETS:
                raise ValueError(f"not an absolute path: {value!r}")
            elif key == "id" and re.fullmatch(r"[A-Za-z0-9_./-]+", value):
                mount_id = value
            elif key == "sharing" and value in _SHARING:
                sharing = value
            elif key in _OWNERS and re.fullmatch(r"[0-9]{1,9}", value):
                owner[key] = value
            else:
                known = "target, id, sharing, uid and gid"
                raise ValueError(f"{part!r} is not an option of a cache; the options are {known}")
        if kind != "cache":
            raise ValueError(f"a mount of type {kind}, not cache")
        if target is None:
            raise ValueError("no target")
        return cls(target, mount_id, sharing, **owner)


@saying({"type": "string", "pattern": "^/|=", "examples": ["/root/.cache/uv"]})
def cache_mount(value: object) -> Iterator[Problem]:
    """A check: an absolute path, or a mount specification of a cache."""
    problems = tuple(text(value))
    if problems or not isinstance(value, str):
        yield from problems
        return
    try:
        CacheMount.parse(value)
    except ValueError as error:
        yield Problem.at((), str(error), _EXAMPLE)
