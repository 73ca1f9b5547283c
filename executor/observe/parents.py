"""The Python of a parent image, and the C library under it: from its configuration, or from a container.

Owns what the configuration of an image tells: the official images name their Python in a variable, and the
history of those on Alpine Linux names it. Refuses to guess a version.
"""

from __future__ import annotations

import json
import platform as machine
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from executor.resolve.tags import platform_of
from planner.errors import PlannerError, Problem
from planner.facts.answers import ImagePython
from planner.immutable import frozen
from planner.values import ImageRef

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["Told", "assumed", "by_configuration", "by_container", "configured", "platform_name"]

_VERSION: Final = re.compile(r"PYTHON_VERSION=(3\.\d+\.\d+)")
_ALPINE: Final = re.compile(r"alpine-minirootfs|\bapk add\b")
# Runs in the image, on whatever Python it has.
_PROGRAM: Final = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])),
    "libc": platform.libc_ver(),
    "host": sysconfig.get_config_var("HOST_GNU_TYPE") or "",
    "abi": sysconfig.get_config_var("SOABI") or "",
}))
"""
_FIND: Final = (
    'command -v "${VIRTUAL_ENV:-/nonexistent}/bin/python" || command -v python || command -v python3'
)
_RUN: Final = ("/bin/sh", "-c", f'exec "$({_FIND})" -c "$0"', _PROGRAM)


@frozen
class Told:
    """What a configuration tells: the version if it does, and whether the C library is musl."""

    version: str | None
    musl: bool


def platform_name(platform: str, *, musl: bool = False, glibc: int | None = None) -> str:
    """What uv calls a platform. PlannerError if it has no name for it."""
    name = platform_of(platform, musl=musl, glibc=glibc)
    if name is None:
        found = f"uv cannot resolve requirements for {platform}"
        raise PlannerError([Problem.at("requirements", found, "build for linux/amd64 or linux/arm64")])
    return name


def assumed(version: str | None, platform: str) -> ImagePython:
    """The Python of an image of which nothing is known: that of this machine."""
    if version is not None:
        return ImagePython(version, platform_name(platform))
    return ImagePython(".".join(machine.python_version_tuple()[:2]), platform_name(platform), assumed=True)


def by_configuration(
    ref: ImageRef, platform: str, *, timeout: float, environ: Mapping[str, str]
) -> Told | None:
    """What the configuration of an image in its registry tells; None if that cannot be had."""
    from executor.registry.configs import Config, config  # noqa: PLC0415  # a pinned Python asks nobody

    found = config(ref, platform=platform, timeout=timeout, environ=environ)
    return configured(found.data) if isinstance(found, Config) else None


def configured(data: Mapping[str, Any]) -> Told:
    """What the data of a configuration tells (OCI image spec, "Image Configuration")."""
    settings = data.get("config") or {}
    versions = [match for each in settings.get("Env") or () if (match := _VERSION.fullmatch(each))]
    history = " ".join(str(each.get("created_by") or "") for each in data.get("history") or ())
    return Told(versions[-1][1] if versions else None, _ALPINE.search(history) is not None)


def by_container(ref: ImageRef, platform: str, engine: Engine) -> ImagePython | None:
    """What the Python of an image says of itself; None if it has none."""
    if engine.inspect(str(ref)) is None:
        engine.pull(str(ref))
    done = engine.run(str(ref), _RUN, network=False)
    if done.code:
        return None
    try:
        said = json.loads(done.output.strip().splitlines()[-1])
        name, version = said["libc"]
        musl = "musl" in f"{said['host']} {said['abi']}"
        glibc = int(version.split(".")[1]) if name == "glibc" else None
        return ImagePython(said["version"], platform_name(platform, musl=musl, glibc=glibc))
    except (ValueError, LookupError, TypeError):
        return None
