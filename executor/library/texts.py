"""What is written below the attributes of a class, for `help` and for whoever describes settings.

Python keeps no documentation of attributes: it is read from the source, when it is asked for.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, TypeVar, cast, is_typeddict

from planner.immutable import of_class

__all__ = ["attribute_texts", "documented"]

C = TypeVar("C", bound="type[Any]")


@of_class
def attribute_texts(kind: type[Any]) -> Mapping[str, str]:
    """The text of each attribute of a class that has one, in the order of the source, those of bases first.

    Empty where there is no source.
    """
    import ast  # noqa: PLC0415  # few ask for texts
    import inspect  # noqa: PLC0415  # as above

    texts: dict[str, str] = {}
    for each in _lineage(kind):
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        except (OSError, SyntaxError, TypeError):
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for above, below in pairwise(body):
            match above, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[name] = inspect.cleandoc(text)
                case _:
                    pass
    return texts


def _lineage(kind: type[Any]) -> Iterator[type[Any]]:
    """A class and its bases, the bases first. The type of an object keeps none: its source names them."""
    if not is_typeddict(kind):
        yield from reversed(kind.__mro__[:-1])
        return
    import inspect  # noqa: PLC0415  # as above
    import re  # noqa: PLC0415  # as above

    above = re.match(r"class \w+\(([\w, ]+)\):", inspect.getsource(kind))
    known = vars(inspect.getmodule(kind))
    for name in above[1].split(", ") if above else ():
        base = known.get(name)
        if base is not None and is_typeddict(base):
            yield from _lineage(base)
    yield kind


def documented(kind: C) -> C:
    """The class, whose documentation has its settings from now on: the type and the text of each."""
    if not isinstance(vars(kind).get("__doc__"), _Documentation):
        kind.__doc__ = cast(str, _Documentation(kind.__doc__ or ""))
    return kind


class _Documentation:
    """The documentation of a class, which is made when somebody reads it."""

    def __init__(self, own: str) -> None:
        self._own = own

    def __get__(self, _: object, kind: type[Any]) -> str:
        import inspect  # noqa: PLC0415  # as above

        texts = attribute_texts(kind)
        lines = [inspect.cleandoc(self._own), "", "Settings:"]
        for name in kind.settable():
            lines += ["", f"    {name}: {_type_of(kind, name)}"]
            lines += textwrap.wrap(texts.get(name, ""), 96, initial_indent=" " * 8, subsequent_indent=" " * 8)
        return "\n".join(lines)


def _type_of(kind: type[Any], name: str) -> str:
    """The type of a setting, as it is written. A setting that is not given needs no type."""
    for each in kind.__mro__:
        if name in vars(each).get("__annotations__", {}):
            return str(each.__annotations__[name]).replace(" | Unset", "")
    return "Any"
