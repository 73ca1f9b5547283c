"""What needs are answered with, where that is more than text or a tree.

Refuses to hold handles, clocks, or anything that could still change; hides the values of variables from
`repr` and from every message.
"""

from __future__ import annotations

from typing import Literal

from attrs import field

from planner.immutable import frozen
from planner.values import Digest

__all__ = ["HiddenValue", "ImageId", "ImagePython", "Pin", "PinKind", "Printed"]

PinKind = Literal["index", "manifest"]


@frozen
class HiddenValue:
    """The value of an environment variable. Only `reveal` shows it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """The value itself, for the engine and for the fingerprint, and for nothing else."""
        return self._value


@frozen
class Pin:
    """What is known of an image in its registry: its digest, and of what; or why it is not known.

    `kind` says whether the digest is that of an index of several platforms or of one manifest,
    `platform` for which platform it was looked up, and `manifest` which manifest of an index that is.
    `reason` says why the registry did not tell, and `transient` whether asking again later may help.
    """

    digest: Digest | None = None
    kind: PinKind | None = None
    platform: str | None = None
    manifest: Digest | None = None
    reason: str = ""
    transient: bool = False


@frozen
class ImagePython:
    """The Python of an image: its version (`3.11.2`, or `3.11`), and its platform as uv names it.

    The platform tells the C library and, of glibc, the version: `x86_64-manylinux_2_36`,
    `aarch64-unknown-linux-musl`. `assumed` says that nobody told all of this: a version that nobody told is
    that of the machine that plans, and a C library is glibc. `given` says that the version is that of a
    setting.
    """

    version: str
    platform: str
    assumed: bool = False
    given: bool = False


@frozen
class ImageId:
    """The ID that an engine has for a local image, None if it has none; no identity on another machine.

    `engine` is the name of the engine that told, and `reason` says why there is no ID.
    """

    id: Digest | None = None
    engine: str = ""
    reason: str = ""


@frozen
class Printed:
    """What the first of some commands printed that worked, and which one that was, as a person types it.

    `failures` says of each command before it why it did not work; of all, where none did.
    """

    text: str = field(default="", repr=False)
    command: str = ""
    failures: tuple[str, ...] = ()

    @property
    def worked(self) -> bool:
        """Whether there is an answer."""
        return bool(self.command)
