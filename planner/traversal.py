"""One pass over the steps of a pipeline: what each image is, and what is missing or wrong.

Owns which steps share an image. Refuses to look at anything but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeAlias, TypeVar

from attrs import Factory, define, evolve, field

from planner.checkouts import Checkouts, includes
from planner.code import ignore_path
from planner.custom import Custom, custom_of, custom_of_spec
from planner.custom_context import Context
from planner.delivery import delivery_of, ways_of
from planner.entrypoint import Function
from planner.errors import Place, PlannerError, Problem
from planner.facts.facts import Facts
from planner.facts.needs import Bootstrap
from planner.gaps import Gaps
from planner.image.delivery import Delivery, Way
from planner.image.external import ExternalImage
from planner.image.instructions import FILES
from planner.image.plan import Checkout, Destination, NamedSpec, Note
from planner.image.spec import ImageSpec
from planner.image.use import uses_of
from planner.immutable import frozen
from planner.lock.lock import LOCK_NAME, Pins
from planner.naming import named
from planner.pipeline import Pipeline, Step
from planner.settings.builders import (
    builders_for,
    cache_refusals,
    dockerfile_refusals,
    network_refusals,
    refusals,
    secret_refusals,
)
from planner.settings.effective import Settings, settle
from planner.settings.option_table import BUILDERS
from planner.share import Share
from planner.sources import Sources
from planner.specs import Specs
from planner.stack import Stack

__all__ = ["Traversal"]

K = TypeVar("K")
T = TypeVar("T")


@frozen
class _Identity:
    """What steps must have in common to share an image."""

    spec: ImageSpec
    destination: Destination
    ignore_file: str | None
    """The ignore file of the tree: a lock, planned without looking at files, names the same images."""
    context: Context | None
    """Where the files of a Dockerfile are from, for the same reason."""
    ways: frozenset[Way]
    """How code may be downloaded, whatever the checkout has today: for the same reason."""
    locked: str | None
    """The image that the step runs in by the lock, where that is taken as it is."""


def _some(builders: Iterable[str], refusals_of: Callable[[str], Iterable[Problem]]) -> bool:
    """Whether one of these builders, if there are any, refuses nothing; else PlannerError."""
    refused = [tuple(refusals_of(builder)) for builder in sorted(builders)]
    if refused and all(refused):
        fewest = min(refused, key=len)
        raise PlannerError(fewest)
    return True


# What tells a step from those that are made alike.
_Key: TypeAlias = tuple[Settings, str | None]


@frozen
class _Made:
    """The image of a step, as far as it could be made, and what the checkout puts into it.

    `below` is what the checkout puts into the image of a Dockerfile that it is built on.
    """

    identity: _Identity
    checkout: Checkout | None = None
    below: Checkout | None = None
    delivery: Delivery | None = None


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
    _whole: Step = field(init=False)
    _operated: frozenset[str] = field(init=False)
    """The steps that a step operator runs."""
    _functions: frozenset[str] = field(init=False)
    """The steps that are functions."""
    _settled: dict[object, Settings] = Factory(dict)
    _specs: dict[_Key, ImageSpec] = Factory(dict)
    _made: dict[_Key, _Made] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        # What stands for the pipeline as a whole: it has its settings alone, and its name.
        self._whole = Step(name=self.pipeline.name)
        self._operated = frozenset(
            step.name for step in self.pipeline.steps if self.stack.operator(step.step_operator) is not None
        )
        self._functions = frozenset(
            step.name for step in self.pipeline.steps if isinstance(step.entrypoint, Function)
        )
        self._sources = Sources(self.pipeline, self.stack, self.facts, self.pins)
        self._maker = Specs(self.pipeline, self.stack, self.pins, self.gaps, self._sources, self.facts)
        self._checkouts = Checkouts(self.frozen, self.hashes, self.gaps, self.facts)

    def run(self, facts: Facts, *, checkout: bool) -> list[tuple[str, Share]]:
        """The images by name, without those that could not be made.

        They are in the order of their first steps, each after the one that it is built on. `facts` are those
        of the pass before and more.
        """
        self.facts = self._sources.facts = self._maker.facts = self._checkouts.facts = facts
        self.gaps.clear()
        failed: set[object] = set()
        shares: dict[_Identity, Share] = {}
        made: dict[_Identity, _Made] = {}
        deployed: Share | None = None
        for step in (*self.pipeline.steps, *([self._whole] if self.stack.deploys else ())):
            settings = self._once(self._settled, step.own, failed, partial(self._settle, step))
            if settings is None:
                continue
            # What a lock says of a step is said of no other step that asks for the same.
            key = (settings, self._name(step) if self.frozen else None)
            make = partial(self._image, step, key, checkout=checkout)
            found = self._once(self._made, key, failed, make)
            if found is None:
                continue
            identity = found.identity
            share = shares.get(identity)
            if share is None:
                share = Share(identity.spec, identity.destination, settings, found.checkout, identity.locked)
                shares[identity], made[identity] = share, found
            if step is self._whole:
                deployed = share
            else:
                share.steps.append(step.name)
            share.listings |= dict.fromkeys(identity.spec.listings)
            share.of_pipeline |= not step.own
        for share in shares.values():
            share.uses = uses_of(share.steps, self._operated, deployed=share is deployed)
        if checkout:
            for identity, share in shares.items():
                share.delivery = made[identity].delivery
                self._start(share)
        self._parents(shares, made)
        for share in shares.values():
            share.spec = share.spec.listed_from(share.listings)
        return named(self.pipeline.name, tuple(shares.values()))

    def _start(self, share: Share) -> None:
        """Give an image what starts its steps, where one is a function or has to fetch the code.

        An image that is used as it is, or that a Dockerfile says, is given it where it runs.
        """
        spec, delivery = share.spec, share.delivery
        if share.checkout is None or not spec.builds or spec.dockerfile is not None:
            return
        functions = not self._functions.isdisjoint(share.steps)
        if functions or (delivery is not None and delivery.downloads):
            digest = self.gaps.attempt(None, lambda: self.facts.ask(Bootstrap()))
            if digest is not None:
                share.checkout = evolve(share.checkout, bootstrap=digest)

    def _parents(self, shares: Mapping[_Identity, Share], made: Mapping[_Identity, _Made]) -> None:
        """Give each image that is built on one of a Dockerfile that one: equal ones are one image."""
        parents: dict[tuple[ImageSpec, Context | None], Share] = {}
        # A step that runs in such an image says where it goes.
        for identity, share in shares.items():
            if share.spec.dockerfile is not None:
                parents.setdefault((share.spec, identity.context), share)
        for identity, share in shares.items():
            spec = share.spec.parent
            if not isinstance(spec, ImageSpec):
                continue
            parent = parents.get((spec, identity.context))
            if parent is None:
                # Whoever builds on it needs it here: it is pushed for nobody.
                destination = Destination(share.destination.repository)
                parent = Share(
                    spec, destination, share.settings, made[identity].below, self._locked_name(spec)
                )
                parents[spec, identity.context] = parent
            if share.destination.prevent_reuse:
                parent.destination = evolve(parent.destination, prevent_reuse=True)
            share.parent = parent

    def _locked_name(self, spec: ImageSpec) -> str | None:
        """The name of an image in the lock, where that is taken as it is."""
        locked = self.pins.lock.plan(self.pipeline.name, self.stack.name) if self.frozen else None
        return next((image.name for image in locked.images if image.spec == spec), None) if locked else None

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
        layers = self.pipeline.layers(None if step is self._whole else step)
        return self.gaps.attempt(None, lambda: settle(layers))

    def _image(self, step: Step, key: _Key, *, checkout: bool) -> _Made | None:
        settings, _ = key
        locked = self.gaps.attempt(settings, lambda: self._locked(step)) if self.frozen else None
        spec = locked.spec if locked else None
        custom = self.gaps.attempt(settings, lambda: self._custom(settings, spec))
        buildable = self.gaps.attempt(settings, lambda: self._buildable(settings, custom))
        if not self.frozen:
            spec = self._once(
                self._specs, key, set(), lambda: self._maker.of(self._name(step), settings, custom)
            )
        cacheable = self.gaps.attempt(settings, lambda: self._cacheable(settings, spec))
        mountable = self.gaps.attempt(settings, lambda: self._mountable(settings, spec))
        seen = below = delivery = None
        if checkout:
            delivery = self.gaps.attempt(settings, lambda: self._delivery(settings, spec))
            seen = self._checkouts.of(settings, spec, delivery)
            if settings.dockerfile is not None:
                below = self._checkouts.below(settings, spec, custom)
                if below is None:
                    return None
                if spec is not None and spec.dockerfile is not None:
                    seen = below
        if (
            not (buildable and cacheable and mountable)
            or spec is None
            or (checkout and None in (seen, delivery))
        ):
            return None
        destination = Destination(
            repository=self.stack.repository(settings.target_repository),
            push=self.stack.container_registry is not None,
            image_tag=settings.image_tag,
            prevent_reuse=settings.prevent_reuse,
        )
        identity = _Identity(
            spec,
            destination,
            ignore_path(settings) if FILES in spec.trees else None,
            Context.of(settings),
            ways_of(settings, self.stack, self.pipeline.code_repositories),
            locked.name if locked else None,
        )
        return _Made(identity, seen, below, delivery)

    def _delivery(self, settings: Settings, spec: ImageSpec | None) -> Delivery:
        return delivery_of(
            settings,
            self.stack,
            self.pipeline.code_repositories,
            self.facts,
            included=includes(settings, spec),
        )

    def _custom(self, settings: Settings, spec: ImageSpec | None) -> Custom | None:
        """The Dockerfile that an image is built from, as far as its target needs it; None without one.

        Where the lock is taken as it is, `spec` says what stands in it.
        """
        if not self.frozen:
            return None if settings.dockerfile is None else custom_of(settings, self.facts)
        built = spec if spec is None or isinstance(spec.parent, ExternalImage) else spec.parent
        if built is None or built.dockerfile is None:
            return None
        if settings.dockerfile is None:
            found = "it has an image of a Dockerfile, and the settings name none"
            fix = "write it with `stowplan lock`, or run without --frozen"
            raise PlannerError([Problem(Place(file=LOCK_NAME), found, fix)])
        return custom_of_spec(built)

    def _buildable(self, settings: Settings, custom: Custom | None) -> bool:
        """Whether some builder has all the options that are asked for; else PlannerError."""
        return _some(self.builders, lambda builder: self._refusals(settings, custom, builder))

    def _refusals(self, settings: Settings, custom: Custom | None, builder: str) -> Iterator[Problem]:
        """What keeps a builder from building an image, and the one of a Dockerfile that it is built on."""
        for problem in refusals(settings.build_options, builder):
            yield problem.inside("build_config")
        if settings.dockerfile is not None:
            for problem in refusals(settings.parent_options, builder):
                yield problem.inside("parent_image_build_config")
        if custom is not None:
            yield from dockerfile_refusals(custom, builder)

    def _cacheable(self, settings: Settings, spec: ImageSpec | None) -> bool:
        """Whether some builder that has the options keeps the cache that is asked for; else PlannerError."""
        if settings.cache_mount is not None and spec is not None and spec.installs:
            able = self.builders & builders_for(settings.build_options)
            _some(able, partial(cache_refusals, settings.cache_mount))
        return True

    def _mountable(self, settings: Settings, spec: ImageSpec | None) -> bool:
        """Whether secrets that are named are declared, and some builder mounts them; else PlannerError."""
        names = {**spec.secrets} if spec is not None else {}
        if spec is not None and isinstance(spec.parent, ImageSpec):
            names |= spec.parent.secrets
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
        _some(able, partial(secret_refusals, names))
        if settings.machine_network and spec is not None and spec.runs_commands:
            _some(able, network_refusals)
        return True

    @property
    def default_rules(self) -> bool:
        """Whether some tree has the default rules, since the project has no ignore file."""
        return self._checkouts.default_rules

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a user should know of how the sources were read."""
        return tuple(self._sources.notes)

    def _name(self, step: Step) -> str:
        """The name of a step as a lock has it: that of the pipeline as a whole is empty."""
        return "" if step is self._whole else step.name

    def _locked(self, step: Step) -> NamedSpec:
        locked = self.pins.lock.plan(self.pipeline.name, self.stack.name)
        image = locked.by_step.get(self._name(step)) if locked else None
        if image is not None:
            return image
        whom = "the deployer" if step is self._whole else f"step {step.name!r}"
        found = f"no image for {whom} of {self.pipeline.name!r} on {self.stack.name!r}"
        raise PlannerError([
            Problem(Place(file=LOCK_NAME), found, "write it with `stowplan lock`, or run without --frozen")
        ])  # fmt: skip
