"""The names of the engines, and the one that is asked for. Light, so that every command can check it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from executor.errors import UsageError
from planner.errors import did_you_mean

__all__ = [
    "BUILDER_VARIABLE",
    "DAEMON_VARIABLES",
    "ENGINES",
    "VARIABLES",
    "asked_builder",
    "asked_engine",
    "possible_builders",
]

ENGINES: Final = ("docker", "podman")
# Ours, and the reference's.
VARIABLES: Final = ("STOWPLAN_CONTAINER_ENGINE", "ZENML_CONTAINER_ENGINE")
# Whoever sets one of these has chosen Docker, and a daemon of it.
DAEMON_VARIABLES: Final = ("DOCKER_CONTEXT", "DOCKER_HOST")


def asked_engine(name: str | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The engine called `name`, else the one a variable names, be it by its daemon; None if none does.

    UsageError for a name that is none.
    """
    asked, where = name, "engine"
    for variable in VARIABLES:
        if not asked:
            asked, where = environ.get(variable), variable
    if asked and asked not in ENGINES:
        raise UsageError.of(where, f"no container engine is called {asked!r}", did_you_mean(asked, ENGINES))
    if not asked and any(environ.get(variable) for variable in DAEMON_VARIABLES):
        return "docker"
    return asked or None


BUILDER_VARIABLE: Final = "STOWPLAN_DOCKER_BUILDER"
_DOCKER_BUILDERS: Final[Mapping[str, frozenset[str]]] = {
    "auto": frozenset({"buildkit", "classic"}),
    "buildkit": frozenset({"buildkit"}),
    "classic": frozenset({"classic"}),
}


def asked_builder(environ: Mapping[str, str] = os.environ) -> str:
    """The builder that Docker is to use: `auto`, or one by its name. UsageError for a name that is none."""
    asked = environ.get(BUILDER_VARIABLE) or "auto"
    if asked not in _DOCKER_BUILDERS:
        fix = did_you_mean(asked, _DOCKER_BUILDERS)
        raise UsageError.of(BUILDER_VARIABLE, f"no builder is called {asked!r}", fix)
    return asked


def possible_builders(name: str | None = None, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The builders that may build, as far as that shows without looking for an engine.

    UsageError for a name that is none.
    """
    asked = asked_engine(name, environ)
    docker, podman = _DOCKER_BUILDERS[asked_builder(environ)], frozenset({"podman"})
    return {"docker": docker, "podman": podman}.get(asked or "", docker | podman)
