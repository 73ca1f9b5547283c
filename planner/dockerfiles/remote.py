"""What ADD takes from elsewhere: files by their URL, and git repositories.

The rules are those of github.com/moby/buildkit (`util/gitutil` and `frontend/dockerfile/dfgitutil`).
"""

from __future__ import annotations

import re
from typing import Final

from attrs import field

from planner.immutable import frozen

__all__ = ["Remote"]

_URL: Final = re.compile(
    r"(?P<scheme>https?|ssh|git)://(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<ref>.*))?"
)
_ACCOUNT: Final = re.compile(r"[\w.-]+@[\w.-]+:(?P<path>[^?#]*)(?:#(?P<ref>.*))?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@frozen
class Remote:
    """A file or a git repository that ADD takes; `pinned` says whether it is the same each time."""

    url: str
    pinned: bool
    git: bool = False
    ssh: bool = False
    line: int = field(default=0, eq=False)

    @classmethod
    def of(cls, source: str, checksum: str | None, line: int) -> Remote | None:
        """What a source of ADD names; None for a path of the build context."""
        if found := _ACCOUNT.match(source):
            return cls(source, _is_commit(found["ref"]), True, True, line)
        found = _URL.match(source)
        if not found:
            return None
        if found["scheme"] == "ssh":
            return cls(source, _is_commit(found["ref"]), True, True, line)
        if found["scheme"] == "git" or found["path"].endswith(".git"):
            query = dict(part.partition("=")[::2] for part in (found["query"] or "").split("&"))
            commit = checksum or query.get("checksum") or query.get("commit") or found["ref"]
            return cls(source, _is_commit(commit), True, False, line)
        return cls(source, checksum is not None, line=line)


def _is_commit(reference: str | None) -> bool:
    return reference is not None and _COMMIT.fullmatch(reference.partition(":")[0]) is not None
