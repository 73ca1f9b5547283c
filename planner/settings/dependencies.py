"""Python and Debian packages that are asked for together: what integrations and components install."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field

from planner.errors import PlannerError, Problem
from planner.identity import COUNTED
from planner.immutable import frozen
from planner.requirements.lists import parse_list
from planner.settings.checked import Checked, declared
from planner.settings.checks import apt_package, list_of, saying, text
from planner.values import freeze

__all__ = ["Dependencies"]


@saying(list_of(text).schema)
def _requirements(value: object) -> Iterator[Problem]:
    """A list of requirements, and of nothing else: files belong to the settings of a pipeline."""
    problems = tuple(list_of(text)(value))
    yield from problems
    if not problems and isinstance(value, tuple):
        try:
            parse_list(value)
        except PlannerError as error:
            yield from error.problems


@frozen(kw_only=True)
class Dependencies(Checked):
    """Requirements (PEP 508, or URLs) and Debian packages. PlannerError lists every problem."""

    requirements: Sequence[str] = field(
        default=(), converter=freeze, metadata=declared(_requirements, COUNTED)
    )
    apt_packages: Sequence[str] = field(
        default=(), converter=freeze, metadata=declared(list_of(apt_package), COUNTED)
    )

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.requirements or self.apt_packages)
