"""Podman, through its command line.

Refuses short names (they would be looked up in whatever registries a machine lists) and credentials:
pushes use what `podman login` stored.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from executor import limits
from executor.engines.archive import written_id
from executor.engines.caches import link_caches
from executor.engines.interrupts import Task, Tasks
from executor.engines.leftovers import (
    remove_containers,
    remove_half_written,
    stop_commands,
)
from executor.engines.logs import NO_IMAGE, UNTOLD, Log, build_failed
from executor.engines.mark import mark
from executor.engines.platforms import platform
from executor.engines.podman_commands import Format, build_command, push_command
from executor.engines.podman_containers import remove_orphans, run_container
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
from executor.engines.pushes import pushed
from executor.engines.references import (
    environment,
    image_id,
    named,
    only_digest,
    own_id,
    parsed,
    readable,
    references,
)
from executor.engines.secrets import secret_options
from executor.engines.tags import tagged
from executor.engines.unpacking import lay_out
from executor.errors import (
    EngineSilent,
    EngineUnavailable,
    ExecutorError,
    Failure,
    ProgramMissing,
    ProgramSilent,
)
from executor.orphans import end_orphans
from executor.process import Command, Completed, run
from executor.state import scratch_directory
from planner.image.capabilities import Capability
from planner.image.spec import ImageSpec
from planner.mask import Mask
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["PodmanEngine"]

_ABOUT: Final = "{{.Version.Version}}\t{{.Store.GraphRoot}}\t{{.Host.OCIRuntime.Path}}"
_INSTALL: Final = "install Podman (podman.io/docs/installation)"
_MEND: Final = "run `podman info` to see why"
# Exit codes of `podman image exists` and `podman rmi` (their manual pages).
_NO_SUCH_IMAGE: Final = 1
# What an image in OCI's format does not keep.
_DOCKER_ONLY: Final = frozenset({"HEALTHCHECK", "ONBUILD", "SHELL"})
# Buildah's mark on the images it makes.
_BUILT_LABEL: Final = "io.buildah.version"


class PodmanEngine:
    """The local Podman, of this user."""

    name = "podman"
    capabilities = frozenset(Capability) - {Capability.BUILDKIT}

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._place = self._runtime = ""

    @property
    def place(self) -> str:
        """The storage of this user. EngineUnavailable if there is none."""
        if not self._place and (unusable := self.unavailable()):
            raise EngineUnavailable.of("podman", unusable.reason, unusable.fix)
        return self._place

    def unavailable(self) -> Unusable | None:
        """Why Podman cannot be used: it is not there, or its storage or its set-up is not in order."""
        command = Command(("podman", "info", f"--format={_ABOUT}"))
        try:
            found = run(command, timeout=limits.GREETING_SECONDS)
        except ExecutorError as error:
            said = error.problems[0].found
            if isinstance(error, ProgramMissing):
                return Unusable(said, _INSTALL, absent=True)
            return Unusable(f"`podman info` {said}", _MEND)
        if found.code:
            return Unusable(f"`podman info` fails: {_reason(found)}", _MEND)
        version, _, rest = found.text.strip().partition("\t")
        self._place, _, self._runtime = rest.partition("\t")
        if not re.match(r"\d+\.\d+", version):
            return Unusable("`podman info` does not tell its version", _MEND, Failure.ENGINE_REFUSED)
        # Podman 4 brought --identity-label.
        if re.match(r"[0-3]\.", version):
            reason = f"it is version {version}, and 4.0 is the first that builds the same image twice"
            return Unusable(reason, _INSTALL, Failure.ENGINE_REFUSED)
        return None

    def inspect(self, reference: str) -> ImageInfo | None:
        """What Podman knows of a local image."""
        found = _inspected(reference)
        if found is None:
            return None
        with _readable():
            return _info(found)

    def digest(self, ref: ImageRef) -> Digest | None:
        """The digest under which the image was pulled; None if it was built, here or by Podman elsewhere."""
        info = self.inspect(str(ref))
        return only_digest(ref, info.digests) if info else None

    def build(self, job: BuildJob, on_line: OnLine) -> ImageInfo:
        """Build from a directory, and look that the image is there.

        Podman (4.3) reads an archive from its standard input into memory as a whole before it unpacks
        it. So it is unpacked here, as it streams, into a directory that only this user can enter.

        Images are in OCI's format: Docker's holds the name of the container that made each layer, so that
        no two builds are the same. OCI's has no place for a parent's HEALTHCHECK, so that an image with
        one is in Docker's; nor for its SHELL, which counts while the image is built, and is then gone.
        """
        log = Log(on_line, job.mask)
        failed = UNTOLD
        try:
            image, failed = self._built(job, log)
        finally:
            if failed:
                # What was stopped or killed has not tidied up itself.
                with contextlib.suppress(ExecutorError):
                    self.tidy(job.image.hash)
        if failed:
            raise build_failed(job.image, log, failed)
        info = self.inspect(image)
        if info is None:
            raise build_failed(job.image, log, NO_IMAGE)
        return info

    def _built(self, job: BuildJob, log: Log) -> tuple[str, str]:
        """Build; returns the image's ID and why it failed, either of them empty."""
        with (
            self._tasks.begun(job.image.name) as task,
            scratch_directory(job.root, large=True) as directory,
            secret_options(job) as secrets,
        ):
            lay_out(job, task, directory)
            if job.image.cache_mount is not None:
                link_caches(directory)
            command = partial(build_command, job, directory, secrets)
            known = _own_format(job.image.spec) or _format(job.image.base)
            image, failed = self._build(command(known or "oci"), directory / "image", log, task)
            # Only now is it known what a parent is that had to be pulled.
            if known is None and not failed and _format(job.image.base) == "docker":
                image, failed = self._build(command("docker"), directory / "image", log, task)
        return image, failed

    def _build(self, command: Command, file: Path, log: Log, task: Task) -> tuple[str, str]:
        """Build once; returns the image's ID, which is in a file, and why it failed, either of them empty."""
        # What a first build wrote says nothing of a second one.
        file.unlink(missing_ok=True)
        done = run(command, on_line=log, stoppable=task.stoppable)
        image = written_id(file)
        if image and (done.code or task.interrupted):
            self._discard(image)
        task.check()
        if done.code:
            return image, UNTOLD
        return image, "" if image else NO_IMAGE

    def tag(self, reference: str, new: str) -> None:
        """Give a local image another reference. An image that loses its only one to it is removed."""
        target = str(parsed(new))
        before, image = self.inspect(target), self._id(reference)

        def tag() -> None:
            done = _podman("tag", image, target)
            if done.code:
                raise _failed(reference, done)

        tagged(image, target, tag, self.inspect, self.name)
        if before is not None and len(before.tags) == 1:
            self._discard(before.id)

    def push(self, reference: str, on_line: OnLine, root: Path | None = None) -> Digest:
        """Push with what `podman login` stored for this user."""
        ref = parsed(reference)
        with self._tasks.begun(reference) as task, scratch_directory(root) as directory:
            file = directory / "digest"
            return pushed(reference, "podman", task, on_line, lambda: self._push(ref, file, task, on_line))

    def _push(self, ref: ImageRef, file: Path, task: Task, on_line: OnLine) -> Digest | str:
        """Push once; the digest, or why that failed."""
        log = Log(on_line, Mask())
        done = run(push_command(ref, file), on_line=log, stoppable=task.stoppable)
        task.check()
        if done.code:
            return log.lines[-1].removeprefix("Error: ") if log.lines else f"exit code {done.code}"
        try:
            return Digest.parse(file.read_text(errors="replace").strip())
        except (FileNotFoundError, ValueError):
            return "podman says that it is done, and did not tell the digest"

    def remove(self, reference: str) -> bool:
        """Remove a reference, and the image with its last one; or an ID that nothing refers to.

        What leads to an ID stays: the next build goes on from there.
        """
        if image_id(reference):
            found = self.inspect(reference)
            if found is None or found.tags:
                return False
            done = _podman("rmi", "--no-prune", named(reference))
        else:
            done = _podman("rmi", named(reference))
        if done.code not in (0, _NO_SUCH_IMAGE):
            raise _failed(reference, done)
        return done.code == 0

    def run(self, reference: str, argv: tuple[str, ...], *, network: bool = True) -> Finished:
        """Run a command in a new container; 127 when the container has no such program."""
        return collected(self, ContainerJob(reference, argv, network=network))

    def run_container(self, job: ContainerJob, on_output: OnOutput) -> Ended:
        """Run a container to its end, and remove it."""
        with self._tasks.begun(job.image) as task:
            return run_container(_podman, job, on_output, task)

    def remove_orphans(self) -> None:
        """Remove the containers of runs that were killed."""
        remove_orphans(_podman)

    def tidy(self, image: Digest) -> None:
        """End what killed builds have left running, and remove what they have left in the storage."""
        storage = Path(self.place)
        end_orphans()
        stop_commands(self._runtime)
        remove_containers(_podman, storage)
        remove_half_written(_podman)
        filters = ("--filter=dangling=true", f"--filter=label={HASH_LABEL}={image}")
        listed = _podman("images", "--quiet", "--no-trunc", *filters)
        for found in listed.text.split() if listed.code == 0 else ():
            self._discard(found)

    def pull(self, reference: str) -> None:
        """Pull with what `podman login` stored for this user."""
        done = _podman("pull", named(reference))
        if done.code:
            raise _failed(reference, done)

    def interrupt(self) -> None:
        """Stop builds, pushes and containers."""
        self._tasks.interrupt()

    def _id(self, reference: str) -> str:
        """The ID of a local image. ExecutorError if there is none."""
        if (digits := image_id(reference)) is not None:
            return digits
        found = self.inspect(reference)
        if found is None:
            raise ExecutorError.of(reference, "is not in podman", "build or pull it")
        return found.id

    def _discard(self, image: str) -> None:
        """Remove an image that nothing refers to, unless something still uses it."""
        with contextlib.suppress(ExecutorError):
            self.remove(image)


