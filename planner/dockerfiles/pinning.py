"""The text that is built: the statements that a target needs, and pins where images are named.

A reference is replaced where it stands, and what is around it stays. Refuses to judge what counts: what is
written here is all that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from planner.dockerfiles.model import Dockerfile
from planner.dockerfiles.origins import NamedImage, Origin
from planner.dockerfiles.reach import Reach
from planner.dockerfiles.source import Source
from planner.values import Digest

__all__ = ["needed_lines", "pinned"]


def needed_lines(dockerfile: Dockerfile, reach: Reach) -> Iterator[tuple[str, int]]:
    """The statements that the target needs as they are written, and the line that each begins on.

    Each is one line with its heredocs, in an instruction of capitals, and without comments. What the comments
    at the top ask for comes first. Stages that are called by their number have the one that they have without
    those that are not needed.
    """
    if dockerfile.escape != "\\":
        yield f"# escape={dockerfile.escape}", 1
    if dockerfile.syntax is not None:
        yield f"# syntax={dockerfile.syntax}", dockerfile.syntax_line or 1
    numbers = {stage.index: str(number) for number, stage in enumerate(reach.stages)}
    called = [
        (origin, numbers[origin.stage])
        for origin in reach.origins
        if origin.stage is not None and origin.written.isdecimal()
    ]
    source = Source(_replaced(dockerfile.text, called), dockerfile.escape)
    for statement in reach.statements:
        joined = source.join(statement.line)
        first = joined.text.strip()
        rest = source.lines[joined.last_line : statement.last_line]
        yield "\n".join((statement.keyword + first[len(statement.keyword) :], *rest)), statement.line


def pinned(dockerfile: Dockerfile, reach: Reach, pins: Mapping[NamedImage, Digest]) -> str:
    """The text with the digests of the images it names; one that has no pin is named as it was, in full."""
    named = []
    for origin in reach.origins:
        if origin.image is not None:
            digest = pins.get(origin.image)
            reference = origin.image.reference
            named.append((origin, str(reference.pinned(digest) if digest else reference)))
    return _replaced(dockerfile.text, named)


def _replaced(text: str, names: Iterable[tuple[Origin, str]]) -> str:
    """The text in which origins have other names."""
    characters = list(text)
    for origin, name in names:
        for offset in origin.offsets:
            characters[offset] = ""
        characters[_start(origin.offsets)] = name
    return "".join(characters)


def _start(offsets: tuple[int, ...]) -> int:
    """Where the last line begins of what may continue over several: what is between its lines stays."""
    start = offsets[-1]
    for offset in reversed(offsets):
        if offset < start - 1:
            break
        start = offset
    return start
