"""Docker: the SDK for everything, and BuildKit's command line to build where it is there.

The SDK speaks to the classic builder only, so images are built with `docker buildx build`, and with the
classic builder where that does not work or where it is asked for. Refuses credentials: pushes use what
`docker login` stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import chain
from typing import Final, Literal

from executor.context import file_member
from executor.engines.daemon import (
    ANSWER_SECONDS,
    Told,
    absent,
    client,
    follow,
    inspected,
    stoppable,
)
from executor.engines.logs import DOCKERFILE, UNTOLD, Log, build_failed, hiding, push_failed
from executor.engines.options import cli_options, sdk_options
from executor.engines.protocol import HASH_LABEL, BuildJob, Finished, ImageInfo, OnLine
from executor.engines.references import only_digest, parsed, references, working_tags
from executor.engines.work import Work, Works
from executor.errors import BuildFailed, EngineUnavailable, ExecutorError
from executor.process import Command, run
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["Builder", "DockerEngine", "buildx_command"]

Builder = Literal["auto", "buildkit", "classic"]

_BUILDX_VERSION: Final = Command(("docker", "buildx", "version"))


def buildx_command(job: BuildJob) -> Command:
    """The command that builds a job with BuildKit, from an archive on its standard input.

    The values of secrets are in its environment only, where no process list shows them.
    """
    return Command(
        (
            "docker",
            "buildx",
            "build",
            "--load",
            "--progress=plain",
            f"--tag={job.tag}",
            f"--file={DOCKERFILE}",
            *cli_options(job.options, "docker", job.labels),
            *(f"--build-arg={name}" for name in job.secrets),
            "-",
        ),
        # Provenance would make an index of the image. The variable and not the flag, which buildx
        # before 0.10 does not know.
        env=FrozenMapping({**job.secrets, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}),
    )


def _archive(job: BuildJob) -> Iterator[bytes]:
    """The build context with the Dockerfile in it."""
    return chain([file_member(DOCKERFILE, job.dockerfile.encode())], job.context())


class DockerEngine:
    """The Docker daemon that DOCKER_HOST, DOCKER_CONTEXT or the current context name."""

    name = "docker"

    def __init__(self, builder: Builder = "auto") -> None:
        self._builder = builder
        self._works = Works()
        self._has_buildx: bool | None = None

    def unavailable(self) -> str | None:
        """Why the daemon cannot be used; the SDK is not even imported where no daemon is named."""
        if reason := absent():
            return reason
        try:
            with client():
                pass
        except ExecutorError as error:
            return error.problems[0].found
        if self._builder == "buildkit" and not self._buildx():
            return "`docker buildx version` does not work, and BuildKit is asked for"
        return None

    def inspect(self, reference: str) -> ImageInfo | None:
        """What the daemon knows of a local image."""
        from docker.errors import NotFound  # noqa: PLC0415  # the SDK takes 90 ms to import

        with client() as api:
            try:
                found = inspected(api, str(parsed(reference)))
            except NotFound:
                return None
        platform = (found.get("Os"), found.get("Architecture"), found.get("Variant"))
        return ImageInfo(
            id=found["Id"],
            labels=FrozenMapping(found["Config"].get("Labels") or {}),
            tags=tuple(found.get("RepoTags") or ()),
            digests=references(found.get("RepoDigests")),
            platform="/".join(part for part in platform if part),
        )

    def built(self, image: Digest) -> tuple[str, ...]:
        """The references of local images that carry this image hash."""
        with client() as api:
            found = api.images(filters={"label": f"{HASH_LABEL}={image}"})
        return working_tags(image, (tag for item in found for tag in item.get("RepoTags") or ()))

    def digest(self, ref: ImageRef) -> Digest | None:
        """The digest under which the image was pulled or pushed; None if there are several, or none."""
        info = self.inspect(str(ref))
        return only_digest(ref, info.digests) if info else None

    def build(self, job: BuildJob, on_line: OnLine) -> None:
        """Build with BuildKit or the classic builder. An image that loses its only tag is removed."""
        log = Log(on_line, hiding(job.secrets))
        before = self.inspect(job.tag)
        with self._works.begun(job.tag) as work:
            if self._uses_buildkit():
                done = run(buildx_command(job), stdin=_archive(job), on_line=log, stoppable=work.stoppable)
                failed = "" if done.code == 0 else UNTOLD
            else:
                failed = _build_classic(job, log, work)
            work.check()
        if failed:
            raise build_failed(job, log, failed)
        if before is not None:
            _remove_if_dangling(before.id)

    def tag(self, reference: str, new: str) -> None:
        """Give a local image another reference."""
        target = parsed(new)
        with client() as api:
            api.tag(str(parsed(reference)), target.name, target.tag, force=True)

    def push(self, reference: str, on_line: OnLine) -> Digest:
        """Push through the daemon, with what `docker login` stored on this machine."""
        ref = parsed(reference)
        if ref.tag is None:
            raise ExecutorError.of(reference, "has no tag", "push a tag")
        told, failed = Told(), ""
        with self._works.begun(reference) as work:
            try:
                with client(timeout=None) as api, stoppable(api, work):
                    records = api.push(ref.name, ref.tag, stream=True, decode=True)
                    told = follow(records, Log(on_line, str))
            except BuildFailed as error:
                failed = error.problems[0].found
            work.check()
        failed = told.error or failed
        if failed or "Digest" not in told.aux:
            raise push_failed(reference, failed or "the daemon did not tell the digest", "docker")
        return Digest.parse(told.aux["Digest"])

    def remove(self, reference: str) -> None:
        """Remove a reference, and the image with its last one."""
        from docker.errors import NotFound  # noqa: PLC0415

        with client(timeout=None) as api, contextlib.suppress(NotFound):
            api.remove_image(str(parsed(reference)))

    def run(self, reference: str, argv: tuple[str, ...]) -> Finished:
        """Run a command in a new container; 127 when the container has no such program."""
        from docker.errors import APIError  # noqa: PLC0415

        with client(timeout=None) as api:
            container = api.create_container(str(parsed(reference)), list(argv))["Id"]
            try:
                try:
                    api.start(container)
                except APIError as error:
                    return Finished(127, str(error.explanation))
                code = api.wait(container)["StatusCode"]
                output: bytes = api.logs(container, stdout=True, stderr=True)
                return Finished(code, output.decode(errors="replace"))
            finally:
                api.remove_container(container, v=True, force=True)

    def interrupt(self) -> None:
        """Stop builds and pushes."""
        self._works.interrupt()

    def _buildx(self) -> bool:
        if self._has_buildx is None:
            try:
                self._has_buildx = run(_BUILDX_VERSION, timeout=ANSWER_SECONDS).code == 0
            except ExecutorError:
                self._has_buildx = False
        return self._has_buildx

    def _uses_buildkit(self) -> bool:
        if self._builder == "buildkit" and not self._buildx():
            raise EngineUnavailable.of(
                "docker",
                "`docker buildx version` does not work",
                "install docker's buildx plugin, or set STOWPLAN_DOCKER_BUILDER=auto",
            )
        return self._builder != "classic" and self._buildx()


def _build_classic(job: BuildJob, log: Log, work: Work) -> str:
    """Build with the SDK; returns why it failed, or nothing."""
    options = {"rm": True, "forcerm": True, **sdk_options(job.options)}
    options["buildargs"] = {**job.options.build_args, **job.secrets}
    options["labels"] = {**job.options.labels, **job.labels}
    told = Told()
    try:
        with client(timeout=None) as api, stoppable(api, work):
            records = api.build(
                fileobj=work.guarded(_archive(job)),  # type: ignore[arg-type]  # the SDK only iterates over it
                custom_context=True,
                dockerfile=DOCKERFILE,
                tag=job.tag,
                decode=True,
                **options,
            )
            told = follow(records, log)
    except BuildFailed as error:
        return error.problems[0].found
    return told.error or ("" if "ID" in told.aux else UNTOLD)


def _remove_if_dangling(image: str) -> None:
    """Remove an image that a build took the tag of, unless something still uses it."""
    from docker.errors import APIError  # noqa: PLC0415

    with client() as api, contextlib.suppress(APIError):
        if not inspected(api, image).get("RepoTags"):
            api.remove_image(image)
