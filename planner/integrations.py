"""Integrations: names for packages that belong together, as the reference's framework has them.

Owns which there are, a project's own among them, and which one a flavor of a stack component belongs to.
Refuses to import any: an integration is what it installs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from attrs import field

from planner.errors import Place, PlannerError, Problem, did_you_mean
from planner.immutable import frozen
from planner.integration_table import ALIASES, BUILT_IN, KNOWN
from planner.settings.dependencies import Dependencies
from planner.values import FrozenMapping

__all__ = ["Integration", "Integrations"]

# Flavors of every kind of component that need nothing.
_PLAIN: Final = frozenset({"custom", "default", "local"})


@frozen(kw_only=True)
class Integration(Dependencies):
    """What one integration installs."""


@cache
def _known(name: str) -> Integration:
    requirements, apt_packages = KNOWN[name]
    return Integration(requirements=requirements, apt_packages=apt_packages)


def _frozen(own: Mapping[str, Integration]) -> FrozenMapping[Integration]:
    return FrozenMapping(own)


@frozen
class Integrations:
    """The known integrations, and those that a project adds or puts in the place of known ones.

    >>> Integrations().named("lightgbm").apt_packages
    ('libgomp1',)
    """

    own: Mapping[str, Integration] = field(factory=dict, converter=_frozen)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, sorted."""
        return tuple(sorted({*KNOWN, *self.own}))

    def named(self, name: str, where: Place = Place()) -> Integration:  # noqa: B008  # frozen
        """The integration of a name, which may be in capitals. PlannerError at `where` if there is none."""
        # The reference has constants of these names, and lists of them are written from memory.
        for spelled in (name, name.lower()):
            if spelled in self.own:
                return self.own[spelled]
            if spelled in KNOWN:
                return _known(spelled)
        more = "add it to the project file: [integration.NAME] requirements = […]"
        fix = did_you_mean(name, self.names, f"see `stowplan integrations list`, or {more}")
        raise PlannerError([Problem(where, f"unknown integration {name!r}", fix)])

    def of_flavor(self, kind: str, flavor: str) -> Integration | None:
        """What a component of a kind and flavor installs, maybe nothing; None for an unknown flavor."""
        if flavor in self.own:
            return self.own[flavor]
        if flavor in _PLAIN or flavor in BUILT_IN.get(kind, ()):
            return Integration()
        name = ALIASES.get(flavor, flavor)
        return self.named(name) if name in self.own or name in KNOWN else None

    def flavors(self, kind: str) -> tuple[str, ...]:
        """The flavors that components of a kind may have, sorted."""
        return tuple(sorted({*self.names, *ALIASES, *_PLAIN, *BUILT_IN.get(kind, ())}))
