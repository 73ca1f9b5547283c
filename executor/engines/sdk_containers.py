"""Containers of any Docker daemon, through the SDK: one that is elsewhere, or that a context names."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, cast

from executor.engines.containers import Connection, Refused
from executor.engines.daemon import understood

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["SdkContainers"]


class SdkContainers:
    """`Containers` through a client of the SDK."""

    def __init__(self, api: APIClient) -> None:
        self._api = api

    def create(self, config: Mapping[str, Any]) -> str:
        """Make a container."""
        with _refusals():
            made = self._api.create_container_from_config(config)  # type: ignore[no-untyped-call]  # as published
            return str(made["Id"])

    def put(self, container: str, archive: Iterator[bytes]) -> None:
        """Unpack an archive at its root."""
        with _refusals():
            self._api.put_archive(container, "/", archive)

    @contextlib.contextmanager
    def attach(self, container: str) -> Iterator[Connection]:
        """Connect to its streams."""
        wanted = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        with _refusals():
            streams = self._api.attach_socket(container, params=wanted)
        try:
            yield _Streams(streams)
        finally:
            # It keeps the connection too, which the socket alone would leave open.
            response = getattr(streams, "_response", None)
            if response is not None:
                response.raw.close()
            streams.close()

    def start(self, container: str) -> None:
        """Start it."""
        with _refusals():
            self._api.start(container)

    def wait(self, container: str) -> int:
        """Its exit code."""
        with _refusals():
            return int(self._api.wait(container)["StatusCode"])

    def state(self, container: str) -> Mapping[str, Any]:
        """How it ended."""
        with _refusals():
            state: Mapping[str, Any] = self._api.inspect_container(container)["State"]
            return state

    @contextlib.contextmanager
    def get(self, container: str, path: str) -> Iterator[IO[bytes]]:
        """An archive of a path in it."""
        with _refusals():
            chunks, _ = self._api.get_archive(container, path)
        yield cast("IO[bytes]", io.BufferedReader(_Chunks(chunks)))
        for _ in chunks:
            pass  # the connection is closed when all was read

    def stop(self, container: str, seconds: int) -> None:
        """Stop it."""
        with _refusals():
            self._api.stop(container, timeout=seconds)

    def remove(self, container: str) -> None:
        """Remove it."""
        with _refusals():
            self._api.remove_container(container, v=True, force=True)

    def labelled(self, label: str) -> Mapping[str, str]:
        """Containers with a label."""
        with _refusals():
            found = self._api.containers(all=True, filters={"label": label})
        return {each["Id"]: each["Labels"][label] for each in found}


class _Streams:
    """What the SDK gives for a socket: one, or a reader of one, or one of TLS or SSH."""

    def __init__(self, given: Any) -> None:
        self._given = getattr(given, "_sock", given)

    def read(self, size: int) -> bytes:
        """See `Connection`."""
        data = b""
        while len(data) < size and (more := self._given.recv(size - len(data))):
            data += more
        return data

    def feed(self, data: bytes) -> None:
        """See `Connection`. What ended before it has read everything is no error."""
        with contextlib.suppress(OSError):
            self._given.sendall(data)
            # Python's TLS cannot end one direction alone: a container there has to know where its input ends.
            if not isinstance(self._given, ssl.SSLSocket):
                self._given.shutdown(socket.SHUT_WR)


class _Chunks(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks, self._rest = chunks, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        self._rest = self._rest or next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    from docker.errors import APIError  # noqa: PLC0415  # who has a client has imported it

    try:
        with understood():
            yield
    except APIError as error:
        raise Refused(error.status_code or 0, str(error.explanation or error.status_code)) from None
