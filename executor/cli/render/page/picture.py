"""What a picture of a plan has to show: steps in the order of their data, images, and layers, each once.

Owns what is one row of the picture, and what is folded into one where there are too many. The same plan gives
the same picture. Refuses to know how it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from executor.cli.render.page.rails import Rail, rails
from planner.compare.actions import Action
from planner.compare.layers import layer_keys, layer_name
from planner.compare.report import Report
from planner.image.instructions import Instruction
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.pipeline import Pipeline
from planner.values import Digest

__all__ = ["ROWS", "Layer", "Picture", "Row", "State", "picture"]

ROWS: Final = 32
"""More rows than these are folded."""


class State(StrEnum):
    """What is done about a layer."""

    BASE = "parent"
    """It is a parent image from outside."""
    NEW = "new"
    """It is built anew."""
    THERE = "unchanged"
    """An image that is there has it, or the last build of one that is built."""


@frozen
class Layer:
    """One layer of some images, by their numbers in the plan. A parent from outside has no instruction.

    `on` is the number of the layer below, `image` the first image that has it.
    """

    name: str
    image: ImagePlan
    item: Instruction | None
    on: int | None
    images: tuple[int, ...]
    state: State


@frozen
class Row:
    """One row of a lane: one thing, or several that are folded into one.

    `members` are their numbers, `before` the rows of its lane that it comes after, `to` the rows of the next
    lane that it leads to.
    """

    members: tuple[int, ...]
    rail: Rail
    before: tuple[int, ...]
    to: tuple[int, ...]


@frozen
class Picture:
    """Three lanes, of which each leads to the next, and what their rows stand for.

    `steps` are the names of the steps in the order of their data; `after` has those that each comes after,
    drawn or not.
    """

    images: tuple[ImagePlan, ...]
    steps: tuple[str, ...]
    after: Mapping[str, tuple[str, ...]]
    runs_in: Mapping[str, tuple[int, ...]]
    """The numbers of the images that each step runs in."""
    layers: tuple[Layer, ...]
    of_steps: tuple[Row, ...]
    of_images: tuple[Row, ...]
    of_layers: tuple[Row, ...]
    tops: tuple[int, ...]
    """The number of the topmost layer of each image."""

    def layers_of(self, image: int) -> tuple[int, ...]:
        """The numbers of the layers of an image, the lowest first."""
        found: list[int] = []
        number: int | None = self.tops[image]
        while number is not None:
            found.append(number)
            number = self.layers[number].on
        return tuple(reversed(found))


def picture(report: Report, pipeline: Pipeline, images: Sequence[ImagePlan] | None = None) -> Picture:
    """The picture of a report, or of some images of it, which are in the order of the plan."""
    shown = tuple(report.plan.images if images is None else images)
    layers, tops = _layers(report, shown)
    runs_in: dict[str, tuple[int, ...]] = {}
    for number, image in enumerate(shown):
        for step in image.steps:
            runs_in[step] = (*runs_in.get(step, ()), number)
    after = pipeline.after
    steps = tuple(step for step in pipeline.order if images is None or step in runs_in)
    place = {step: number for number, step in enumerate(steps)}
    come_after = {step: tuple(after[step]) for step in steps}

    parents = [() if layer.on is None else (layer.on,) for layer in layers]
    layer_of, of_layers = _lane(parents, [()] * len(layers), _alike_layers(layers))
    decisions = [report.decisions[image.name] for image in shown]
    alike = [(each.action, each.code, layer_of[top]) for each, top in zip(decisions, tops, strict=True)]
    image_of, of_images = _lane(
        [()] * len(shown), [(layer_of[top],) for top in tops], alike if len(shown) > ROWS else None
    )
    to = [tuple(dict.fromkeys(image_of[image] for image in runs_in.get(step, ()))) for step in steps]
    before = [tuple(sorted(place[name] for name in after[step] if name in place)) for step in steps]
    _, of_steps = _lane(before, to, _alike_steps(before, to))
    return Picture(shown, steps, come_after, runs_in, layers, of_steps, of_images, of_layers, tops)


def _layers(report: Report, images: Sequence[ImagePlan]) -> tuple[tuple[Layer, ...], tuple[int, ...]]:
    """Each layer once, above what it is built on, and the number of the topmost of each image."""
    numbers: dict[tuple[object, ...], int] = {}
    below: list[int | None] = []
    firsts: list[tuple[ImagePlan, Instruction | None]] = []
    having: list[list[int]] = []
    new: list[bool] = []
    top_of: dict[Digest, int] = {}

    def layer(key: tuple[object, ...], on: int | None, image: ImagePlan, item: Instruction | None) -> int:
        if key not in numbers:
            numbers[key] = len(below)
            below.append(on)
            firsts.append((image, item))
            having.append([])
            new.append(True)
        return numbers[key]

    tops = []
    for number, image in enumerate(images):
        base, keys = layer_keys(image)
        planned = None if image.parent is None else top_of.get(image.parent.hash)
        top = layer(("base", base), None, image, None) if planned is None else planned
        own = []
        for key, item in zip(keys, image.built.instructions, strict=True):
            top = layer((top, base, key), top, image, item)
            own.append(top)
        made = _made(report, image)
        for place, each in enumerate(own):
            new[each] = new[each] and place >= len(own) - made
        tops.append(top)
        top_of[image.hash] = top
        # It has those of the parents that are planned as well.
        each_below: int | None = top
        while each_below is not None:
            having[each_below].append(number)
            each_below = below[each_below]
    return _in_tree_order(below, firsts, having, new, tops)


def _made(report: Report, image: ImagePlan) -> int:
    """How many layers of an image are made anew: these are the topmost."""
    decision = report.decisions[image.name]
    if decision.action is not Action.BUILD:
        return 0
    if decision.code == "reuse-prevented":
        return len(image.built.instructions)
    return len(report.rebuilt.get(image.name, ()))


def _in_tree_order(
    below: Sequence[int | None],
    firsts: Sequence[tuple[ImagePlan, Instruction | None]],
    having: Sequence[Sequence[int]],
    new: Sequence[bool],
    tops: Sequence[int],
) -> tuple[tuple[Layer, ...], tuple[int, ...]]:
    """The layers so that what is built on one follows it."""
    above: dict[int | None, list[int]] = {}
    for number, on in enumerate(below):
        above.setdefault(on, []).append(number)
    order: list[int] = []
    waiting = above.get(None, [])[::-1]
    while waiting:
        number = waiting.pop()
        order.append(number)
        waiting += above.get(number, [])[::-1]
    place = {number: index for index, number in enumerate(order)}
    found = []
    for number in order:
        image, item = firsts[number]
        on = below[number]
        name = _parent(image) if item is None else layer_name(item)
        state = State.BASE if item is None else State.NEW if new[number] else State.THERE
        where = None if on is None else place[on]
        found.append(Layer(name, image, item, where, tuple(having[number]), state))
    return tuple(found), tuple(place[top] for top in tops)


def _parent(image: ImagePlan) -> str:
    """The image from outside that it is built on, as people read it."""
    parent = image.spec.external
    if parent.is_empty:
        return "scratch"
    # What has no tag is known by its digest alone.
    digest = f"@{parent.digest.short}" if parent.digest and parent.reference.tag is None else ""
    return f"{parent.reference.familiar}{digest}"


def _alike_layers(layers: Sequence[Layer]) -> list[Hashable] | None:
    """What layers have in common that are folded: what they are, and that of all below them."""
    if len(layers) <= ROWS:
        return None
    numbers: dict[Hashable, int] = {}
    found: list[int] = []
    for layer in layers:
        below = None if layer.on is None else found[layer.on]
        key = (below, layer.item and layer.name, layer.state)
        found.append(numbers.setdefault(key, len(numbers)))
    return list(found)


def _alike_steps(before: Sequence[Sequence[int]], to: Sequence[Sequence[int]]) -> list[Hashable] | None:
    """What steps have in common that are folded: their images, and what is before and after."""
    if len(before) <= ROWS:
        return None
    behind: list[list[int]] = [[] for _ in before]
    for number, others in enumerate(before):
        for other in others:
            behind[other].append(number)
    return [(tuple(others), tuple(behind[number]), tuple(to[number])) for number, others in enumerate(before)]


def _lane(
    before: Sequence[Sequence[int]], to: Sequence[Sequence[int]], alike: Sequence[Hashable] | None
) -> tuple[list[int], tuple[Row, ...]]:
    """The row of each member of a lane, and the rows: those alike are one; if too many, neighbours are."""
    found = _numbered(list(range(len(before))) if alike is None else alike)
    rows = max(found, default=-1) + 1
    if rows > ROWS:
        size = -(-rows // ROWS)
        found = [row // size for row in found]
        rows = -(-rows // size)
    members: list[list[int]] = [[] for _ in range(rows)]
    for member, row in enumerate(found):
        members[row].append(member)
    befores = [_rows(before, each, lambda number: found[number], but=row) for row, each in enumerate(members)]
    lines = rails(befores)
    return found, tuple(
        Row(tuple(each), lines[row], befores[row], _rows(to, each, int)) for row, each in enumerate(members)
    )


def _numbered(keys: Sequence[Hashable]) -> list[int]:
    """Keys as numbers, in the order in which they come up."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _rows(
    edges: Sequence[Sequence[int]], members: Sequence[int], row: Callable[[int], int], *, but: int = -1
) -> tuple[int, ...]:
    """Where the edges of some members lead, each once."""
    return tuple(sorted({row(end) for member in members for end in edges[member]} - {but}))
