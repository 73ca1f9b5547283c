"""What people name when they ask what a change would build: packages, variables, settings and the like.

Each kind knows its names in an image, and where in the image each is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from packaging.utils import canonicalize_name

from planner.compare.layers import layer_name
from planner.compare.moved import PARENT, first_moved, known_settings, table_settings
from planner.compare.named_files import file_names, file_touches, spelled_file
from planner.compare.subjects import Kind, Subject, Touch
from planner.errors import first_few
from planner.image.instructions import (
    BuildDockerfile,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    SetEnvironment,
)
from planner.integrations import Integrations
from planner.requirements.names import SETTING_OF
from planner.requirements.why import asked_for, chains
from planner.settings.explained import Said, explained
from planner.values import ImageRef

__all__ = ["KINDS"]

_SHOWN: Final = 3


# --- packages


def _packages(subject: Subject) -> Iterator[str]:
    yield from (package.name for package in subject.image.spec.packages)
    yield from (name for _, _, name in asked_for(subject.image.spec))


def _package(subject: Subject, name: str) -> str | None:
    spelled = canonicalize_name(name)
    return spelled if spelled in set(_packages(subject)) else None


def _package_touches(subject: Subject, name: str) -> Iterator[Touch]:
    spec = subject.image.spec

    def installs(item: Instruction) -> bool:
        if not isinstance(item, InstallRequirements):
            return False
        if item.closure is None:
            return any(each.name == name for each in item.requirements.packages)
        return any(each.name == name for each in item.closure.packages)

    layers = subject.since(installs)
    found = next((package for package in spec.packages if package.name == name), None)
    version = f"{found.shown}, " if found else ""
    wanted = list(chains(spec, name))
    for chain in wanted:
        way = " → ".join((chain.requirement, *chain.packages[1:]))
        where = subject.asked(chain.source)
        yield Touch(f"{version}{chain.source} needs {way}", where, layers)
    if layers and not wanted:
        yield Touch(f"{version}which no requirement needs any more", None, layers)


def _apt_name(package: str) -> str:
    return re.split(r"[:=/]", package, maxsplit=1)[0]


def _apt_packages(subject: Subject) -> Iterator[str]:
    for item in subject.image.spec.instructions:
        if isinstance(item, InstallApt):
            yield from map(_apt_name, item.packages)


def _apt_touches(subject: Subject, name: str) -> Iterator[Touch]:
    if name not in _apt_packages(subject):
        return
    layers = subject.since_layer("apt packages")
    if name in map(_apt_name, subject.settings.apt_packages):
        yield Touch("apt_packages needs it", subject.said("apt_packages"), layers)
    known = Integrations(subject.pipeline.integrations)
    for integration in subject.settings.integrations:
        if name in map(_apt_name, known.named(integration).apt_packages):
            where = subject.said(SETTING_OF["integrations"])
            yield Touch(f"the integration {integration} needs it", where, layers)
    for kind, flavor, asked in _flavors(subject):
        if name in map(_apt_name, asked):
            yield Touch(f"the {_component(kind, flavor)} of the stack needs it", None, layers)


# --- variables


def _set_variables(subject: Subject) -> Iterator[tuple[SetEnvironment, str, tuple[str, ...]]]:
    """What sets variables, the names, and for each the variables of the machine that are in its value."""
    for item in subject.image.spec.instructions:
        if isinstance(item, SetEnvironment):
            yield from ((item, name, value.variables) for name, value in item.variables.items())


def _variables(subject: Subject) -> Iterator[str]:
    for _, name, taken in _set_variables(subject):
        yield from (name, *taken)
    yield from subject.image.spec.build_args
    for name in subject.image.spec.secrets:
        if (secret := subject.settings.secrets.get(name)) is not None and secret.env is not None:
            yield secret.env


def _variable_touches(subject: Subject, name: str) -> Iterator[Touch]:
    for item, variable, taken in _set_variables(subject):
        setting = "runtime_environment" if item.runtime else "environment"
        layers = subject.since_layer(layer_name(item))
        where = subject.said(setting, variable)
        if variable == name:
            yield Touch(f"{setting} sets it", where, layers)
        if name in taken:
            yield Touch(f"{setting}.{variable} takes its value from the machine that plans", where, layers)
    if name in subject.image.spec.build_args:
        yield Touch("is a build argument", first=PARENT)
    for secret in subject.image.spec.secrets:
        known = subject.settings.secrets.get(secret)
        if known is not None and known.env == name:
            where = subject.said("secrets", secret)
            yield Touch(f"has the value of the secret {secret}, which builds nothing when it changes", where)


# --- parent images


def _spellings(reference: ImageRef) -> tuple[str, ...]:
    bare = reference.familiar.removesuffix(f":{reference.tag}")
    return reference.familiar, str(reference), bare, reference.name


def _parents(subject: Subject) -> Iterator[str]:
    for each in subject.image.spec.images:
        if not each.image.is_empty:
            yield each.image.reference.familiar
    if subject.image.parent is not None:
        yield subject.image.parent.name


def _parent(subject: Subject, name: str) -> str | None:
    for each in subject.image.spec.images:
        if name in _spellings(each.image.reference) and not each.image.is_empty:
            return each.image.reference.familiar
    return name if subject.image.parent is not None and subject.image.parent.name == name else None


def _parent_touches(subject: Subject, name: str) -> Iterator[Touch]:
    image = subject.image
    first, *others = (each.image for each in image.spec.images)
    if first.reference.familiar == name and image.parent is None:
        where = subject.said("dockerfile" if image.spec.dockerfile else "parent_image")
        yield Touch("is built on it" if image.builds else "is used as it is", where, first=PARENT)
    elif any(each.reference.familiar == name for each in others):
        yield Touch("its Dockerfile copies from it", subject.said("dockerfile"), first=PARENT)
    elif image.parent is not None and image.parent.name == name:
        yield Touch("is built on it", subject.said("dockerfile"), first=PARENT)


# --- settings


def _setting(_: Subject, name: str) -> str | None:
    path = name.removeprefix("settings.").removeprefix("docker.")
    tables = (f"{table}." for table in table_settings())
    return path if path in known_settings() or path.startswith(tuple(tables)) else None


def _setting_touches(subject: Subject, name: str) -> Iterator[Touch]:
    path = tuple(name.split("."))
    first, is_base = first_moved(path), subject.image.spec.dockerfile is not None
    if is_base and not subject.image.steps and first != PARENT:
        return
    said = [each for each in explained(subject.settings.layers) if _about(each, path)]
    places = [each for each in said if each.where is not None] or said[:1]
    for each in places or [Said(path, None)]:
        key = ".".join(each.path if len(each.path) > len(path) else path)
        words = f"{key} is set" if each.where is not None else f"{key} has its default"
        if first is None:
            yield Touch(f"{words}, and says nothing of what is in the image", each.where)
        elif subject.settings.skip_build and first != PARENT:
            yield Touch(f"{words}, and skip_build leaves it out", each.where)
        else:
            yield Touch(words, each.where, first=first)


def _about(said: Said, path: tuple[str, ...]) -> bool:
    shorter = min(len(said.path), len(path))
    return said.path[:shorter] == path[:shorter]


# --- integrations, secrets, indexes


def _flavors(subject: Subject) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The components of the stack with the name of their integration, and its Debian packages."""
    if not subject.settings.stack_requirements:
        return
    known = Integrations(subject.pipeline.integrations)
    for kind, component in subject.stack.parts.items():
        if component.flavor is not None:
            found = known.of_flavor(kind, component.flavor)
            yield kind, component.flavor, tuple(found.apt_packages) if found else ()


