"""A plan as one page of HTML that loads nothing: the picture, and below it in words all that it shows.

Owns what is on the page. The same report gives the same bytes. No value of a variable is on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import files

from executor.cli.render.encode import Html, element, html, html_words, page
from executor.cli.render.page.entries import images, layers, steps
from executor.cli.render.page.lanes import lanes
from executor.cli.render.page.picture import picture
from executor.cli.render.page.subject import Subject, name, state
from executor.cli.render.text import lock_words
from planner.compare.actions import Action
from planner.compare.report import Report
from planner.image.plan import ImagePlan
from planner.pipeline import Pipeline
from planner.values import Digest

__all__ = ["image_page", "report_page"]


def report_page(report: Report, pipeline: Pipeline, sizes: Mapping[Digest, int]) -> Html:
    """The page of `stowplan plan --html`. `sizes` are the bytes of trees, by their digests."""
    title = f"{report.plan.pipeline} on {report.plan.stack}"
    return _page(Subject(report, picture(report, pipeline), sizes), title)


def image_page(report: Report, pipeline: Pipeline, image: ImagePlan, sizes: Mapping[Digest, int]) -> Html:
    """The page of `stowplan show --html`: one image with its files, and the images that it is built on."""
    line = [image]
    while (parent := line[-1].parent) is not None:
        # The plan has it, and under a name; what an image knows of its parent is only what it is.
        line.append(next(each for each in report.plan.images if each.hash == parent.hash))
    title = f"{image.name} of {report.plan.pipeline} on {report.plan.stack}"
    return _page(Subject(report, picture(report, pipeline, line[::-1]), sizes, image.name), title)


def _page(subject: Subject, title: str) -> Html:
    drawn, notes = subject.drawn, subject.report.plan.notes
    sections = [
        _section("picture", "Picture", lanes(subject)),
        _finder(),
        _section("images", f"Images ({len(drawn.images)})", images(subject)),
        _section("layers", f"Layers ({len(drawn.layers)})", layers(subject)),
        _section("steps", f"Steps ({len(drawn.steps)})", steps(subject)),
    ]
    if notes:
        items = (element("li", html_words(str(note))) for note in notes)
        sections.append(_section("notes", f"Notes ({len(notes)})", [element("ul", *items)]))
    assets = files("executor.cli.render.page")
    return page(
        title,
        [
            element("a", html("Skip to the images"), href="#images", class_="skip"),
            _header(subject, title),
            element("main", *sections),
        ],
        style=assets.joinpath("style.css").read_text(encoding="utf-8"),
        script=assets.joinpath("script.js").read_text(encoding="utf-8"),
    )


def _section(key: str, title: str, content: Iterable[Html]) -> Html:
    heading = element("h2", html(title), id=f"{key}-title")
    return element("section", heading, *content, id=key, aria_labelledby=f"{key}-title")


def _header(subject: Subject, title: str) -> Html:
    """What the plan comes to, or what is drawn of it."""
    plan = subject.report.plan
    numbers = Counter(map(subject.action, range(len(subject.drawn.images))))
    counts = (
        element("li", state(action), html(f" {numbers[action]}"))
        for action in Action
        if numbers[action] or action is not Action.PARENT
    )
    facts = [f"plan {plan.hash.short}", lock_words(subject.report.lock)]
    if plan.commit:
        facts.append(f"commit {plan.commit[:12]}")
    links = (
        element("a", html(key.capitalize()), href=f"#{key}")
        for key in ("picture", "images", "layers", "steps")
    )
    return element(
        "header",
        element("h1", name(title)),
        element("p", html_words("; ".join(facts)), class_="more"),
        element("ul", *counts, class_="counts", aria_label="What is done about the images"),
        element("nav", *links, aria_label="Parts of this page"),
    )


def _finder() -> Html:
    """What finds an image, a layer or a step by its text. It is shown where scripts run."""
    return element(
        "search",
        element("label", html("Find an image, a layer, a step, a package or a file"), for_="find"),
        element("input", id="find", type="search", autocomplete="off", spellcheck="false"),
        element("p", role="status", id="found"),
        id="finder",
        hidden=True,
    )
