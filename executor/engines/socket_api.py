"""A Docker daemon on a socket of this machine, asked about images and containers without the SDK.

Importing the SDK takes half as long as a whole plan. `apply` mostly asks for one image and is done, and `run`
would cost twice as much beside `docker run`. Owns the connection, and reading images (Docker Engine API,
"Images"). Every other daemon, and what is neither this nor in `socket_containers`, is the SDK's.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from executor.errors import EngineSilent, EngineUnavailable, ExecutorError

__all__ = ["SocketApi", "SocketConnection", "answering"]

# The images of 1,000 layers have a history of some 100 KB.
_LARGEST_BYTES: Final = 16 * 1024 * 1024


class SocketConnection(http.client.HTTPConnection):
    """A connection that ends after a time, however little comes in the meantime keeps it alive.

    `timeout` is in seconds; with None it takes as long as it takes.
    """

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path
        self._timer = threading.Timer(timeout, self._cut) if timeout is not None else None
        self.late = False

    def connect(self) -> None:
        """Open it; from now on the time counts."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        self.sock.connect(self.path)

    def close(self) -> None:
        """Close it."""
        if self._timer is not None:
            self._timer.cancel()
        super().close()

    def _cut(self) -> None:
        self.late = True
        with contextlib.suppress(OSError, AttributeError):  # it may end at this very moment
            self.sock.shutdown(socket.SHUT_RDWR)


class SocketApi:
    """Reads from the daemon at a socket. EngineUnavailable when it does not answer.

    EngineSilent when it does not do so within `timeout` seconds in all.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path, self._timeout = path, timeout

    def ping(self) -> None:
        """See whether the daemon answers."""
        self._get("/_ping", text=True)

    def image(self, name: str) -> Any | None:
        """What is known of an image, as `docker image inspect` shows it; None if there is none."""
        return self._get(f"/images/{quote(name)}/json")

    def history(self, name: str) -> Any:
        """The history of an image, the newest entry first."""
        return self._get(f"/images/{quote(name)}/history") or []

    def _get(self, path: str, *, text: bool = False) -> Any | None:
        status, body = self._fetch(path)
        try:
            answer: Any = body.decode() if text else json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        said = answer.get("message") if isinstance(answer, dict) else None
        # A daemon that lacks an image says so in words of its own: any other server has no such page, too.
        if status == http.client.NOT_FOUND and said:
            return None
        if status != http.client.OK or answer is None or (text and answer != "OK"):
            found = f"answers with status {status}: {said or 'not in the words of a Docker daemon'}"
            raise ExecutorError.of("docker", found, "check the log of the daemon")
        return answer

    def _fetch(self, path: str) -> tuple[int, bytes]:
        connection = SocketConnection(self._path, self._timeout)
        with answering(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read(_LARGEST_BYTES)
            if connection.late:
                raise TimeoutError
            if response.length:  # what it said would come, and did not
                raise http.client.IncompleteRead(body, response.length)
        return response.status, body


@contextlib.contextmanager
def answering(connection: SocketConnection) -> Iterator[None]:
    """Speak to the daemon, and close the connection after. EngineUnavailable when it does not answer."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        path, timeout = connection.path, connection.timeout
        if connection.late or (isinstance(error, TimeoutError) and timeout is not None):
            found = f"{path} does not answer within {timeout:g} s"
            raise EngineSilent.of("docker", found, "check the daemon, or restart it") from None
        found = f"{path}: {_words(error)}"
        raise EngineUnavailable.of("docker", found, "check that the daemon runs") from None
    finally:
        connection.close()


def _words(error: OSError | http.client.HTTPException) -> str:
    match error:
        case http.client.RemoteDisconnected():
            return "the daemon hangs up without an answer"
        case http.client.IncompleteRead():
            return "the answer breaks off"
        case http.client.HTTPException():
            return "what answers does not speak HTTP"
        case _:
            return error.strerror or type(error).__name__
