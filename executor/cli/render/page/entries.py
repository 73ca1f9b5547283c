"""What a page says in words: each image, layer and step, with what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, assert_never

from executor.cli.render.encode import Html, element, html, html_lines, html_words
from executor.cli.render.page.picture import Layer, Row
from executor.cli.render.page.subject import Subject, anchor, folded, name, note, state
from executor.cli.render.text import amount, code_words, count, other_uses, steps_text
from planner.image.instructions import (
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import ImagePlan
from planner.render.dockerfile import context_files, planned_dockerfile

__all__ = ["images", "layers", "steps"]

# Of a tree of 50,000 files, a page is not the place to read all.
_FILES: Final = 200
_LINKS: Final = 20
# So many steps an image names beside its own name.
_STEPS: Final = 5
_SINCE: Final = {"lock": "since the lock", "build": "since its last build"}


def images(subject: Subject) -> Iterator[Html]:
    """Each image: what is done about it and why, its layers, and what changed."""
    drawn = subject.drawn

    def group(row: Row) -> tuple[Html, ...]:
        names = [drawn.images[number].name for number in row.members]
        return folded(names, "image"), html(" "), subject.done(row.members[0])

    yield from _entries(drawn.of_images, "image", lambda number: _image(subject, number), group)
    if subject.whole is None and subject.report.gone:
        yield element("h3", html("No longer in the plan"))
        lines = (
            element("li", name(change.image), html_words(f": {change.text}"))
            for change in subject.report.gone
        )
        yield element("ul", *lines, class_="changes")


def _image(subject: Subject, number: int) -> Html:
    image = subject.drawn.images[number]
    uses = "; ".join(filter(None, (_steps(image.steps), *other_uses(image))))
    facts = {
        "parent": image.parent_text,
        "platform": image.platform or "",
        "reference": image.reference,
        "hash": str(image.hash),
        "code": code_words(image),
    }
    stack = (_layer_link(subject, each) for each in subject.drawn.layers_of(number))
    left = element(
        "div",
        element("h4", html("Why")),
        *_why(subject, image),
        element("h4", html("Layers, the lowest first")),
        element("ol", *stack, class_="stack"),
    )
    right = element("div", *_changes(subject, image), element("h4", html("Details")), _facts(facts))
    return element(
        "details",
        element(
            "summary",
            element("span", html(str(number + 1)), class_="badge"),
            name(image.name),
            html(" "),
            subject.done(number),
            html(" "),
            element("code", html(image.hash.short)),
            html(" "),
            note(uses or "parent of other images"),
        ),
        element("div", left, right, class_="two"),
        *(_whole(image) if image.name == subject.whole else ()),
        id=f"image-{number + 1}",
        class_="entry",
        open=image.name == subject.whole,
    )


def _steps(names: Sequence[str]) -> str:
    """The steps of an image; of many, the first few."""
    if not names:
        return ""
    more = f" and {len(names) - _STEPS} more" if len(names) > _STEPS else ""
    return f"{steps_text(names[:_STEPS])}{more}"


def _why(subject: Subject, image: ImagePlan) -> Iterator[Html]:
    decision = subject.report.decisions[image.name]
    assumed = f" (if {' and '.join(decision.depends)})" if decision.depends and not decision.blocked else ""
    yield element("p", html_words(f"{decision.reason}{assumed}"))
    if decision.blocked is not None:
        yield element("p", html_words(f"apply will fail: {decision.blocked.fix}"))
    if closest := subject.report.closest.get(image.name):
        yield element("p", html(f"closest: {closest}"))


def _changes(subject: Subject, image: ImagePlan) -> Iterator[Html]:
    yield element("h4", html("What changed"))
    found = [
        element("li", html_words(change.text), note(f" {_SINCE[since]}"))
        for since, change in subject.changes(image)
    ]
    yield element("ul", *found, class_="changes") if found else element("p", html("No changes found."))


def _layer_link(subject: Subject, number: int) -> Html:
    layer = subject.drawn.layers[number]
    link = element("a", name(layer.name), href=f"#layer-{number + 1}")
    return element("li", link, html(" "), state(layer.state), note(f" {subject.size(layer)}"))


def _whole(image: ImagePlan) -> Iterator[Html]:
    """The files that are made for the build of an image."""
    texts = {path: data.decode() for path, data in context_files(image.built).items()}
    if image.builds:
        texts["Dockerfile"] = planned_dockerfile(image)
    for path, text in texts.items():
        yield element("h4", html(path))
        yield _text(path, text)


def layers(subject: Subject) -> Iterator[Html]:
    """Each layer once: what is in it, and the images that have it."""
    drawn = subject.drawn

    def group(row: Row) -> tuple[Html, ...]:
        found = [drawn.layers[number] for number in row.members]
        return folded([each.name for each in found], "layer"), html(" "), state(found[0].state)

    yield from _entries(drawn.of_layers, "layer", lambda number: _layer(subject, number), group)


def _layer(subject: Subject, number: int) -> Html:
    layer = subject.drawn.layers[number]
    shared = f"in {count(len(layer.images), 'image')}"
    links = [
        element("li", element("a", name(subject.drawn.images[each].name), href=f"#image-{each + 1}"))
        for each in layer.images[:_LINKS]
    ]
    if len(layer.images) > _LINKS:
        links.append(element("li", html(f"and {len(layer.images) - _LINKS} more")))
    below = []
    if layer.on is not None:
        link = element("a", name(subject.drawn.layers[layer.on].name), href=f"#layer-{layer.on + 1}")
        below = [element("p", html("On top of "), link)]
    return element(
        "details",
        element(
            "summary",
            name(layer.name),
            html(" "),
            state(layer.state),
            html(" "),
            note("; ".join(filter(None, (subject.size(layer), shared)))),
        ),
        *below,
        *_content(subject, layer),
        element("h4", html("Images that have it")),
        element("ul", *links, class_="links"),
        id=f"layer-{number + 1}",
        class_="entry",
    )


def steps(subject: Subject) -> Iterator[Html]:
    """Each step: what it comes after, and the image that it runs in."""
    drawn = subject.drawn

    def one(number: int) -> Html:
        step = drawn.steps[number]
        after = drawn.after[step]
        parts = [element("dt", name(step))]
        parts.append(element("dd", html(f"after {', '.join(after)}" if after else "comes first")))
        for each in drawn.runs_in.get(step, ()):
            link = element("a", name(drawn.images[each].name), href=f"#image-{each + 1}")
            parts.append(element("dd", html("runs in "), link))
        return element("dl", *parts, id=f"step-{number + 1}", class_="entry step")

    yield from _entries(
        drawn.of_steps,
        "step",
        one,
        lambda row: (folded([drawn.steps[each] for each in row.members], "step"),),
    )


def _entries(
    rows: Sequence[Row], kind: str, one: Callable[[int], Html], group: Callable[[Row], Iterable[Html]]
) -> Iterator[Html]:
    """The words of each row; those of several things can be opened."""
    for number, row in enumerate(rows):
        if len(row.members) == 1:
            yield one(row.members[0])
        else:
            summary = element("summary", *group(row))
            below = map(one, row.members)
            yield element("details", summary, *below, id=anchor(kind, row, number), class_="group")


def _facts(facts: Mapping[str, str]) -> Html:
    parts = (
        part
        for key, value in facts.items()
        if value
        for part in (element("dt", html(key)), element("dd", html(value)))
    )
    return element("dl", *parts, class_="facts")


def _text(title: str, text: str) -> Html:
    """Text of several lines, which may be wider than the page and so is moved with the keyboard too."""
    lines = html_lines(text.removesuffix("\n"))
    return element("pre", lines, tabindex="0", role="region", aria_label=title)


def _content(subject: Subject, layer: Layer) -> Iterator[Html]:
    """What is in a layer. Of variables only the names: who reads a page need not know their values."""
    match layer.item:
        case None:
            yield element("p", html(str(layer.image.spec.external)))
        case CopyBootstrap():
            yield element("p", html("the program that starts steps, and that downloads code the image lacks"))
        case SetEnvironment(variables=variables):
            yield _list(variables)
        case InstallApt(packages=packages):
            yield _list(packages)
        case InstallRequirements():
            yield _packages(layer.item)
        case CopyFiles():
            yield from _paths(subject, layer)
        case MakeDirectory(destination=destination):
            yield element("p", html(f"makes {destination}, which the code is downloaded into"))
        case InstallProject(command=command):
            yield _text("command", command)
        case SetUser(user=user):
            yield element("p", html(user))
        case BuildDockerfile(lines=lines):
            yield _text("instructions", "\n".join(lines))
            yield from _paths(subject, layer)
        case _:
            assert_never(layer.item)


def _packages(item: InstallRequirements) -> Html:
    if item.closure is None:
        return _list(str(each) for each in item.requirements.packages)
    rows = (
        element(
            "tr",
            element("th", html(package.name), scope="row"),
            element("td", html(package.shown)),
            element("td", html("not known" if package.size is None else amount(package.size))),
        )
        for package in item.closure.packages
    )
    heads = (element("th", html(head), scope="col") for head in ("package", "version", "download"))
    return element("table", element("thead", element("tr", *heads)), element("tbody", *rows))


def _paths(subject: Subject, layer: Layer) -> Iterator[Html]:
    paths = subject.paths(layer)
    if paths:
        yield _list(paths[:_FILES])
    if len(paths) > _FILES:
        command = element("code", html(f"stowplan show {layer.image.name} --context"))
        yield element("p", html(f"and {len(paths) - _FILES} more: "), command)


def _list(items: Iterable[str]) -> Html:
    return element("ul", *(element("li", element("code", html(item))) for item in items), class_="items")
