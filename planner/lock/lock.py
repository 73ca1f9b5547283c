"""What `stowplan.lock` holds, as values: the specs of all plans, and the ledger of pushed images.

Owns which pins a plan takes over from a lock. Refuses to know how a lock is written down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, Self

from attrs import evolve, field

from planner.facts.answers import ImagePython
from planner.identity import COUNTED, content_hash
from planner.image.external import ExternalImage
from planner.image.plan import ImagePlan, PlanSpec
from planner.image.spec import ImageSpec
from planner.immutable import frozen
from planner.requirements.model import Requirement, Requirements
from planner.requirements.packages import Closure, Package
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["LOCK_NAME", "Lock", "Pins", "PipelineSource", "Pushed"]

LOCK_NAME: Final = "stowplan.lock"


def _pinned(_: object, __: object, reference: ImageRef) -> None:
    if reference.digest is None or reference.tag is not None:
        raise ValueError(f"not a reference by digest: {reference}")


@frozen(order=True)
class Pushed:
    """One entry of the ledger: an image hash, and the reference by digest that it was pushed as.

    `name` and `stack` say which image of which stack it was pushed for: when that is pushed again, the
    older entry goes.
    """

    image: Digest = field(metadata=COUNTED)
    reference: ImageRef = field(order=str, validator=_pinned, metadata=COUNTED)
    name: str = field(metadata=COUNTED)
    stack: str = field(metadata=COUNTED)

    @property
    def hash(self) -> Digest:
        """What tells an entry that was edited."""
        return content_hash("pushed", self)

    @property
    def digest(self) -> Digest:
        """The digest that the registry has it under."""
        assert self.reference.digest is not None  # noqa: S101  # the validator has seen it
        return self.reference.digest


@frozen
class PipelineSource:
    """How a pipeline was named when it was locked.

    `module` is where it is in Python, `module:object`; None if the project file names it. `config` is the
    path of its run configuration, from the root of the project.
    """

    module: str | None = None
    config: str | None = None


def _sources(sources: Mapping[str, PipelineSource]) -> FrozenMapping[PipelineSource]:
    """Without those that say nothing."""
    return FrozenMapping({name: source for name, source in sources.items() if source != PipelineSource()})


def _by_pair(plans: Iterable[PlanSpec]) -> tuple[PlanSpec, ...]:
    return tuple(sorted(plans, key=lambda plan: (plan.pipeline, plan.stack)))


def _sorted(pushed: Iterable[Pushed]) -> tuple[Pushed, ...]:
    # As they compare, but without a comparison of Python for each two of them.
    return tuple(
        sorted(set(pushed), key=lambda item: (item.image.hex, str(item.reference), item.name, item.stack))
    )


@frozen
class Lock:
    """The specs of all plans of a project, and the ledger of pushed images.

    `sources` says how pipelines were named, where the project file does not say all of it.
    """

    plans: tuple[PlanSpec, ...] = field(default=(), converter=_by_pair)
    pushed: tuple[Pushed, ...] = field(default=(), converter=_sorted)
    sources: Mapping[str, PipelineSource] = field(default=FrozenMapping(), converter=_sources)

    @cached_property
    def _plans(self) -> dict[tuple[str, str], PlanSpec]:
        return {(plan.pipeline, plan.stack): plan for plan in self.plans}

    @cached_property
    def _ledger(self) -> dict[tuple[Digest, str], Pushed]:
        return {(entry.image, entry.reference.name): entry for entry in self.pushed}

    @cached_property
    def _stacks(self) -> dict[str, list[PlanSpec]]:
        stacks: dict[str, list[PlanSpec]] = {}
        for plan in self.plans:
            stacks.setdefault(plan.pipeline, []).append(plan)
        return stacks

    def plan(self, pipeline: str, stack: str) -> PlanSpec | None:
        """The specs of a pipeline on a stack."""
        return self._plans.get((pipeline, stack))

    def plans_of(self, pipeline: str, stack: str) -> Iterator[PlanSpec]:
        """The specs of a pipeline: those on this stack first, then those on the others."""
        own = self.plan(pipeline, stack)
        if own is not None:
            yield own
        yield from (plan for plan in self._stacks.get(pipeline, ()) if plan is not own)

    def with_plans(self, plans: Iterable[PlanSpec]) -> Self:
        """The lock with these in place of those of the same pipelines and stacks."""
        return evolve(self, plans=({**self._plans, **{(p.pipeline, p.stack): p for p in plans}}).values())

    def with_sources(self, sources: Mapping[str, PipelineSource]) -> Self:
        """The lock that says how these pipelines were named."""
        return evolve(self, sources={**self.sources, **sources})

    def without(self, pairs: Collection[tuple[str, str]]) -> Self:
        """The lock without some pipelines on some stacks, and without what was pushed for them."""
        gone = frozenset(pairs)
        plans = [plan for plan in self.plans if (plan.pipeline, plan.stack) not in gone]
        pipelines = {plan.pipeline for plan in plans}
        return evolve(
            self,
            plans=plans,
            sources={name: source for name, source in self.sources.items() if name in pipelines},
            pushed=(
                entry for entry in self.pushed if (entry.name.partition("/")[0], entry.stack) not in gone
            ),
        )

    def with_pushed(self, pushed: Iterable[Pushed]) -> Self:
        """The ledger with these entries, and without older ones of the same images of the same stacks."""
        new = tuple(pushed)
        owners = {(entry.name, entry.stack) for entry in new}
        keys = {(entry.image, entry.reference.name) for entry in new}
        kept = (
            entry
            for entry in self.pushed
            if (entry.name, entry.stack) not in owners and (entry.image, entry.reference.name) not in keys
        )
        return evolve(self, pushed=(*kept, *new))

    def pushed_as(self, image: ImagePlan) -> Pushed | None:
        """The ledger's entry of an image in the repository that it goes to."""
        return self._ledger.get((image.hash, ImageRef.parse(image.destination.repository).name))


