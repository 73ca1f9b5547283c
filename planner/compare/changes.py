"""Two plans compared: which images changed, in which field, and which layers are rebuilt from there.

Owns the comparison and the words of one change. Words explain a difference and never decide whether there
is one: hashes do, and a difference that has no words yet is still a change. Refuses to show the value of
a variable: it has only fingerprints to compare.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, assert_never

from attrs import evolve

from planner.compare.change import Change, counted
from planner.compare.dockerfiles import dockerfile_changes
from planner.compare.layers import Seen, instructions_of, layer_name
from planner.compare.packages import requirement_changes, resolution_changes
from planner.image.instructions import (
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    Installer,
    InstallProject,
    InstallRequirements,
    Instruction,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.plan import BuildPlan, ImagePlan, NamedSpec, PlanSpec
from planner.image.spec import ExternalImage, ImageSpec
from planner.requirements.model import Requirements
from planner.values import Digest, EnvTemplate, single_arguments

__all__ = ["Change", "diff", "diff_images"]

T = TypeVar("T")


def diff(before: PlanSpec | BuildPlan | None, after: PlanSpec | BuildPlan) -> tuple[Change, ...]:
    """What is different in `after`: empty exactly when hashes, steps and inputs of all images are equal.

    Files and variables are compared when both sides know them: a spec does not.
    """
    both = isinstance(before, BuildPlan) and isinstance(after, BuildPlan)
    old = {image.name: image for image in _images(before, both)} if before else {}
    new = {image.name: image for image in _images(after, both)}
    changes: list[Change] = []
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old:
            changes.append(_whole(name, "added", None, new[name].spec.hash.short, "new image"))
        elif name not in new:
            changes.append(_whole(name, "removed", old[name].spec.hash.short, None, "no longer needed"))
        else:
            changes.extend(diff_images(old[name], new[name]))
    return tuple(changes)


def _images(plan: PlanSpec | BuildPlan, whole: bool) -> Iterable[ImagePlan | NamedSpec]:
    return plan.spec.images if isinstance(plan, BuildPlan) and not whole else plan.images


def _whole(name: str, code: str, before: str | None, after: str | None, text: str) -> Change:
    return Change(name, "image", None, code, before, after, text)


def diff_images(old: ImagePlan | NamedSpec, new: ImagePlan | NamedSpec) -> Iterator[Change]:
    """The differences of two plans of one image, in the order of its layers."""
    seen = Seen.of(old, new)
    moved = old.spec.hash != new.spec.hash or _inputs(old.spec) != _inputs(new.spec)
    if isinstance(old, ImagePlan) and isinstance(new, ImagePlan):
        moved |= old.hash != new.hash
    if not moved and old.steps == new.steps:
        return
    found = False
    for difference in _differences(old, new, seen):
        found |= difference.field != "steps"
        yield evolve(difference, image=new.name)
    if moved and not found and _inputs(old.spec) != _inputs(new.spec):
        words = "requirements: hashes, or options of the resolution, changed"
        yield Change(new.name, "requirements", None, "inputs", None, None, words)
    elif moved and not found:
        yield Change(
            new.name, "image", None, "unexplained", None, None, "differs in a way that has no words yet"
        )


def _differences(old: ImagePlan | NamedSpec, new: ImagePlan | NamedSpec, seen: Seen) -> Iterator[Change]:
    yield from _sets("steps", "steps", old.steps, new.steps)
    yield from _parent(old.spec, new.spec, seen)
    if old.spec.builds != new.spec.builds:
        words = ["built" if spec.builds else "used as it is" for spec in (old.spec, new.spec)]
        yield Change("", "use", None, "changed", words[0], words[1], f"parent image: {words[0]} → {words[1]}")
    yield from _mapping("build option", "options", _options(old.spec), _options(new.spec))
    yield from _mapping("build argument", "build_args", old.spec.build_args, new.spec.build_args)
    yield from _mapping("label", "labels", old.spec.labels, new.spec.labels)
    both = seen.new is not None
    before, after = (_slots(instructions_of(each, seen=both)) for each in (old, new))
    for slot in dict.fromkeys([*after, *before]):
        yield from _instruction(before.get(slot), after.get(slot), seen)
    yield from resolution_changes(old.spec, new.spec)
    if list(before) != list(after) and before.keys() == after.keys():
        yield Change("", "instructions", None, "order", None, None, "instructions: another order")
    if seen.old and seen.new and not new.spec.platform and not old.spec.platform:
        yield from _single("platform", "platform", seen.old.platform, seen.new.platform)


def _inputs(spec: ImageSpec) -> Digest | None:
    return spec.resolved.inputs if spec.resolved else None


def _slots(instructions: Iterable[Instruction]) -> dict[tuple[str, int], Instruction]:
    """The instructions by what each is the one of in an image: two of the same kind are told apart."""
    slots: dict[tuple[str, int], Instruction] = {}
    before: Counter[str] = Counter()
    for item in instructions:
        name = layer_name(item)
        slots[name, before[name]] = item
        before[name] += 1
    return slots


def _instruction(old: Instruction | None, new: Instruction | None, seen: Seen) -> Iterator[Change]:
    """What changed in one instruction, or that it came or went."""
    item = new or old
    if item is None:
        return
    match item:
        case SetEnvironment():
            field = "runtime_environment" if item.runtime else "environment"
            yield from _environment(field, _as(SetEnvironment, old), _as(SetEnvironment, new), seen)
        case InstallApt():
            before, after = _as(InstallApt, old), _as(InstallApt, new)
            yield from _sets(
                "apt_packages", "apt", before.packages if before else (), after.packages if after else ()
            )
        case InstallRequirements():
            yield from _installation(
                item.source, _as(InstallRequirements, old), _as(InstallRequirements, new)
            )
        case CopyFiles():
            yield from _files(_as(CopyFiles, old), _as(CopyFiles, new), seen)
        case MakeDirectory():
            yield from _directory(_as(MakeDirectory, old), _as(MakeDirectory, new))
        case InstallProject():
            yield from _project(_as(InstallProject, old), _as(InstallProject, new))
        case CopyBootstrap():
            programs = [_as(CopyBootstrap, each) for each in (old, new)]
            digests = [each.digest.short if each else None for each in programs]
            yield from _single("bootstrap", "bootstrap", *digests)
        case BuildDockerfile():
            yield from dockerfile_changes(_as(BuildDockerfile, old), _as(BuildDockerfile, new), seen)
        case SetUser():
            users = [_as(SetUser, each) for each in (old, new)]
            yield from _single("user", "user", *(each.user if each else None for each in users))
        case _:
            assert_never(item)


def _as(kind: type[T], item: Instruction | None) -> T | None:
    return item if isinstance(item, kind) else None


def _parent(old: ImageSpec, new: ImageSpec, seen: Seen) -> Iterator[Change]:
    before, after = old.parent, new.parent
    if not (isinstance(before, ExternalImage) and isinstance(after, ExternalImage)):
        shown = [
            str(each) if isinstance(each, ExternalImage) else f"built from a Dockerfile ({each.hash.short})"
            for each in (before, after)
        ]
        if shown[0] != shown[1]:
            text = f"parent image: {shown[0]} → {shown[1]}"
            if isinstance(before, ImageSpec) and isinstance(after, ImageSpec):
                text = _rebuilt(before.hash, after.hash)
            yield Change("", "parent_image", None, "changed", shown[0], shown[1], text)
            return
        planned = [image.hash for image in seen.parents if image]
        if len(set(planned)) > 1:
            was, now = planned
            yield Change("", "parent_image", None, "rebuilt", was.short, now.short, _rebuilt(was, now))
        return
    digests = [str(each.digest) if each.digest else None for each in (before, after)]
    if before.reference != after.reference:
        same = " (the same digest)" if before.digest and before.digest == after.digest else ""
        text = f"parent image: {before.name} → {after.name}{same}"
        names = ["scratch" if each.is_empty else str(each.reference) for each in (before, after)]
        yield Change("", "parent_image", None, "changed", names[0], names[1], text)
        return
    name = str(after.reference)
    if before.digest and after.digest and before.digest != after.digest:
        short = f"{before.digest.short} → {after.digest.short}"
        text = f"parent image: digest of {after.name} moved ({short})"
        yield Change("", "parent_image", name, "moved", digests[0], digests[1], text)
    elif before.digest != after.digest:
        words = "digest is now known" if after.digest else "digest is no longer known"
        code = "pinned" if after.digest else "unpinned"
        yield Change("", "parent_image", name, code, digests[0], digests[1], f"parent image: {words}")
    elif seen.old and seen.new and seen.old.parent_id != seen.new.parent_id:
        ids = [each.short if each else "none" for each in (seen.old.parent_id, seen.new.parent_id)]
        text = f"parent image: {after.name} was rebuilt ({ids[0]} → {ids[1]})"
        yield Change("", "parent_image", name, "rebuilt", ids[0], ids[1], text)


def _rebuilt(before: Digest, after: Digest) -> str:
    return f"parent image: the image of the Dockerfile changed ({before.short} → {after.short})"


def _files(old: CopyFiles | None, new: CopyFiles | None, seen: Seen) -> Iterator[Change]:
    if old is None or new is None:
        words = "no longer included" if new is None else "included"
        code = "removed" if new is None else "added"
        yield Change("", "files", None, code, None, None, f"files: {words}")
        return
    if (old.tree, old.destination) != (new.tree, new.destination):
        places = [f"{each.tree} in {each.destination}" for each in (old, new)]
        yield Change("", "files", None, "moved", places[0], places[1], f"files: {places[0]} → {places[1]}")
    yield from _single("files", "owner of the files", old.owner, new.owner)
    yield from _writable("files writable by any user", old, new)
    trees = [each.trees.get(item.tree) if each else None for each, item in ((seen.old, old), (seen.new, new))]
    before, after = trees
    if before is not None and after is not None and before.digest != after.digest:
        paths = before.changed_paths(after)
        yield Change(
            "", "files", None, "changed", str(before.digest), str(after.digest), f"files: {counted(paths)}"
        )


def _directory(old: MakeDirectory | None, new: MakeDirectory | None) -> Iterator[Change]:
    if old is None or new is None:
        words = "no longer downloaded" if new is None else "downloaded"
        code = "removed" if new is None else "added"
        yield Change("", "code", None, code, None, None, f"code: {words} when a step runs")
        return
    yield from _single("code", "directory of the code", old.destination, new.destination)
    yield from _single("code", "owner of the code", old.owner, new.owner)
    yield from _writable("code writable by any user", old, new)


def _options(spec: ImageSpec) -> dict[str, str]:
    named = {"platform": spec.platform, "target": spec.target}
    return {
        **{name: value for name, value in named.items() if value is not None},
        **{name: json.dumps(value, ensure_ascii=False, default=dict) for name, value in spec.options.items()},
    }


def _environment(
    field: str, old: SetEnvironment | None, new: SetEnvironment | None, seen: Seen
) -> Iterator[Change]:
    """Templates are written down and shown; of the values of variables only that they changed."""
    words = field.replace("_", " ")
    before: Mapping[str, EnvTemplate] = old.variables if old else {}
    after: Mapping[str, EnvTemplate] = new.variables if new else {}
    yield from _mapping(
        words,
        field,
        {name: item.text for name, item in before.items()},
        {name: item.text for name, item in after.items()},
    )
    if seen.old is None or seen.new is None:
        return
    values = (seen.old.variables, seen.new.variables)
    for name, item in after.items():
        moved = [each for each in item.variables if values[0].get(each) != values[1].get(each)]
        if before.get(name) == item and moved:
            yield Change("", field, name, "hidden", None, None, f"{words}: {name} changed (hidden)")


def _sets(field: str, words: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """Members that came and went; what only changed its version is shown as one change."""
    was, now = frozenset(old), frozenset(new)
    come: dict[str, deque[str]] = {}
    for item in new:
        if item not in was:
            come.setdefault(item.partition("=")[0], deque()).append(item)
    gone = []
    for before in (item for item in old if item not in now):
        name = before.partition("=")[0]
        if come.get(name):
            after = come[name].popleft()
            yield Change("", field, name, "changed", before, after, f"{words}: {before} → {after}")
        else:
            gone.append(before)
    left = {item for items in come.values() for item in items}
    for item in new:
        if item in left:
            yield Change("", field, item, "added", None, item, f"{words}: + {item}")
    for item in gone:
        yield Change("", field, item, "removed", item, None, f"{words}: - {item}")
    if old != new and set(old) == set(new):
        yield Change("", field, None, "order", None, None, f"{words}: another order")


def _mapping(words: str, field: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None:
            yield Change("", field, name, "added", None, after, f"{words}: + {name}={after}")
        elif after is None:
            yield Change("", field, name, "removed", before, None, f"{words}: - {name}")
        else:
            yield Change("", field, name, "changed", before, after, f"{words}: {name} {before} → {after}")


def _single(field: str, words: str, before: str | None, after: str | None) -> Iterator[Change]:
    if before != after:
        code = "added" if before is None else "removed" if after is None else "changed"
        yield Change("", field, None, code, before, after, f"{words}: {before or 'none'} → {after or 'none'}")


def _installation(
    source: str, old: InstallRequirements | None, new: InstallRequirements | None
) -> Iterator[Change]:
    """What one source asks for, and what installs it."""
    was = old.requirements if old else Requirements()
    now = new.requirements if new else Requirements()
    yield from requirement_changes(source, source, was.packages, now.packages)
    yield from requirement_changes(source, "constraints", was.constraints, now.constraints)
    options = [[str(item) for item in each.options] for each in (was, now)]
    yield from _sets(source, "requirement options", *options)
    if old and new:
        yield from _single("installer", "installer", _installer(old.installer), _installer(new.installer))
        yield from _used_secrets(old.secrets, new.secrets)


def _project(old: InstallProject | None, new: InstallProject | None) -> Iterator[Change]:
    field = "local_project_install_command"
    commands = [each.command if each else None for each in (old, new)]
    yield from _single(field, "project", *commands)
    if old and new:
        yield from _single(field, "uv for the project", old.uv, new.uv)
        yield from _single(field, "owner of what the project makes", old.owner, new.owner)
        yield from _writable("what the project makes is writable by any user", old, new)
        yield from _used_secrets(old.secrets, new.secrets)


def _used_secrets(old: Mapping[str, int] | None, new: Mapping[str, int] | None) -> Iterator[Change]:
    """Secrets that an instruction names, by their versions: what they are is not known here."""
    versions = [{name: f"version {version}" for name, version in (each or {}).items()} for each in (old, new)]
    yield from _mapping("secret", "secrets", *versions)


def _writable(words: str, *items: CopyFiles | MakeDirectory | InstallProject) -> Iterator[Change]:
    old, new = ("true" if item.group_writes else "false" for item in items)
    yield from _single("writable_by_any_user", words, old, new)


def _installer(item: Installer) -> str:
    version = f" {item.version}" if item.version else ""
    arguments = single_arguments(item.arguments)
    words = [name if each is None else f"{name}={each}" for name, each in arguments]
    return f"{item.name}{version} {shlex.join(words)}".rstrip()
