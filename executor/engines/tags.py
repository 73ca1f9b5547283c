"""Tags that engines give: looked for once given.

An engine that says that it tagged an image need not have done it, and Podman (4.3) writes an image's names
as a whole: a commit of the same image by another process takes away a tag that it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from executor.errors import BuildFailed
from planner.errors import Place, Problem

if TYPE_CHECKING:
    from executor.engines.protocol import ImageInfo

__all__ = ["tagged"]

_TRIES: Final = 3


def tagged(
    image: str, new: str, tag: Callable[[], None], inspect: Callable[[str], ImageInfo | None], engine: str
) -> None:
    """Tag with `tag` until the image with the ID `image` is found under `new`; BuildFailed if it never is."""
    for _ in range(_TRIES):
        tag()
        found = inspect(new)
        if found is not None and found.id == image:
            return
    lost = f"{engine} does not keep this tag of {image.removeprefix('sha256:')[:12]}"
    raise BuildFailed([Problem(Place(file=new), lost, "apply again", "tag-lost")])
