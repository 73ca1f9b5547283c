"""Requirements and packages compared: what is asked for, what that came to, and by whose wish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from planner.compare.change import Change
from planner.image.spec import ImageSpec
from planner.requirements.model import Requirement
from planner.requirements.why import asked_for, wishes_of

__all__ = ["requirement_changes", "resolution_changes"]


def resolution_changes(old: ImageSpec, new: ImageSpec) -> Iterator[Change]:
    """What packages are resolved for, and the packages themselves, of all sources of an image."""
    if new.resolved is not None and new.resolved.reason:
        text = f"packages: not resolved: {new.resolved.reason}"
        yield Change("", "packages", None, "unresolved", None, None, text)
        return
    was, now = old.resolved, new.resolved
    if was is not None and now is not None and not was.reason:
        for field, words, left, right in (
            ("python_version", "Python of the image", was.python.version, now.python.version),
            ("python_version", "platform of the packages", was.python.platform, now.python.platform),
            ("exclude_newer", "packages published until", was.exclude_newer, now.exclude_newer),
        ):
            if left != right:
                text = f"{words}: {left or 'any time'} → {right or 'any time'}"
                yield Change("", field, None, "changed", left, right, text)
    before, after = ({item.source: item.closure is not None for item in spec.installs} for spec in (old, new))
    both = [(before[source], after[source]) for source in before.keys() & after.keys()]
    if (False, True) in both:
        # A lock of version 1 knew no packages: all of them came.
        text = f"packages: resolved to {len(new.packages)}, which are installed by their hashes"
        yield Change("", "packages", None, "resolved", None, str(len(new.packages)), text)
    elif (True, False) in both:
        yield Change("", "packages", None, "unresolved", None, None, "packages: no longer resolved")
    else:
        yield from _package_changes(old, new)


def _package_changes(old: ImageSpec, new: ImageSpec) -> Iterator[Change]:
    before = {package.name: package for package in old.packages}
    after = {package.name: package for package in new.packages}
    written = [_written(spec) for spec in (old, new)]
    wishes = wishes_of(new)
    for name in sorted(before.keys() | after.keys()):
        was, is_now = before.get(name), after.get(name)
        if was == is_now:
            continue
        same = was is not None and is_now is not None and was.text == is_now.text
        # What is written as one version is shown as it is written.
        if not same and all(
            each is None or name in names for each, names in zip((was, is_now), written, strict=True)
        ):
            continue
        left, right = (each.shown if each else None for each in (was, is_now))
        if is_now is None:
            yield Change("", "packages", name, "removed", left, None, f"packages: - {name} {left}")
            continue
        wish = f", {wishes[name]}"
        if was is None:
            yield Change("", "packages", name, "added", None, right, f"packages: + {name} {right}{wish}")
        elif left == right and was.hashes != is_now.hashes:
            text = f"packages: other files of {name} {right}"
            yield Change("", "packages", name, "hashes", left, right, text)
        elif left != right:
            yield Change(
                "", "packages", name, "moved", left, right, f"packages: {name} {left} → {right}{wish}"
            )


def _written(spec: ImageSpec) -> frozenset[str]:
    """The packages of which requirements name just one version."""
    return frozenset(name for _, each, name in asked_for(spec) if each.exact or each.url)


def requirement_changes(
    field: str, words: str, old: Sequence[Requirement], new: Sequence[Requirement]
) -> Iterator[Change]:
    """Packages by name: an exact pin that moved is shown by its versions alone."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, ()), after.get(name, ())
        if was == now:
            continue
        left, right = (", ".join(item.text for item in items) or None for items in (was, now))
        code = "changed"
        if not was:
            code, text = "added", f"{words}: + {right}"
        elif not now:
            code, text = "removed", f"{words}: - {left}"
        elif left == right:
            code, text = "hashes", f"{words}: {name} hashes changed"
            left, right = (", ".join(item.line for item in items) for items in (was, now))
        else:
            tails = [", ".join(_tail(item) for item in items) for items in (was, now)]
            text = f"{words}: {name} {' → '.join(tails)}"
        yield Change("", field, name, code, left, right, text)


def _by_name(packages: Iterable[Requirement]) -> dict[str, tuple[Requirement, ...]]:
    named: dict[str, list[Requirement]] = {}
    for package in packages:
        named.setdefault(package.label, []).append(package)
    return {name: tuple(same) for name, same in named.items()}


def _tail(item: Requirement) -> str:
    """What stands behind the name: `2.1.0` of `torch==2.1.0`, `<3` of `torch<3`."""
    if item.pin is not None and not item.extras and item.marker is None:
        return item.clauses[0].version
    return item.text.removeprefix(item.label).lstrip() or "any version"
