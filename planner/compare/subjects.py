"""One image of a plan with what it was made from, and the ways in which what people name reaches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from planner.compare.layers import layer_name
from planner.compare.moved import layers_from
from planner.errors import Place, Problem
from planner.facts.facts import Facts
from planner.image.instructions import Instruction
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.pipeline import Pipeline
from planner.requirements.names import SETTING_OF
from planner.settings.effective import Settings
from planner.stack import Stack

__all__ = ["Kind", "Subject", "Touch"]


@frozen
class Subject:
    """One image of a plan, with settings that ask for it, and what they were read with.

    `is_file` says whether the project has a file of the name that is asked about.
    """

    image: ImagePlan
    settings: Settings
    pipeline: Pipeline
    stack: Stack
    facts: Facts
    is_file: bool = False

    def said(self, *path: str | int) -> Place | None:
        """Where the setting at a path is said; None for a default."""
        if not any(layer.settings.gives(path) for layer in self.settings.layers):
            return None
        return self.settings.placed(Problem.at(path, "", "")).where

    def asked(self, source: str) -> Place | None:
        """Where the setting that asks for a source is said; None for a source that no setting asks for."""
        return self.said(SETTING_OF[source]) if source in SETTING_OF else None

    def since(self, holds: Callable[[Instruction], bool]) -> tuple[str, ...]:
        """The layers of the image from the first on of which something holds."""
        return layers_from(self.image, holds)

    def since_layer(self, name: str) -> tuple[str, ...]:
        """The layers of the image from the one of a name on; none if it has no such layer."""
        return self.since(lambda item: layer_name(item) == name)


@frozen
class Touch:
    """One way in which something reaches an image: in words, and where the project says so.

    A change builds anew what is at `first` in the order of the layers, and all above it; where that is None,
    `layers`. `builds` says whether it builds anything.
    """

    text: str
    where: Place | None = None
    layers: tuple[str, ...] = ()
    first: str | None = None

    @property
    def builds(self) -> bool:
        """Whether a change builds the image anew."""
        return bool(self.layers) or self.first is not None


@frozen
class Kind:
    """One kind of things: what it is called, its names in an image, and how one reaches the image.

    `spelled` is the only spelling of a name, or None where the image has no such thing.
    """

    word: str
    names: Callable[[Subject], Iterable[str]]
    touches: Callable[[Subject, str], Iterator[Touch]]
    spell: Callable[[Subject, str], str | None] | None = None

    def spelled(self, subject: Subject, name: str) -> str | None:
        """The only spelling of a name, where something is called so; else None."""
        if self.spell is not None:
            return self.spell(subject, name)
        return name if name in self.names(subject) else None
