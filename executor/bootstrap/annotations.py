"""The names of what a function returns, by its annotation.

Refuses to import anything for it: an annotation that cannot be evaluated is read as text.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

__all__ = ["output_names"]

ONE = ("output",)


def output_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the outputs of a function, in order.

    `None` has none. `Tuple[int, str]` has `output_0` and `output_1`. `Annotated[…, "model"]`, alone or in a
    tuple, names one. Anything else, and no annotation, is one `output`.
    """
    given = getattr(function, "__annotations__", {})
    if "return" not in given:
        return ONE
    annotation = given["return"]
    if isinstance(annotation, str):
        namespace = getattr(function, "__globals__", {})
        try:
            # As typing.get_type_hints does, which fails if any name of any parameter is not known.
            annotation = eval(annotation, namespace)  # noqa: S307  # it is the user's own code
        except Exception:  # whatever the user's names do
            return _written(annotation)
    return _evaluated(annotation)


def _evaluated(annotation: Any) -> tuple[str, ...]:
    if annotation is None or annotation is type(None):
        return ()
    # In Python 3.8 a bare Tuple has arguments too, and says that it is special.
    items = None if getattr(annotation, "_special", False) else getattr(annotation, "__args__", None)
    if getattr(annotation, "__origin__", None) is tuple and items is not None and Ellipsis not in items:
        # Before Python 3.11, Tuple[()] has one argument, an empty tuple.
        return tuple(_name(item) or f"output_{index}" for index, item in enumerate(items) if item != ())
    return (_name(annotation) or ONE[0],)


def _name(annotation: Any) -> str | None:
    """The first text in an `Annotated`."""
    found = getattr(annotation, "__metadata__", ())
    return next((item for item in found if isinstance(item, str)), None)


def _written(annotation: str) -> tuple[str, ...]:
    """The same, of an annotation whose names are not all known: `Tuple[DataFrame, int]`."""
    try:
        tree = ast.parse(annotation, mode="eval").body
    except SyntaxError:
        return ONE
    items = _items(tree, "Tuple", "tuple")
    if items is None or any(isinstance(item, ast.Constant) and item.value is ... for item in items):
        return (_written_name(tree) or ONE[0],)
    return tuple(_written_name(item) or f"output_{index}" for index, item in enumerate(items))


def _items(tree: ast.expr, *names: str) -> tuple[ast.expr, ...] | None:
    """What is between the brackets of one of these names; None if it is none of them."""
    if not isinstance(tree, ast.Subscript):
        return None
    name = getattr(tree.value, "attr", getattr(tree.value, "id", None))
    if name not in names:
        return None
    # Before Python 3.9, there is an Index around it.
    inner: Any = (
        getattr(tree.slice, "value", tree.slice) if type(tree.slice).__name__ == "Index" else tree.slice
    )
    return tuple(inner.elts) if isinstance(inner, ast.Tuple) else (inner,)


def _written_name(tree: ast.expr) -> str | None:
    items = _items(tree, "Annotated") or ()
    texts = (item.value for item in items[1:] if isinstance(item, ast.Constant))
    return next((text for text in texts if isinstance(text, str)), None)
