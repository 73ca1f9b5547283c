"""Downloads against a real server that drops, stalls, refuses and lies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from executor.bootstrap.download import Patience, download, shown
from executor.bootstrap.errors import Refused
from tests.authority import authority
from tests.web import Reply, serving

DATA: Final = bytes(range(256)) * 4000
FAST: Final = Patience(seconds=20.0, silence=5.0, tries=3, pause=0.0, longest_pause=0.0)

Handler = BaseHTTPRequestHandler
Speak = Callable[[Handler, int], None]


class Site:
    """A server, and what it was asked: the headers of each request."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[dict[str, str]] = []


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Clients that have heard enough hang up."""


@contextmanager
def _site(speak: Speak) -> Iterator[Site]:
    class _Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name that the library calls
            site.asked.append(
                {**{name.lower(): value for name, value in self.headers.items()}, "path": self.path}
            )
            speak(self, len(site.asked))

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), _Handler) as server:
        site = Site(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def _send(
    handler: Handler, body: bytes = DATA, status: int = 200, sent: int | None = None, **headers: Any
) -> None:
    """Answer with a body, of which only the beginning is sent."""
    handler.send_response(status)
    for name, value in {"Content_Length": len(body), **headers}.items():
        if value is not None:
            handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body if sent is None else body[:sent])
    if sent is not None:
        handler.close_connection = True


def _got(site: Site, path: Path, patience: Patience = FAST) -> bytes:
    download(f"{site.url}/code?sig=planted", path / "file", {}, patience)
    return (path / "file").read_bytes()


def _refusal(site: Site, path: Path, patience: Patience = FAST) -> Refused:
    with pytest.raises(Refused) as caught:
        _got(site, path, patience)
    assert caught.value.code == "download-failed"
    assert caught.value.found.startswith(f"downloading {site.url}/code failed: ")
    assert "planted" not in str(caught.value)
    return caught.value


def test_a_file_is_downloaded(tmp_path: Path) -> None:
    with _site(lambda handler, _: _send(handler)) as site:
        assert _got(site, tmp_path) == DATA


def test_what_is_sent_in_chunks_is_downloaded(tmp_path: Path) -> None:
    def speak(handler: Handler, _: int) -> None:
        _send(handler, b"", Content_Length=None, Transfer_Encoding="chunked")
        for start in range(0, len(DATA), 100_000):
            piece = DATA[start : start + 100_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with _site(speak) as site:
        assert _got(site, tmp_path) == DATA


def test_it_goes_on_where_the_connection_ended(tmp_path: Path) -> None:
    def speak(handler: Handler, number: int) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        rest = DATA[start:]
        partial = {"Content_Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
        _send(handler, rest, 206 if start else 200, 300_000 if number < 4 else None, ETag='"1"', **partial)

    with _site(speak) as site:
        assert _got(site, tmp_path) == DATA
        # More often than it is tried without anything new.
        assert [asked.get("range") for asked in site.asked] == [
            None, "bytes=300000-", "bytes=600000-", "bytes=900000-"
        ]  # fmt: skip
        assert {asked.get("if-range") for asked in site.asked[1:]} == {'"1"'}


def test_it_begins_anew_where_the_file_is_another(tmp_path: Path) -> None:
    def speak(handler: Handler, number: int) -> None:
        _send(handler, b"old" * 1000, sent=1500, ETag='"1"') if number == 1 else _send(handler, ETag='"2"')

    with _site(speak) as site:
        assert _got(site, tmp_path) == DATA


@pytest.mark.parametrize("tag", [None, 'W/"1"'])
def test_it_begins_anew_where_nothing_says_that_it_is_the_same(tmp_path: Path, tag: str | None) -> None:
    with _site(lambda handler, number: _send(handler, sent=1000 if number == 1 else None, ETag=tag)) as site:
        assert _got(site, tmp_path) == DATA
        assert "range" not in site.asked[1]


def test_a_server_that_always_drops_is_given_up(tmp_path: Path) -> None:
    with _site(lambda handler, _: _send(handler, sent=1000)) as site:
        refused = _refusal(site, tmp_path)
        assert refused.found.endswith("the connection ended after 1000 bytes, in each of 3 tries")
        assert (refused.exit_code, len(site.asked)) == (75, 3)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_passes_is_tried_again(tmp_path: Path, status: int) -> None:
    with _site(lambda handler, number: _send(handler, status=200 if number == 3 else status)) as site:
        assert _got(site, tmp_path) == DATA
    (tmp_path / "again").mkdir()
    with _site(lambda handler, _: _send(handler, status=status)) as site:
        refused = _refusal(site, tmp_path / "again")
        assert refused.found.endswith(f"the server answered with status {status}, in each of 3 tries")
        assert refused.exit_code == 75


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_does_not_pass_is_not_tried_again(tmp_path: Path, status: int) -> None:
    with _site(lambda handler, _: _send(handler, status=status)) as site:
        refused = _refusal(site, tmp_path)
        assert f"status {status}" in refused.found
        assert (refused.exit_code, len(site.asked)) == (78, 1)


@pytest.mark.parametrize("after", ["1000", formatdate(4_000_000_000)])
def test_a_server_that_asks_for_patience_gets_what_there_is(tmp_path: Path, after: str) -> None:
    """A wait that would not end in time is not begun."""
    patience = FAST._replace(longest_pause=3600.0)
    with _site(lambda handler, _: _send(handler, status=429, Retry_After=after)) as site:
        refused = _refusal(site, tmp_path, patience)
        assert refused.found.endswith("status 429, until there was no time left")
        assert len(site.asked) == 1


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    over = threading.Event()

    def speak(handler: Handler, number: int) -> None:
        if number == 1:
            _send(handler, DATA, sent=1000)
            handler.wfile.flush()
        over.wait()
        handler.close_connection = True

    with _site(speak) as site:
        try:
            refused = _refusal(site, tmp_path, FAST._replace(silence=0.1, tries=2))
        finally:
            over.set()
        assert "nothing more was heard from the server, in each of 2 tries" in refused.found


def test_a_server_that_sends_for_ever_is_given_up(tmp_path: Path) -> None:
    def speak(handler: Handler, _: int) -> None:
        _send(handler, b"", Content_Length=None)
        handler.close_connection = True
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 10_000)

    with _site(speak) as site:
        found = _refusal(site, tmp_path, FAST._replace(most_bytes=1_000_000)).found
        assert found.endswith("it is larger than 1000000 bytes")
        assert (tmp_path / "file").stat().st_size <= 1_000_000
    (tmp_path / "y").mkdir()
    with _site(speak) as site:
        refused = _refusal(site, tmp_path / "y", FAST._replace(seconds=0.3))
        assert refused.found.endswith("it takes longer than 0.3 s")


def test_a_page_of_html_is_no_file(tmp_path: Path) -> None:
    with _site(lambda handler, _: _send(handler, b"<html>log in", Content_Type="text/html")) as site:
        assert _refusal(site, tmp_path).found.endswith("the server sent a web page instead of a file")


def test_what_does_not_speak_http_is_given_up(tmp_path: Path) -> None:
    def speak(handler: Handler, _: int) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        handler.close_connection = True

    with _site(speak) as site:
        assert "does not speak HTTP" in _refusal(site, tmp_path).found


def test_nobody_there_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"Connection refused, in each of 3 tries"):
        download("http://127.0.0.1:1/code", tmp_path / "file", {}, FAST)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "/etc/passwd"])
def test_only_http_and_https_are_downloaded(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refused, match="neither an http nor an https URL"):
        download(url, tmp_path / "file", {}, FAST)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_no_redirection_leads_elsewhere(tmp_path: Path, target: str) -> None:
    with _site(lambda handler, _: _send(handler, status=302, Location=target)) as site:
        _refusal(site, tmp_path)


def test_a_login_stays_with_its_host(tmp_path: Path) -> None:
    with _site(lambda handler, _: _send(handler)) as other:

        def speak(handler: Handler, _: int) -> None:
            target = f"{other.url}/x" if handler.path == "/moved" else "/moved"
            _send(handler, status=302, Location=target)

        with _site(speak) as site:
            login = {"Authorization": "Bearer planted", "PRIVATE-TOKEN": "planted"}
            download(f"{site.url}/code", tmp_path / "file", login, FAST)
            assert [asked["authorization"] for asked in site.asked] == ["Bearer planted"] * 2
            assert "planted" not in str(other.asked)


def test_a_server_that_nobody_vouches_for_is_not_tried_again(tmp_path: Path) -> None:
    made = authority(tmp_path / "authority")
    with serving(lambda _: Reply(body=DATA), tls=made.server("127.0.0.1")) as site:
        with pytest.raises(Refused, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed") as caught:
            download(f"https://127.0.0.1:{site.port}/x", tmp_path / "file", {}, FAST)
        assert (caught.value.exit_code, site.requests) == (78, [])


def test_a_server_that_a_known_authority_vouches_for_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.bundle))
    with serving(lambda _: Reply(body=DATA), tls=made.server("127.0.0.1")) as site:
        download(f"https://127.0.0.1:{site.port}/x", tmp_path / "file", {}, FAST)
    assert (tmp_path / "file").read_bytes() == DATA


def test_what_is_shown_of_a_url_is_no_secret() -> None:
    assert shown("https://me:pw@host:8443/a/b?token=x#y") == "https://host:8443/a/b"
