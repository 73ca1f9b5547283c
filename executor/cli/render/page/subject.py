"""Parts that the picture and the words of a page share: names, states, sizes, and where a row leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from attrs import frozen

from executor.cli.render.encode import Html, element, html
from executor.cli.render.page.picture import Layer, Picture, Row, State
from executor.cli.render.text import amount, count
from planner.compare.actions import Action
from planner.compare.change import Change
from planner.compare.report import Report
from planner.image.instructions import (
    CONTEXT,
    BuildDockerfile,
    CopyFiles,
    InstallApt,
    InstallRequirements,
    SetEnvironment,
)
from planner.image.plan import ImagePlan
from planner.values import Digest

__all__ = ["Subject", "anchor", "colour", "folded", "name", "note", "state"]

_SYMBOLS: Final = {
    Action.BUILD: "+",
    Action.PUSH: "\u2191",
    Action.REUSE: "=",
    Action.PARENT: "\u00b7",
    State.NEW: "+",
    State.THERE: "=",
    State.BASE: "\u00b7",
}
_COLOURS: Final = {State.NEW: "build", State.THERE: "reuse", State.BASE: "parent"}


@frozen(eq=False)
class Subject:
    """What a page is about: a report, the picture of it, and the bytes of trees by their digests.

    `whole` is the name of the image whose files are shown too; None for none.
    """

    report: Report
    drawn: Picture
    sizes: Mapping[Digest, int]
    whole: str | None = None

    @cached_property
    def _files(self) -> Mapping[Digest, tuple[str, ...]]:
        """The paths of the files of each tree, by its digest: images share trees of 50,000 files."""
        trees = {tree.digest: tree for image in self.drawn.images for tree in image.checkout.trees.values()}
        return {digest: tuple(tree.paths()) for digest, tree in trees.items()}

    def paths(self, layer: Layer) -> tuple[str, ...]:
        """The paths of the files that a layer copies."""
        if not isinstance(layer.item, CopyFiles | BuildDockerfile):
            return ()
        tree = layer.image.checkout.trees.get(_tree(layer.item))
        return self._files[tree.digest] if tree else ()

    @cached_property
    def _changes(self) -> Mapping[str, tuple[tuple[str, Change], ...]]:
        found: dict[str, tuple[tuple[str, Change], ...]] = {}
        for since, change in self.report.changes:
            found[change.image] = (*found.get(change.image, ()), (since, change))
        return found

    def changes(self, image: ImagePlan) -> tuple[tuple[str, Change], ...]:
        """What changed of an image, each with what it is a change since."""
        return self._changes.get(image.name, ())

    def action(self, image: int) -> Action:
        """What is done about an image, by its number."""
        return self.report.decisions[self.drawn.images[image].name].action

    def done(self, image: int) -> Html:
        """What is done about an image, and whether that will fail."""
        action = state(self.action(image))
        if self.report.decisions[self.drawn.images[image].name].blocked is None:
            return action
        failed = element("span", html("! will fail"), class_="state failed")
        return element("span", action, html(" "), failed)

    def size(self, layer: Layer) -> str:
        """What is known of how large a layer is."""
        match layer.item:
            case InstallRequirements(closure=closure) if closure is not None:
                size, unknown = closure.size
                more = " and more" if unknown else ""
                known = f"{amount(size)}{more} to download" if size else "of unknown size"
                return f"{count(len(closure.packages), 'package')}, {known}"
            case InstallApt(packages=packages):
                return count(len(packages), "package")
            case CopyFiles() | BuildDockerfile():
                tree = layer.image.checkout.trees.get(_tree(layer.item))
                paths = self.paths(layer)
                if tree is None or not paths:
                    return ""
                bytes_ = f", {amount(self.sizes[tree.digest])}" if tree.digest in self.sizes else ""
                return f"{count(len(paths), 'file')}{bytes_}"
            case SetEnvironment(variables=variables):
                return count(len(variables), "variable")
            case _:
                return ""


def _tree(item: CopyFiles | BuildDockerfile) -> str:
    """The name of the tree that an instruction copies from."""
    return item.tree if isinstance(item, CopyFiles) else CONTEXT


def note(text: str) -> Html:
    """Words that say more, and less loudly."""
    return element("span", html(text), class_="more")


def name(text: str) -> Html:
    """A name that is not ours: it may run from right to left, and what is beside it does not."""
    return element("bdi", html(text), class_="name")


def state(of: Action | State) -> Html:
    """What is done about an image or a layer, by a symbol, a word and a colour."""
    return element("span", html(f"{_SYMBOLS[of]} {of}"), class_=f"state {colour(of)}")


def colour(of: Action | State) -> str:
    """The class of a colour: layers have those of images."""
    return _COLOURS[of] if isinstance(of, State) else of.value


def folded(names: Sequence[str], noun: str) -> Html:
    """The name of a row: that of the one thing it is, or how many they are, with the first and the last."""
    if len(names) == 1:
        return name(names[0])
    what = f"{count(len(names), noun)}: "
    if len(set(names)) == 1:
        return element("span", html(what), name(names[0]))
    return element("span", html(what), name(names[0]), html(" \u2026 "), name(names[-1]))


def anchor(kind: str, row: Row, number: int) -> str:
    """Where the words of a row are."""
    return f"{kind}-{row.members[0] + 1}" if len(row.members) == 1 else f"{kind}s-{number + 1}"
