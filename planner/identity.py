"""Canonical bytes and the hashes over them: what makes two images the same image.

Owns the encoding (typed, framed, sorted, versioned). Every field of every value that describes an image
says where it is declared whether it counts:

    name: str = field(metadata=NOT_COUNTED)

Refuses to hash text made for people, `repr`, or anything whose meaning depends on the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from planner.values import Digest, EnvTemplate, ImageRef

__all__ = ["COUNTED", "NOT_COUNTED", "Counts", "canonical", "content_hash", "counts", "variable_fingerprint"]

# Raised when the same value has to hash differently, as when an instruction is carried out in
# another way; never for a new optional field: a field that is None is left out of the encoding, so
# that adding one moves no hash.
SCHEMA: Final = 2


class Counts(Enum):
    """Whether a field is part of what its value is."""

    YES = "part of the hash"
    NO = "no part of the hash"


_KEY: Final = "stowplan.identity"
COUNTED: Final[Mapping[str, Counts]] = {_KEY: Counts.YES}
NOT_COUNTED: Final[Mapping[str, Counts]] = {_KEY: Counts.NO}


def counts(attribute: attrs.Attribute[Any]) -> bool:
    """Whether a field was declared to count. KeyError for a field that does not say."""
    if _KEY not in attribute.metadata:
        raise KeyError(f"the field {attribute.name!r} does not say whether it counts")
    return attribute.metadata[_KEY] is Counts.YES


def content_hash(kind: str, value: object) -> Digest:
    """SHA-256 over the schema's name and version, the kind, and the canonical bytes of `value`."""
    framed = canonical((f"stowplan/{kind}", SCHEMA, value))
    return Digest(hashlib.sha256(framed).hexdigest())


def canonical(value: object) -> bytes:
    """The canonical bytes of a value: equal for equal meanings, different for any other.

    Takes None, bool, int, str, bytes, tuples, frozensets, mappings with string keys, enums of
    those, and attrs values whose fields say whether they count. TypeError for anything else.
    """
    return b"".join(_encode(value))


def _encode(value: object) -> Iterator[bytes]:
    match value:
        case None:
            yield b"n;"
        case bool():
            yield b"t;" if value else b"f;"
        case Digest() | EnvTemplate() | ImageRef():
            yield from _encode(str(value))
        case Enum():
            yield from _encode(value.value)
        case int():
            yield b"i%d;" % value
        case str():
            data = value.encode()
            yield b"s%d:" % len(data)
            yield data
        case bytes():
            yield b"b%d:" % len(value)
            yield value
        case tuple():
            yield b"l%d:" % len(value)
            for item in value:
                yield from _encode(item)
        case frozenset():
            yield b"u%d:" % len(value)
            yield from sorted(canonical(item) for item in value)
        case Mapping():
            yield b"m%d:" % len(value)
            for key in sorted(value):
                yield from _encode(key)
                yield from _encode(value[key])
        case _ if attrs.has(type(value)):
            yield from _encode_fields(value)
        case _:
            raise TypeError(f"no canonical form for {type(value).__name__}")


def _encode_fields(value: Any) -> Iterator[bytes]:
    fields = {
        attribute.name: getattr(value, attribute.name)
        for attribute in attrs.fields(type(value))
        if counts(attribute)
    }
    yield b"v"
    yield from _encode({name: item for name, item in fields.items() if item is not None})


def variable_fingerprint(name: str, value: str) -> Digest:
    """What stands for a variable's value in an image hash.

    Values can be guessable, so they never go in as a plain hash: scrypt (RFC 7914) makes each guess
    cost 16 MiB and tens of milliseconds. The name is the salt, so that equal values of two
    variables do not show as equal.
    """
    salt = canonical(("stowplan/variable", SCHEMA, name))
    return Digest(hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex())
