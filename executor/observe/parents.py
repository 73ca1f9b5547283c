"""The Python of a parent image, and the C library under it: from its configuration, or from a container.

Owns what the configuration of an image tells: the official images name their Python in a variable, and
the history of an image names programs that only one of the C libraries comes with. Refuses to guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from executor.observe.python import python_version
from executor.resolve.tags import platform_of
from planner.errors import PlannerError, Problem
from planner.facts.answers import ImagePython
from planner.immutable import frozen
from planner.stack import LOCAL_REGISTRY
from planner.values import ImageRef

if TYPE_CHECKING:
    from executor.engines.protocol import Engine

__all__ = ["Told", "by_configuration", "by_container", "configured", "python"]

_VERSION: Final = re.compile(r"3\.\d+\.\d+")
# Where the official images have the Python that they name.
_OFFICIAL_PATH: Final = "/usr/local/bin"
# `apk` alone tells nothing: Wolfi has it, and glibc.
_MUSL: Final = re.compile(r"alpine-minirootfs")
_GLIBC: Final = re.compile(
    r"\b(?:apt|apt-get|dnf|microdnf|yum|zypper)\s+(?:-\S+\s+)*(?:install|update|upgrade)\b|\bdebian\.sh\b"
)
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
    """What is known of the Python of an image: its version, whether its C library is musl, and which glibc.

    None is not known. `glibc` is a minor version, 36 for 2.36.
    """

    version: str | None = None
    musl: bool | None = None
    glibc: int | None = None


def python(told: Told, platform: str, *, given: str | None = None) -> ImagePython:
    """The Python of an image of which this is known; a version that is given goes before it.

    What is not known is assumed: the version of this machine's, on glibc. PlannerError if uv has no name for
    the platform.
    """
    version = given or told.version
    name = platform_of(platform, musl=bool(told.musl), glibc=told.glibc)
    if name is None:
        found = f"uv cannot resolve requirements for {platform}{' with musl' if told.musl else ''}"
        raise PlannerError([Problem.at("requirements", found, "build for linux/amd64 or linux/arm64")])
    assumed = version is None or told.musl is None
    return ImagePython(version or python_version(), name, assumed)


def by_configuration(
    images: Iterable[tuple[ImageRef, str]], *, timeout: float, environ: Mapping[str, str]
) -> Mapping[tuple[ImageRef, str], Told]:
    """What the configurations of images, each for a platform, tell; nothing of those that cannot be had.

    Their registries are asked all at once, within `timeout` seconds in all.
    """
    from executor.registry.asking import Question  # noqa: PLC0415  # a pinned Python asks nobody
    from executor.registry.configs import Config, configs  # noqa: PLC0415  # as above

    questions = {image: Question(*image) for image in images if image[0].registry != LOCAL_REGISTRY}
    answers = configs(questions.values(), timeout=timeout, environ=environ)
    return {
        image: configured(answer.data)
        for image, question in questions.items()
        if isinstance(answer := answers[question], Config)
    }


def configured(data: Mapping[str, Any]) -> Told:
    """What the data of a configuration tells (OCI image spec, "Image Configuration").

    A version is that of the Python that the image calls `python` only where the official images have it:
    first on the PATH, with no environment before it.
    """
    settings = _table(data.get("config"))
    lines = (each for each in _list(settings.get("Env")) if isinstance(each, str))
    variables = {name: value for name, _, value in (line.partition("=") for line in lines)}
    version = variables.get("PYTHON_VERSION", "")
    first = variables.get("PATH", "").partition(":")[0]
    known = _VERSION.fullmatch(version) and first == _OFFICIAL_PATH and "VIRTUAL_ENV" not in variables
    history = "\n".join(str(_table(each).get("created_by")) for each in _list(data.get("history")))
    musl, glibc = (pattern.search(history) is not None for pattern in (_MUSL, _GLIBC))
    return Told(version if known else None, musl if musl != glibc else None)


def _table(value: object) -> Mapping[str, Any]:
    """What should be a table in a configuration; it is somebody else's."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def by_container(ref: ImageRef, pulls: bool, engine: Engine) -> Told | None:
    """What the Python of an image says of itself; None if it has none.

    Without `pulls`, None as well where the engine does not have the image.
    """
    if engine.inspect(str(ref)) is None:
        if not pulls:
            return None
        engine.pull(str(ref))
    done = engine.run(str(ref), _RUN, network=False)
    if done.code:
        return None
    try:
        said = json.loads(done.output.strip().splitlines()[-1])
        name, version = said["libc"]
        musl = "musl" in f"{name} {said['host']} {said['abi']}"
        glibc = int(version.split(".")[1]) if name == "glibc" and not musl else None
        # What is linked statically says no name, and is no evidence.
        return Told(said["version"], musl if musl or glibc else None, glibc)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