def _component(kind: str, flavor: str) -> str:
    return f"{kind.replace('_', ' ')} {flavor}"


def _integrations(subject: Subject) -> Iterator[str]:
    yield from subject.settings.integrations
    yield from subject.pipeline.integrations
    yield from (flavor for _, flavor, _ in _flavors(subject))


def _integration_touches(subject: Subject, name: str) -> Iterator[Touch]:
    if subject.settings.skip_build:
        return
    known = Integrations(subject.pipeline.integrations)
    if name in subject.settings.integrations:
        apt = known.named(name).apt_packages
        where = subject.said(SETTING_OF["integrations"])
        yield Touch("required_integrations names it", where, first="apt packages" if apt else "integrations")
    for kind, flavor, apt in _flavors(subject):
        if flavor == name:
            words = f"is the flavor of the {kind.replace('_', ' ')} of the stack {subject.stack.name}"
            yield Touch(words, None, first="apt packages" if apt else "stack")


def _secret_touches(subject: Subject, name: str) -> Iterator[Touch]:
    if name not in subject.image.spec.secrets:
        return

    def reads(item: Instruction) -> bool:
        able = isinstance(item, InstallRequirements | InstallProject | BuildDockerfile)
        return able and name in (item.secrets or {})  # type: ignore[union-attr]

    layers = subject.since(reads)
    words = f"the layer {layers[0]} reads it: a new version rebuilds it, a new value does not"
    yield Touch(words, subject.said("secrets", name), layers)


def _index_touches(subject: Subject, name: str) -> Iterator[Touch]:
    at = next((at for at, each in enumerate(subject.settings.package_indexes) if each.name == name), None)
    if at is None or not subject.image.spec.installs:
        return
    where = subject.said("package_indexes", at)
    there = [package.name for package in subject.image.spec.packages if package.index == name]
    if there:
        layers = subject.since(
            lambda item: (
                isinstance(item, InstallRequirements)
                and item.closure is not None
                and any(package.index == name for package in item.closure.packages)
            ),
        )
        yield Touch(f"packages are from it: {first_few(there, _SHOWN)}", where, layers)
    elif subject.settings.package_indexes[at].packages:
        yield Touch("no package of the image is from it", where)
    else:
        layers = subject.since(lambda item: isinstance(item, InstallRequirements))
        yield Touch("is asked for every package", where, layers)


KINDS: Final = (
    Kind("package", _packages, _package_touches, _package),
    Kind("apt-package", _apt_packages, _apt_touches),
    Kind("file", file_names, file_touches, spelled_file),
    Kind("variable", _variables, _variable_touches),
    Kind("parent-image", _parents, _parent_touches, _parent),
    Kind("setting", lambda _: known_settings(), _setting_touches, _setting),
    Kind("integration", _integrations, _integration_touches),
    Kind("secret", lambda each: each.settings.secrets, _secret_touches),
    Kind(
        "index",
        lambda each: [index.name for index in each.settings.package_indexes],
        _index_touches,
    ),
)
