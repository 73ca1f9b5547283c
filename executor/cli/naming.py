"""The build that a command line or a run configuration names, to be taken as it is."""

from __future__ import annotations

from executor.config.project import Project
from executor.config.source import Chosen
from executor.errors import UsageError
from planner.build import Build

__all__ = ["asked_build"]


def asked_build(
    project: Project, pipeline: Chosen, build: str | None, *, prevent_reuse: bool
) -> Build | None:
    """The build that a command or its run configuration names. UsageError where nothing is to be reused."""
    given = build or pipeline.build
    if given is None:
        return None
    if prevent_reuse:
        found = "names a build and prevents that one is reused"
        raise UsageError.of("command line", found, "leave out --build, or --prevent-build-reuse")
    from executor.workflow.named import given_build  # noqa: PLC0415  # few commands name a build

    return given_build(project, given)
