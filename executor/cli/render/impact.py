"""What a change of something would build, in words, as data, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from executor.cli.render.encode import Markdown, cell, code, document, heading, table
from executor.cli.render.text import count, steps_text
from planner.compare.impact import Reach, Reading, Through

if TYPE_CHECKING:
    from executor.schemas.printed import ImpactObject, ReachObject

__all__ = ["impact_data", "impact_lines", "impact_markdown"]


def impact_lines(readings: Sequence[Reading]) -> Iterator[str]:
    """What `stowplan impact` says: each thing of the name, the images that it reaches, and how."""
    for reading in readings:
        yield _title(reading)
        for reach in reading.reaches:
            yield f"  {_image(reach)}"
            yield from (f"    {_through(each)}" for each in reach.through)
            yield f"    {_built(reach)}"
        if not reading.reaches:
            yield "  reaches no image"
        yield ""
    built = {(each.pipeline, each.image) for each in _reaches(readings) if each.builds}
    yield f"A change builds {count(len(built), 'image')}."


def _reaches(readings: Sequence[Reading]) -> Iterator[Reach]:
    return (reach for reading in readings for reach in reading.reaches)


def _title(reading: Reading) -> str:
    return f"{reading.kind.replace('-', ' ')} {reading.name}"


def _image(reach: Reach) -> str:
    steps = f" ({steps_text(reach.steps)})" if reach.steps else ""
    return f"{reach.image}{steps}"


def _through(each: Through) -> str:
    return f"{each.text} ({_place(each)})" if _place(each) else each.text


def _place(each: Through) -> str:
    """The file and the line."""
    where = each.where
    if where is None or where.file is None:
        return ""
    return f"{where.file}:{where.line}" if where.line else where.file


def _built(reach: Reach) -> str:
    if not reach.builds:
        return "a change builds nothing"
    if not reach.layers:
        return "a change rebuilds the image, with the layers that it has"
    return f"a change builds layers: {', '.join(reach.layers)}"


def impact_markdown(readings: Sequence[Reading]) -> Markdown:
    """The same as a table for each thing."""
    parts = []
    for reading in readings:
        rows = [
            [code(_image(reach)), cell("; ".join(map(_through, reach.through))), cell(_built(reach))]
            for reach in reading.reaches
        ]
        parts += [heading(_title(reading)), table(["image", "through", "a change"], rows)]
    return document(parts)


def impact_data(name: str, readings: Sequence[Reading]) -> ImpactObject:
    """The same as an object, schema `stowplan/impact/1`."""
    return {
        "schema": "stowplan/impact/1",
        "name": name,
        "readings": [
            {
                "kind": reading.kind,
                "name": reading.name,
                "reaches": [_reach_data(reach) for reach in reading.reaches],
            }
            for reading in readings
        ],
    }


def _reach_data(reach: Reach) -> ReachObject:
    return {
        "pipeline": reach.pipeline,
        "stack": reach.stack,
        "image": reach.image,
        "steps": list(reach.steps),
        "through": [
            {
                "text": each.text,
                "file": each.where.file if each.where else None,
                "line": each.where.line if each.where else None,
            }
            for each in reach.through
        ],
        "builds": reach.builds,
        "layers": list(reach.layers),
    }
