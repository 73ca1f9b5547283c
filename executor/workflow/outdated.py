"""What newer there is than what the lock pins: parent images in their registries, and the installer.

Asks, and moves nothing.
"""

from __future__ import annotations

from executor import limits
from planner.image.spec import ExternalImage
from planner.immutable import frozen
from planner.lock.lock import Lock
from planner.planning import UV_VERSION
from planner.values import PythonPackageInstaller

__all__ = ["Newer", "Outdated", "outdated"]


@frozen
class Newer:
    """A pin for which something newer is there. `images` is how many images have it.

    `same_manifest` says that an index moved, and its manifest for the platform of the pin did not.
    """

    name: str
    kind: str
    before: str
    after: str
    images: int
    platform: str | None = None
    same_manifest: bool = False


@frozen
class Outdated:
    """What is newer, and what could not be told: names, with the reason.

    `transient` says that asking again later may help with all that could not be told.
    """

    newer: tuple[Newer, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    transient: bool = False


def outdated(lock: Lock, *, timeout: float | None = None) -> Outdated:
    """Ask the registries about every pin of a lock, all at once."""
    from executor.registry.lookup import Found, Question, heads  # noqa: PLC0415  # only this asks

    pins: dict[ExternalImage, set[tuple[str, str]]] = {}
    installers: dict[str, set[tuple[str, str]]] = {}
    for plan in lock.plans:
        for image in plan.images:
            key = (plan.pipeline, image.name)
            parent = image.spec.external
            if parent.digest is not None:
                # An image is counted once, on however many stacks it is.
                pins.setdefault(parent, set()).add(key)
            installer = image.spec.installer
            if installer and installer.name is PythonPackageInstaller.UV and installer.version:
                installers.setdefault(installer.version, set()).add(key)
    floating = {
        parent: Question(parent.reference, parent.pin.platform) for parent in pins if parent.reference.tag
    }
    seconds = limits.REGISTRY_SECONDS if timeout is None else timeout
    answers = heads(floating.values(), timeout=seconds) if floating else {}
    newer: list[Newer] = []
    unknown: dict[str, str] = {}
    stays = False
    for parent, question in floating.items():
        name, answer = parent.reference.familiar, answers[question]
        if not isinstance(answer, Found):
            unknown[name] = answer.reason
            stays |= not getattr(answer, "transient", False)
        elif answer.digest != parent.digest:
            same = answer.manifest is not None and answer.manifest == parent.pin.manifest
            newer.append(
                Newer(
                    name,
                    "image",
                    str(parent.digest),
                    str(answer.digest),
                    len(pins[parent]),
                    parent.pin.platform,
                    same,
                )
            )
    newer += [
        Newer("uv", "installer", version, UV_VERSION, len(images))
        for version, images in installers.items()
        if version != UV_VERSION
    ]
    newer.sort(key=lambda item: (item.kind, item.name, item.before))
    return Outdated(tuple(newer), tuple(sorted(unknown.items())), bool(unknown) and not stays)
