"""What was observed: answers by need. Immutable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import field

from planner.facts.needs import Need
from planner.immutable import frozen

__all__ = ["Facts", "Unanswered"]

T = TypeVar("T")


class Unanswered(Exception):
    """A need was asked for that has not been observed."""

    def __init__(self, need: Need[Any]) -> None:
        self.need = need
        super().__init__(f"not observed: {need}")


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

    def also(self, answers: Mapping[Need[Any], Any]) -> Self:
        """These facts and some more."""
        return type(self)({**self._answers, **answers})

    def ask(self, need: Need[T]) -> T:
        """The answer to a need. Unanswered when it has not been observed."""
        if need not in self._answers:
            raise Unanswered(need)
        return cast(T, self._answers[need])
