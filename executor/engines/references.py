"""What engines take and give in their own words: image references, environments.

Every engine is given full names, so that a short one means the same to all of them. Refuses an ID that
is cut short.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator

from executor.errors import EngineRefused, ExecutorError
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["environment", "image_id", "named", "only_digest", "own_id", "parsed", "readable", "references"]


def parsed(reference: str) -> ImageRef:
    """A reference in full; by digest it has no tag, as Podman before 5 refuses both."""
    try:
        ref = ImageRef.parse(reference)
    except ValueError as error:
        raise ExecutorError.of(reference, str(error), "write registry/repository:tag") from None
    return ref.pinned(ref.digest) if ref.digest else ref


def image_id(reference: str) -> str | None:
    """The 64 digits of an engine's own ID of an image, with or without `sha256:`; None for a reference."""
    match = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})", reference)
    return match[1] if match else None


def own_id(told: str) -> str:
    """An image's ID as its engine writes it; ValueError if it is none."""
    if image_id(told) is None:
        raise ValueError(told)
    return told


def named(reference: str) -> str:
    """A reference in full, or an ID as all engines take it."""
    digits = image_id(reference)
    return f"sha256:{digits}" if digits else str(parsed(reference))


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


def only_digest(ref: ImageRef, known: Iterable[ImageRef]) -> Digest | None:
    """The one digest that an image is known by in the repository of `ref`.

    None when there are several: an image that was pulled through two indexes has two, and nothing
    tells which of them the tag stands for.
    """
    digests = {item.digest for item in known if item.name == ref.name and item.digest}
    if ref.digest in digests:
        return ref.digest
    return digests.pop() if len(digests) == 1 else None


@contextlib.contextmanager
def readable(engine: str, found: str, fix: Callable[[], str]) -> Iterator[None]:
    """Read what an engine says: what is none of its answers raises whatever reading it raises.

    EngineRefused, which says what was `found` and how to `fix` it.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise EngineRefused.of(engine, f"{found} ({type(error).__name__})", fix()) from None


def environment(listed: Iterable[str] | None) -> FrozenMapping[str]:
    """The environment variables of an image, which engines list as `NAME=value`."""
    return FrozenMapping({name: value for name, _, value in (item.partition("=") for item in listed or ())})
