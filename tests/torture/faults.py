"""A registry that fails as it is told: in answers, in the middle of them, and in place of them.

Owns the kinds of fault, drawn from a seed, and the server that plays them. A request that no fault is about
gets what is right: from a shelf, or from a real registry behind it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Final

from attrs import Factory, define, field, frozen

__all__ = ["INDEX_DIGEST", "PLANTED", "Exchange", "Fault", "FaultyRegistry", "draw", "login"]

PLANTED: Final = "pl4nted-s3cret"
"""The password of the user, and what servers repeat of it: no command may show it."""

_KIND: Final = "application/vnd.oci.image.index.v1+json"
_INDEX: Final = json.dumps({"schemaVersion": 2, "mediaType": _KIND, "manifests": []}).encode()
INDEX_DIGEST: Final = f"sha256:{hashlib.sha256(_INDEX).hexdigest()}"
"""The digest of the image on the shelf: the only one that may ever be pinned."""

# Those that may pass come more often.
_STATUSES: Final = (
    "400", "401", "401", "402", "403", "404", "405", "406", "408", "409", "410", "418", "429", "429", "429",
    "451", "500", "501", "502", "503", "503", "504", "507", "599", "999",
)  # fmt: skip
_STEP_SECONDS: Final = 0.05
_READ_BYTES: Final = 1 << 16


@frozen
class Exchange:
    """A connection with a request that was read, what would be right to answer, and when the case is over."""

    connection: socket.socket
    right: bytes
    over: threading.Event

    def send(self, words: bytes) -> None:
        """Say something."""
        self.connection.sendall(words)


Play = Callable[[Exchange], None]


@frozen
class Fault:
    """What happens to some requests of one command: to those from `first` on, `count` of them."""

    name: str
    first: int
    count: int
    play: Play = field(repr=False, eq=False)

    def __str__(self) -> str:
        return f"{self.name} at {self.first}+{self.count}"


def _reply(status: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    given = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _says(words: bytes) -> Play:
    return lambda exchange: exchange.send(words)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _cut(at: int, *, reset: bool) -> Play:
    def play(exchange: Exchange) -> None:
        exchange.send(exchange.right[:at])
        if reset:
            _reset(exchange.connection)

    return play


def _drip(exchange: Exchange) -> None:
    for number in range(len(exchange.right)):
        if exchange.over.wait(_STEP_SECONDS):
            return
        exchange.send(exchange.right[number : number + 1])


def _silent(exchange: Exchange) -> None:
    exchange.over.wait()


def _endless(first: bytes, again: bytes) -> Play:
    def play(exchange: Exchange) -> None:
        exchange.send(first)
        while not exchange.over.is_set():
            exchange.send(again)

    return play


def _flip(seed: int) -> Play:
    def play(exchange: Exchange) -> None:
        # Never in the headers of a right answer: a registry that lies about a digest there is believed.
        right = exchange.right
        start = right.find(b"\r\n\r\n") + 4
        if start < len(right):
            at = start + seed % (len(right) - start)
            right = right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :]
        exchange.send(right)

    return play


def _error(code: object) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": PLANTED}]}).encode()


def _statuses(rng: random.Random) -> tuple[str, bytes]:
    status = rng.choice(_STATUSES)
    body = rng.choice([
        b"", b"<h1>no</h1>", _error("DENIED"),
        _error(rng.choice(["MANIFEST_UNKNOWN", "NAME_UNKNOWN", 7, None])),
        b"[]", b'{"errors": 5}', b"\0\xff", b"[" * 100_000,
    ])  # fmt: skip
    headers = {"Content-Type": rng.choice(["application/json", "text/html", ""])}
    if status == "401":
        headers["WWW-Authenticate"] = rng.choice([
            'Basic realm="x"', "garbage", "", 'Bearer realm="https://127.0.0.1:1/token",service="x"',
            f'Bearer realm="https://me:{PLANTED}@registry.invalid/token"', 'Bearer realm="file:///etc/passwd"',
            "Bearer", 'Bearer realm="https://[bad"', "Negotiate",
        ])  # fmt: skip
    if status in {"429", "503", "502"} and rng.random() < 0.7:
        headers["Retry-After"] = rng.choice([
            "0", "1", "3600", "-1", "soon", "9" * 400, "Wed, 21 Oct 2015 07:28:00 GMT", "1.5",
            "Fri, 31 Dec 9999 23:59:59 GMT", "",
        ])  # fmt: skip
    return f"status {status} {headers.get('Retry-After', '')[:9]}", _reply(f"{status} No", body, headers)


def _bodies(rng: random.Random) -> tuple[str, bytes]:
    kind = rng.choice([_KIND, _KIND, "text/html", "", "application/json", f"{_KIND}; charset=nonsense"])
    name, body = rng.choice([
        ("page", b"<h1>log in to the wireless network</h1>"), ("nothing", b""), ("NUL", b"\0" * 500),
        ("deep", b'{"a":' * 50_000), ("number", b'{"manifests": [], "n": ' + b"9" * 5000 + b"}"),
        ("list", b"[]"), ("error", _error("UNAUTHORIZED")),
        ("both", b'{"manifests": [], "config": {}, "layers": []}'), ("text", b'"x"'),
        ("not UTF-8", b"\xff\xfe\xfa"), ("surrogate", b'{"manifests": [], "\\ud800": 1}'),
        ("long", _INDEX + b" " * (5 << 20)), ("null", b'{"manifests": null}'),
        ("wrong parts", b'{"manifests": [7, null, {"digest": 5}]}'),
    ])  # fmt: skip
    headers = {"Content-Type": kind}
    if rng.random() < 0.5:
        # What is said of a body that is none is not to be believed.
        headers["Docker-Content-Digest"] = rng.choice(["garbage", "sha256:", "sha512:" + "a" * 128, ""])
    if rng.random() < 0.2:
        name, body = f"bomb of {name}", gzip.compress(body + b" " * (64 << 20), 1)
        headers["Content-Encoding"] = "gzip"
    return f"200 {name}", _reply("200 OK", body, headers)


def login(count: int) -> Fault:
    """A registry that asks who is there, and takes whatever it is told after `count` times."""
    words = _reply("401 Who", _error("UNAUTHORIZED"), {"WWW-Authenticate": 'Basic realm="x"'})
    return Fault("a login", 0, count, _says(words))


def draw(rng: random.Random, closed: int, silent: int) -> Fault:
    """A fault. `closed` is a port where nobody listens, and `silent` one where nobody answers."""
    first = rng.choice([0, 0, 0, 0, 1, 1, 2])
    count = rng.choice([1, 1, 2, 3, 1000])
    where = [
        "/loop", "//", "file:///etc/passwd", "http://[bad", f"http://localhost:{closed}/", "gopher://x/", "",
        f"http://localhost:{silent}/", f"http://me:{PLANTED}@localhost:{closed}/", "http://localhost:99999/",
    ]  # fmt: skip
    kind = rng.randrange(12)
    name, words = "", b""
    match kind:
        case 0 | 1 | 2:
            name, words = _statuses(rng)
        case 3 | 4:
            name, words = _bodies(rng)
        case 5:
            status, place = rng.choice(["301", "302", "303", "307", "308"]), rng.choice(where)
            name, words = f"{status} to {place}", _reply(f"{status} There", b"", {"Location": place})
        case 6 | 7:
            at, reset = rng.randrange(400), rng.random() < 0.5
            return Fault(f"{'reset' if reset else 'cut'} at byte {at}", first, count, _cut(at, reset=reset))
        case 8:
            return Fault("drip", first, count, _drip)
        case 9:
            return Fault("silence", first, count, _silent)
        case 10:
            return Fault("a flipped bit", first, count, _flip(rng.randrange(1 << 30)))
        case _:
            name, play = _raw(rng)
            return Fault(name, first, count, play)
    return Fault(name, first, count, _says(words))


def _raw(rng: random.Random) -> tuple[str, Play]:
    return rng.choice([
        ("SSH", _says(b"SSH-2.0-OpenSSH_9.2\r\n")), ("zeros", _says(b"\0" * 1000)),
        ("no status", _says(b"HTTP/1.1 what\r\n\r\n")), ("HTTP/0.9", _says(b"<h1>hello</h1>")),
        ("headers without end", _endless(b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n" * 1000)),
        ("a line without end", _endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * _READ_BYTES)),
        ("100 without end", _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
        ("body without end", _endless(b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\n\r\n", b" " * _READ_BYTES)),
        ("4 GiB", _says(f"HTTP/1.1 200 OK\r\nContent-Length: {4 << 30}\r\n\r\n".encode())),
        ("negative length", _says(b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n{}")),
        ("two lengths", _says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}")),
        ("bad chunks", _says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")),
        ("chunks without end", _endless(
            b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
        )),
        ("a header of bytes", _says(b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: \xff\xfe\r\n\r\n")),
    ])  # fmt: skip


@define
class FaultyRegistry:
    """The server. `fault` is about the requests that come from now on; `behind` is a real registry's port.

    Without one, what is right is an index on a shelf, whatever is asked for.
    """

    behind: int | None = None
    fault: Fault | None = None
    _listening: socket.socket = Factory(lambda: socket.create_server(("", 0), backlog=128))
    _over: threading.Event = Factory(threading.Event)
    _case: threading.Event = Factory(threading.Event)
    _asked: int = 0
    _lock: threading.Lock = Factory(threading.Lock)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listening.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen from now on."""
        threading.Thread(target=self._serve, daemon=True).start()

    def begin(self, fault: Fault | None) -> None:
        """Play another fault. What still goes on of an earlier one ends."""
        self._case.set()
        with self._lock:
            self._case = threading.Event()
            self.fault, self._asked = fault, 0

    def close(self) -> None:
        """Listen no more."""
        self._case.set()
        self._over.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        """One request, and the end of the connection."""
        with connection, contextlib.suppress(OSError):
            head, rest = _head(connection)
            if not head:
                return
            with self._lock:
                number, self._asked = self._asked, self._asked + 1
                fault, case = self.fault, self._case
            struck = fault is not None and fault.first <= number < fault.first + fault.count
            if self.behind is None:
                right = _shelf(head)
                if fault is not None and struck:
                    fault.play(Exchange(connection, right, case))
                else:
                    connection.sendall(right)
                return
            self._lead(connection, head, rest, fault if struck else None, case)

    def _lead(
        self, near: socket.socket, head: bytes, rest: bytes, fault: Fault | None, case: threading.Event
    ) -> None:
        """One request to the real registry, and its answer, or what a fault makes of it."""
        with socket.create_connection(("127.0.0.1", self.behind or 0)) as far:
            far.sendall(_closing(head) + rest)
            there = threading.Thread(target=_copy, args=(near, far), daemon=True)
            there.start()
            try:
                if fault is None:
                    _copy(far, near)
                    return
                right = bytearray()
                while data := far.recv(_READ_BYTES):
                    right += data
                fault.play(Exchange(near, bytes(right), case))
            finally:
                # A connection that a thread still reads from is not closed by closing it.
                with contextlib.suppress(OSError):
                    near.shutdown(socket.SHUT_RD)
                there.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_READ_BYTES):
            sink.sendall(data)


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(_READ_BYTES)
        if not more:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _closing(head: bytes) -> bytes:
    """The head of a request after whose answer the connection ends."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])


def _shelf(head: bytes) -> bytes:
    right = _reply("200 OK", _INDEX, {"Content-Type": _KIND, "Docker-Content-Digest": INDEX_DIGEST})
    return right if not head.startswith(b"HEAD") else right.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
