"""`--mount` of RUN, as a value.

The rules are those of github.com/moby/buildkit (`frontend/dockerfile/instructions/commands_runmount.go`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final, NamedTuple

from attrs import field

from planner.dockerfiles.source import Token
from planner.dockerfiles.words import Lookup, Unknown, expand
from planner.errors import did_you_mean
from planner.immutable import frozen
from planner.values import FrozenMapping

__all__ = ["Mount", "fields"]

_KINDS: Final = ("bind", "cache", "secret", "ssh", "tmpfs")
_SPELLINGS: Final = {
    "src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite",
}  # fmt: skip
_WITHOUT_VALUE: Final = ("readonly", "readwrite", "required")
_KEYS: Final = (
    *("env", "from", "gid", "id", "mode", "readonly", "readwrite", "required", "sharing", "size", "source"),
    *("target", "type", "uid"),
)  # fmt: skip


class Field(NamedTuple):
    """One `key=value` of a mount: its key in its one spelling, and its value, which not each has."""

    key: str
    value: Token | None


@frozen
class Mount:
    """What a RUN mounts: `kind` is `bind`, `cache`, `secret`, `ssh` or `tmpfs`.

    A value of `values` may be unknown.
    """

    kind: str
    values: FrozenMapping[str | Unknown] = field(default=FrozenMapping())

    @classmethod
    def of(cls, flag: str, lookup: Lookup, escape: str) -> Mount | Unknown:
        """The mount that a flag asks for, or what is wrong with it."""
        values: dict[str, str | Unknown] = {}
        for key, value in fields(flag):
            if key not in _KEYS:
                return Unknown(f"RUN --mount with {key!r}", did_you_mean(key, _KEYS), True)
            if value is None:
                if key not in _WITHOUT_VALUE:
                    return Unknown(f"RUN --mount with {key} without a value", f"write {key}=…", True)
                values[key] = "true"
            else:
                values[key] = value.text if key == "from" else expand(value.text, lookup, escape)
        kind = values.get("type", "bind")
        if isinstance(kind, Unknown):
            return kind
        if kind.lower() not in _KINDS:
            return Unknown(f"RUN --mount of the type {kind!r}", did_you_mean(kind, _KINDS), True)
        return cls(kind.lower(), FrozenMapping(values))

    @property
    def origin(self) -> str:
        """The stage or the image that it is taken from; empty for the build context."""
        found = self.values.get("from", "")
        return found if isinstance(found, str) else ""

    @property
    def source(self) -> str | Unknown:
        """What is mounted, as a path in its origin; empty for all of it."""
        return self.values.get("source", "")

    @property
    def secret(self) -> str | Unknown:
        """The name of the secret that it mounts; empty where it has none."""
        for key in ("source", "id"):
            if named := self.values.get(key):
                return named
        target = self.values.get("target", "")
        return target if isinstance(target, Unknown) else posixpath.basename(target.rstrip("/"))

    @property
    def required(self) -> bool | Unknown:
        """Whether a build without it fails."""
        value = self.values.get("required", "false")
        return value if isinstance(value, Unknown) else value.lower() in ("1", "t", "true")


def fields(flag: str) -> Iterator[Field]:
    """The fields of a mount, those of a line of CSV, with the places of their values in the flag."""
    at = 0
    while at <= len(flag):
        quoted = flag[at : at + 1] == '"'
        at += quoted
        characters: list[str] = []
        places: list[int] = []
        while at < len(flag):
            character = flag[at]
            if quoted and character == '"':
                if flag[at + 1 : at + 2] != '"':
                    quoted = False
                    at += 1
                    continue
                at += 1
            elif not quoted and character == ",":
                break
            characters.append(character)
            places.append(at)
            at += 1
        at += 1
        key, equals, value = "".join(characters).partition("=")
        name = key.lower()
        token = Token(value, places[len(key) + 1 :]) if equals else None
        yield Field(_SPELLINGS.get(name, name), token)
