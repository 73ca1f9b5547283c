"""A socket in front of the real Docker daemon, which fails as it is told.

Owns the faults of a daemon as its clients see them. Whatever no fault is about goes to the daemon and back:
it is shared, and nothing here harms it.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from attrs import Factory, define, frozen

__all__ = ["FaultySocket", "SocketFault", "draw_socket_fault"]

Kind = Literal["refuses", "hangs", "cuts", "says", "corrupts", "dawdles", "is gone"]

_READ_BYTES: Final = 1 << 16
_DELAY_SECONDS: Final = 0.02

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"


def _sized(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


_WORDS: Final = {
    "bytes": b"\0\xff\xfe garbage \r\n\r\n" * 10,
    "500": _sized(b"HTTP/1.1 500 No\r\n", b'{"message": "broken"}'),
    "503 in HTML": _sized(b"HTTP/1.1 503 No\r\nContent-Type: text/html\r\n", b"<h1>later</h1>"),
    "404 in HTML": _sized(b"HTTP/1.1 404 No\r\nContent-Type: text/html\r\n", b"<h1>nothing</h1>"),
    "200 in HTML": _sized(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", b"<h1>hello</h1>"),
    "an empty object": _sized(_OK, b"{}"),
    "an empty list": _sized(_OK, b"[]"),
    "null": _sized(_OK, b"null"),
    "depth": _sized(_OK, b"[" * 50_000),
    "another type": _sized(_OK, b'{"Id": 5, "Config": {"Labels": []}, "RepoTags": {}}'),
}


@frozen
class SocketFault:
    """What happens to connections from number `first` on, `count` of them; `at` is a byte of an answer."""

    kind: Kind
    first: int
    count: int
    at: int = 0
    words: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.words} at byte {self.at}, connection {self.first}+{self.count}"


def draw_socket_fault(rng: random.Random) -> SocketFault:
    """A fault. What hangs or is gone stays so: one connection of many that hangs is no daemon's fault."""
    kinds: tuple[Kind, ...] = (
        "refuses", "hangs", "cuts", "cuts", "says", "says", "corrupts", "dawdles", "is gone"
    )  # fmt: skip
    kind = rng.choice(kinds)
    first = rng.randrange(8)
    count = 1000 if kind in ("hangs", "is gone") else rng.choice([1, 1, 2, 1000])
    return SocketFault(kind, first, count, int(10 ** rng.uniform(0, 4)), rng.choice(sorted(_WORDS)))


@define
class FaultySocket:
    """The socket, at `path`, in front of the one at `daemon`."""

    path: Path
    daemon: str
    fault: SocketFault | None = None
    _listening: socket.socket = Factory(lambda: socket.socket(socket.AF_UNIX))
    _over: threading.Event = Factory(threading.Event)
    _asked: int = 0
    _ends: set[socket.socket] = Factory(set)
    _lock: threading.Lock = Factory(threading.Lock)

    def start(self) -> None:
        """Listen from now on."""
        self._listening.bind(str(self.path))
        self._listening.listen(128)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End all connections, and be gone."""
        self._over.set()
        with self._lock:
            ends = tuple(self._ends)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            number, self._asked = self._asked, self._asked + 1
            fault = self.fault
            struck = fault is not None and fault.first <= number < fault.first + fault.count
            if struck and fault is not None and fault.kind == "is gone":
                near.close()
                self.path.unlink(missing_ok=True)
                continue
            threading.Thread(target=self._lead, args=(near, fault if struck else None), daemon=True).start()

    def _hung(self) -> bool:
        """Whether the daemon hangs by now, for connections of before as well."""
        fault = self.fault
        return fault is not None and fault.kind == "hangs" and self._asked > fault.first

    def _lead(self, near: socket.socket, fault: SocketFault | None) -> None:
        with near, self._open(near), contextlib.suppress(OSError):
            if fault is not None and fault.kind == "refuses":
                return
            if fault is not None and fault.kind == "hangs":
                self._over.wait()
                return
            if fault is not None and fault.kind == "says":
                near.recv(_READ_BYTES)
                near.sendall(_WORDS[fault.words])
                return
            with socket.socket(socket.AF_UNIX) as far, self._open(far):
                far.connect(self.daemon)
                threading.Thread(target=self._copy, args=(near, far, None), daemon=True).start()
                self._copy(far, near, fault)

    @contextlib.contextmanager
    def _open(self, end: socket.socket) -> Iterator[None]:
        """A connection that ends when all is over."""
        with self._lock:
            self._ends.add(end)
        try:
            yield
        finally:
            with self._lock:
                self._ends.discard(end)

    def _copy(self, source: socket.socket, sink: socket.socket, fault: SocketFault | None) -> None:
        """Lead one direction on, with what a fault does to it."""
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_READ_BYTES):
                if self._hung():
                    self._over.wait()
                    return
                at = fault.at - passed if fault is not None else -1
                if fault is not None and 0 <= at < len(data):
                    if fault.kind == "cuts":
                        sink.sendall(data[:at])
                        break
                    if fault.kind == "corrupts":
                        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                if fault is not None and fault.kind == "dawdles":
                    self._over.wait(_DELAY_SECONDS)
                sink.sendall(data)
                passed += len(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR if fault is not None else socket.SHUT_WR)
