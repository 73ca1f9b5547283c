"""JSON that gives back what was written: the same types, and equal values.

JSON has no tuples, no keys but text, no bytes and no infinity. What it does not have is written as an object
with one key that begins with `$`; so is a dictionary that has such a key.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

__all__ = ["TYPES", "NotExact", "dumps", "loads"]

TYPES = (type(None), bool, int, float, list, tuple, dict, set, frozenset)
"""What is written as JSON on its own. Text and bytes are, within these."""

# Far below what json and pickle can nest. What is deeper, or holds itself, is pickled.
_DEEPEST = 100
# Python turns no more than 4300 digits into a number.
_MOST_BITS = 1024
_COLLECTIONS: dict[str, type[Any]] = {"$tuple": tuple, "$set": set, "$frozenset": frozenset, "$dict": dict}
_KEYS: dict[type[Any], str] = {kind: key for key, kind in _COLLECTIONS.items()}


class NotExact(Exception):
    """A value would not be the same when it is read again."""


def dumps(value: Any) -> bytes:
    """A value as JSON. NotExact if it holds anything but the types above, text and bytes."""
    return json.dumps(_encoded(value, _DEEPEST), allow_nan=False, separators=(",", ":")).encode("ascii")


def loads(data: bytes) -> Any:
    """The value that was written. ValueError if it is no JSON."""
    return json.loads(data.decode("ascii"), object_hook=_decoded)


def _encoded(value: Any, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if value.bit_length() <= _MOST_BITS else {"$int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is bytes:
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if not depth:
        raise NotExact
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: _encoded(item, depth - 1) for key, item in value.items()}
        value = list(value.items())
        return {"$dict": [[_encoded(key, depth - 1), _encoded(item, depth - 1)] for key, item in value]}
    if kind is list:
        return [_encoded(item, depth - 1) for item in value]
    if kind in _KEYS:
        return {_KEYS[kind]: [_encoded(item, depth - 1) for item in value]}
    raise NotExact


def _decoded(table: dict[str, Any]) -> Any:
    if len(table) != 1:
        return table
    ((key, value),) = table.items()
    if key in _COLLECTIONS:
        return _COLLECTIONS[key](value)
    if key == "$int":
        return int(value, 16)
    if key == "$float":
        return float(value)
    if key == "$bytes":
        return base64.b64decode(value)
    return table
