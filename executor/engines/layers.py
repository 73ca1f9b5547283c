"""Which layer of an image a builder has begun, told from the lines that it writes, in our words for layers.

Owns the counting: of three builders one counts what makes layers, and two count all instructions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from executor.engines.logs import STEP, Step, steps_of
from planner.compare.layers import layer_name
from planner.image.instructions import Instruction
from planner.image.plan import ImagePlan
from planner.render.dockerfile import instruction_at, layer_text

__all__ = ["Layers"]

# BuildKit's plain progress: `#7 [3/8] RUN …`, and with the name of the stage `#7 [build 3/8] RUN …`.
_BUILDKIT: Final = re.compile(r"#\d+ \[(?:\S+ )?(\d+)/(\d+)\] (.*)")
# What BuildKit counts of a stage, all of it but `ENV`, `USER` and the like (dockerfile2llb, "cmdTotal").
_COUNTED: Final = ("FROM", "RUN", "COPY", "ADD", "WORKDIR")
_SHOWN_CHARACTERS: Final = 60


class Layers:
    """The layers of one image, each of which is said once, when it begins."""

    def __init__(self, image: ImagePlan) -> None:
        self._built = image.built
        self._custom = image.spec.dockerfile is not None
        self._steps = tuple(steps_of(image))
        self._counted = tuple(step for step in self._steps if step.text.split(" ", 1)[0] in _COUNTED)
        made = [item for item in self._built.instructions if layer_text(item)]
        self._numbers: Mapping[int, int] = {id(item): number for number, item in enumerate(made, start=1)}
        self._last = ""

    def begun(self, line: str) -> str:
        """`[3/6] requirements` if a line says that this layer begins; else, and the second time, empty."""
        if match := _BUILDKIT.fullmatch(line):
            number, of, text = match.groups()
            steps = self._counted
        elif (step := STEP.fullmatch(line)) is not None:
            number, text = step[2], step[3]
            of = str(len(self._steps))
            steps = self._steps
        else:
            return ""
        said = f"[{number}/{of}] {_cut(text)}" if self._custom else self._named(steps, int(number))
        if said == self._last:
            return ""
        self._last = said
        return said

    def _named(self, steps: tuple[Step, ...], number: int) -> str:
        """The layer that a step of the Dockerfile is of, in our words; else the one before."""
        if not 1 <= number <= len(steps):
            return self._last
        item: Instruction | None = instruction_at(self._built, steps[number - 1].line)
        if item is None:
            return "parent image" if number == 1 else self._last
        return f"[{self._numbers[id(item)]}/{len(self._numbers)}] {layer_name(item)}"


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _SHOWN_CHARACTERS else f"{words[:_SHOWN_CHARACTERS].rpartition(' ')[0]}…"
