"""Image references as engines take and give them.

Every engine is given full names, so that a short one means the same to all of them. Refuses to read an
image ID as anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from executor.errors import ExecutorError
from planner.values import Digest, ImageRef

__all__ = ["only_digest", "parsed", "references", "working_tags"]


def parsed(reference: str) -> ImageRef:
    """A reference in full; by digest it has no tag, as Podman before 5 refuses both."""
    try:
        ref = ImageRef.parse(reference)
    except ValueError as error:
        raise ExecutorError.of(reference, str(error), "write registry/repository:tag") from None
    return ref.pinned(ref.digest) if ref.digest else ref


def references(names: Iterable[str] | None) -> tuple[ImageRef, ...]:
    """The references by digest among what an engine lists; Docker lists `<none>@<none>` too."""
    found = []
    for name in names or ():
        try:
            ref = ImageRef.parse(name)
        except ValueError:
            continue
        if ref.digest:
            found.append(ref)
    return tuple(found)


def working_tags(image: Digest, tags: Iterable[str]) -> tuple[str, ...]:
    """The references among some that have an image hash as their tag, sorted."""
    return tuple(sorted(tag for tag in tags if tag.endswith(f":{image.hex}")))


def only_digest(ref: ImageRef, known: Iterable[ImageRef]) -> Digest | None:
    """The one digest that an image is known by in the repository of `ref`.

    None when there are several: an image that was pulled through two indexes has two, and nothing
    tells which of them the tag stands for.
    """
    digests = {item.digest for item in known if item.name == ref.name and item.digest}
    if ref.digest in digests:
        return ref.digest
    return digests.pop() if len(digests) == 1 else None
