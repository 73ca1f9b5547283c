"""The picture as HTML: three lanes of rows, the rails beside them, and the lines between the lanes.

Each row says in words what its lines say. Where the lanes are side by side, each row has the same height, and
the lines need no script; on a narrow screen the lanes are below each other, and the words say it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from executor.cli.render.encode import Html, element, html
from executor.cli.render.page.picture import Row, State
from executor.cli.render.page.subject import Subject, anchor, colour, folded, note, state
from executor.cli.render.text import count
from planner.compare.actions import Action

__all__ = ["lanes"]

_LEGEND: Final = (
    (Action.BUILD, "an image to build"),
    (Action.PUSH, "an image that was built here, to push"),
    (Action.REUSE, "an image that exists"),
    (State.NEW, "a layer to build"),
    (State.THERE, "a layer that exists, or that the last build had"),
    (State.BASE, "an image that is not built here"),
)
# Pixels: the height of a row, which the style has too; how far below its top the dot is; the dot; what is
# between rails; what all rails may take; and what is between two lanes.
_ROW, _DOT_AT, _DOT, _SPACE, _RAILS, _STRIP = 52, 16, 5, 14, 112, 72
# So many images a row names by their numbers; and so many lines between two lanes can be followed.
_NAMED: Final = 5
_FOLLOWED: Final = 100
_NEXT: Final = {"step": "image", "image": "layer"}


def lanes(subject: Subject) -> Iterator[Html]:
    """The legend, and the three lanes."""
    drawn = subject.drawn
    actions = map(subject.action, range(len(drawn.images)))
    seen: set[Action | State] = {*actions, *(layer.state for layer in drawn.layers)}
    terms = (element("li", state(of), html(f" {text}")) for of, text in _LEGEND if of in seen)
    yield element("ul", *terms, class_="legend", aria_label="Legend")
    said = _Rows(subject)
    yield element(
        "div",
        _lane("step", drawn.of_steps, said.step, lambda _: "step"),
        _strip("step", drawn.of_steps, len(drawn.of_images)),
        _lane("image", drawn.of_images, said.image, lambda row: colour(subject.action(row.members[0]))),
        _strip("image", drawn.of_images, len(drawn.of_layers)),
        _lane("layer", drawn.of_layers, said.layer, lambda row: colour(drawn.layers[row.members[0]].state)),
        class_="lanes",
    )


class _Rows:
    """What the rows of each lane say: first the words that lead to more, then what is below them."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.drawn = subject, subject.drawn

    def step(self, row: Row) -> tuple[Html, ...]:
        drawn = self.drawn
        names = [drawn.steps[number] for number in row.members]
        # One that comes after what is not drawn does not come first.
        before = [self._step_words(each) for each in row.before] or drawn.after[names[0]]
        return (
            folded(names, "step"),
            note(_images({each for name in names for each in drawn.runs_in.get(name, ())})),
            _unseen(f"; after {', '.join(before)}" if before else "; comes first"),
        )

    def _step_words(self, row: int) -> str:
        names = [self.drawn.steps[each] for each in self.drawn.of_steps[row].members]
        return names[0] if len(names) == 1 else f"{names[0]} \u2026 {names[-1]}"

    def image(self, row: Row) -> tuple[Html, ...]:
        drawn = self.drawn
        names = [drawn.images[number].name for number in row.members]
        layers = {each for number in row.members for each in drawn.layers_of(number)}
        new = sum(drawn.layers[each].state is State.NEW for each in layers)
        badge = str(row.members[0] + 1) if len(names) == 1 else f"{len(names)}\u00d7"
        action = self.subject.done(row.members[0])
        more = html(f" {new} new of {count(len(layers), 'layer')}")
        return (
            element("span", element("span", html(badge), class_="badge"), folded(names, "image")),
            element("span", action, more, class_="more"),
        )

    def layer(self, row: Row) -> tuple[Html, ...]:
        layers = [self.drawn.layers[number] for number in row.members]
        images = {image for layer in layers for image in layer.images}
        size = self.subject.size(layers[0]) if len(layers) == 1 else ""
        more = "; ".join(filter(None, (f"in {count(len(images), 'image')}", size)))
        on = [self.drawn.layers[self.drawn.of_layers[each].members[0]].name for each in row.before]
        return (
            folded([layer.name for layer in layers], "layer"),
            element("span", state(layers[0].state), html(f" {more}"), class_="more"),
            _unseen(f"; on {', '.join(on)}" if on else ""),
        )