def _inspected(reference: str) -> Mapping[str, Any] | None:
    """What `podman image inspect` says of a local image; None if there is none."""
    done = _podman("image", "inspect", named(reference))
    if done.code:
        if _podman("image", "exists", named(reference)).code == _NO_SUCH_IMAGE:
            return None
        # It may have come between the two: another build pulls its parent.
        done = _podman("image", "inspect", named(reference))
    if done.code:
        raise _failed(reference, done)
    with _readable():
        (found,) = json.loads(done.stdout)
        return {**found}


def _info(found: Mapping[str, Any]) -> ImageInfo:
    """An image by what `podman image inspect` says of it."""
    labels = FrozenMapping(found.get("Labels") or {})
    history = found.get("History") or [{}]  # the oldest first
    config = found.get("Config") or {}
    # What was built here has, in this list, a digest that no registry knows: that of the image in the
    # local storage, where layers are not compressed. It stays when the image is pushed under another.
    built = HASH_LABEL in labels or _BUILT_LABEL in labels
    return ImageInfo(
        id=own_id(found["Id"]),
        labels=labels,
        tags=tuple(found.get("RepoTags") or ()),
        digests=()
        if built
        else tuple(ref for ref in references(found.get("RepoDigests")) if ref.registry != "localhost"),
        platform=platform(found.get("Os", ""), found.get("Architecture", ""), found.get("Variant") or ""),
        mark=mark(labels, history[-1].get("created_by") or ""),
        environment=environment(config.get("Env")),
        user=config.get("User") or "",
        working_directory=config.get("WorkingDir") or "",
        size=found.get("Size") or 0,
    )


