"""One difference of one image, as data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from planner.immutable import frozen

__all__ = ["Change", "counted"]

_SHOWN_PATHS: Final = 5


@frozen
class Change:
    """One difference of one image, as data and in words. `before` or `after` is None where it was absent.

    `field` is the setting, `key` what in it: a variable, a package, a path. `code` is stable.
    """

    image: str
    field: str
    key: str | None
    code: str
    before: str | None
    after: str | None
    text: str


def counted(paths: Sequence[str]) -> str:
    """How many files changed, with the first of them."""
    shown = ", ".join(path if path.isprintable() else repr(path) for path in paths[:_SHOWN_PATHS])
    more = f" and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else ""
    return f"{len(paths)} changed ({shown}{more})"