def _images(images: Collection[int]) -> str:
    """Some images, by the numbers that they have in the words below the picture."""
    numbers = sorted(number + 1 for number in images)
    if not numbers:
        return "in no image of this plan"
    if len(numbers) == 1:
        return f"in image {numbers[0]}"
    if len(numbers) <= _NAMED:
        return f"in images {', '.join(map(str, numbers))}"
    return f"in {len(numbers)} images"


def _unseen(text: str) -> Html:
    return element("span", html(text), class_="unseen")


def _lane(
    kind: str, rows: Sequence[Row], said: Callable[[Row], tuple[Html, ...]], colour_of: Callable[[Row], str]
) -> Html:
    width = max((row.rail.width for row in rows), default=1)
    items = []
    for number, row in enumerate(rows):
        first, *more = said(row)
        link = element("a", first, href=f"#{anchor(kind, row, number)}")
        # Images are in no order among themselves.
        drawing = [] if kind == "image" else [_rail(row, width, colour_of(row))]
        items.append(
            element(
                "li",
                *drawing,
                element("div", link, *more, class_="said"),
                class_=f"row {'' if kind == 'image' else f'indent-{_indent(width)}'}".strip(),
                data_row=f"{kind}-{number}",
                data_to=" ".join(f"{_NEXT[kind]}-{each}" for each in row.to),
                data_on=" ".join(f"layer-{each}" for each in row.before) if kind == "layer" else "",
            )
        )
    return element(
        "div", element("h3", html(f"{kind.capitalize()}s")), element("ol", *items), class_=f"lane {kind}s"
    )


def _space(width: int) -> int:
    """The pixels between rails: fewer if there are many."""
    return min(_SPACE, _RAILS // width)


def _indent(width: int) -> int:
    """How far the text is from the left, beside the rails, in steps that the style has classes for."""
    return -(-(_space(width) * width + _DOT) // _SPACE)


def _rail(row: Row, width: int, class_: str) -> Html:
    """The lines and the dot of one row, which may be of any height."""
    space, rail = _space(width), row.rail
    places = [str(column * space + _DOT + 2) for column in range(width)]
    at, bend = places[rail.column], _DOT_AT // 2
    lines = [_line(places[each], "0", "100%") for each in rail.through]
    for each in rail.into:
        if each == rail.column:
            lines.append(_line(at, "0", str(_DOT_AT)))
        else:
            start = places[each]
            lines.append(element("path", d=f"M{start} 0C{start} {bend} {at} {bend} {at} {_DOT_AT}"))
    if rail.goes_on:
        lines.append(_line(at, str(_DOT_AT), "100%"))
    dot = element("circle", cx=at, cy=str(_DOT_AT), r=str(_DOT), class_=class_)
    size = str(width * space + _DOT)
    return element("svg", *lines, dot, class_="rail", width=size, height="100%", aria_hidden="true")


def _line(x: str, top: str, bottom: str) -> Html:
    return element("line", x1=x, y1=top, x2=x, y2=bottom)


def _strip(kind: str, rows: Sequence[Row], others: int) -> Html:
    """The lines from the rows of one lane to those of the next."""
    half = _STRIP // 2
    paths = []
    for number, row in enumerate(rows):
        start = number * _ROW + _DOT_AT
        for other in row.to:
            end = other * _ROW + _DOT_AT
            paths.append(
                element(
                    "path",
                    d=f"M0 {start}C{half} {start} {half} {end} {_STRIP} {end}",
                    data_line=f"{kind}-{number} {_NEXT[kind]}-{other}",
                )
            )
    height = str(max(len(rows), others, 1) * _ROW)
    class_ = "strip many" if len(paths) > _FOLLOWED else "strip"
    return element("svg", *paths, class_=class_, width=str(_STRIP), height=height, aria_hidden="true")