@frozen
class Pins:
    """What plans take over from a lock: each pin belongs to its pipeline, reference and platform.

    `all_released`, `released` and `upgrades` say what is not taken over, so that something newer is looked
    for: all pins, those of some references, those of some packages; with `packages_released` those of all
    packages. An upgrade with clauses asks for these versions. `exclude_newer` is the date that resolutions
    take no newer package than, in place of that of the lock; the empty text is no date.
    """

    lock: Lock = Lock()
    released: frozenset[ImageRef] = frozenset()
    all_released: bool = False
    upgrades: tuple[Requirement, ...] = ()
    exclude_newer: str | None = None
    packages_released: bool = False

    def parent(
        self, pipeline: str, stack: str, step: str, reference: ImageRef, platform: str | None
    ) -> ExternalImage | None:
        """What an image that a step is built from is pinned to; None if it is not, or it was released."""
        if self.all_released or reference in self.released:
            return None
        for plan in self.lock.plans_of(pipeline, stack):
            own = plan.by_step.get(step)
            spec: ImageSpec | None = own.spec if own is not None else None
            while spec is not None:
                for each in spec.images:
                    if (each.image.reference, each.platform) == (reference, platform) and each.image.digest:
                        return each.image
                spec = spec.parent if isinstance(spec.parent, ImageSpec) else None
            found = plan.looked_up.get((reference, platform))
            if found is not None and found.digest is not None:
                return found
        return None

    def uv(self, pipeline: str, stack: str, step: str) -> str | None:
        """The version of uv that a step's image is built with."""
        if self.all_released:
            return None
        for plan in self.lock.plans_of(pipeline, stack):
            own = plan.by_step.get(step)
            if found := (own.spec.uv if own is not None else None) or plan.uv:
                return found
        return None

    def observed(self, pipeline: str, stack: str, source: str, inputs: Digest) -> Requirements | None:
        """What a program listed for a source from these inputs; None if it has to be asked."""
        if self.all_released:
            return None
        for plan in self.lock.plans_of(pipeline, stack):
            if (source, inputs) in plan.observed:
                return plan.observed[source, inputs]
        return None

    def python(
        self, pipeline: str, stack: str, step: str, parent: ExternalImage, platform: str | None
    ) -> ImagePython | None:
        """The Python of a parent as the lock has it; None if it does not, or the parent is looked up anew."""
        if self.all_released or parent.reference in self.released:
            return None
        for plan in self.lock.plans_of(pipeline, stack):
            own = plan.by_step.get(step)
            if own and own.spec.resolved and (own.spec.external, own.spec.platform) == (parent, platform):
                return own.spec.resolved.python
            if (found := plan.by_parent.get((parent, platform))) and found.spec.resolved:
                return found.spec.resolved.python
        return None

    def resolution(
        self, pipeline: str, stack: str, step: str, inputs: Digest
    ) -> tuple[Mapping[str, Closure], tuple[str, ...]] | None:
        """What these inputs were resolved to, by source, and the packages that were overridden for it.

        None if they have to be resolved.
        """
        if self.all_released or self.packages_released:
            return None
        for plan in self.lock.plans_of(pipeline, stack):
            for image in (plan.by_step.get(step), plan.by_inputs.get(inputs)):
                if image is None or image.spec.resolved is None or image.spec.resolved.inputs != inputs:
                    continue
                if self._upgraded and any(each.name in self._upgraded for each in image.spec.packages):
                    return None
                closures = {item.source: item.closure for item in image.spec.installs if item.closure}
                return closures, image.spec.resolved.overridden
        return None

    def preferred(self, pipeline: str, stack: str, step: str) -> tuple[Package, ...]:
        """The packages that a resolution for a step is to keep where it can, by name."""
        if self.all_released or self.packages_released:
            return ()
        found: dict[str, Package] = {}
        for plan in self.lock.plans_of(pipeline, stack):
            own = plan.by_step.get(step)
            for package in (*(own.spec.packages if own else ()), *plan.packages.values()):
                found.setdefault(package.name, package)
        return tuple(found[name] for name in sorted(found.keys() - self._upgraded))

    def newest(self, pipeline: str, stack: str, step: str) -> str | None:
        """The date after which no package that a step wants may be published; None for no date."""
        if self.exclude_newer is not None:
            return self.exclude_newer or None
        for plan in self.lock.plans_of(pipeline, stack):
            for image in (plan.by_step.get(step), *plan.images[:1]):
                if image is not None and image.spec.resolved is not None:
                    return image.spec.resolved.exclude_newer
        return None

    @cached_property
    def _upgraded(self) -> frozenset[str]:
        return frozenset(requirement.name for requirement in self.upgrades)
