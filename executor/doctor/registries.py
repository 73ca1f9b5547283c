"""Registries, the logins for them, and artifact stores. Nothing of a login is shown."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from executor import limits
from executor.artifacts.store import ArtifactStore
from executor.doctor.check import Check, Look, State
from executor.errors import ExecutorError, ProgramMissing, ProgramSilent
from executor.home import docker_directory
from executor.process import Command, run
from executor.reading import NotRead, read_whole
from executor.registry.credentials import Helpers, find_login
from executor.registry.local import is_local
from executor.registry.lookup import Found, Missing, Unknown, head
from planner.errors import PlannerError
from planner.logins import without_logins
from planner.pipeline import Pipeline
from planner.settings.effective import settle
from planner.stack import Stack
from planner.values import ImageRef

__all__ = ["helper_looks", "parent_looks", "registry_looks", "store_looks"]

_PROGRAM: Final = "docker-credential-"
_NO_SUCH_TAG: Final = "stowplan-doctor"


def registry_looks(stacks: Iterable[Stack], environ: Mapping[str, str]) -> Iterator[Look]:
    """A look at each registry that images of the project go to."""
    repositories: dict[str, ImageRef] = {}
    for stack in stacks:
        if stack.container_registry is not None:
            ref = ImageRef.parse(f"{stack.repository(None)}:{_NO_SUCH_TAG}")
            repositories.setdefault(ref.registry, ref)
    for registry, ref in repositories.items():
        yield Look(
            "registry",
            f"registry {registry}",
            lambda ref=ref: _registry(ref, environ),  # type: ignore[misc]  # mypy has no types for defaults
            hangs=f"see why: curl -v {registry}/v2/",
        )


def _registry(ref: ImageRef, environ: Mapping[str, str]) -> Iterator[Check]:
    registry, subject = ref.registry, f"registry {ref.registry}"
    answer = head(ref, timeout=limits.PLAN_REGISTRY_SECONDS, environ=environ)
    if isinstance(answer, Unknown):
        yield _silent("registry", subject, State.FAILED, ref, answer)
        return
    login = find_login(ref, environ, Helpers(limits.PLAN_REGISTRY_SECONDS))
    push = "whether it takes a push shows only when something is pushed"
    if login or login.token:
        yield Check("registry", subject, State.OK, f"answers, and there is a login for it; {push}")
    elif login.problem:
        found = f"answers without a login; {login.problem}"
        yield Check("registry", subject, State.WARNING, found, _anew(registry))
    else:
        yield Check("registry", subject, State.OK, f"answers without a login; {push}")


def parent_looks(pipelines: Iterable[Pipeline], environ: Mapping[str, str]) -> Iterator[Look]:
    """A look at each parent image that the project file names. A locked one that an engine has is enough."""
    parents: dict[ImageRef, None] = {}
    for pipeline in pipelines:
        for step in pipeline.steps:
            # What is wrong with settings is said of the lock.
            with contextlib.suppress(PlannerError):
                settings = settle(pipeline.layers(step))
                if settings.parent_image is not None and settings.dockerfile is None:
                    parents[settings.parent_image] = None
    for ref in parents:
        yield Look(
            "parent-image",
            f"parent image {ref.familiar}",
            lambda ref=ref: [_parent(ref, environ)],  # type: ignore[misc]  # as above
            needed=False,
            hangs=f"see why: curl -v {ref.registry}/v2/",
        )


def _parent(ref: ImageRef, environ: Mapping[str, str]) -> Check:
    code, subject = "parent-image", f"parent image {ref.familiar}"
    answer = head(ref, timeout=limits.PLAN_REGISTRY_SECONDS, environ=environ)
    match answer:
        case Unknown():
            return _silent(code, subject, State.WARNING, ref, answer)
        case Missing():
            return Check(
                code, subject, State.WARNING, answer.reason, "correct parent_image, or push it there"
            )
        case Found():
            return Check(code, subject, State.OK, f"{ref.registry} has it")


def _silent(code: str, subject: str, state: State, ref: ImageRef, answer: Unknown) -> Check:
    """A registry that did not tell, and what to do about that."""
    reason, mark, _ = answer.reason.partition(": docker login ")
    scheme = "http" if is_local(ref.registry) else "https"
    host = "registry-1.docker.io" if ref.registry == "docker.io" else ref.registry
    fix = f"docker login {ref.registry}" if mark else f"see why: curl -v {scheme}://{host}/v2/"
    if "asks for a login, and" in reason:
        fix = _anew(ref.registry)
    return Check(code, subject, state, reason, fix)


def _anew(registry: str) -> str:
    """What to do about a login that cannot be read."""
    return f"correct that, or log in again: docker login {registry}"


def helper_looks(environ: Mapping[str, str]) -> Iterator[Look]:
    """A look at each credential helper that Docker's configuration names."""
    directory = docker_directory(environ)
    if directory is None:
        return
    path = directory / "config.json"
    try:
        said = json.loads(read_whole(path) or b"{}")
    except (NotRead, ValueError, RecursionError):
        yield Look("logins", "logins", lambda: [_unread(path)], needed=False)
        return
    names: dict[str, None] = {}
    if isinstance(said, dict):
        helpers = said.get("credHelpers")
        given = (said.get("credsStore"), *(helpers.values() if isinstance(helpers, dict) else ()))
        names = dict.fromkeys(name for name in given if isinstance(name, str) and name)
    for name in names:
        # Not needed by itself: where a registry of the project needs it, the look at that one fails.
        yield Look(
            "credential-helper",
            f"{_PROGRAM}{name}",
            lambda name=name: _helper(name, path),  # type: ignore[misc]  # as above
            needed=False,
            hangs=_helper_fix(path),
        )


