"""The decorator of values is that of attrs, but for who writes `repr` and `hash`."""

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


def test_what_is_hashed_is_what_attrs_hashes() -> None:
    @frozen
    class Value:
        name: str
        unequal: int = attrs.field(default=0, eq=False)
        unhashed: object = attrs.field(factory=list, hash=False)

    assert hash(Value("a", 1, [1])) == hash(Value("a", 2, [2])) != hash(Value("b", 1, [1]))
    assert Value("a", 1) == Value("a", 2) != Value("a", 1, [1])


def test_each_class_hashes_its_own_fields() -> None:
    @frozen
    class Empty:
        pass

    @frozen
    class Above:
        name: str

    @frozen
    class Below(Above):
        extra: str

    @frozen
    class Other:
        name: str

    assert hash(Empty()) == hash(Empty())
    assert hash(Below("a", "b")) != hash(Below("a", "c"))
    assert len({Above("a"), Other("a"), Above("a"), Empty()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Above([]))  # type: ignore[arg-type]


def test_a_hash_of_its_own_is_kept() -> None:
    @frozen
    class Odd:
        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Odd) and self.name.lower() == other.name.lower()

        def __hash__(self) -> int:
            return hash(self.name.lower())

    assert len({Odd("a"), Odd("A")}) == 1
