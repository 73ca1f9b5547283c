"""Which engine to use: the one that is named, else the first that works.

Refuses to go on with another engine than the one that was named, be it by the name of its daemon, and to
take Podman without a word where there is a Docker that does not work.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import cast

from executor.engines.docker import DockerBuilder, DockerEngine
from executor.engines.names import ENGINES, VARIABLES, asked_builder, asked_engine
from executor.engines.protocol import Engine, Unusable
from executor.errors import EngineUnavailable, Failure
from planner.errors import Place, Problem

__all__ = ["choose"]


def choose(name: str | None = None, environ: Mapping[str, str] = os.environ) -> Engine:
    """The engine called `name`, else the one a variable names, else the first of docker and podman.

    Where DOCKER_HOST or DOCKER_CONTEXT names a daemon, Podman is not tried in its place. Where nothing
    names an engine, Podman is used in place of a Docker that does not work, with a RuntimeWarning that
    says so, and in place of one that is not there without one. UsageError for a name that is none;
    EngineUnavailable says of each engine that was tried why it cannot be used.
    """
    asked = asked_engine(name, environ)
    unusable: dict[str, Unusable] = {}
    for candidate in (asked,) if asked else ENGINES:
        engine = _engine(candidate, environ)
        reason = engine.unavailable()
        if reason is None:
            if passed := [f"{other}: {found}" for other, found in unusable.items() if not found.absent]:
                _say(f"{candidate} is used, since another engine does not work ({'; '.join(passed)})")
            return engine
        unusable[candidate] = reason
    problems = [Problem(Place(file=tried), found.reason, found.fix) for tried, found in unusable.items()]
    if len(problems) > 1:
        found = "no container engine can be used"
        fix = f"make one of these engines work; {VARIABLES[0]} says which one to use where there are two"
        problems.insert(0, Problem(Place(), found, fix))
    refused = all(each.failure is Failure.ENGINE_REFUSED for each in unusable.values())
    raise EngineUnavailable(problems, Failure.ENGINE_REFUSED if refused else None)


def _say(text: str) -> None:
    warnings.warn(f"{text}: {VARIABLES[0]} says which one to use", RuntimeWarning, stacklevel=2)


def _engine(name: str, environ: Mapping[str, str]) -> Engine:
    if name == "podman":
        from executor.engines.podman import PodmanEngine  # noqa: PLC0415  # where Docker works, nobody needs it

        return PodmanEngine()
    return DockerEngine(cast(DockerBuilder, asked_builder(environ)))
