"""What stands in the way of a plan: what is not observed yet, and what is wrong.

Each part of an image is tried on its own, so that all needs and all problems are found at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import Factory, define

from planner.errors import PlannerError, Problem
from planner.facts.facts import Unanswered
from planner.facts.needs import Need
from planner.settings.effective import Settings

__all__ = ["Gaps"]

T = TypeVar("T")


@define
class Gaps:
    """Needs and problems, each once, in the order in which they are found."""

    needs: dict[Need[Any], None] = Factory(dict)
    problems: dict[Problem, None] = Factory(dict)

    def attempt(self, settings: Settings | None, make: Callable[[], T]) -> T | None:
        """What `make` makes; None when a need or a problem, which are collected, stood in its way."""
        try:
            return make()
        except Unanswered as missing:
            self.needs |= dict.fromkeys(missing.needs)
        except PlannerError as error:
            placed = (settings.placed(problem) if settings else problem for problem in error.problems)
            self.problems |= dict.fromkeys(placed)
        return None

    def clear(self) -> None:
        """Forget all."""
        self.needs.clear()
        self.problems.clear()

    def finish(self) -> None:
        """PlannerError with all that is wrong, or with what has not been observed."""
        if self.problems:
            raise PlannerError(self.problems)
        if self.needs:
            fix = "answer needs() until nothing is left, as observe() does"
            raise PlannerError(Problem.at("facts", f"not observed: {need}", fix) for need in self.needs)
