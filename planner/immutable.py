"""`frozen`: the decorator of every immutable value. It is that of attrs, with one `repr` for all classes.

attrs writes the source of a `__repr__` for each class and compiles it whenever the module is imported: a
twelfth of what `stowplan plan` took, for texts that only errors and tests ever show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

__all__ = ["frozen"]

if TYPE_CHECKING:
    from attrs import frozen
else:

    def frozen(cls=None, **options):
        """`attrs.frozen`, whose options it takes."""
        if cls is None:
            return lambda plain: frozen(plain, **options)
        if "__repr__" not in vars(cls):
            cls.__repr__ = _shown  # attrs generates nothing that a class has of its own
        return attrs.frozen(cls, **options)


def _shown(value: attrs.AttrsInstance) -> str:
    """The fields by their names, as attrs writes them: all, or what is shown of them, or none of it."""
    fields = [
        f"{field.name}={(repr if field.repr is True else field.repr)(getattr(value, field.name))}"
        for field in attrs.fields(type(value))
        if field.repr
    ]
    return f"{type(value).__qualname__.rpartition('>.')[2]}({', '.join(fields)})"
