"""What `stowplan builds prune` says: as text, as data, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from executor.cli.render.data import error_data
from executor.cli.render.encode import Markdown
from executor.cli.render.markdown import table_markdown
from executor.cli.render.text import amount, count

if TYPE_CHECKING:
    from executor.schemas.printed import PruneObject
    from executor.workflow.pruning import Pruned

__all__ = ["pruned_data", "pruned_lines", "pruned_markdown"]

_KEPT = {
    "recent": "recent",
    "newest": "newest of their pipeline and stack",
    "build": "of a build that stays",
    "run": "named by a run",
    "lock": "named by a lock",
}
_WORDS = {
    "absent": "is not there any more",
    "foreign": "stays: what is there was not built from this plan",
    "shared": "stays, for a record that stays",
    "failed": "could not be removed",
}


def pruned_lines(found: Pruned, *, dry_run: bool) -> Iterator[str]:
    """One line for each image, then how much it is, and why the rest stays."""
    for image in found.images:
        words = amount(image.size) if image.result == "removed" else _WORDS[image.result]
        yield f"{image.engine}  {image.reference}  {words}"
    images = sum(image.result == "removed" for image in found.images)
    size = f" (up to {amount(found.size)})" if images else ""
    parts = [
        f"{count(images, 'image')}{size}",
        count(len(found.records), "record"),
        count(len(found.builds), "build"),
    ]
    yield f"{'Would remove' if dry_run else 'Removed'} {parts[0]}, {parts[1]} and {parts[2]}."
    if found.kept:
        reasons = (f"{found.kept[name]} {words}" for name, words in _KEPT.items() if name in found.kept)
        yield f"Kept: {', '.join(reasons)}."


def pruned_data(found: Pruned, locks: tuple[str, ...], *, dry_run: bool) -> PruneObject:
    """The object that `stowplan builds prune -o json` prints, schema `stowplan/prune/1`."""
    return {
        "schema": "stowplan/prune/1",
        "dry_run": dry_run,
        "locks": list(locks),
        "images": [
            {
                "engine": image.engine,
                "reference": image.reference,
                "result": image.result,
                "size": image.size,
                "error": error_data(image.error),
            }
            for image in found.images
        ],
        "records": [record.id for record in found.records],
        "builds": [build.id for build in found.builds],
        "size": found.size,
        "kept": {name: found.kept.get(name, 0) for name in _KEPT},
    }


def pruned_markdown(found: Pruned) -> Markdown:
    """The images as a table."""
    rows = [[image.engine, image.reference, image.result, amount(image.size)] for image in found.images]
    return table_markdown(["engine", "image", "result", "size"], rows)
