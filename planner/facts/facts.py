"""What was observed: answers by need. Immutable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, TypeVar, cast

from attrs import field

from planner.facts.needs import Need
from planner.immutable import frozen

__all__ = ["Facts", "Unanswered"]

T = TypeVar("T")


class Unanswered(Exception):
    """Needs were asked for that have not been observed."""

    def __init__(self, *needs: Need[Any]) -> None:
        self.needs = needs
        super().__init__(f"not observed: {', '.join(map(str, needs))}")


def _copy(answers: Mapping[Need[Any], Any]) -> Mapping[Need[Any], Any]:
    return dict(answers)


@frozen
class Facts:
    """Answers by need. Immutable: `also` makes a larger one.

    >>> from planner.facts.needs import PythonVersion
    >>> Facts().also({PythonVersion(): "3.11"}).ask(PythonVersion())
    '3.11'
    """

    _answers: Mapping[Need[Any], Any] = field(factory=dict, converter=_copy, hash=False)

    def __contains__(self, need: object) -> bool:
        return need in self._answers

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def needs(self) -> tuple[Need[Any], ...]:
        """What was observed, in the order in which it was."""
        return tuple(self._answers)

    def has_all(self, others: Facts) -> bool:
        """Whether these facts are others, and perhaps more."""
        return self._answers.items() >= others._answers.items()

    def also(self, answers: Mapping[Need[Any], Any]) -> Self:
        """These facts and some more."""
        return type(self)({**self._answers, **answers})

    def ask(self, need: Need[T]) -> T:
        """The answer to a need. Unanswered when it has not been observed."""
        (answer,) = self.ask_all([need])
        return answer

    def ask_all(self, needs: Iterable[Need[T]]) -> tuple[T, ...]:
        """The answers to needs, in their order. Unanswered with all of them that have not been observed."""
        asked = tuple(needs)
        if missing := [need for need in asked if need not in self._answers]:
            raise Unanswered(*missing)
        return tuple(cast(T, self._answers[need]) for need in asked)
