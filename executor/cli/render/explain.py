"""What the hash of an image is made of, in words, as data, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from executor.cli.render.data import change_data
from executor.cli.render.encode import Markdown, cell, code, document, heading, table
from executor.cli.render.line import Line, Part, Style, faint
from executor.workflow.explanations import Compared, Explained
from planner.compare.explanation import Field, Origin
from planner.lock.lock import LOCK_NAME

if TYPE_CHECKING:
    from executor.schemas.printed import ExplainObject

__all__ = ["explained_data", "explained_lines", "explained_markdown"]

_WORDS: Final = {
    Origin.SETTING: "default",
    Origin.STACK: "stack or integration",
    Origin.LOCK: LOCK_NAME,
    Origin.LOOKED_UP: "not locked",
    Origin.CHECKOUT: "this checkout",
    Origin.MACHINE: "this machine",
    Origin.STOWPLAN: "stowplan",
}


def explained_lines(found: Explained) -> Iterator[Line]:
    """What `stowplan explain` says: a tree of what counts, each with its origin; then what was missed."""
    yield Part(found.image.name, Style.STRONG), f"  {found.image.hash}"
    above: tuple[str, ...] = ()
    for field in found.fields:
        *over, name = field.path
        for depth, each in enumerate(over):
            if above[: depth + 1] != field.path[: depth + 1] and tuple(over[: depth + 1]) != above:
                yield f"{'  ' * (depth + 1)}{each}"
        text = f"{'  ' * len(field.path)}{name}"
        yield (f"{text}  {field.value}" if field.value else text), faint(f"  {_origin(field)}")
        above = field.path
    yield ""
    yield from _compared_lines(found.against)


def _compared_lines(against: Compared | None) -> Iterator[Line]:
    if against is None:
        yield "No image was built here that it could be compared with."
    elif not against.changes:
        yield f"The same as {against.name}."
    else:
        yield f"Differs from {against.name}:"
        yield from (f"  {change.text}" for change in against.changes)


def _origin(field: Field) -> str:
    """`stowplan.toml:9`, `stowplan.lock (stowplan.toml:9)`, `this checkout`."""
    where = field.where
    place = "" if where is None or where.file is None else where.file
    if place and where is not None and where.line:
        place = f"{place}:{where.line}"
    if not place:
        return _WORDS[field.origin]
    return place if field.origin in (Origin.SETTING, Origin.CHECKOUT) else f"{_WORDS[field.origin]} ({place})"


def explained_markdown(found: Explained) -> Markdown:
    """The same as a table."""
    rows = [[code(".".join(field.path)), code(field.value), cell(_origin(field))] for field in found.fields]
    parts = [heading(found.image.name), table(["field", "value", "from"], rows)]
    if found.against is not None:
        words = "The same as" if not found.against.changes else "Differs from"
        parts.append(cell(f"{words} {found.against.name}"))
        parts += [cell(change.text) for change in found.against.changes]
    return document(parts)


def explained_data(found: Explained) -> ExplainObject:
    """The object that `stowplan explain -o json` prints, schema `stowplan/explain/1`."""
    against = found.against
    return {
        "schema": "stowplan/explain/1",
        "image": found.image.name,
        "hash": str(found.image.hash),
        "spec_hash": str(found.image.spec.hash),
        "steps": list(found.image.steps),
        "fields": [
            {
                "path": list(field.path),
                "value": field.value,
                "origin": field.origin.value,
                "file": field.where.file if field.where else None,
                "line": field.where.line if field.where else None,
            }
            for field in found.fields
        ],
        "against": None
        if against is None
        else {
            "name": against.name,
            "hash": against.hash,
            "changes": [change_data(change) for change in against.changes],
        },
    }
