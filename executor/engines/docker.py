"""Docker: the SDK for everything, and BuildKit's command line to build where it is there.

The SDK speaks to the classic builder only, so images are built with `docker buildx build`, and with the
classic builder where that does not work or where it is asked for. Refuses credentials: pushes use what
`docker login` stored.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from executor import limits
from executor.engines.archive import DOCKERFILE, archive, planned_options
from executor.engines.buildx import build_with_buildkit, has_buildx, no_buildx
from executor.engines.containers import Containers, remove_orphans, run_container
from executor.engines.daemon import (
    FOREVER,
    Daemon,
    Stream,
    follow,
    inspected,
    newest,
    newest_instruction,
    stoppable,
    understood,
    use_only,
)
from executor.engines.host import current_context, local_socket, unusable
from executor.engines.interrupts import Task, Tasks
from executor.engines.logs import NO_IMAGE, Log, build_failed
from executor.engines.mark import mark
from executor.engines.options import sdk_options
from executor.engines.platforms import platform
from executor.engines.protocol import (
    HASH_LABEL,
    BuildJob,
    ContainerJob,
    Ended,
    Finished,
    ImageInfo,
    OnLine,
    OnOutput,
    Unusable,
    collected,
)
from executor.engines.pushes import pushed, unheard
from executor.engines.references import environment, image_id, named, only_digest, own_id, parsed, references
from executor.engines.tags import tagged
from executor.engines.watch import check_lost, watched
from executor.errors import BuildFailed, ExecutorError, ProgramSilent
from executor.orphans import end_orphans
from executor.registry.credentials import Login, docker_login
from planner.image.capabilities import Capability
from planner.mask import Mask
from planner.render.dockerfile import MARKER
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["DockerBuilder", "DockerEngine"]

DockerBuilder = Literal["auto", "buildkit", "classic"]

# What the classic builder cannot do.
_NOT_CLASSIC: Final = frozenset(
    {Capability.CACHE_MOUNT, Capability.SECRETS, Capability.MOUNTS, Capability.BUILDKIT}
)
# A container that a living builder made is started, or removed, within this time.
_SETTLING_SECONDS: Final = 2.0


class DockerEngine:
    """The Docker daemon that DOCKER_HOST, DOCKER_CONTEXT or the current context name."""

    name = "docker"

    def __init__(self, builder: DockerBuilder = "auto") -> None:
        self._builder = builder
        self._daemon = Daemon()
        self._tasks = Tasks()
        self._has_buildx: bool | ProgramSilent | None = None

    @property
    def place(self) -> str:
        """The daemon, by what names it."""
        names = (os.environ.get("DOCKER_CONTEXT"), os.environ.get("DOCKER_HOST"), current_context())
        return local_socket() or next(filter(None, names), "context")

    @property
    def capabilities(self) -> frozenset[Capability]:
        """All, but for what the classic builder cannot do."""
        return frozenset(Capability) - (set() if self.uses_buildkit else _NOT_CLASSIC)

    @property
    def uses_buildkit(self) -> bool:
        """Whether it builds with BuildKit. EngineRefused if that is asked for and not there."""
        if self._builder == "buildkit" and not self._buildx():
            raise no_buildx()
        return self._builder != "classic" and self._buildx()

    def unavailable(self) -> Unusable | None:
        """Why the daemon cannot be used; the SDK is not even imported where no daemon is named."""
        if found := unusable():
            return found
        try:
            self._daemon.greet()
            if self._builder == "buildkit" and not self._buildx():
                raise no_buildx()
        except ExecutorError as error:
            (problem,) = error.problems
            return Unusable(problem.found, problem.fix, error.failure)
        return None

    def inspect(self, reference: str) -> ImageInfo | None:
        """What the daemon knows of a local image. Its history is asked for where it bears our label."""
        path = local_socket()
        if path is not None:
            with self._daemon.local(path) as api:
                told = api.image(named(reference))
                return None if told is None else _info(told, lambda: newest(api.history(told["Id"])))
        from docker.errors import NotFound  # noqa: PLC0415  # the SDK takes 90 ms to import

        with self._daemon.client() as client, understood():
            try:
                found = inspected(client, named(reference))
                return _info(found, lambda: newest_instruction(client, found["Id"]))
            except NotFound:
                return None

    def digest(self, ref: ImageRef) -> Digest | None:
        """The digest under which the image was pulled or pushed; None if there are several, or none."""
        info = self.inspect(str(ref))
        return only_digest(ref, info.digests) if info else None

    def build(self, job: BuildJob, on_line: OnLine) -> ImageInfo:
        """Build with BuildKit or the classic builder, and look that the image is there."""
        log = Log(on_line, job.mask)
        with self._tasks.begun(job.image.name) as task, watched(task):
            if self.uses_buildkit:
                image, failed = build_with_buildkit(job, log, task)
            else:
                image, failed = _build_classic(self._daemon, job, log, task)
            if image and (failed or task.interrupted):
                self._discard(image)
            task.check()
        if failed:
            check_lost(job.image.name, log.lines)
            raise build_failed(job.image, log, failed)
        info = self.inspect(image)
        if info is None:
            raise build_failed(job.image, log, NO_IMAGE)
        return info

    def tag(self, reference: str, new: str) -> None:
        """Give a local image another reference. An image that loses its only one to it is removed."""
        target = parsed(new)
        before = self.inspect(new)
        with self._daemon.client() as api:
            image = named(reference) if image_id(reference) else inspected(api, named(reference))["Id"]

            def tag() -> None:
                api.tag(image, target.name, target.tag, force=True)

            tagged(image, new, tag, self.inspect, self.name)
        if before is not None and len(before.tags) == 1:
            self._discard(before.id)

    def push(self, reference: str, on_line: OnLine, root: Path | None = None) -> Digest:
        """Push through the daemon, with what `docker login` stored on this machine."""
        del root
        ref = parsed(reference)
        if ref.tag is None:
            raise ExecutorError.of(reference, "has no tag", "push a tag")
        login = docker_login(ref, os.environ)
        with self._tasks.begun(reference) as task, watched(task):
            return pushed(reference, "docker", task, on_line, lambda: self._push(ref, login, task, on_line))

    def _push(self, ref: ImageRef, login: Login, task: Task, on_line: OnLine) -> Digest | str:
        """Push once; the digest, or why that failed. BuildFailed if nothing is heard of it for too long."""
        import requests  # noqa: PLC0415  # as the SDK, which imports it
        import urllib3  # noqa: PLC0415  # as above

        stream, failed, heard = Stream(), "", True
        # A daemon repeats what a registry says, and that may repeat what it was told.
        mask = Mask(login.secrets)
        try:
            with self._daemon.client(limits.PUSH_SILENCE_SECONDS) as api, stoppable(api, task):
                try:
                    # Given a login, the SDK does not run the credential helper, which it would wait for
                    # without any limit.
                    records = api.push(
                        ref.name, ref.tag, stream=True, decode=True, auth_config=login.for_engine
                    )
                    stream = follow(records, Log(on_line, mask))
                # That is no silence of the daemon, which tells how far the registry is.
                except (requests.Timeout, urllib3.exceptions.TimeoutError):
                    heard = False
        except BuildFailed as error:
            failed = error.problems[0].found
        task.check()
        if not heard:
            raise unheard(str(ref))
        failed = mask(stream.error or failed)
        if failed or "Digest" not in stream.aux:
            check_lost(str(ref), [failed])
            failed = failed or "the daemon did not tell the digest"
            return f"{failed} ({login.problem})" if login.problem else failed
        return Digest.parse(stream.aux["Digest"])

    def remove(self, reference: str) -> bool:
        """Remove a reference, and the image with its last one; or an ID that nothing refers to."""
        from docker.errors import NotFound  # noqa: PLC0415

        with self._daemon.client(limits.STORAGE_SECONDS) as api:
            try:
                if image_id(reference) and inspected(api, named(reference)).get("RepoTags"):
                    return False
                api.remove_image(named(reference))
            except NotFound:
                return False
        return True

    def run(self, reference: str, argv: tuple[str, ...], *, network: bool = True) -> Finished:
        """Run a command in a new container; 127 when the container has no such program."""
        return collected(self, ContainerJob(reference, argv, network=network))

    def run_container(self, job: ContainerJob, on_output: OnOutput) -> Ended:
        """Run a container to its end, and remove it."""
        with self._tasks.begun(job.image) as task, watched(task), self._containers() as api:
            return run_container(api, job, on_output, task, stopping=self._containers)

    def remove_orphans(self) -> None:
        """Remove the containers of runs that were killed."""
        with self._containers() as api:
            remove_orphans(api)

    @contextlib.contextmanager
    def _containers(self) -> Iterator[Containers]:
        """What is asked about containers."""
        path = local_socket()
        if path is not None:
            from executor.engines.socket_containers import SocketContainers  # noqa: PLC0415  # few commands run any

            yield SocketContainers(path)
            return
        from executor.engines.sdk_containers import SdkContainers  # noqa: PLC0415  # as above

        with self._daemon.client(FOREVER) as client:
            yield SdkContainers(client)

    def tidy(self, image: Digest) -> None:
        """End what killed builds have left running, and remove images of a plan that never got a tag."""
        end_orphans()
        self._remove_containers()
        with self._daemon.client() as api:
            for found in api.images(filters={"dangling": True, "label": f"{HASH_LABEL}={image}"}, quiet=True):
                self._discard(found)

    def _remove_containers(self) -> None:
        """Remove containers in which a daemon that was killed ran commands of the classic builder.

        They bear no label. They are known by the beginning of the command, and by never having started or
        having lost their daemon (255), which no builder that is alive leaves as it is. One that was made for
        an instruction that runs nothing could be anybody's, and stays.
        """
        with self._daemon.client() as api:

            def lost() -> set[str]:
                listed = api.containers(all=True, filters={"status": ["created", "exited"]})
                return {
                    found["Id"]
                    for found in listed
                    if MARKER in found["Command"]
                    and (found["State"] == "created" or "(255)" in found["Status"])
                }

            if before := lost():
                time.sleep(_SETTLING_SECONDS)
                for container in before & lost():
                    api.remove_container(container, v=True, force=True)

    def pull(self, reference: str) -> None:
        """Pull through the daemon, with what `docker login` stored on this machine."""
        ref = parsed(reference)
        with self._daemon.client(FOREVER) as api:
            api.pull(ref.name, str(ref.digest or ref.tag))

    def interrupt(self) -> None:
        """Stop builds, pushes and containers."""
        self._tasks.interrupt()

    def _discard(self, image: str) -> None:
        """Remove an image that nothing refers to, unless something still uses it."""
        with contextlib.suppress(ExecutorError):
            self.remove(image)

    def _buildx(self) -> bool:
        """Whether BuildKit's command line is there. One that hangs costs one wait, not one for each image."""
        if self._has_buildx is None:
            try:
                self._has_buildx = has_buildx()
            except ProgramSilent as error:
                self._has_buildx = error
        if isinstance(self._has_buildx, ProgramSilent):
            raise self._has_buildx
        return self._has_buildx


