"""What a schema of `stowplan schema` finds wrong with a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from executor.schemas.known import SCHEMAS

__all__ = ["wrong", "wrong_output"]


def wrong(name: str, value: Any, *, strict: bool = False) -> list[str]:
    """What is wrong by the schema of a name; with `strict`, keys that it does not name are wrong, too."""
    schema = SCHEMAS[name]()
    validator = Draft202012Validator(_closed(schema) if strict else schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def wrong_output(value: Any) -> list[str]:
    """What is wrong with what `-o json` printed, by the schema that it names."""
    return wrong(value["schema"].split("/")[1], value, strict=True)


def _closed(schema: Any) -> Any:
    """A schema of what is printed that takes no other keys: none is without a text then."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _closed(item) for key, item in schema.items()}
    if isinstance(found.get("properties"), Mapping):
        found["additionalProperties"] = False
    return found
