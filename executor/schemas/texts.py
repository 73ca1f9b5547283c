"""The texts below the attributes of a class, which Python does not keep: read from its source."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import is_typeddict

from planner.immutable import of_class

__all__ = ["attribute_texts"]


@of_class
def attribute_texts(cls: type) -> Mapping[str, str]:
    """The text of each attribute that has one, by its name, those of base classes among them.

    Empty for a class whose source is not there.
    """
    found: dict[str, str] = {}
    body = _body(cls)
    for base in _bases(cls, body):
        found |= attribute_texts(base)
    for item, below in itertools.pairwise(body.body if body else ()):
        match item, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str() as text)):
                found[name] = inspect.cleandoc(text)
    return found


def _body(cls: type) -> ast.ClassDef | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return None
    return next((node for node in tree.body if isinstance(node, ast.ClassDef)), None)


def _bases(cls: type, body: ast.ClassDef | None) -> Iterator[type]:
    """The base classes, the last first. The type of an object keeps none: its source names them."""
    if not is_typeddict(cls):
        yield from reversed(cls.__bases__)
        return
    names = [base.id for base in body.bases if isinstance(base, ast.Name)] if body else []
    known = vars(sys.modules[cls.__module__])
    yield from (known[name] for name in reversed(names) if is_typeddict(known.get(name)))
