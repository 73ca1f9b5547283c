"""The text of a Dockerfile with pins in place: what is built, and what `show --dockerfile` prints.

Each reference is replaced where it stands, and nothing moves: a line has the number that it has in the
user's file. Stages that the target does not need become comments, because not every builder skips them; the
target is the last stage then.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.dockerfiles.model import Dockerfile
from planner.dockerfiles.origins import NamedImage
from planner.dockerfiles.reach import Reach
from planner.dockerfiles.source import Source
from planner.values import Digest

__all__ = ["pinned"]


def pinned(dockerfile: Dockerfile, reach: Reach, pins: Mapping[NamedImage, Digest]) -> str:
    """The text to build the target from; an image that has no pin is named as it was, in full.

    Whoever builds it needs no target.
    """
    characters = list(dockerfile.text)
    numbers = {stage.index: number for number, stage in enumerate(reach.stages)}
    for origin in reach.origins:
        text = origin.written
        if origin.image is not None:
            digest = pins.get(origin.image)
            reference = origin.image.reference
            text = str(reference.pinned(digest) if digest else reference)
        elif origin.stage is not None and origin.written.isdecimal():
            text = str(numbers[origin.stage])
        for offset in origin.offsets:
            characters[offset] = ""
        characters[_start(origin.offsets)] = text
    source = Source(dockerfile.text)
    needed = {stage.index for stage in reach.stages}
    for stage in dockerfile.stages:
        if stage.index not in needed:
            last = stage.statements[-1] if stage.statements else stage.start
            for line in range(stage.line, last.last_line + 1):
                start = source.starts[line - 1]
                characters[start] = ("# " if source.lines[line - 1] else "#") + characters[start]
    return "".join(characters)


def _start(offsets: tuple[int, ...]) -> int:
    """Where the last line begins of what may continue over several: what is between its lines stays."""
    start = offsets[-1]
    for offset in reversed(offsets):
        if offset < start - 1:
            break
        start = offset
    return start
