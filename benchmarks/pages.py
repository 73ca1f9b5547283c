"""The page of a plan, as a case of `growth`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from executor.cli.render.page.document import report_page
from planner import Change, Report, decide, make_plan
from planner.compare.layers import rebuilt_layers
from tests.builders import LOCAL, World, file, observed, pipeline_of

__all__ = ["page_images"]


def page_images(_: Path, count: int) -> Callable[[], object]:
    """The page of so many images that changed, and that copy ten times as many files."""
    names = [f"s{index}" for index in range(count)]
    pipeline = pipeline_of({}, {name: {"environment": {"A": name}} for name in names})
    world = World(entries=tuple(file(f"d/{index}.py") for index in range(10 * count)))
    plan = make_plan(pipeline, LOCAL, observed(pipeline, world=world))
    changes = [
        Change(image.name, "files", None, "changed", "a", "b", "files: 1 changed") for image in plan.images
    ]
    rebuilt = {image.name: rebuilt_layers(None, image) for image in plan.images}
    report = Report(plan, decide(plan, {}), since_lock=tuple(changes), rebuilt=rebuilt)
    return lambda: report_page(report, pipeline, {})
