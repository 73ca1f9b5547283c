"""Podman, through its command line.

Refuses short names (they would be looked up in whatever registries a machine lists) and credentials:
pushes use what `podman login` stored.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from executor.engines.logs import DOCKERFILE, UNTOLD, Log, build_failed, hiding, push_failed
from executor.engines.options import cli_options
from executor.engines.protocol import HASH_LABEL, BuildJob, Finished, ImageInfo, OnLine
from executor.engines.references import only_digest, parsed, references, working_tags
from executor.engines.work import Works
from executor.errors import EngineUnavailable, ExecutorError
from executor.process import Command, Completed, run
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = ["PodmanEngine", "build_command", "push_command"]

_ANSWER_SECONDS: Final = 60
# While a build commits a large layer, all else waits for the storage.
_STORAGE_SECONDS: Final = 600
# Exit codes of `podman image exists` and `podman rmi` (their manual pages).
_NO_SUCH_IMAGE: Final = 1
# What Podman itself could not do, as opposed to the container (podman-run(1), "Exit Status").
_PODMAN_FAILED: Final = 125
# Buildah's mark on the images it makes.
_BUILT_LABEL: Final = "io.buildah.version"
# Seconds between tries to list images: the list fails while another build is committing one.
_LIST_WAITS: Final = (0.2, 0.5, 1.0, 2.0)
_LOOPBACK: Final = re.compile(r"(localhost|127(\.[0-9]+){3}|\[::1\])(:[0-9]+)?")


def build_command(job: BuildJob, directory: Path) -> Command:
    """The command that builds a job from a directory that holds the Dockerfile and the context.

    The values of secrets are in its environment only. The image is in Docker's format: OCI's has no
    place for a parent's SHELL, HEALTHCHECK and ONBUILD.
    """
    return Command(
        (
            "podman",
            "build",
            "--format=docker",
            f"--tag={parsed(job.tag)}",
            f"--file={directory / DOCKERFILE}",
            *cli_options(job.options, "podman", job.labels),
            *(f"--build-arg={name}" for name in job.secrets),
            str(directory / "context"),
        ),
        env=job.secrets,
    )


def push_command(ref: ImageRef, digest_file: Path) -> Command:
    """The command that pushes an image and writes the digest the registry has it under.

    As Docker does, a registry on this machine is spoken to without TLS if it has none.
    """
    plain = ("--tls-verify=false",) if _LOOPBACK.fullmatch(ref.registry) else ()
    return Command(("podman", "push", f"--digestfile={digest_file}", *plain, str(ref)))


class PodmanEngine:
    """The local Podman, of this user."""

    name = "podman"

    def __init__(self) -> None:
        self._works = Works()

    def unavailable(self) -> str | None:
        """Why Podman cannot be used: it is not there, or its storage or its set-up is not in order."""
        try:
            found = run(Command(("podman", "info", "--format={{.Version.Version}}")), timeout=_ANSWER_SECONDS)
        except ExecutorError as error:
            return error.problems[0].found
        return None if found.code == 0 else f"`podman info` fails: {_reason(found)}"

    def inspect(self, reference: str) -> ImageInfo | None:
        """What Podman knows of a local image."""
        ref = parsed(reference)
        done = _podman("image", "inspect", str(ref))
        if done.code:
            if _podman("image", "exists", str(ref)).code == _NO_SUCH_IMAGE:
                return None
            raise _failed(str(ref), done)
        found: Mapping[str, Any] = json.loads(done.stdout)[0]
        platform = (found.get("Os"), found.get("Architecture"), found.get("Variant"))
        labels = found.get("Labels") or {}
        # What was built here has, in this list, a digest that no registry knows: that of the image in the
        # local storage, where layers are not compressed. It stays when the image is pushed under another.
        pulled = () if _BUILT_LABEL in labels else found.get("RepoDigests")
        return ImageInfo(
            id=found["Id"],
            labels=FrozenMapping(labels),
            tags=tuple(found.get("RepoTags") or ()),
            digests=tuple(ref for ref in references(pulled) if ref.registry != "localhost"),
            platform="/".join(part for part in platform if part),
        )

    def built(self, image: Digest) -> tuple[str, ...]:
        """The references of local images that carry this image hash."""
        listing = ("images", f"--filter=label={HASH_LABEL}={image}", "--format=json")
        done = _podman(*listing)
        for wait in _LIST_WAITS:
            if done.code == 0:
                break
            time.sleep(wait)
            done = _podman(*listing)
        if done.code:
            raise _failed("podman images", done)
        found = json.loads(done.stdout or "[]")
        return working_tags(image, (name for item in found for name in item.get("Names") or ()))

    def digest(self, ref: ImageRef) -> Digest | None:
        """The digest under which the image was pulled; None if it was built, here or by Podman elsewhere."""
        info = self.inspect(str(ref))
        return only_digest(ref, info.digests) if info else None

    def build(self, job: BuildJob, on_line: OnLine) -> None:
        """Build from a directory. An image that loses its only tag is removed.

        Podman (4.3) reads an archive from its standard input into memory as a whole before it unpacks
        it. So it is unpacked here, as it streams, into a directory that only this user can enter: where
        Podman itself would have put it, in TMPDIR or /var/tmp.
        """
        log = Log(on_line, hiding(job.secrets))
        before = self.inspect(job.tag)
        place = os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108  # mkdtemp makes a private directory in it
        with (
            self._works.begun(job.tag) as work,
            tempfile.TemporaryDirectory(prefix="stowplan-", dir=place) as temporary,
        ):
            directory = Path(temporary)
            (directory / DOCKERFILE).write_text(job.dockerfile, encoding="utf-8")
            _unpack(work.guarded(job.context()), directory / "context")
            done = run(build_command(job, directory), on_line=log, stoppable=work.stoppable)
            work.check()
        if done.code:
            raise build_failed(job, log, UNTOLD)
        if before is not None:
            self._remove_if_dangling(before.id)

    def tag(self, reference: str, new: str) -> None:
        """Give a local image another reference."""
        done = _podman("tag", str(parsed(reference)), str(parsed(new)))
        if done.code:
            raise _failed(reference, done)

    def push(self, reference: str, on_line: OnLine) -> Digest:
        """Push with what `podman login` stored for this user."""
        ref = parsed(reference)
        log = Log(on_line, hiding({}))
        with (
            self._works.begun(reference) as work,
            tempfile.TemporaryDirectory(prefix="stowplan-") as directory,
        ):
            file = Path(directory) / "digest"
            done = run(push_command(ref, file), on_line=log, stoppable=work.stoppable)
            work.check()
            if done.code or not file.exists():
                raise push_failed(
                    reference, log.lines[-1] if log.lines else f"exit code {done.code}", "podman"
                )
            return Digest.parse(file.read_text().strip())

    def remove(self, reference: str) -> None:
        """Remove a reference, and the image with its last one."""
        done = _podman("rmi", str(parsed(reference)))
        if done.code not in (0, _NO_SUCH_IMAGE):
            raise _failed(reference, done)

    def run(self, reference: str, argv: tuple[str, ...]) -> Finished:
        """Run a command in a new container; 127 when the container has no such program."""
        name = f"stowplan-{uuid.uuid4().hex}"
        command = ("podman", "run", "--rm", "--pull=never", f"--name={name}", str(parsed(reference)), *argv)
        try:
            done = run(Command(command), merged=True)
        except BaseException:
            # The container goes on without the command that started it.
            _podman("rm", "--force", "--ignore", "--time=0", name)
            raise
        if done.code == _PODMAN_FAILED and done.text.startswith("Error: "):
            raise _failed(reference, done)
        return Finished(done.code, done.text)

    def interrupt(self) -> None:
        """Stop builds and pushes."""
        self._works.interrupt()

    def _remove_if_dangling(self, image: str) -> None:
        """Remove an image that a build took the tag of, unless something still uses it."""
        found = _podman("image", "inspect", "--format={{len .RepoTags}}", image)
        if found.text.strip() == "0":
            _podman("rmi", image)


def _podman(*arguments: str) -> Completed:
    try:
        return run(Command(("podman", *arguments)), timeout=_STORAGE_SECONDS)
    except ExecutorError as error:
        raise EngineUnavailable(error.problems) from None


def _failed(reference: str, done: Completed) -> ExecutorError:
    return ExecutorError.of(reference, _reason(done), "see what `podman info` and `podman images` say")


def _reason(done: Completed) -> str:
    """Podman's last words, which are the error."""
    lines = [line for line in (done.stderr or done.text).splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else f"exit code {done.code}"


def _unpack(chunks: Iterator[bytes], directory: Path) -> None:
    """Unpack an archive of our own making: everything in it is a relative path below the directory."""
    directory.mkdir()
    with tarfile.open(fileobj=_Reader(chunks), mode="r|") as archive:
        # Links may point anywhere: they are copied into the image as they are, and never followed.
        archive.extractall(directory, filter="fully_trusted")  # noqa: S202


class _Reader(io.RawIOBase):
    """An iterator of chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """It is for reading only."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what there is of one chunk."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
