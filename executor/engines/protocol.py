"""What builders, image stores and runners can do, as three small protocols, and the values they speak in.

A container engine is all three. One that builds elsewhere need not pretend to run. Refuses to decide
anything: an engine does what it is told, and says what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from attrs import field

from executor.errors import Failure
from executor.logins import passwords
from executor.network import Network
from executor.secrets import hidden_parts
from planner.image.capabilities import Capability
from planner.image.plan import ImagePlan
from planner.immutable import frozen
from planner.mask import Mask
from planner.values import Digest, FrozenMapping, ImageRef

__all__ = [
    "EXCHANGE",
    "HASH_LABEL",
    "OWNER_LABEL",
    "RUN_LABEL",
    "STEP_LABEL",
    "BuildJob",
    "Builder",
    "ContainerJob",
    "Ended",
    "Engine",
    "Finished",
    "ImageInfo",
    "ImageStore",
    "OnLine",
    "OnOutput",
    "Runner",
    "Stream",
    "Unusable",
    "collected",
]

# The label by which an image says which plan it was built from (an image hash, sha256:…).
HASH_LABEL = "dev.stowplan.image"

RUN_LABEL = "dev.stowplan.run"
"""The label by which a container says which run it is for."""
STEP_LABEL = "dev.stowplan.step"
"""The label by which a container says which step of the run it is."""
OWNER_LABEL = "dev.stowplan.owner"
"""The label by which a container says whose it is: the temporary directory of a run (`scratch.name_of`)."""
EXCHANGE = "/stowplan/exchange"
"""Where a container has what it is given, and leaves what comes of it."""

OnLine = Callable[[str], None]
"""Takes one line of an engine's output, without its line end, as it comes."""


class Stream(StrEnum):
    """The stream that a container wrote a line to."""

    STDOUT = "stdout"
    STDERR = "stderr"


OnOutput = Callable[[str, Stream], None]
"""Takes one line of a container's output, without its line end, as it comes. Called from two threads."""


@frozen
class BuildJob:
    """One image to build: its plan, its files, and the hidden values it needs.

    `files` gives the members of the build context that are files of the project, as a new stream each
    time it is called. `variables` are the values of environment variables, by the names of the build
    arguments that carry them, and `secrets` those of secrets, by name; neither may be shown. `network` is
    what commands are given of the network of this machine. `root` is the project: temporary files are in
    its `.stowplan/`, or in the machine's directory for them where there is none.
    """

    image: ImagePlan
    files: Callable[[], Iterator[bytes]] = field(eq=False)
    variables: Mapping[str, str] = field(default=FrozenMapping(), repr=False)
    root: Path | None = None
    secrets: Mapping[str, bytes] = field(default=FrozenMapping(), repr=False)
    network: Network = Network()

    @property
    def mask(self) -> Mask:
        """What hides the values in what an engine says."""
        parts = (*hidden_parts(self.secrets.values()), *passwords(self.image, self.secrets))
        return Mask((*self.variables.values(), *parts, *self.network.hidden))


@frozen
class ImageInfo:
    """What an engine knows of an image it holds.

    `id` is the engine's own name for it, no identity across engines. `digests` are the references by
    digest under which registries are known to have it. `mark` is the image hash that it was built from,
    as its label and the last entry of its history say; None for an image that was derived from one of
    ours, or is none. `environment`, `user` and `working_directory` are those that its containers start
    with; values of the environment can be secrets. `size` is in bytes, all layers counted.
    """

    id: str
    labels: Mapping[str, str] = FrozenMapping()
    tags: tuple[str, ...] = ()
    digests: tuple[ImageRef, ...] = ()
    platform: str = ""
    mark: Digest | None = None
    environment: Mapping[str, str] = field(default=FrozenMapping(), repr=False)
    user: str = ""
    working_directory: str = ""
    size: int = 0


