"""An image in the making: what steps have in common that share it, until it has a name."""

from __future__ import annotations

from attrs import Factory, define

from planner.image.delivery import Delivery
from planner.image.plan import Checkout, Destination, ImagePlan, NamedSpec
from planner.image.spec import ImageSpec, Observed
from planner.image.use import Use
from planner.settings.cache_mount import CacheMount
from planner.settings.effective import Settings

__all__ = ["Share"]


@define
class Share:
    """An image in the making, and the steps that share it."""

    spec: ImageSpec
    destination: Destination
    settings: Settings
    checkout: Checkout | None
    locked: str | None = None
    """The name that it has in the lock, where that is taken as it is."""
    parent: Share | None = None
    """The image of the plan that it is built on."""
    steps: list[str] = Factory(list)
    listings: dict[Observed, None] = Factory(dict)
    """What programs listed the sources of each step from, which need not be the same."""
    delivery: Delivery | None = None
    """How its code is delivered; None for an image that nothing runs in."""
    of_pipeline: bool = False
    uses: tuple[Use, ...] = ()

    @property
    def cache_mount(self) -> CacheMount | None:
        """The cache of the installer, where one installs anything."""
        return self.settings.cache_mount if self.spec.installs else None

    def named(self, name: str) -> NamedSpec:
        """What a lock holds of it, under its name."""
        known = [each for each in self.spec.secrets if each in self.settings.secrets]
        return NamedSpec(
            name,
            tuple(self.steps),
            self.spec,
            self.cache_mount,
            self.settings.machine_network,
            {each: self.settings.secret_source(each) for each in known},
        )

    def image(self, name: str, parent: ImagePlan | None = None) -> ImagePlan:
        """The image under its name, on the one that it is built on."""
        assert self.checkout is not None  # noqa: S101  # `finish` has raised otherwise
        return ImagePlan(
            name,
            tuple(self.steps),
            self.spec,
            self.checkout,
            self.destination,
            parent,
            build_options=self.settings.parent_options
            if self.spec.dockerfile
            else self.settings.build_options,
            cache_mount=self.cache_mount,
            machine_network=self.settings.machine_network,
            secrets={name: self.settings.secret_source(name) for name in self.spec.secrets},
            delivery=self.delivery,
            uses=self.uses,
        )
