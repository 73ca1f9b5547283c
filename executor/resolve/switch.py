"""An index on loopback that sends uv to the one index that a package is from.

uv takes a package from the first index that has its name, and knows an index of one package only where a
project asks for that package itself. So it is given this one first: whoever wants a package, and be it what
builds another, is sent to where it is from. What that index does not have, no other is asked for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from planner.identity import content_hash
from planner.immutable import frozen
from planner.settings.package_indexes import PackageIndex, index_of

__all__ = ["Switch", "switch"]

_LOOPBACK: Final = "127.0.0.1"
# uv keeps what it was sent under the address that it asked. So that is mostly the same, for the same indexes.
_PORTS: Final = range(20_000, 30_000)
_SIMPLE: Final = "application/vnd.pypi.simple.v1+json"


@frozen
class Switch:
    """A switch that runs: what uv is given in place of indexes that are limited to some packages."""

    port: int
    limited: tuple[PackageIndex, ...]

    def address(self, index: PackageIndex) -> str:
        """What stands for an index."""
        return f"http://{_LOOPBACK}:{self.port}/{_named(index)}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The indexes to ask before all others, in this order."""
        nowhere = f"http://{_LOOPBACK}:{self.port}/nowhere"
        return (*map(self.address, self.limited), nowhere)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """The status, the headers and the body for a path that is asked for."""
        *below, name = path.strip("/").split("/")
        index = index_of(self.limited, name)
        if index is not None and below == [_named(index)]:
            return 307, {"Location": f"{index.url.rstrip('/')}/{name}/"}, b""
        if index is not None and below == ["nowhere"]:
            page = {"meta": {"api-version": "1.0"}, "name": name, "files": []}
            return 200, {"Content-Type": _SIMPLE, "Cache-Control": "no-store"}, json.dumps(page).encode()
        return 404, {}, b""


def _named(index: PackageIndex) -> str:
    """A name of an index that no other has: uv keeps what it was sent, and ports are used again."""
    return content_hash("switch", (index.name, index.url)).hex


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:  # the name that the library calls
        status, headers, body = self.server.switch.answer(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # as above

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    switch: Switch

    def handle_error(self, *_: object) -> None:
        """Nothing: whoever asked has gone."""


def _listening(limited: Sequence[PackageIndex]) -> _Server:
    named = content_hash("switch", tuple((index.name, index.url) for index in limited))
    try:
        return _Server((_LOOPBACK, _PORTS[int(named.hex[:8], 16) % len(_PORTS)]), _Handler)
    except OSError:
        return _Server((_LOOPBACK, 0), _Handler)


@contextmanager
def switch(indexes: Sequence[PackageIndex]) -> Iterator[Switch | None]:
    """A switch for those of some indexes that are limited to packages; None if none is."""
    limited = tuple(index for index in indexes if index.packages)
    if not limited:
        yield None
        return
    server = _listening(limited)
    server.switch = Switch(server.server_address[1], limited)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.switch
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
