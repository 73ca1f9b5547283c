"""Everything that a project needs of its machine, looked at side by side. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from executor.config.project import Project
from executor.doctor import engines, machine, project, registries
from executor.doctor.check import Check, Look, State, look_at_all
from executor.engines.names import asked_builder

__all__ = ["examined", "works"]


def examined(root: Path, environ: Mapping[str, str] = os.environ) -> tuple[Check, ...]:
    """What was found. UsageError if a variable asks for an engine or a builder that does not exist."""
    found: Project | None = None
    file: list[Check] = []

    def read() -> Iterator[Check]:
        nonlocal found
        found, check = project.project_file(root)
        yield check

    file += Look("project", "project", read).checks()
    checks = look_at_all((*_machine(root, environ, found), *_project(root, environ, found)))
    return engines.settled((*checks[:1], *file, *checks[1:]), environ)


def works(checks: tuple[Check, ...]) -> bool:
    """Whether all that is needed works."""
    return all(check.state is not State.FAILED for check in checks)


def _machine(root: Path, environ: Mapping[str, str], found: Project | None) -> Iterator[Look]:
    yield Look("stowplan", "stowplan", machine.own)
    needs_python = found is not None and bool(found.sources)
    python = "name another with --python, or STOWPLAN_PYTHON"
    yield Look("python", "your Python", lambda: machine.local_python(environ), needs_python, python)
    yield Look("uv", "uv", lambda: machine.uv(environ), hangs="pip install --force-reinstall uv")
    needs_git = found is not None and bool(found.code_repositories)
    yield Look("git", "git", machine.git, needs_git)
    yield Look("disk-project", f"disk at {root}", lambda: machine.project_room(root))
    yield Look("disk-temporary", "disk for temporary files", lambda: machine.scratch_room(environ))
    yield Look("docker", "Docker", engines.docker, hangs="see what its daemon does, or restart it")
    builder = asked_builder(environ)
    yield Look("buildx", "Docker buildx", lambda: engines.buildx(builder), builder == "buildkit")
    yield Look("podman", "Podman", engines.podman, hangs="see what `podman info` waits for")
    yield from registries.helper_looks(environ)


def _project(root: Path, environ: Mapping[str, str], found: Project | None) -> Iterator[Look]:
    if found is None:
        return
    one = found
    stacks = tuple(one.stacks.values())
    yield from registries.registry_looks(stacks, environ)
    yield from registries.parent_looks(one.pipelines.values(), environ)
    yield from registries.store_looks(root, stacks)
    yield Look("checkout", "checkout", lambda: project.checkout(one, environ), bool(one.code_repositories))
    yield Look("lock", "stowplan.lock", lambda: project.lock(one), hangs="stowplan lock --check")
