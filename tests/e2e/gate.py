"""A way to a registry that can be closed: a test cannot stop a registry that others use."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from attrs import define, field


@define
class Gate:
    """An address that leads to a registry until it is closed. Then nothing listens there."""

    target: tuple[str, int]
    _listening: socket.socket = field(factory=socket.socket)
    _open: bool = True

    @property
    def address(self) -> str:
        """What stands in a reference for the registry."""
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def start(self) -> None:
        """Listen, and lead whoever comes to the registry."""
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """From now on the registry is down."""
        self._open = False
        # A thread that waits in `accept` keeps a socket that is only closed.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while self._open:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(near,), daemon=True).start()

    def _lead(self, near: socket.socket) -> None:
        """One connection, until either side ends it."""
        with near, socket.create_connection(self.target) as far:
            there = threading.Thread(target=_copy, args=(near, far), daemon=True)
            there.start()
            _copy(far, near)
            there.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def gate_to(registry: str) -> Iterator[Gate]:
    """A gate to a registry, which is closed at the end."""
    host, _, port = registry.partition(":")
    gate = Gate((host, int(port)))
    gate.start()
    try:
        yield gate
    finally:
        gate.close()
