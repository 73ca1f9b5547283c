"""What the hash of an image is made of: each field that counts, its value, and where that comes from.

Owns that nothing that counts is left out: fields are found by their declarations. Refuses to show the value
of a variable: there are only fingerprints.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import attrs

from planner.compare.layers import layer_name
from planner.compare.subjects import Subject
from planner.errors import Place
from planner.files.tree import Tree
from planner.identity import content_hash, counts
from planner.image.external import ExternalImage
from planner.image.instructions import BuildDockerfile, InstallApt, InstallRequirements, Instruction
from planner.image.plan import NamedSpec
from planner.image.spec import ImageSpec
from planner.immutable import frozen
from planner.requirements.packages import Closure, Package
from planner.values import Digest, EnvTemplate, ImageRef

__all__ = ["Field", "Origin", "explanation"]


class Origin(StrEnum):
    """Where the value of a field comes from."""

    SETTING = "setting"
    """A setting of the project, or its default."""
    STACK = "stack"
    """The stack, an integration or a deployment."""
    LOCK = "lock"
    """What stowplan.lock pins."""
    LOOKED_UP = "looked-up"
    """A registry or a package index, just now: no lock pins it."""
    CHECKOUT = "checkout"
    """The files of this checkout."""
    MACHINE = "machine"
    """This machine: its platform, its variables, its engine."""
    STOWPLAN = "stowplan"
    """This version of stowplan."""


@frozen
class Field:
    """One field that counts: its path, its value in words, and where it comes from.

    `where` is the place of a setting, or the line of a Dockerfile.
    """

    path: tuple[str, ...]
    value: str
    origin: Origin
    where: Place | None = None


def explanation(subject: Subject, locked: NamedSpec | None = None) -> tuple[Field, ...]:
    """All that the image hash is made of, in the order of the layers: equal fields are equal hashes.

    `locked` is what the lock has of the image, if it has it.
    """
    return tuple(_Explaining(subject, locked).fields())


@frozen
class _Explaining:
    subject: Subject
    locked: NamedSpec | None

    def fields(self) -> Iterator[Field]:
        image, spec = self.subject.image, self.subject.image.spec
        yield self._parent(spec)
        for name in ("platform", "target"):
            yield from self._option((name,), getattr(spec, name))
        for name in ("build_args", "labels"):
            for key, value in getattr(spec, name).items():
                yield from self._option((name, key), value)
        for key, value in spec.options.items():
            yield from self._option((key,), value, any_type=True)
        seen: Counter[str] = Counter()
        for item in spec.instructions:
            name = layer_name(item)
            seen[name] += 1
            yield from self._layer(name if seen[name] == 1 else f"{name} {seen[name]}", item)
        checkout = image.checkout
        for attribute in attrs.fields(type(checkout)):
            if counts(attribute) and (value := getattr(checkout, attribute.name)) is not None:
                origin = _OF_CHECKOUT.get(attribute.name, Origin.CHECKOUT)
                for path, text in _leaves(value):
                    yield Field(("checkout", attribute.name, *path), text, origin)

    def _parent(self, spec: ImageSpec) -> Field:
        parent, planned = spec.parent, self.subject.image.parent
        where = self.subject.said("parent_image") or self.subject.said("dockerfile")
        if isinstance(parent, ImageSpec):
            name = f"{planned.name} ({planned.hash})" if planned else str(parent.hash)
            return Field(("parent_image",), name, Origin.SETTING, self.subject.said("dockerfile"))
        return Field(("parent_image",), str(parent), self._pinned(parent), where)

    def _pinned(self, parent: ExternalImage) -> Origin:
        asked = self.subject.settings.parent_image
        if asked is not None and asked.digest is not None:
            return Origin.SETTING
        return Origin.LOCK if self.locked and self.locked.spec.external == parent else Origin.LOOKED_UP

    def _option(self, path: tuple[str, ...], value: object, *, any_type: bool = False) -> Iterator[Field]:
        """An option of the build that changes the image."""
        of_dockerfile = self.subject.image.spec.dockerfile is not None
        config = "parent_image_build_config" if of_dockerfile else "build_config"
        where = self.subject.said(config, "build_options", *path)
        for below, text in _leaves(value, any_type=any_type):
            yield Field(("options", *path, *below), text, Origin.SETTING, where)

    def _layer(self, name: str, item: Instruction) -> Iterator[Field]:
        yield Field(("layers", name), "", Origin.SETTING, self._place_of(name))
        for attribute in attrs.fields(type(item)):
            if not counts(attribute) or attribute.name == "kind":
                continue
            for path, text in _leaves(getattr(item, attribute.name)):
                origin, where = self._origin(item, attribute.name, path)
                yield Field(("layers", name, attribute.name, *path), text, origin, where)

    def _place_of(self, name: str) -> Place | None:
        """Where the setting is said that asks for a layer."""
        setting = _SETTINGS.get(name)
        return self.subject.said(setting) if setting else self.subject.asked(name)

    def _origin(self, item: Instruction, field: str, path: tuple[str, ...]) -> tuple[Origin, Place | None]:
        """Where a field of a layer comes from."""
        subject = self.subject
        match item, field:
            case InstallRequirements(), "closure":
                same = self.locked is not None and self.locked.spec.resolved == subject.image.spec.resolved
                return (Origin.LOCK if same else Origin.LOOKED_UP), subject.asked(item.source)
            case InstallRequirements(), "installer":
                if path[0] == "name":
                    return Origin.SETTING, subject.said("python_package_installer")
                if path[0] == "arguments":
                    return Origin.SETTING, subject.said("python_package_installer_args", *path[1:])
                return self._version(item.installer.version), None
            case InstallRequirements(), "source":
                return Origin.STOWPLAN, None
            case InstallApt(), _:
                given = item.packages[int(path[0])] in subject.settings.apt_packages
                return (Origin.SETTING, subject.said("apt_packages")) if given else (Origin.STACK, None)
            case BuildDockerfile(), "lines":
                line = dict(enumerate(item.numbers)).get(int(path[0]))
                return Origin.CHECKOUT, Place(file=item.file or None, line=line)
            case _, "uv":
                return self._version(getattr(item, "uv", None)), None
            case _, "variables":
                name = "runtime_environment" if getattr(item, "runtime", False) else "environment"
                return Origin.SETTING, subject.said(name, path[0])
            case _, "secrets":
                return Origin.SETTING, subject.said("secrets", path[0])
            case _, "owner" | "user":
                return Origin.SETTING, subject.said("user")
            case _, "group_writes":
                return Origin.SETTING, subject.said("writable_by_any_user")
            case _, "command":
                return Origin.SETTING, subject.said("local_project_install_command")
            case _:
                return Origin.STOWPLAN, None

    def _version(self, version: str | None) -> Origin:
        """Where the version of uv comes from."""
        return Origin.LOCK if self.locked is not None and self.locked.spec.uv == version else Origin.STOWPLAN


_OF_CHECKOUT = {
    "platform": Origin.MACHINE,
    "variables": Origin.MACHINE,
    "parent_id": Origin.MACHINE,
    "image_ids": Origin.MACHINE,
    "bootstrap": Origin.STOWPLAN,
}
_SETTINGS = {
    "environment": "environment",
    "apt packages": "apt_packages",
    "files": "allow_including_files_in_images",
    "project": "local_project_install_command",
    "user": "user",
    "runtime environment": "runtime_environment",
    "dockerfile": "dockerfile",
}


def _leaves(value: Any, *, any_type: bool = False) -> Iterator[tuple[tuple[str, ...], str]]:
    """All that counts in a value, as text, each with its path. Nothing is left out but what is None.

    With `any_type` a text is told from a number that is written alike.
    """
    match value:
        case None:
            return
        case Tree():
            yield (), f"{_count(sum(1 for _ in value.entries()))}, {value.digest}"
        case Closure():
            for package in value.packages:
                yield (package.name,), _package(package)
        case str() if not isinstance(value, StrEnum):
            yield (), json.dumps(value) if any_type and _is_json(value) else value
        case Digest() | EnvTemplate() | ImageRef() | ExternalImage() | StrEnum():
            yield (), str(value)
        case _ if attrs.has(type(value)):
            for attribute in attrs.fields(type(value)):
                if counts(attribute):
                    inner = _leaves(getattr(value, attribute.name), any_type=attribute.name == "arguments")
                    yield from (((attribute.name, *path), text) for path, text in inner)
        case Mapping() | tuple():
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, item in items:
                inner = _leaves(item, any_type=any_type)
                yield from (((str(key), *path), text) for path, text in inner)
        case _:
            yield (), json.dumps(value, ensure_ascii=False, default=str)


def _is_json(text: str) -> bool:
    """Whether a text would be taken for something else: a number, a truth, nothing at all."""
    try:
        json.loads(text)
    except ValueError:
        return not text
    return True


def _package(package: Package) -> str:
    return f"{package.shown}, {_count(len(package.hashes))} ({content_hash('hashes', package.hashes).short})"


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
