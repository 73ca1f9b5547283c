"""Schemas of classes put together: each class once, in `$defs`, with the texts of its attributes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from executor.library.texts import attribute_texts
from planner.settings.checked import Checked, Layer
from planner.settings.checks import Schema
from planner.settings.plain import plain

__all__ = ["DIALECT", "whole_schema"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def whole_schema(
    name: str, title: str, schema: Schema, *, parts_of: tuple[type[Checked], ...] = ()
) -> dict[str, Any]:
    """A schema that stands alone: of `name`, with its dialect and all that it refers to.

    `parts_of` are classes of which it refers to single properties, by their paths.
    """
    definitions: dict[str, Any] = {}
    body = _resolved([schema, *({"$ref": kind} for kind in parts_of)], definitions)[0]
    head = {"$schema": DIALECT, "$id": f"urn:stowplan:schema:{name}", "title": title}
    return {**head, **body, **({"$defs": dict(sorted(definitions.items()))} if definitions else {})}


def _resolved(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema in whose references names stand for classes, which are put into `definitions`."""
    if isinstance(schema, list | tuple):
        return [_resolved(item, definitions) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _resolved(item, definitions) for key, item in schema.items() if not isinstance(item, type)}
    kind = schema.get("$ref")
    if isinstance(kind, type):
        found["$ref"] = f"#/$defs/{kind.__name__}"
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}
            definitions[kind.__name__] |= _of_class(kind, definitions)
    return found


def _of_class(kind: type[Checked], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a class with its texts, and with the defaults of settings."""
    schema = _resolved(kind.schema(), definitions)
    if not schema["required"]:
        del schema["required"]
    texts = attribute_texts(kind)
    for name, each in schema["properties"].items():
        described: dict[str, Any] = {"description": texts[name]} if name in texts else {}
        if issubclass(kind, Layer) and name in kind.settable():
            default = plain(kind.default(name))
            if default not in (None, {}, []):
                described["default"] = default
        schema["properties"][name] = {**each, **described}
    first = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    return {"description": first, **schema}
