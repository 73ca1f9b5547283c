"""`frozen`: the decorator of every immutable value. It is that of attrs, with one `repr` and `hash` for all.

attrs writes the source of both for each class and compiles it whenever the module is imported: a tenth of
what `stowplan plan` took. Few classes are ever shown or hashed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

__all__ = ["frozen", "of_class"]

T = TypeVar("T")

if TYPE_CHECKING:
    from attrs import frozen
else:

    def frozen(cls=None, **options):
        """`attrs.frozen`, whose options it takes."""
        if cls is None:
            return lambda plain: frozen(plain, **options)
        # attrs generates nothing that a class has of its own.
        if "__repr__" not in vars(cls):
            cls.__repr__ = _shown
        # What attrs caches it has to generate.
        if not {"__eq__", "__hash__"} & vars(cls).keys() and not options.get("cache_hash"):
            cls.__hash__ = _hashed
        return attrs.frozen(cls, **options)


def of_class(tell: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """`functools.cache` for what is told of a class, which mypy does not take for hashable."""
    return cast("Callable[[type[Any]], T]", cache(tell))


def _hashed(value: attrs.AttrsInstance) -> int:
    return hash(_counted(type(value))(value))


@of_class
def _counted(cls: type[Any]) -> Callable[[object], object]:
    """What counts in the hash of a class: what counts in its equality, unless the field says otherwise."""
    names = [field.name for field in attrs.fields(cls) if (field.eq if field.hash is None else field.hash)]
    return attrgetter(*names) if names else lambda _: ()


def _shown(value: attrs.AttrsInstance) -> str:
    """The fields by their names, as attrs writes them: all, or what is shown of them, or none of it."""
    fields = [
        f"{field.name}={(repr if field.repr is True else field.repr)(getattr(value, field.name))}"
        for field in attrs.fields(type(value))
        if field.repr
    ]
    return f"{type(value).__qualname__.rpartition('>.')[2]}({', '.join(fields)})"