def _unread(path: Path) -> Check:
    fix = "correct it, or move it away"
    return Check("logins", "logins", State.WARNING, f"{path} cannot be read as JSON", fix)


def _helper(name: str, path: Path) -> Iterator[Check]:
    program = f"{_PROGRAM}{name}"
    try:
        # What it prints are names of users: nothing of it is shown.
        done = run(Command((program, "list")), timeout=limits.HELPER_SECONDS, grace=0)
    except ProgramMissing:
        raise ExecutorError.of("", f"is not installed, and {path} names it", _helper_fix(path)) from None
    except ProgramSilent:
        found = f"does not answer within {limits.HELPER_SECONDS:g} s"
        raise ExecutorError.of("", found, _helper_fix(path)) from None
    if done.code:
        fix = f"run it by itself to see why: {program} list"
        raise ExecutorError.of("", f"ends with exit code {done.code}", fix)
    yield Check("credential-helper", program, State.OK, "works")


def _helper_fix(path: Path) -> str:
    return f"install it or unlock what it asks, or remove it from {path} and log in again: docker login"


def store_looks(root: Path, stacks: Iterable[Stack]) -> Iterator[Look]:
    """A look at each artifact store that a stack of the project names."""
    urls = {stack.artifact_store.uri: None for stack in stacks if stack.artifact_store is not None}
    for url in filter(None, urls):
        store = without_logins(url)
        yield Look(
            "artifact-store",
            f"artifact store {store}",
            lambda url=url: _store(root, url),  # type: ignore[misc]  # as above
            hangs="see that this machine reaches it",
        )


def _store(root: Path, url: str) -> Iterator[Check]:
    store = ArtifactStore(root, url)
    subject = f"artifact store {store.shown}"
    store.has(_NO_SUCH_TAG)
    if store.folder is None:
        yield Check(
            "artifact-store", subject, State.OK, "answers; whether it may be written to shows in a run"
        )
        return
    place = next(each for each in (store.folder, *store.folder.parents) if each.exists())
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        made = "" if place == store.folder else "; the first run makes it"
        yield Check("artifact-store", subject, State.OK, f"a folder that can be written to{made}")
    else:
        fix = f"check the owner and permissions: ls -ld {place}"
        raise ExecutorError.of("", f"cannot be written to: {place}", fix)
