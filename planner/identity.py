"""Canonical bytes and the hashes over them: what makes two images the same image.

Owns the encoding (typed, framed, sorted, versioned) and the three sides a field can be on. Every
field of every value that describes an image says which side it is on where it is declared:

    name: str = field(metadata=EVERYWHERE)

Refuses to hash text made for people, `repr`, or anything whose meaning depends on the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from planner.values import Digest, EnvTemplate, ImageRef

__all__ = ["APART", "EVERYWHERE", "HERE", "Side", "canonical", "content_hash", "variable_fingerprint"]

# Raised when the same value has to hash differently, as when an instruction is carried out in
# another way; never for a new optional field: a field that is None is left out of the encoding, so
# that adding one moves no hash.
SCHEMA: Final = 1


class Side(Enum):
    """Which of an image's two hashes a field counts in."""

    EVERYWHERE = "environment hash and image hash"
    HERE = "image hash only: what only this checkout and this machine can say"
    APART = "neither"


_KEY: Final = "stowplan.identity"
EVERYWHERE: Final[Mapping[str, Side]] = {_KEY: Side.EVERYWHERE}
HERE: Final[Mapping[str, Side]] = {_KEY: Side.HERE}
APART: Final[Mapping[str, Side]] = {_KEY: Side.APART}


def side_of(attribute: attrs.Attribute[Any]) -> Side:
    """The side that a field was declared on. KeyError for a field that does not say."""
    if _KEY not in attribute.metadata:
        raise KeyError(f"the field {attribute.name!r} does not say which hash it counts in")
    side: Side = attribute.metadata[_KEY]
    return side


def content_hash(kind: str, value: object, *, here: bool = True) -> Digest:
    """SHA-256 over the schema's name and version, the kind, and the canonical bytes of `value`.

    With `here=False` the fields that only this checkout and machine can say are left out.
    """
    framed = canonical((f"stowplan/{kind}", SCHEMA, value), here=here)
    return Digest(hashlib.sha256(framed).hexdigest())


def canonical(value: object, *, here: bool = True) -> bytes:
    """The canonical bytes of a value: equal for equal meanings, different for any other.

    Takes None, bool, int, str, bytes, tuples, frozensets, mappings with string keys, enums of
    those, and attrs values whose fields say their side. TypeError for anything else.
    """
    return b"".join(_encode(value, here))


def _encode(value: object, here: bool) -> Iterator[bytes]:
    match value:
        case None:
            yield b"n;"
        case bool():
            yield b"t;" if value else b"f;"
        case Digest() | EnvTemplate() | ImageRef():
            yield from _encode(str(value), here)
        case Enum():
            yield from _encode(value.value, here)
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
                yield from _encode(item, here)
        case frozenset():
            yield b"u%d:" % len(value)
            yield from sorted(canonical(item, here=here) for item in value)
        case Mapping():
            yield b"m%d:" % len(value)
            for key in sorted(value):
                yield from _encode(key, here)
                yield from _encode(value[key], here)
        case _ if attrs.has(type(value)):
            yield from _encode_fields(value, here)
        case _:
            raise TypeError(f"no canonical form for {type(value).__name__}")


def _encode_fields(value: Any, here: bool) -> Iterator[bytes]:
    counted = (Side.EVERYWHERE, Side.HERE) if here else (Side.EVERYWHERE,)
    fields = {
        attribute.name: getattr(value, attribute.name)
        for attribute in attrs.fields(type(value))
        if side_of(attribute) in counted
    }
    yield b"v"
    yield from _encode({name: item for name, item in fields.items() if item is not None}, here)


def variable_fingerprint(name: str, value: str) -> Digest:
    """What stands for a variable's value in an image hash.

    Values can be guessable, so they never go in as a plain hash: scrypt (RFC 7914) makes each guess
    cost 16 MiB and tens of milliseconds. The name is the salt, so that equal values of two
    variables do not show as equal.
    """
    salt = canonical(("stowplan/variable", SCHEMA, name))
    return Digest(hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex())
