"""One difference of one image, as data and in words."""

from __future__ import annotations

from planner.immutable import frozen

__all__ = ["Change"]


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
