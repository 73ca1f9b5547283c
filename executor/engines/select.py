"""Which engine to use: the one that is named, else the first that works.

Refuses to go on with another engine than the one that was named, be it by the name of its daemon.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, cast

from executor.engines import daemon
from executor.engines.docker import DockerBuilder, DockerEngine
from executor.engines.names import ENGINES, VARIABLES, asked_builder, asked_engine
from executor.engines.podman import PodmanEngine
from executor.engines.protocol import Engine
from executor.errors import EngineUnavailable
from planner.errors import Place, Problem

__all__ = ["choose"]

# Whoever sets one of these has chosen Docker, and a daemon of it.
_NAMES_DAEMON: Final = ("DOCKER_HOST", "DOCKER_CONTEXT")
_PODMAN_FIX: Final = "install Podman (podman.io/docs/installation)"


def choose(name: str | None = None, environ: Mapping[str, str] = os.environ) -> Engine:
    """The engine called `name`, else the one a variable names, else the first of docker and podman.

    Where DOCKER_HOST or DOCKER_CONTEXT names a daemon, Podman is not tried in its place.
    UsageError for a name that is none; EngineUnavailable says of each engine that was tried why it
    cannot be used.
    """
    asked = asked_engine(name, environ)
    if asked is None and any(environ.get(variable) for variable in _NAMES_DAEMON):
        asked = "docker"
    problems = []
    for candidate in (asked,) if asked else ENGINES:
        engine = _engine(candidate, environ)
        reason = engine.unavailable()
        if reason is None:
            return engine
        fix = daemon.fix() if candidate == "docker" else _PODMAN_FIX
        problems.append(Problem(Place(file=candidate), reason, fix))
    if len(problems) > 1:
        found = "no container engine can be used"
        fix = f"make one of these work; {VARIABLES[0]} says which one to use where there are two"
        problems.insert(0, Problem(Place(), found, fix))
    raise EngineUnavailable(problems)


def _engine(name: str, environ: Mapping[str, str]) -> Engine:
    if name == "podman":
        return PodmanEngine()
    return DockerEngine(cast(DockerBuilder, asked_builder(environ)))
