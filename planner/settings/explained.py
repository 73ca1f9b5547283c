"""What each setting of a step is, and where that was said: the layer that wins, for each key of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, Final

from planner.errors import Place
from planner.immutable import frozen
from planner.settings.build_options import BuildOptions
from planner.settings.checked import Layer
from planner.settings.docker import DockerSettings
from planner.settings.plain import plain
from planner.settings.written import WrittenSettings
from planner.values import FrozenMapping

__all__ = ["Said", "explained"]

# The fields of build options that are written beside the others.
_BESIDE: Final = ("other", "tuning")


@frozen
class Said:
    """A setting, or a key of one that is a table: its value as plain data, and the layer that says it.

    `where` is None for a default. `origin` is a code: `default`, `project`, `code` or `configuration`. `how`
    is that of the layer.
    """

    path: tuple[str, ...]
    value: Any
    where: Place | None = None
    origin: str = "default"
    how: str = ""


_Given = Sequence[tuple[WrittenSettings, Any]]


def explained(layers: Sequence[WrittenSettings]) -> tuple[Said, ...]:
    """All settings that layers come to, the lowest layer first, in the order in which they are declared."""
    return tuple(_of_layer(DockerSettings, [(layer, layer.settings) for layer in layers], ()))


def _of_layer(kind: type[Layer], layers: _Given, path: tuple[str, ...]) -> Iterator[Said]:
    for name in kind.settable():
        given = [(layer, getattr(settings, name)) for layer, settings in layers if name in settings.given]
        below = path if issubclass(kind, BuildOptions) and name in _BESIDE else (*path, name)
        if given:
            yield from _of_setting(given, below)
        elif not path:
            yield Said(below, plain(kind.default(name)))


def _of_setting(given: _Given, path: tuple[str, ...]) -> Iterator[Said]:
    layer, value = given[-1]
    if isinstance(value, Layer):
        inner = _while(given, Layer)
        found = tuple(_of_layer(type(value), inner, path))
        yield from found or (_said(layer, path, value),)
    elif isinstance(value, FrozenMapping):
        tables = _while(given, FrozenMapping)
        merged: FrozenMapping[Any] = reduce(_over, (table for _, table in tables))
        for name in merged:
            winner = next(each for each, table in reversed(tables) if name in table)
            yield _said(winner, (*path, name), merged[name])
        if not merged:
            yield _said(layer, path, value)
    else:
        yield _said(layer, path, value)


def _while(given: _Given, kind: type[Any]) -> _Given:
    """The highest layers, as long as they are of a kind: they are merged, and what is below is replaced."""
    start = next((at for at in range(len(given), 0, -1) if not isinstance(given[at - 1][1], kind)), 0)
    return given[start:]


def _over(lower: FrozenMapping[Any], upper: FrozenMapping[Any]) -> FrozenMapping[Any]:
    """As `Layer.over` merges tables: an empty one drops what is below."""
    return FrozenMapping({**lower, **upper}) if upper else upper


def _said(layer: WrittenSettings, path: tuple[str, ...], value: Any) -> Said:
    where = layer.place(path)
    origin = "code" if layer.how else "configuration" if where.file else "project"
    return Said(path, plain(value), where, origin, layer.how)
