"""The page of a plan: what it costs to make one, and how long a browser takes to open it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import best, table
from executor.cli.render.encode import Html
from executor.cli.render.page.document import report_page
from planner import Change, Pipeline, Report, Step, decide, make_plan
from planner.compare.layers import rebuilt_layers
from planner.image.plan import BuildPlan
from tests.builders import LOCAL, PARENT, World, file, observed, pipeline_of

if TYPE_CHECKING:
    from tests.browser import Browser

__all__ = ["open_page", "opening", "page_images", "page_of_a_thousand"]


def page_images(_: Path, count: int) -> Callable[[], object]:
    """The page of so many images that changed, and that copy ten times as many files."""
    names = [f"s{index}" for index in range(count)]
    pipeline = pipeline_of({}, {name: {"environment": {"A": name}} for name in names})
    world = World(entries=tuple(file(f"d/{index}.py") for index in range(10 * count)))
    report = _report(make_plan(pipeline, LOCAL, observed(pipeline, world=world)))
    return lambda: report_page(report, pipeline, {})


def _report(plan: BuildPlan) -> Report:
    """A report in which all images are new, and something changed of each."""
    changes = [
        Change(image.name, "files", None, "changed", "a", "b", "files: 1 changed") for image in plan.images
    ]
    rebuilt = {image.name: rebuilt_layers(None, image) for image in plan.images}
    return Report(plan, decide(plan, {}), since_lock=tuple(changes), rebuilt=rebuilt)


def page_of_a_thousand(images: int) -> Html:
    """The page of 1,000 steps, which come after each other as a tree, in so many images."""
    steps = [
        Step(
            name=f"step-{n}",
            after=(f"step-{(n - 1) // 3}",) if n else (),
            settings={
                "docker": {"environment": {"KIND": str(n % images)}, "requirements": [f"p{n % images}"]}
            },
        )
        for n in range(1000)
    ]
    pipeline = Pipeline(name="training", steps=steps, settings={"docker": {"parent_image": PARENT}})
    return report_page(_report(make_plan(pipeline, LOCAL, observed(pipeline))), pipeline, {})


def open_page(browser: Browser, page: Path) -> None:
    """Open a page, and wait until its script has run and it has been painted: for two frames."""
    browser.open(page)
    browser.driver.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
    )


def opening(root: Path, runs: int) -> None:
    """How long Chromium takes to open pages of 1,000 steps, beside an empty page."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        print("\nno page is opened: chromium and chromedriver are not there")
        return
    from tests.browser import browsing  # noqa: PLC0415  # only where there is one

    root.mkdir()
    texts = {"an empty page": "<!doctype html><title>empty</title>"}
    texts |= {f"1,000 steps, images: {images:,}": page_of_a_thousand(images) for images in (1, 26, 1000)}
    pages = {}
    for index, (name, text) in enumerate(texts.items()):
        pages[name] = root / f"{index}.html"
        pages[name].write_text(text, encoding="utf-8")
    with browsing(root / "profile") as browser:
        works = {name: functools.partial(open_page, browser, page) for name, page in pages.items()}
        table("opening a page in Chromium", best(runs, works), ("an empty page",))
