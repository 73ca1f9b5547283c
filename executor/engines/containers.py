"""One container of Docker, from its making to its removal, whichever way the daemon is spoken to.

Owns the order of the questions, and that no container outlives the call. What it is given and what it leaves
goes as archives, so that it makes no difference where the daemon is and whom the container runs as; measured,
that takes as long as a mount does.
"""

from __future__ import annotations

import contextlib
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Final, Protocol

from executor import limits
from executor.engines.exchange import OUTPUTS, RESULT, exchange_archive, take_back
from executor.engines.interrupts import Task
from executor.engines.protocol import EXCHANGE, OWNER_LABEL, ContainerJob, Ended, OnOutput, Stream
from executor.engines.references import named
from executor.errors import EngineUnavailable, ExecutorError
from executor.process import Lines
from executor.scratch import named_by, owned
from planner.errors import Place, Problem
from planner.immutable import frozen

__all__ = ["Connection", "Containers", "Refused", "is_orphan", "no_image", "remove_orphans", "run_container"]

# Docker Engine API, "Attach to a container": a stream's number, three zeros, and a length of four bytes.
_HEADER_BYTES: Final = 8
_STREAMS: Final = {1: Stream.STDOUT, 2: Stream.STDERR}
_NOT_FOUND: Final = 404
_KILLED: Final = 137
_NO_PROGRAM: Final = 127


class Refused(Exception):
    """What the daemon answers to something that it does not do: its status, and its words."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(words)


class Connection(Protocol):
    """The streams of a container."""

    def read(self, size: int) -> bytes:
        """That many bytes of its output; fewer at the end."""

    def feed(self, data: bytes) -> None:
        """Write all its input, and end that."""


class Containers(Protocol):
    """What is asked of a daemon about containers. Refused for what it does not do."""

    def create(self, config: Mapping[str, Any]) -> str:
        """Make a container of a configuration (Docker Engine API, "Create a container"); its ID."""

    def put(self, container: str, archive: Iterator[bytes]) -> None:
        """Unpack an archive at the root of a container."""

    def attach(self, container: str) -> AbstractContextManager[Connection]:
        """Connect to the streams of a container that is started after."""

    def start(self, container: str) -> None:
        """Start a container."""

    def wait(self, container: str) -> int:
        """The exit code of a container, once it has ended."""

    def state(self, container: str) -> Mapping[str, Any]:
        """What is known of how a container ended."""

    def get(self, container: str, path: str) -> AbstractContextManager[IO[bytes]]:
        """An archive of what is at a path in a container."""

    def stop(self, container: str, seconds: int) -> None:
        """Ask a container to end, and end it after a time; nothing if it does not run."""

    def remove(self, container: str) -> None:
        """Remove a container, whether it runs or not. Refused if it is gone, or on its way."""

    def labelled(self, label: str) -> Mapping[str, str]:
        """All containers that have a label, each with the value of it."""


Stopping = Callable[[], AbstractContextManager[Containers]]


def run_container(
    api: Containers, job: ContainerJob, on_output: OnOutput, task: Task, *, stopping: Stopping
) -> Ended:
    """See `Runner.run_container`. `stopping` is what another thread may ask to stop the container."""
    try:
        container = api.create(_config(job))
    except Refused as error:
        raise (no_image(job.image, "docker") if error.status == _NOT_FOUND else _failed(error)) from None

    def stop() -> None:
        with contextlib.suppress(ExecutorError, Refused), stopping() as other:
            other.stop(container, round(limits.STOP_SECONDS))

    try:
        return _run(api, container, job, on_output, _Stopping(task, stop))
    except Refused as error:
        raise _failed(error) from None
    finally:
        _remove(api, container)


@frozen
class _Stopping:
    """What may end a container, and how it is ended."""

    task: Task
    stop: Callable[[], None]


def _run(
    api: Containers, container: str, job: ContainerJob, on_output: OnOutput, stopping: _Stopping
) -> Ended:
    task, stop = stopping.task, stopping.stop
    if job.exchange is not None:
        api.put(container, exchange_archive(job.exchange))
    # One of many that are stopped at once waits for none of the others.
    task.stoppable(lambda: threading.Thread(target=stop, daemon=True).start())
    task.check()
    with api.attach(container) as connection:
        try:
            api.start(container)
        except Refused as error:
            on_output(str(error), Stream.STDERR)
            return Ended(_NO_PROGRAM)
        if task.interrupted:
            # It did not run yet when it was to be stopped.
            stop()
        if job.stdin is not None:
            threading.Thread(target=connection.feed, args=(job.stdin,), daemon=True).start()
        _follow(connection, on_output)
    code = api.wait(container)
    if job.exchange is not None:
        _fetch(api, container, job.exchange)
    task.check()
    return Ended(code, code == _KILLED and api.state(container).get("OOMKilled") is True)


def _follow(connection: Connection, on_output: OnOutput) -> None:
    """Hand over what a container writes, until it has ended."""

    def lines(stream: Stream) -> Lines:
        return Lines(lambda line: on_output(line, stream))

    takers = {number: lines(stream) for number, stream in _STREAMS.items()}
    while len(header := connection.read(_HEADER_BYTES)) == _HEADER_BYTES:
        left = int.from_bytes(header[4:], "big")
        while left and (data := connection.read(min(left, 1 << 16))):
            if header[0] in takers:
                takers[header[0]].take(data)
            left -= len(data)
    for taker in takers.values():
        taker.take(b"")


def _fetch(api: Containers, container: str, directory: Path) -> None:
    for name in (OUTPUTS, RESULT):
        try:
            with api.get(container, f"{EXCHANGE}/{name}") as archive:
                take_back(archive, directory)
        except Refused as error:
            # A command leaves nothing there, and what was killed may not have come to it.
            if error.status != _NOT_FOUND:
                raise
        except tarfile.TarError:
            found = f"what it says of {EXCHANGE}/{name} breaks off"
            raise EngineUnavailable.of("docker", found, "check that the daemon runs, and run again") from None


def _config(job: ContainerJob) -> dict[str, Any]:
    reads = job.stdin is not None
    return {
        "Image": named(job.image),
        "Entrypoint": list(job.argv[:1]),
        "Cmd": list(job.argv[1:]),
        "Labels": dict(job.labels),
        "AttachStdin": reads,
        "OpenStdin": reads,
        "StdinOnce": reads,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": not job.network,
    }


def remove_orphans(api: Containers) -> None:
    """Remove containers whose owners are dead."""
    for container, owner in api.labelled(OWNER_LABEL).items():
        if is_orphan(owner):
            _remove(api, container)


def _remove(api: Containers, container: str) -> None:
    """Remove a container, as far as the daemon does: it may be gone, or be on its way."""
    with contextlib.suppress(Refused):
        api.remove(container)


def is_orphan(owner: str) -> bool:
    """Whether the owner of a container, which its label names, is dead."""
    scratch = named_by(owner)
    return scratch is not None and not owned(scratch)


def no_image(image: str, engine: str) -> ExecutorError:
    """The error about an image that vanished after it was looked for."""
    problem = Problem(Place(file=image), f"is not in {engine} any more", "run this again", "image-gone")
    return ExecutorError([problem])


def _failed(error: Refused) -> ExecutorError:
    return ExecutorError.of("docker", str(error), "check the log of the daemon")
