"""Canonical bytes and the hashes over them: what makes two images the same image.

Owns the encoding (typed, framed, sorted, versioned). Every field of every value that describes an image
says where it is declared whether it counts:

    name: str = field(metadata=NOT_COUNTED)

Refuses to hash text made for people, `repr`, or anything whose meaning depends on the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from planner.immutable import of_class
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
    parts: list[bytes] = []
    _encode(value, parts.append)
    return b"".join(parts)


def _encode(value: object, put: Callable[[bytes], None]) -> None:
    match value:
        case str() if not isinstance(value, Enum):
            data = value.encode()
            put(b"s%d:" % len(data))
            put(data)
        case None:
            put(b"n;")
        case bool():
            put(b"t;" if value else b"f;")
        case Digest() | EnvTemplate() | ImageRef():
            _encode(str(value), put)
        case Enum():
            _encode(value.value, put)
        case int():
            put(b"i%d;" % value)
        case bytes():
            put(b"b%d:" % len(value))
            put(value)
        case tuple():
            put(b"l%d:" % len(value))
            for item in value:
                _encode(item, put)
        case frozenset():
            put(b"u%d:" % len(value))
            put(b"".join(sorted(canonical(item) for item in value)))
        case Mapping():
            put(b"m%d:" % len(value))
            for key in sorted(value):
                _encode(key, put)
                _encode(value[key], put)
        case _ if attrs.has(type(value)):
            _encode_fields(value, put)
        case _:
            raise TypeError(f"no canonical form for {type(value).__name__}")


def _encode_fields(value: Any, put: Callable[[bytes], None]) -> None:
    fields = [
        (encoded, item)
        for name, encoded in _counted(type(value))
        if (item := getattr(value, name)) is not None
    ]
    put(b"vm%d:" % len(fields))
    for encoded, item in fields:
        put(encoded)
        _encode(item, put)


@of_class
def _counted(cls: type[Any]) -> tuple[tuple[str, bytes], ...]:
    """The names of the fields of a class that count, in their order, each with its canonical bytes."""
    names = sorted(attribute.name for attribute in attrs.fields(cls) if counts(attribute))
    return tuple((name, canonical(name)) for name in names)


def variable_fingerprint(name: str, value: str) -> Digest:
    """What stands for a variable's value in an image hash.

    Values can be guessable, so they never go in as a plain hash: scrypt (RFC 7914) makes each guess
    cost 16 MiB and tens of milliseconds. The name is the salt, so that equal values of two
    variables do not show as equal.
    """
    salt = canonical(("stowplan/variable", SCHEMA, name))
    return Digest(hashlib.scrypt(value.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex())