def _readable() -> contextlib.AbstractContextManager[None]:
    return readable("podman", "`podman image inspect` does not answer like Podman", lambda: _MEND)


def _own_format(spec: ImageSpec) -> Format | None:
    """The format for what a custom Dockerfile says; None where any will do."""
    item = spec.dockerfile
    words = (line.split(maxsplit=1)[0].upper() for line in item.lines) if item else ()
    return "docker" if _DOCKER_ONLY.intersection(words) else None


def _format(parent: str) -> Format | None:
    """The format for an image on a parent; None while the parent is not there."""
    found = _inspected(parent)
    if found is None:
        return None
    return "docker" if found.get("Healthcheck") else "oci"


def _podman(*arguments: str) -> Completed:
    try:
        # It makes a file there for each image it looks at, and leaves one if it is made to end (4.3).
        with scratch_directory(None) as directory:
            env = FrozenMapping({"TMPDIR": str(directory)})
            return run(Command(("podman", *arguments), env=env), timeout=limits.STORAGE_SECONDS)
    except ProgramSilent as error:
        raise EngineSilent(error.problems) from None
    except ExecutorError as error:
        raise EngineUnavailable(error.problems) from None


def _failed(reference: str, done: Completed) -> ExecutorError:
    return ExecutorError.of(reference, _reason(done), "run `podman info` and `podman images` to see why")


def _reason(done: Completed) -> str:
    """Podman's last words, which are the error."""
    lines = [line for line in (done.stderr or done.text).splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else f"exit code {done.code}"
