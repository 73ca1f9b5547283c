"""Containers of a Docker daemon on a socket of this machine, without the SDK (see `socket_api`)."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import socket
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, cast
from urllib.parse import quote, urlencode

from executor import limits
from executor.engines.containers import Connection, Refused
from executor.engines.daemon import understood
from executor.engines.socket_api import SocketConnection, answering

__all__ = ["SocketContainers"]

_LARGEST_BYTES: Final = 16 * 1024 * 1024
_FINE: Final = range(200, 300)


class SocketContainers:
    """`Containers` of the daemon at a socket. EngineUnavailable when it does not answer."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create(self, config: Mapping[str, Any]) -> str:
        """Make a container."""
        with understood():
            return str(self._ask("POST", "/containers/create", config)["Id"])

    def put(self, container: str, archive: Iterator[bytes]) -> None:
        """Unpack an archive at its root."""
        self._ask("PUT", f"/containers/{container}/archive?path=/", archive, math.inf)

    @contextlib.contextmanager
    def attach(self, container: str) -> Iterator[Connection]:
        """Connect to its streams."""
        connection = SocketConnection(self._path, None)
        with answering(connection):
            wanted = urlencode({"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1})
            headers = {"Upgrade": "tcp", "Connection": "Upgrade"}
            connection.request("POST", f"/containers/{container}/attach?{wanted}", headers=headers)
            # What is read of the answer takes nothing of the streams: it did not start yet.
            with connection.sock.dup() as streams:
                response = connection.getresponse()
                if response.status != http.client.SWITCHING_PROTOCOLS:
                    raise _refused(response.status, response.read(_LARGEST_BYTES))
                with streams.makefile("rb") as output:
                    yield _Streams(streams, cast("IO[bytes]", output))

    def start(self, container: str) -> None:
        """Start it."""
        self._ask("POST", f"/containers/{container}/start")

    def wait(self, container: str) -> int:
        """Its exit code."""
        with understood():
            return int(self._ask("POST", f"/containers/{container}/wait", timeout=math.inf)["StatusCode"])

    def state(self, container: str) -> Mapping[str, Any]:
        """How it ended."""
        with understood():
            state: Mapping[str, Any] = self._ask("GET", f"/containers/{container}/json")["State"]
            return state

    @contextlib.contextmanager
    def get(self, container: str, path: str) -> Iterator[IO[bytes]]:
        """An archive of a path in it."""
        connection = SocketConnection(self._path, None)
        with answering(connection):
            connection.request("GET", f"/containers/{container}/archive?{urlencode({'path': path})}")
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise _refused(response.status, response.read(_LARGEST_BYTES))
            yield cast("IO[bytes]", response)

    def stop(self, container: str, seconds: int) -> None:
        """Stop it."""
        timeout = seconds + limits.ANSWER_SECONDS
        self._ask("POST", f"/containers/{container}/stop?t={seconds}", timeout=timeout)

    def remove(self, container: str) -> None:
        """Remove it."""
        self._ask("DELETE", f"/containers/{container}?v=1&force=1")

    def labelled(self, label: str) -> Mapping[str, str]:
        """Containers with a label."""
        wanted = urlencode({"all": 1, "filters": json.dumps({"label": [label]})})
        with understood():
            found = self._ask("GET", f"/containers/json?{wanted}")
            return {each["Id"]: each["Labels"][label] for each in found}

    def _ask(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> Any:
        seconds = limits.ANSWER_SECONDS if timeout is None else timeout
        connection = SocketConnection(self._path, None if seconds == math.inf else seconds)
        with answering(connection):
            if isinstance(body, Mapping):
                headers = {"Content-Type": "application/json"}
                connection.request(method, quote(path, safe="/?&=%"), json.dumps(body), headers)
            else:
                headers = {"Content-Type": "application/x-tar"} if body is not None else {}
                connection.request(method, path, body, headers, encode_chunked=body is not None)
            response = connection.getresponse()
            data = response.read(_LARGEST_BYTES)
            if connection.late:
                raise TimeoutError
            if response.status not in _FINE and response.status != http.client.NOT_MODIFIED:
                raise _refused(response.status, data)
            return json.loads(data) if data else None


class _Streams:
    def __init__(self, streams: socket.socket, output: IO[bytes]) -> None:
        self._streams, self._output = streams, output

    def read(self, size: int) -> bytes:
        """See `Connection`."""
        return self._output.read(size)

    def feed(self, data: bytes) -> None:
        """See `Connection`. What ended before it has read everything is no error."""
        with contextlib.suppress(OSError):
            self._streams.sendall(data)
            self._streams.shutdown(socket.SHUT_WR)


def _refused(status: int, data: bytes) -> Refused:
    try:
        words = str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        words = f"status {status}"
    return Refused(status, words)
