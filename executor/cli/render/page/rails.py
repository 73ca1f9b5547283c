"""A graph as rails beside a list: where each row has its dot, and which lines pass it, come in and go on.

Owns the layout and nothing of how it looks. The rows are in an order in which each stands below those that it
comes after. One rail carries all that comes after one row, so that a thousand of them need no thousand lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from planner.immutable import frozen

__all__ = ["Rail", "rails"]


@frozen
class Rail:
    """The lines of one row, by the numbers of their columns, which count from the left.

    The dot is in `column`. Lines `into` the dot come from the row above; lines `through` pass on to the row
    below; `goes_on` says whether one leaves the dot.
    """

    column: int
    into: tuple[int, ...] = ()
    through: tuple[int, ...] = ()
    goes_on: bool = False

    @property
    def width(self) -> int:
        """How many columns it takes."""
        return max((self.column, *self.into, *self.through)) + 1


def rails(before: Sequence[Sequence[int]]) -> tuple[Rail, ...]:
    """The lines of each row, given the rows above that each comes after."""
    last = {source: row for row, sources in enumerate(before) for source in sources}
    open_rails: dict[int, int] = {}
    found = []
    for row, sources in enumerate(before):
        into = tuple(sorted(column for column, source in open_rails.items() if source in sources))
        ending = [column for column in into if last[open_rails[column]] == row]
        column = min(ending) if ending else next(n for n in range(len(open_rails) + 1) if n not in open_rails)
        for each in ending:
            del open_rails[each]
        through = tuple(sorted(open_rails))
        goes_on = row in last
        if goes_on:
            open_rails[column] = row
        found.append(Rail(column, into, through, goes_on))
    return tuple(found)
