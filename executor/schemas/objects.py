"""The schema of an object that is printed, made from its type."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from executor.library.texts import attribute_texts
from executor.schemas.definitions import DIALECT

__all__ = ["object_schema", "schema_name"]

_SIMPLE: Final[Mapping[Any, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
}


def schema_name(kind: type) -> str:
    """What stands in `schema` of an object of a type."""
    (name,) = get_args(get_type_hints(kind)["schema"])
    return str(name)


def object_schema(kind: type) -> dict[str, Any]:
    """The schema of an object of a type, which has a schema and a version.

    It takes keys that the type does not have: those that a later release prints.
    """
    definitions: dict[str, Any] = {}
    body = _of_type(kind, definitions)
    del definitions[kind.__name__]
    name = schema_name(kind)
    identifier = "urn:stowplan:schema:" + ":".join(name.split("/")[1:])
    head = {"$schema": DIALECT, "$id": identifier, "title": name}
    return {**head, **body, **({"$defs": dict(sorted(definitions.items()))} if definitions else {})}


def _of_type(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type of objects, which is among the definitions from the start: it may hold itself."""
    body: dict[str, Any] = definitions.setdefault(kind.__name__, {})
    texts = attribute_texts(kind)
    hints = get_type_hints(kind, include_extras=True)
    properties = {name: _described(_of(hint, definitions), texts.get(name)) for name, hint in hints.items()}
    body |= {
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    return body


def _described(schema: dict[str, Any], text: str | None) -> dict[str, Any]:
    return {**schema, "description": " ".join(text.split())} if text else schema


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    arguments = get_args(hint)
    if hint is Any:
        return {}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if is_typeddict(hint):
        if hint.__name__ not in definitions:
            _of_type(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hasattr(hint, "__metadata__"):
        (names,) = hint.__metadata__
        if isinstance(names, type) and issubclass(names, Enum):
            return {"enum": [each.value for each in names]}
    origin = get_origin(hint)
    if origin is Literal:
        return {"const": arguments[0]}
    if origin in (Union, UnionType):
        return _any_of([_of(each, definitions) for each in arguments])
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    raise TypeError(f"no schema for {hint}")


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    if all(each.keys() == {"type"} for each in schemas):
        return {"type": [each["type"] for each in schemas]}
    return {"anyOf": schemas}
