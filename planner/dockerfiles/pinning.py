"""The text that is built: the statements that a target needs, and pins where images are named.

A reference is replaced where it stands, and what is around it stays. Refuses to judge what counts: what is
written here is all that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from planner.dockerfiles.model import Dockerfile
from planner.dockerfiles.origins import NamedImage
from planner.dockerfiles.reach import Reach
from planner.dockerfiles.source import Source
from planner.settings.secrets import SECRET_DIRECTORY
from planner.values import Digest, FrozenMapping

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
    characters = list(dockerfile.text)
    for origin in reach.origins:
        if origin.stage is not None and origin.written.isdecimal():
            _replace(characters, origin.offsets, numbers[origin.stage])
    source = Source("".join(characters), dockerfile.escape)
    for statement in reach.statements:
        joined = source.join(statement.line)
        first = joined.text.strip()
        rest = source.lines[joined.last_line : statement.last_line]
        yield "\n".join((statement.keyword + first[len(statement.keyword) :], *rest)), statement.line


def pinned(
    dockerfile: Dockerfile,
    reach: Reach,
    pins: Mapping[NamedImage, Digest],
    secrets: Mapping[str, str] = FrozenMapping(),
) -> str:
    """The text with the digests of the images it names; one that has no pin is named as it was, in full.

    `secrets` are other names for what it mounts, which stays where it was.
    """
    characters = list(dockerfile.text)
    for origin in reach.origins:
        if origin.image is not None:
            digest = pins.get(origin.image)
            reference = origin.image.reference
            _replace(characters, origin.offsets, str(reference.pinned(digest) if digest else reference))
    for mount in reach.secrets:
        name = secrets.get(mount.name, mount.name)
        if name != mount.name:
            if mount.offsets:
                _replace(characters, mount.offsets, name)
            else:
                characters[mount.end] += f",id={name}"
            if not mount.placed:
                characters[mount.end] += f",target={SECRET_DIRECTORY}/{mount.name}"
    return "".join(characters)


def _replace(characters: list[str], offsets: tuple[int, ...], name: str) -> None:
    """Write something else where these characters of a text stand."""
    for offset in offsets:
        characters[offset] = ""
    characters[_start(offsets)] = name


def _start(offsets: tuple[int, ...]) -> int:
    """Where the last line begins of what may continue over several: what is between its lines stays."""
    start = offsets[-1]
    for offset in reversed(offsets):
        if offset < start - 1:
            break
        start = offset
    return start
