"""One pass over the steps of a pipeline: what each image is, and what is missing or wrong.

Owns which steps share an image. Refuses to look at anything but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias, TypeVar

from attrs import Factory, define, field

from planner.checkouts import Checkouts
from planner.code import ignore_path
from planner.errors import Place, PlannerError, Problem
from planner.facts.facts import Facts
from planner.gaps import Gaps
from planner.image.plan import Checkout, Destination, ImagePlan, NamedSpec, Note
from planner.image.spec import ImageSpec, Observed
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME, Pins
from planner.pipeline import Pipeline, Step
from planner.settings.builders import builders_for, cache_refusals, refusals, secret_refusals
from planner.settings.cache_mount import CacheMount
from planner.settings.effective import Settings, settle
from planner.settings.option_table import BUILDERS
from planner.sources import Sources
from planner.specs import Specs
from planner.stack import Stack

__all__ = ["Share", "Traversal"]

K = TypeVar("K")
T = TypeVar("T")


@frozen
class _Identity:
    """What steps must have in common to share an image."""

    spec: ImageSpec
    destination: Destination
    ignore_file: str | None
    """The ignore file of the tree: a lock, planned without looking at files, names the same images."""
    locked: str | None
    """The image that the step runs in by the lock, where that is taken as it is."""


@define
class Share:
    """An image in the making, and the steps that share it."""

    spec: ImageSpec
    destination: Destination
    settings: Settings
    checkout: Checkout | None
    locked: str | None = None
    """The name that it has in the lock, where that is taken as it is."""
    steps: list[str] = Factory(list)
    listings: dict[Observed, None] = Factory(dict)
    """What programs listed the sources of each step from, which need not be the same."""
    of_pipeline: bool = False

    @property
    def cache_mount(self) -> CacheMount | None:
        """The cache of the installer, where one installs anything."""
        return self.settings.cache_mount if self.spec.installs else None

    def named(self, name: str) -> NamedSpec:
        """What a lock holds of it, under its name."""
        return NamedSpec(name, tuple(self.steps), self.spec, self.cache_mount)

    def image(self, name: str) -> ImagePlan:
        """The image under its name."""
        assert self.checkout is not None  # noqa: S101  # `finish` has raised otherwise
        return ImagePlan(
            name,
            tuple(self.steps),
            self.spec,
            self.checkout,
            self.destination,
            build_options=self.settings.build_options,
            cache_mount=self.cache_mount,
            secrets={name: self.settings.secret_source(name) for name in self.spec.secrets},
        )


# What tells a step from those that are made alike.
_Key: TypeAlias = tuple[Settings, str | None]


@define
class Traversal:
    """Passes over the steps of a pipeline: each collects what is missing and what is wrong.

    A pass with more facts goes on where the one before had to stop: what was made from fewer stays as it is.
    """

    pipeline: Pipeline
    stack: Stack
    pins: Pins
    frozen: bool
    builders: frozenset[str] = frozenset(BUILDERS)
    hashes: bool = True
    """Whether values of variables are hashed, which is slow on purpose: what is needed depends on none."""
    gaps: Gaps = Factory(Gaps)
    facts: Facts = field(init=False, default=Facts())
    _sources: Sources = field(init=False)
    _maker: Specs = field(init=False)
    _checkouts: Checkouts = field(init=False)
    _settled: dict[object, Settings] = Factory(dict)
    _specs: dict[_Key, ImageSpec] = Factory(dict)
    _made: dict[_Key, tuple[_Identity, Checkout | None]] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        self._sources = Sources(self.pipeline, self.stack, self.facts, self.pins)
        self._maker = Specs(self.pipeline, self.stack, self.pins, self.gaps, self._sources, self.facts)
        self._checkouts = Checkouts(self.frozen, self.hashes, self.gaps, self.facts)

    def run(self, facts: Facts, *, checkout: bool) -> list[tuple[str, Share]]:
        """The images by name, in the order of their first steps, without those that could not be made.

        `facts` are those of the pass before and more.
        """
        self.facts = self._sources.facts = self._maker.facts = self._checkouts.facts = facts
        self.gaps.clear()
        failed: set[object] = set()
        shares: dict[_Identity, Share] = {}
        for step in self.pipeline.steps:
            settings = self._once(self._settled, step.settings, failed, partial(self._settle, step))
            if settings is None:
                continue
            # What a lock says of a step is said of no other step that asks for the same.
            key = (settings, step.name if self.frozen else None)
            make = partial(self._image, step, key, checkout=checkout)
            made = self._once(self._made, key, failed, make)
            if made is None:
                continue
            identity, seen = made
            share = shares.get(identity)
            if share is None:
                share = Share(identity.spec, identity.destination, settings, seen, identity.locked)
                shares[identity] = share
            share.steps.append(step.name)
            share.listings |= dict.fromkeys(identity.spec.listings)
            share.of_pipeline |= not step.settings.given
        named: dict[str, Share] = {}
        for share in shares.values():
            share.spec = share.spec.listed_from(share.listings)
            own = f"{self.pipeline.name}/{share.steps[0]}"
            name = share.locked or (self.pipeline.name if share.of_pipeline else own)
            # One image of a lock whose steps go to two repositories by now.
            named[own if name in named else name] = share
        return list(named.items())

    def _once(self, made: dict[K, T], key: K, failed: set[object], make: Callable[[], T | None]) -> T | None:
        """What is made for a key, once for all passes; None where it could not be, once in this one."""
        if key in made:
            return made[key]
        if key in failed:
            return None
        found = make()
        if found is None:
            failed.add(key)
        else:
            made[key] = found
        return found

    def _settle(self, step: Step) -> Settings | None:
        return self.gaps.attempt(None, lambda: settle(self.pipeline.layers(step)))

    def _image(self, step: Step, key: _Key, *, checkout: bool) -> tuple[_Identity, Checkout | None] | None:
        settings, _ = key
        buildable = self.gaps.attempt(settings, lambda: self._buildable(settings))
        locked = self.gaps.attempt(settings, lambda: self._locked(step)) if self.frozen else None
        spec = locked.spec if locked else None
        if not self.frozen:
            spec = self._once(self._specs, key, set(), lambda: self._maker.of(step, settings))
        cacheable = self.gaps.attempt(settings, lambda: self._cacheable(settings, spec))
        mountable = self.gaps.attempt(settings, lambda: self._mountable(settings, spec))
        seen = self._checkouts.of(settings, spec) if checkout else None
        if not (buildable and cacheable and mountable) or spec is None or (checkout and seen is None):
            return None
        destination = Destination(
            repository=self.stack.repository(settings.target_repository),
            push=self.stack.container_registry is not None,
            image_tag=settings.image_tag,
            prevent_reuse=settings.prevent_reuse,
        )
        ignore_file = ignore_path(settings) if spec.trees else None
        return _Identity(spec, destination, ignore_file, locked.name if locked else None), seen

    def _buildable(self, settings: Settings) -> bool:
        """Whether some builder has all the options that are asked for; else PlannerError."""
        refused = [refusals(settings.build_options, builder) for builder in sorted(self.builders)]
        if refused and all(refused):
            fewest = min(refused, key=len)
            raise PlannerError(problem.inside("build_config") for problem in fewest)
        return True

    def _cacheable(self, settings: Settings, spec: ImageSpec | None) -> bool:
        """Whether some builder that has the options keeps the cache that is asked for; else PlannerError."""
        if settings.cache_mount is not None and spec is not None and spec.installs:
            able = self.builders & builders_for(settings.build_options)
            refused = [cache_refusals(settings.cache_mount, builder) for builder in sorted(able)]
            if refused and all(refused):
                raise PlannerError(refused[0])
        return True

    def _mountable(self, settings: Settings, spec: ImageSpec | None) -> bool:
        """Whether secrets that are named are declared, and some builder mounts them; else PlannerError."""
        names = spec.secrets if spec is not None else {}
        if missing := [name for name in names if name not in settings.secrets]:
            # Only a lock that is taken as it is can name one: settings are checked for it.
            raise PlannerError(
                Problem.at(
                    ("secrets", name),
                    f"{LOCK_NAME} names the secret {name!r}, which is not declared",
                    "declare it, or run without --frozen",
                )
                for name in missing
            )
        able = self.builders & builders_for(settings.build_options)
        refused = [secret_refusals(names, builder) for builder in sorted(able)]
        if refused and all(refused):
            raise PlannerError(refused[0])
        return True

    @property
    def default_rules(self) -> bool:
        """Whether some tree has the default rules, since the project has no ignore file."""
        return self._checkouts.default_rules

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a user should know of how the sources were read."""
        return tuple(self._sources.notes)

    def _locked(self, step: Step) -> NamedSpec:
        locked = self.pins.lock.plan(self.pipeline.name, self.stack.name)
        if locked is not None and step.name in locked.by_step:
            return locked.by_step[step.name]
        found = f"no image for step {step.name!r} of {self.pipeline.name!r} on {self.stack.name!r}"
        raise PlannerError([
            Problem(Place(file=LOCK_NAME), found, "write it with `stowplan lock`, or run without --frozen")
        ])  # fmt: skip