@frozen
class ContainerJob:
    """A container to run: a local image, the command in it, and what it is given.

    The image's own entrypoint is no part of it, as it is none of what a build runs; the user, the variables
    and the working directory are the image's. `stdin` is what it reads, and may be secret. The regular files
    of the directory `exchange` are below `/stowplan/exchange` in the container, which may write there whoever
    it runs as; what it leaves in `outputs/`, and `result.json`, are in the directory afterwards. `labels`
    mark the container. Without `network` it has none.
    """

    image: str
    argv: tuple[str, ...]
    stdin: bytes | None = field(default=None, repr=False)
    exchange: Path | None = None
    labels: Mapping[str, str] = FrozenMapping()
    network: bool = True


@frozen
class Ended:
    """How a container ended: its exit code, and whether it is known that memory ran out."""

    code: int
    out_of_memory: bool = False


@frozen
class Finished:
    """How a container ended: its exit code and what it wrote to both streams."""

    code: int
    output: str


@frozen
class Unusable:
    """Why an engine cannot be used, and what to do. `absent` says that there is no sign of it here."""

    reason: str
    fix: str
    failure: Failure = Failure.ENGINE_UNAVAILABLE
    absent: bool = False

    def __str__(self) -> str:
        return self.reason


class Builder(Protocol):
    """Builds images. All errors are ExecutorErrors."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do that not every builder can."""

    @property
    def place(self) -> str:
        """Where it keeps what it builds, in a word that is the same for all who build there."""

    def build(self, job: BuildJob, on_line: OnLine) -> ImageInfo:
        """Build an image; what is known of it. It has no tag yet: who asked for it looks at it first.

        BuildFailed names the instruction and shows its last lines.
        """

    def tidy(self, image: Digest) -> None:
        """Remove what killed builds of an image have left. Nobody may be building it now."""

    def interrupt(self) -> None:
        """Stop what is built, pushed and run, from another thread; those calls raise BuildFailed."""


class ImageStore(Protocol):
    """Keeps images under tags. All errors are ExecutorErrors."""

    @property
    def name(self) -> str:
        """Whose it is: `docker` or `podman`."""

    def inspect(self, reference: str) -> ImageInfo | None:
        """What is known of a local image, by a reference or an ID; None if there is none."""

    def digest(self, ref: ImageRef) -> Digest | None:
        """The registry's digest of a local image; None if it cannot be told."""

    def pull(self, reference: str) -> None:
        """Have an image of a registry as a local image."""

    def tag(self, reference: str, new: str) -> None:
        """Give a local image, named by a reference or an ID, another reference.

        An image that loses its only reference to it is removed. BuildFailed if the image is not found
        under the reference afterwards.
        """

    def push(self, reference: str, on_line: OnLine, root: Path | None = None) -> Digest:
        """Push a local image and return the digest that the registry has it under.

        `root` is the project, as in `BuildJob`.
        """

    def remove(self, reference: str) -> bool:
        """Remove a reference, and the image with its last one; whether there was one.

        An ID is removed only while no reference is left to it.
        """


class Runner(Protocol):
    """Runs containers. All errors are ExecutorErrors."""

    def run(self, reference: str, argv: tuple[str, ...], *, network: bool = True) -> Finished:
        """Run a short command in a new container of a local image; see `run_container`."""

    def run_container(self, job: ContainerJob, on_output: OnOutput) -> Ended:
        """Run a new container to its end, and remove it whatever happens.

        The exit code is 127 where the image has no such program. ExecutorError if there is no such image, or
        the engine is lost; `interrupt` asks the container to end (TERM), and ends it (KILL) when it has not
        after a time.
        """

    def remove_orphans(self) -> None:
        """Remove the containers of runs that were killed."""


def collected(runner: Runner, job: ContainerJob) -> Finished:
    """Run a container, and keep what it writes."""
    lines: list[str] = []
    ended = runner.run_container(job, lambda line, _: lines.append(line))
    return Finished(ended.code, "".join(f"{line}\n" for line in lines))


class Engine(Builder, ImageStore, Runner, Protocol):
    """A container engine: builder, image store and runner in one."""

    def unavailable(self) -> Unusable | None:
        """Why the engine cannot be used; None when it can. Raises nothing."""
