"""Two plans compared: which images changed, in which field, and which layers are rebuilt from there.

Owns the comparison and the words of one change. A diff is data: `apply` and the dry run obey the same
one. Refuses to show the value of a variable: it has only fingerprints to compare.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar, assert_never

from attrs import frozen

from planner.image.instructions import (
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import BuildPlan, Here, ImagePlan
from planner.lock.lockfile import Lock
from planner.requirements.model import Requirement, Requirements
from planner.values import Digest, EnvTemplate

__all__ = ["Change", "diff", "diff_images", "rebuilt_layers"]

_SHOWN_PATHS: Final = 5
T = TypeVar("T")


@frozen
class Change:
    """One difference of one image, as data and in words. `before` or `after` is None where it was absent."""

    image: str
    field: str
    before: str | None
    after: str | None
    text: str


def diff(before: Lock | BuildPlan | None, after: BuildPlan) -> tuple[Change, ...]:
    """What is different in `after`: empty when nothing is.

    From a lock, the plan of the same pipeline and stack is compared. Files and variables are compared
    when both sides know them: a lock does not.
    """
    if isinstance(before, Lock):
        before = before.plan(after.pipeline, after.stack)
    old = {image.name: image for image in before.images} if before else {}
    new = {image.name: image for image in after.images}
    changes: list[Change] = []
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            changes.append(_whole(new[name], None, _short(new[name]), "new image"))
        elif name not in new:
            changes.append(_whole(old[name], _short(old[name]), None, "image is no longer needed"))
        else:
            changes.extend(diff_images(old[name], new[name]))
    return tuple(changes)


def _short(image: ImagePlan) -> str:
    return image.environment_hash.short


def _whole(image: ImagePlan, before: str | None, after: str | None, text: str) -> Change:
    return Change(image.name, "image", before, after, text)


def diff_images(old: ImagePlan, new: ImagePlan) -> Iterator[Change]:
    """The differences of two plans of one image, in the order of its layers."""
    for field, before, after, text in _differences(old, new):
        yield Change(new.name, field, before, after, text)


_Difference = tuple[str, str | None, str | None, str]


def _differences(old: ImagePlan, new: ImagePlan) -> Iterator[_Difference]:
    yield from _sets("steps", "steps", old.steps, new.steps)
    if old.use != new.use:
        yield "use", old.use, new.use, f"use: {old.use} → {new.use}"
    yield from _parent(old, new)
    yield from _mapping("build option", "options", _options(old), _options(new))
    yield from _mapping("build argument", "options", old.options.build_args, new.options.build_args)
    yield from _mapping("label", "labels", old.options.labels, new.options.labels)
    fingerprints = (_fingerprints(old), _fingerprints(new))
    for field, runtime in (("environment", False), ("runtime_environment", True)):
        yield from _environment(field, _variables(old, runtime), _variables(new, runtime), *fingerprints)
        if not runtime:
            yield from _sets("apt_packages", "apt", _apt(old), _apt(new))
            yield from _installations(_of(old, InstallRequirements), _of(new, InstallRequirements))
            yield from _rest(old, new)
    if _order(old) != _order(new) and set(_order(old)) == set(_order(new)):
        yield "instructions", None, None, "instructions: another order"


def _parent(old: ImagePlan, new: ImagePlan) -> Iterator[_Difference]:
    before, after = old.parent, new.parent
    values = (str(before.digest) if before.digest else None, str(after.digest) if after.digest else None)
    if before.reference != after.reference:
        same = " (the same digest)" if before.digest and before.digest == after.digest else ""
        text = f"{before.reference.familiar} → {after.reference.familiar}{same}"
        yield "parent_image", str(before.reference), str(after.reference), f"parent image: {text}"
    elif before.digest and after.digest and before.digest != after.digest:
        short = f"{before.digest.short} → {after.digest.short}"
        yield "parent_image", *values, f"parent image: digest moved ({short})"
    elif before.digest != after.digest:
        words = "digest is now known" if after.digest else "digest is no longer known"
        yield "parent_image", *values, f"parent image: {words}"


def _rest(old: ImagePlan, new: ImagePlan) -> Iterator[_Difference]:
    """Files, the command that installs them, and the user."""
    copies = (_of(old, CopyFiles), _of(new, CopyFiles))
    if bool(copies[0]) != bool(copies[1]):
        words = "included" if copies[1] else "no longer included"
        yield "files", None, None, f"files: {words}"
    elif copies[0] and _places(copies[0]) != _places(copies[1]):
        yield "files", None, None, "files: copied to another place"
    if old.tree is not None and new.tree is not None and old.tree.digest != new.tree.digest:
        paths = old.tree.changed_paths(new.tree)
        yield "files", str(old.tree.digest), str(new.tree.digest), f"files: {_count(paths)}"
    yield from _single("local_project_install_command", "project", _command(old), _command(new))
    yield from _single("user", "user", _user(old), _user(new))
    # The one of the machine: one that was asked for is among the options.
    if old.platform and new.platform and old.here and new.here and _asked(old) == _asked(new):
        yield from _single("platform", "platform", old.platform, new.platform)


def _asked(image: ImagePlan) -> str | None:
    return image.options.platform


def _count(paths: Sequence[str]) -> str:
    shown = ", ".join(_printable(path) for path in paths[:_SHOWN_PATHS])
    more = f" and {len(paths) - _SHOWN_PATHS} more" if len(paths) > _SHOWN_PATHS else ""
    return f"{len(paths)} changed ({shown}{more})"


def _printable(path: str) -> str:
    return path if path.isprintable() else repr(path)


def _of(image: ImagePlan, kind: type[T]) -> tuple[T, ...]:
    return tuple(item for item in image.instructions if isinstance(item, kind))


def _places(copies: Iterable[CopyFiles]) -> list[tuple[str, str]]:
    return [(copy.tree, copy.destination) for copy in copies]


def _apt(image: ImagePlan) -> tuple[str, ...]:
    return tuple(package for item in _of(image, InstallApt) for package in item.packages)


def _command(image: ImagePlan) -> str | None:
    return next((item.command for item in _of(image, InstallProject)), None)


def _user(image: ImagePlan) -> str | None:
    return next((item.user for item in _of(image, SetUser)), None)


def _order(image: ImagePlan) -> tuple[str, ...]:
    return tuple(item.kind for item in image.instructions)


def _options(image: ImagePlan) -> dict[str, str]:
    options = image.options
    named = {"platform": options.platform, "target": options.target}
    return {
        **{name: value for name, value in named.items() if value is not None},
        **{
            name: json.dumps(value, ensure_ascii=False, default=dict) for name, value in options.other.items()
        },
    }


def _variables(image: ImagePlan, runtime: bool) -> dict[str, EnvTemplate]:
    items = [item for item in _of(image, SetEnvironment) if item.runtime is runtime]
    return {name: value for item in items for name, value in item.variables.items()}


def _fingerprints(image: ImagePlan) -> Mapping[str, Digest] | None:
    return image.here.variables if image.here else None


def _environment(
    field: str,
    old: Mapping[str, EnvTemplate],
    new: Mapping[str, EnvTemplate],
    before: Mapping[str, Digest] | None,
    after: Mapping[str, Digest] | None,
) -> Iterator[_Difference]:
    """Templates are written down and shown; of the values of variables only that they changed."""
    words = field.replace("_", " ")
    yield from _mapping(
        words,
        field,
        {name: item.text for name, item in old.items()},
        {name: item.text for name, item in new.items()},
    )
    if before is None or after is None:
        return
    for name, item in new.items():
        moved = [variable for variable in item.variables if before.get(variable) != after.get(variable)]
        if old.get(name) == item and moved:
            yield field, None, None, f"{words}: {name} changed (hidden)"


def _sets(field: str, words: str, old: Sequence[str], new: Sequence[str]) -> Iterator[_Difference]:
    """Members that came and went; what only changed its version is shown as one change."""
    gone = [item for item in old if item not in new]
    come = [item for item in new if item not in old]
    for before in list(gone):
        after = next((item for item in come if item.partition("=")[0] == before.partition("=")[0]), None)
        if after is not None:
            gone.remove(before)
            come.remove(after)
            yield field, before, after, f"{words}: {before} → {after}"
    for item in come:
        yield field, None, item, f"{words}: + {item}"
    for item in gone:
        yield field, item, None, f"{words}: - {item}"
    if old != new and set(old) == set(new):
        yield field, None, None, f"{words}: another order"


def _mapping(words: str, field: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[_Difference]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None:
            text = f"{words}: + {name}={after}"
        elif after is None:
            text = f"{words}: - {name}"
        else:
            text = f"{words}: {name} {before} → {after}"
        yield field, before, after, text


def _single(field: str, words: str, before: str | None, after: str | None) -> Iterator[_Difference]:
    if before != after:
        yield field, before, after, f"{words}: {before or 'none'} → {after or 'none'}"


def _installations(
    old: Sequence[InstallRequirements], new: Sequence[InstallRequirements]
) -> Iterator[_Difference]:
    """Requirements by source, then the installer, which all sources of an image share."""
    before, after = ({item.source: item.requirements for item in items} for items in (old, new))
    for source in dict.fromkeys([*after, *before]):
        was, now = before.get(source, Requirements()), after.get(source, Requirements())
        yield from _packages(source, source, was.packages, now.packages)
        yield from _packages(source, "constraints", was.constraints, now.constraints)
        yield from _sets(
            source,
            "requirement options",
            [str(item) for item in was.options],
            [str(item) for item in now.options],
        )
    installers = [next((item.installer for item in items), None) for items in (old, new)]
    if None not in installers:
        yield from _single("installer", "installer", *(_installer(item) for item in installers if item))


def _installer(item: Installer) -> str:
    version = f" {item.version}" if item.version else ""
    words = []
    for name, value in item.arguments.items():
        values = value if isinstance(value, tuple) else (value,)
        words += [name if each is None else f"{name}={each}" for each in values]
    return f"{item.name}{version} {shlex.join(words)}".rstrip()


def _packages(
    field: str, words: str, old: Sequence[Requirement], new: Sequence[Requirement]
) -> Iterator[_Difference]:
    """Packages by name: an exact pin that moved is shown by its versions alone."""
    before, after = _by_name(old), _by_name(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, ()), after.get(name, ())
        if was == now:
            continue
        left, right = (", ".join(item.text for item in items) or None for items in (was, now))
        if not was:
            text = f"{words}: + {right}"
        elif not now:
            text = f"{words}: - {left}"
        elif left == right:
            text = f"{words}: {name} hashes changed"
        else:
            tails = [", ".join(_tail(item) for item in items) for items in (was, now)]
            text = f"{words}: {name} {' → '.join(tails)}"
        yield field, left, right, text


def _by_name(packages: Iterable[Requirement]) -> dict[str, tuple[Requirement, ...]]:
    named: dict[str, tuple[Requirement, ...]] = {}
    for package in packages:
        named[package.name] = (*named.get(package.name, ()), package)
    return named


def _tail(package: Requirement) -> str:
    """What stands behind the name: `2.1.0` of `torch==2.1.0`, `<3` of `torch<3`."""
    if package.pin and not package.extras and package.marker is None:
        return str(package.pin)
    return package.text.removeprefix(package.name).lstrip() or "any version"


def rebuilt_layers(old: ImagePlan | None, new: ImagePlan) -> tuple[str, ...]:
    """The layers of `new` that a builder cannot take over from `old`, by name, in order.

    Layers stack: from the first that differs, all are built anew. Without `old`, all are. Files,
    variables and the platform of the machine are compared when both sides know them: a lock does not.
    """
    names = tuple(_layer(item) for item in new.instructions)
    if old is None or _base(old) != _base(new):
        return names
    here = (old.here, new.here) if old.here and new.here else (None, None)
    if old.options.platform != new.options.platform or (here[0] and old.platform != new.platform):
        return names
    if old.options.build_args != new.options.build_args:
        return names
    before = [_content(here[0], item) for item in old.instructions]
    after = [_content(here[1], item) for item in new.instructions]
    same = next(
        (i for i, (was, now) in enumerate(zip(before, after, strict=False)) if was != now), len(before)
    )
    return names[same:]


def _base(image: ImagePlan) -> object:
    """What the layers stand on: where it is known by its digest, its name does not matter."""
    return image.parent.digest or image.parent.unpinned


def _layer(item: Instruction) -> str:
    match item:
        case SetEnvironment():
            return "runtime environment" if item.runtime else "environment"
        case InstallApt():
            return "apt packages"
        case InstallRequirements():
            return item.source
        case CopyFiles():
            return "files"
        case InstallProject():
            return "project"
        case SetUser():
            return "user"
        case _:
            assert_never(item)


def _content(here: Here | None, item: Instruction) -> object:
    """An instruction with what only its checkout knows of it, where that is known."""
    if here is None:
        return item
    match item:
        case CopyFiles():
            return item, here.trees.get(item.tree)
        case SetEnvironment():
            names = sorted({name for value in item.variables.values() for name in value.variables})
            return item, [here.variables.get(name) for name in names]
        case _:
            return item
