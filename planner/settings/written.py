"""One layer of settings as it was written, and the place of everything in it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, field

from planner.errors import Place, line_of
from planner.immutable import frozen
from planner.settings.docker import DockerSettings

__all__ = ["WrittenSettings"]


@frozen
class WrittenSettings:
    """One layer of settings, and the place where it was written."""

    settings: DockerSettings
    origin: Place
    table: str | None = None
    """The one setting that stands at the origin itself, as secrets do in `[secret.NAME]`."""
    how: str = ""
    """How it is written in code: `@step`, `@pipeline`, `with_options`. Nothing for a file of settings."""
    lines: Mapping[tuple[str | int, ...], int] = field(factory=dict, eq=False, repr=False)
    """The lines (from 1) of the settings in it, by their paths, where they are known already."""

    def place(self, path: tuple[str | int, ...]) -> Place:
        """Where the setting at a path is written, or the deepest part of it that is."""
        below = path[1:] if path[:1] == (self.table,) else path
        line = line_of(self.lines, below) or self.origin.line
        return evolve(self.origin, path=(*self.origin.path, *below), line=line)
