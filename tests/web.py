"""Web servers of a test's own, to say what no registry says on request."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attrs import field, frozen


@frozen
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@frozen
class Reply:
    """What is answered. `headers` beside the length of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Site:
    """A server that runs: its port, and all that it was asked so far."""

    port: int
    requests: list[Request] = field(factory=list)

    @property
    def address(self) -> str:
        """The server as the registry of an image."""
        return f"localhost:{self.port}"


class _Server(ThreadingHTTPServer):
    # uv opens 50 connections at once. Of those that find no place in the queue the kernel forgets the first
    # packet, which is sent again after a second, or three.
    request_queue_size = 128


@contextmanager
def serving(
    answer: Callable[[Request], Reply], *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Site]:
    """A server whose answers a function gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            site.requests.append(request)
            reply = answer(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(ConnectionError):  # of a client that has read enough
                    self.wfile.write(reply.body)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815  # as above

        def log_message(self, *_: object) -> None:
            pass

    server = _Server((host, 0), Handler)
    if tls is not None:
        # Each connection greets in its own thread: one that is silent keeps no other waiting.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def saying(speak: Callable[[int], bytes | None]) -> Iterator[Site]:
    """A server that says some bytes to whoever asks, and hangs up; for None it resets the connection.

    `speak` is given the number of the connection, from 0.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    site = Site(listening.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                asked = connection.recv(1 << 16).decode("latin-1").split()
                site.requests.append(Request(asked[0], asked[1], {}))
                words = speak(len(site.requests) - 1)
                if words is None:
                    # With nothing to wait for, closing sends a reset.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    connection.sendall(words)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield site
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
