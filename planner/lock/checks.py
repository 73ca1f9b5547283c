"""What the texts of a lock may be: what a project file could have asked for, and nothing else.

Whoever writes a lock by hand can give each record the hash of its content. So what a hash vouches for is
checked like settings are, but for logins: a lock of an earlier version can hold one, and its pins stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, assert_never

from planner.custom import dockerfile_faults
from planner.image.instructions import (
    BuildDockerfile,
    CopyBootstrap,
    CopyFiles,
    InstallApt,
    InstallProject,
    InstallRequirements,
    Instruction,
    MakeDirectory,
    SetEnvironment,
    SetUser,
)
from planner.image.spec import ExternalImage, ImageSpec
from planner.names import NAME
from planner.settings.build_options import ENV_NAME, LABEL_NAME, OPTION_NAME, PLATFORM, TARGET
from planner.settings.checks import APT_PACKAGE
from planner.settings.docker import USER
from planner.settings.secrets import SECRET_NAME

__all__ = ["unplanned"]

_LINE: Final = "[^\r\n\0\ud800-\udfff]*"
# A version of PEP 440, as installers have them.
_VERSION: Final = r"[0-9][A-Za-z0-9.!+_-]{0,63}"
_DIRECTORY: Final = r"(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+"


def unplanned(spec: ImageSpec) -> Iterator[str]:
    """What of a spec no settings lead to, in words."""
    parent = spec.parent
    if isinstance(parent, ExternalImage):
        yield from _matching("platform of the parent", PLATFORM, parent.pin.platform)
    yield from _matching("platform", PLATFORM, spec.platform)
    yield from _matching("target", TARGET, spec.target)
    yield from _table("build argument", ENV_NAME, spec.build_args)
    yield from _table("label", LABEL_NAME, spec.labels)
    for name, value in spec.options.items():
        yield from _matching("option", OPTION_NAME, name)
        yield from _matching(f"option {name}", _LINE, *_texts(value))
    yield from _matching("source of requirements", NAME, *(each.source for each in spec.observed))
    for instruction in spec.instructions:
        yield from _of(instruction, spec)


def _of(instruction: Instruction, spec: ImageSpec) -> Iterator[str]:
    match instruction:
        case SetEnvironment(variables):
            texts = {name: template.text for name, template in variables.items()}
            yield from _table("variable", ENV_NAME, texts)
        case InstallApt(packages):
            yield from _matching("apt package", APT_PACKAGE, *packages)
        case InstallRequirements(source, _, installer, secrets=secrets):
            yield from _matching("source of requirements", NAME, source)
            yield from _matching("version of the installer", _VERSION, installer.version)
            yield from _matching("secret", SECRET_NAME, *(secrets or ()))
        case CopyFiles(tree, destination, owner):
            yield from _matching("tree", NAME, tree)
            yield from _matching("directory", _DIRECTORY, destination)
            yield from _matching("owner", USER, owner)
        case InstallProject(command, uv, owner, secrets):
            yield from _matching("command", _LINE, command)
            yield from _matching("version of uv", _VERSION, uv)
            yield from _matching("owner", USER, owner)
            yield from _matching("secret", SECRET_NAME, *(secrets or ()))
        case SetUser(user):
            yield from _matching("user", USER, user)
        case MakeDirectory() | CopyBootstrap():
            yield f"not what is written down of an image: {instruction.kind}"
        case BuildDockerfile():
            for each in instruction.images:
                yield from _matching("platform of an image", PLATFORM, each.platform, each.image.pin.platform)
            yield from _matching("secret", SECRET_NAME, *(instruction.secrets or ()))
            yield from dockerfile_faults(spec)
        case _:
            assert_never(instruction)


def _table(what: str, pattern: str, table: Mapping[str, str]) -> Iterator[str]:
    for name, value in table.items():
        yield from _matching(f"{what}'s name", pattern, name)
        yield from _matching(what, _LINE, value)


def _matching(what: str, pattern: str, *texts: str | None) -> Iterator[str]:
    for text in texts:
        if text is not None and not re.fullmatch(pattern, text):
            yield f"not what a project can ask for as {what}: {text!r}"


def _texts(value: Any) -> Iterable[str]:
    """The texts in a value of an option, however deep."""
    match value:
        case str():
            return (value,)
        case Mapping():
            return (text for pair in value.items() for item in pair for text in _texts(item))
        case tuple():
            return (text for item in value for text in _texts(item))
        case _:
            return ()