def _info(found: Mapping[str, Any], last: Callable[[], str]) -> ImageInfo:
    """What a daemon's description of an image says; `last` is the last entry of its history."""
    config = found["Config"]
    labels = FrozenMapping(config.get("Labels") or {})
    return ImageInfo(
        id=own_id(found["Id"]),
        labels=labels,
        tags=tuple(found.get("RepoTags") or ()),
        digests=references(found.get("RepoDigests")),
        platform=platform(found.get("Os", ""), found.get("Architecture", ""), found.get("Variant") or ""),
        mark=mark(labels, last() if HASH_LABEL in labels else ""),
        environment=environment(config.get("Env")),
        user=config.get("User") or "",
        working_directory=config.get("WorkingDir") or "",
        size=found.get("Size") or 0,
    )


def _build_classic(daemon: Daemon, job: BuildJob, log: Log, task: Task) -> tuple[str, str]:
    """Build with the SDK; returns the image's ID and why it failed, either of them empty."""
    options = {"rm": True, "forcerm": True, **sdk_options(planned_options(job.image))}
    options["buildargs"] = {**options.get("buildargs", {}), **job.variables, **job.network.proxies}
    stream = Stream()
    images = [each.image.reference for each in job.image.spec.images]
    logins = {ref.registry: docker_login(ref, os.environ) for ref in (*images, parsed(job.image.base))}
    try:
        with daemon.client(FOREVER) as api, stoppable(api, task):
            use_only(api, logins)
            records = api.build(
                fileobj=task.guarded(archive(job)),  # type: ignore[arg-type]  # the SDK only iterates over it
                custom_context=True,
                dockerfile=DOCKERFILE,
                decode=True,
                **options,
            )
            stream = follow(records, log)
    except BuildFailed as error:
        return "", error.problems[0].found
    image = stream.aux.get("ID", "")
    return image, stream.error or ("" if image else NO_IMAGE)
