"""The decorator of values is that of attrs, but for who writes the `repr`."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from planner import Place
from planner.immutable import frozen


class Plain:
    name: str
    inner: object = None
    hidden: str = attrs.field(default="secret", repr=False)
    part: str = attrs.field(default="secret", repr=lambda text: f"<{len(text)}>")


@pytest.mark.parametrize("values", [("a",), ("it's\n", ("b", {"c": 1})), ("a", Place(("b", 1)))])
def test_repr_is_that_of_attrs(values: tuple[Any, ...]) -> None:
    ours, theirs = (decorate(type("Value", (), dict(vars(Plain)))) for decorate in (frozen, attrs.frozen))
    assert repr(ours(*values)) == repr(theirs(*values))
    assert "secret" not in repr(ours(*values))


def test_a_repr_of_its_own_is_kept_and_all_else_is_attrs() -> None:
    @frozen(order=True)
    class Small:
        number: int

        def __repr__(self) -> str:
            return "small"

    assert repr(Small(1)) == "small"
    assert Small(1) < Small(2)
    assert len({Small(1), Small(1)}) == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Small(1).number = 2  # type: ignore[misc]
