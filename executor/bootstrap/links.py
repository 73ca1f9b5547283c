"""Where symbolic links of an archive lead, without looking at a file system."""

from __future__ import annotations

from typing import Mapping

__all__ = ["leaves"]

# As many as Linux follows.
_MOST_HOPS = 40


def leaves(path: str, links: Mapping[str, str]) -> bool:
    """Whether the link at a path leads out of the root, by itself or through others.

    `links` are the targets of all links by their paths, which are relative and pass through no link. A link
    that leads round and round leads nowhere.
    """
    at = path.split("/")[:-1]
    ahead = links[path].split("/")[::-1]
    if links[path].startswith("/"):
        return True
    hops = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                return True
            at.pop()
            continue
        at.append(part)
        target = links.get("/".join(at))
        if target is not None:
            hops += 1
            if hops > _MOST_HOPS:
                return False
            if target.startswith("/"):
                return True
            at.pop()
            ahead.extend(target.split("/")[::-1])
    return False
