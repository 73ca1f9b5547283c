"""What a Docker daemon on a socket of this machine says of an image, asked without the SDK.

Importing the SDK takes half as long as a whole plan, and `apply` mostly asks for one image and is done.
Owns reading alone (Docker Engine API, "Images"): everything else, and every other daemon, is the SDK's.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Final
from urllib.parse import quote

from executor.errors import EngineUnavailable, ExecutorError

__all__ = ["SocketApi"]

# The images of 1,000 layers have a history of some 100 KB.
_LARGEST_BYTES: Final = 16 * 1024 * 1024


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class SocketApi:
    """Reads from the daemon at a socket. EngineUnavailable when it does not answer in time."""

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
        connection = _Connection(self._path, self._timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read(_LARGEST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            found = f"{self._path}: {error or type(error).__name__}"
            raise EngineUnavailable.of("docker", found, "see that the daemon runs") from None
        finally:
            connection.close()
        if response.status == http.client.NOT_FOUND:
            return None
        try:
            answer: Any = body.decode() if text else json.loads(body)
        except ValueError:
            answer = None
        if response.status != http.client.OK or answer is None:
            said = answer.get("message") if isinstance(answer, dict) else None
            found = f"answers with status {response.status}: {said or 'no words'}"
            raise ExecutorError.of("docker", found, "see what the daemon's log says")
        return answer
