"""What newer there is than what the lock pins: parent images, packages, and the installer.

Asks, and moves nothing.
"""

from __future__ import annotations

from executor import limits
from executor.config.project import Project
from executor.workflow.locks import check_lock
from planner.image.spec import ExternalImage, Resolved
from planner.immutable import frozen
from planner.lock.lock import Lock
from planner.planning import UV_VERSION

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


def outdated(project: Project, lock: Lock, *, timeout: float | None = None) -> Outdated:
    """Ask the registries about every pin of a lock, all at once, and resolve its packages anew."""
    from executor.registry.lookup import Found, Question, heads  # noqa: PLC0415  # only this asks

    pins: dict[ExternalImage, set[tuple[str, str]]] = {}
    installers: dict[str, set[tuple[str, str]]] = {}
    for plan in lock.plans:
        for image in plan.images:
            key = (plan.pipeline, image.name)
            for each in image.spec.images:
                if each.image.digest is not None:
                    # An image is counted once, on however many stacks it is.
                    pins.setdefault(each.image, set()).add(key)
            if image.spec.uv is not None:
                installers.setdefault(image.spec.uv, set()).add(key)
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
    packages, silent = _packages(project, lock)
    newer += packages
    for name, resolved in silent.items():
        unknown[name] = resolved.reason
        stays |= not resolved.transient
    newer.sort(key=lambda item: (item.kind, item.name, item.before))
    return Outdated(tuple(newer), tuple(sorted(unknown.items())), bool(unknown) and not stays)


def _packages(project: Project, lock: Lock) -> tuple[list[Newer], dict[str, Resolved]]:
    """Packages that would be others if nothing were pinned, and the images of which that is not known."""
    found: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
    silent: dict[str, Resolved] = {}
    if not any(image.spec.closed for plan in lock.plans for image in plan.images):
        return [], {}
    checked = check_lock(project, None, None, asks=True, packages_released=True, engine=None)
    for plan in checked.plans:
        locked = lock.plan(plan.pipeline, plan.stack)
        known = {image.name: image.spec for image in locked.images} if locked else {}
        for image in plan.images:
            resolved = image.spec.resolved
            if resolved is not None and resolved.reason:
                silent[f"packages of {image.name}"] = resolved
                continue
            old = known.get(image.name)
            before = {package.name: package for package in old.packages} if old else {}
            for package in image.spec.packages:
                was = before.get(package.name)
                if was is not None and was.text != package.text:
                    key = (package.name, was.shown, package.shown)
                    found.setdefault(key, set()).add((plan.pipeline, image.name))
    newer = [Newer(name, "package", old, new, len(images)) for (name, old, new), images in found.items()]
    return newer, silent
