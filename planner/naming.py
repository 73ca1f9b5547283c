"""The names of the images of a plan, and their order.

An image has the name of its pipeline if something runs in it that asks for nothing more, else it is called
after the first of its steps. A lock that is taken as it is has the names already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from planner.image.use import DEPLOYER
from planner.share import Share

__all__ = ["named"]

# What a name has room for with the word for a Dockerfile behind it.
_LONGEST: Final = 100 - len("-dockerfile")


def named(pipeline: str, shares: Sequence[Share]) -> list[tuple[str, Share]]:
    """The images by name, in the order of their first steps, each after the one that it is built on."""
    by_name: dict[str, Share] = {}
    for share in shares:
        own = f"{pipeline}/{share.steps[0] if share.steps else DEPLOYER}"
        name = share.locked or (pipeline if share.of_pipeline else own)
        # One image of a lock whose steps go to two repositories by now.
        by_name[own if name in by_name else name] = share
    names = {id(share): name for name, share in by_name.items()}
    for share in shares:
        if share.parent is not None and id(share.parent) not in names:
            name = share.parent.locked or _name_below(names[id(share)])
            while name in names.values():
                name += "-image"
            names[id(share.parent)] = name
    ordered: dict[str, Share] = {}
    for share in shares:
        for each in filter(None, (share.parent, share)):
            ordered.setdefault(names[id(each)], each)
    return list(ordered.items())


def _name_below(name: str) -> str:
    """The name of the image of a Dockerfile that only others are built on, after the first of them."""
    pipeline, _, step = name.partition("/")
    return f"{pipeline}/{step[:_LONGEST]}-dockerfile" if step else f"{pipeline}/dockerfile"
