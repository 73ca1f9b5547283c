"""Registries that fail: what is asked again, how long is waited, how much is read, and who is blamed."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from executor import limits
from executor.errors import RegistryRefused, RegistryUnavailable
from executor.registry import patience
from executor.registry.lookup import Answer, Found, Unknown, head
from executor.registry.tags import retag
from planner.values import Digest, ImageRef
from tests.web import Reply, Request, saying, serving

OTHER = f"sha256:{'0' * 64}"
KIND = "application/vnd.oci.image.index.v1+json"
INDEX = json.dumps({"schemaVersion": 2, "mediaType": KIND, "manifests": []}).encode()
DIGEST = Digest(hashlib.sha256(INDEX).hexdigest())
GOOD = Reply(body=INDEX, headers={"Docker-Content-Digest": str(DIGEST), "Content-Type": KIND})
SAID = (
    f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\nDocker-Content-Digest: {DIGEST}\r\nConnection: close\r\n"
    f"Content-Length: {len(INDEX)}\r\n\r\n"
).encode()
BASIC = {"WWW-Authenticate": 'Basic realm="registry"'}


def look(address: str, home: Path, *, timeout: float = 20) -> Answer:
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    return head(ImageRef.parse(f"{address}/team/app:1"), timeout=timeout, environ=environ)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(patience, "sleep", waited.append)
    monkeypatch.setattr(limits, "REGISTRY_BACKOFF_SECONDS", 1.0)
    return waited


def failing(*replies: Reply) -> Callable[[Request], Reply]:
    """These replies, one after the other, and then what is good."""
    left = list(replies)
    return lambda _: left.pop(0) if left else GOOD


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_asked_again(
    home: Path, waits: list[float], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stowplan.registry")
    with serving(failing(Reply(status), Reply(status))) as site:
        assert look(site.address, home) == Found(DIGEST, "index")
    assert len(site.requests) == 3
    assert waits == [0, 2]
    assert caplog.messages == [
        f"{site.address} answered {status}: asking again without delay",
        f"{site.address} answered {status}: asking again in 2 s",
    ]


@pytest.mark.parametrize("date", [False, True])
def test_a_registry_says_itself_how_long_to_wait(home: Path, waits: list[float], date: bool) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True) if date else "9"
    with serving(failing(Reply(429, headers={"Retry-After": later}))) as site:
        assert look(site.address, home, timeout=60) == Found(DIGEST, "index")
    (wait,) = waits
    assert (7 < wait <= 9) if date else wait == 9


@pytest.mark.parametrize(
    "value", ["", "soon", "-3", "1e9", "9" * 5000, "Sun, 99 Nov 99999999999999999999 99:99:99 GMT", "0"]
)
def test_a_time_that_is_none_is_not_waited_for(home: Path, waits: list[float], value: str) -> None:
    with serving(failing(Reply(503, headers={"Retry-After": value}))) as site:
        assert isinstance(look(site.address, home), Found | Unknown)
    assert all(wait < 20 for wait in waits)


def test_nobody_waits_past_the_end(home: Path, waits: list[float]) -> None:
    with serving(lambda _: Reply(429, headers={"Retry-After": "60"})) as site:
        answer = look(site.address, home, timeout=20)
    assert isinstance(answer, Unknown)
    assert "asked too often" in answer.reason
    assert answer.transient
    assert (waits, len(site.requests)) == ([], 1)


def test_a_registry_is_asked_again_a_few_times_and_then_no_more(home: Path, waits: list[float]) -> None:
    with serving(lambda _: Reply(503)) as site:
        answer = look(site.address, home)
    assert answer == Unknown(f"{site.address} answered with status 503")
    assert (waits, len(site.requests)) == ([0, 2, 4], 1 + limits.REGISTRY_RETRIES)


@pytest.mark.parametrize(
    "reply", [Reply(400), Reply(401, headers=BASIC), Reply(403), Reply(418), Reply(500), Reply(501)]
)
def test_what_stays_is_not_asked_again(home: Path, waits: list[float], reply: Reply) -> None:
    with serving(lambda _: reply) as site:
        assert isinstance(look(site.address, home), Unknown)
    assert waits == []
    # One of them with the credentials that there are: none.
    assert len(site.requests) == (2 if reply.status == 401 else 1)


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0", b"HTTP/1.1 what\r\n\r\n"])
def test_what_is_no_http_is_not_asked_again(home: Path, waits: list[float], words: bytes) -> None:
    with saying(lambda _: words) as site:
        answer = look(site.address, home)
    assert answer == Unknown(f"{site.address} does not answer like a registry", transient=False)
    assert (waits, len(site.requests)) == ([], 1)


@pytest.mark.parametrize("words", [None, b"", SAID[:40], SAID + INDEX[:10]])
def test_a_connection_that_breaks_is_made_again(home: Path, waits: list[float], words: bytes | None) -> None:
    """Reset, closed without a word, and in the middle of the headers or of the body of a GET."""

    def speak(number: int) -> bytes | None:
        if number == 0:
            return b"HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return words if number < 3 else SAID + INDEX

    with saying(speak) as site:
        assert look(site.address, home) == Found(DIGEST, "index")
    assert [request.method for request in site.requests] == ["HEAD", "GET", "GET", "GET"]
    assert waits == [0, 2]


def test_a_connection_that_always_breaks_may_be_made_later(home: Path, waits: list[float]) -> None:
    with saying(lambda _: None) as site:
        answer = look(site.address, home)
    assert answer == Unknown(f"{site.address} hung up before its answer was complete")
    assert len(waits) == limits.REGISTRY_RETRIES


def test_a_tag_is_given_again(home: Path, waits: list[float]) -> None:
    left = [Reply(503), Reply(201)]

    def answer(request: Request) -> Reply:
        return left.pop(0) if request.method == "PUT" else GOOD

    with serving(answer) as site:
        ref = ImageRef.parse(f"{site.address}/team/app:1")
        assert retag(ref, "2", timeout=20, environ={"HOME": str(home)}) == DIGEST
    assert [request.method for request in site.requests] == ["GET", "PUT", "PUT"]
    assert waits == [0]


@pytest.mark.parametrize(("status", "kind"), [(500, RegistryUnavailable), (403, RegistryRefused)])
def test_a_tag_that_is_not_taken(home: Path, status: int, kind: type[Exception]) -> None:
    with serving(lambda request: Reply(status) if request.method == "PUT" else GOOD) as site:
        ref = ImageRef.parse(f"{site.address}/team/app:1")
        with pytest.raises(kind, match="cannot be tagged"):
            retag(ref, "2", timeout=20, environ={"HOME": str(home)})


# --- what is read of an answer


@contextmanager
def flood(first: bytes) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that answers a GET with these bytes and then without end; and how many bytes it got rid of."""
    sent = 0
    listening = socket.create_server(("127.0.0.1", 0))

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        with connection:
            asked = connection.recv(1 << 16)
            try:
                if asked.startswith(b"HEAD"):
                    connection.sendall(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                connection.sendall(first)
                while True:
                    connection.sendall(b" " * (1 << 16))
                    sent += 1 << 16
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=pour, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"localhost:{listening.getsockname()[1]}", lambda: sent
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\nContent-Length: {4 << 30}\r\n\r\n".encode(),
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n",
        b"HTTP/1.1 503 Later\r\nContent-Type: application/json\r\n\r\n",
        b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm=x\r\n\r\n",
        b"HTTP/1.1 302 There\r\nLocation: /elsewhere\r\n\r\n",
    ],
    ids=["no length", "4 GiB", "an error", "503", "401", "redirect"],
)
def test_an_answer_without_end_is_not_read(home: Path, first: bytes) -> None:
    with flood(first) as (address, sent):
        answer = look(address, home)
        assert isinstance(answer, Unknown)
        assert "did not answer" not in answer.reason
        # What was read, and what is in the buffers of the sockets, for each of a few connections.
        assert sent() < (1 + limits.REGISTRY_RETRIES) * (limits.MANIFEST_BYTES + (8 << 20))


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_bomb_does_not_go_off(home: Path, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(b" " * (200 << 20))
    name = "gzip" if compress is gzip.compress else "deflate"
    kind = {"Content-Type": KIND, "Content-Encoding": name}

    def answer(request: Request) -> Reply:
        return Reply(405) if request.method == "HEAD" else Reply(body=bomb, headers=kind)

    with serving(answer) as site:
        found = look(site.address, home)
    assert isinstance(found, Unknown)
    assert "sends more than 4 MiB" in found.reason
    assert {request.headers["Accept-Encoding"] for request in site.requests} == {"identity"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<h1>log in</h1>", headers={"Content-Type": "text/html; charset=nonsense"}),
        Reply(body=b"<h1>log in</h1>", headers={"Content-Type": KIND}),
        Reply(body=INDEX, headers={"Content-Type": "text/html", "Docker-Content-Digest": OTHER}),
        Reply(body=INDEX.replace(b'"', b'\0"'), headers={"Content-Type": KIND}),
        Reply(body=b'{"a":' * 100_000, headers={"Content-Type": KIND}),
        Reply(body=b'{"manifests": [], "size": ' + b"9" * 5000 + b"}", headers={"Content-Type": KIND}),
        Reply(body=INDEX.decode().encode("utf-16"), headers={"Content-Type": f"{KIND}; charset=utf-16"}),
        Reply(302, headers={"Location": "/login"}),
        Reply(302, headers={"Location": "file:///etc/passwd"}),
        Reply(302, headers={"Location": "http://[bad"}),
        Reply(302, headers={"Location": "http://localhost:99999/"}),
        Reply(204),
    ],
    ids=[
        "a page", "a page as an index", "another digest", "NUL", "deep", "a huge number", "UTF-16",
        "a loop of redirects", "a file", "no address", "no port", "no content",
    ],
)  # fmt: skip
def test_a_good_status_does_not_make_an_image(home: Path, waits: list[float], reply: Reply) -> None:
    with serving(lambda request: Reply(405) if request.method == "HEAD" else reply) as site:
        answer = look(site.address, home)
    if reply.headers.get("Content-Type", "").endswith("utf-16"):
        # JSON says itself how it is encoded, and these are the bytes of a digest.
        assert isinstance(answer, Found)
        return
    assert isinstance(answer, Unknown)
    assert waits == []
    assert len(site.requests) <= 8


# --- who did not answer


@pytest.fixture
def helper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a credential helper of a shell script, which Docker's configuration names."""
    programs = home / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text('{"credsStore": "planted"}')

    def install(script: str) -> None:
        program = programs / "docker-credential-planted"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


def children_of(mark: str) -> list[str]:
    """The processes whose environment has a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("limit", [0.3, 60.0])
def test_a_helper_that_hangs_is_blamed_and_ended(
    home: Path, helper: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    """By its own limit, or by that of the question; with what it started, and though it does not want to."""
    mark = f"STOWPLAN_TEST_HELPER={home}"
    helper(f"trap '' TERM\nexport {mark}\nsleep 300 &\nsleep 300")
    monkeypatch.setattr(limits, "HELPER_SECONDS", limit)
    with serving(lambda _: Reply(401, headers=BASIC)) as site:
        answer = look(site.address, home, timeout=2)
    assert isinstance(answer, Unknown)
    assert "docker-credential-planted" in answer.reason
    assert "did not answer" in answer.reason
    assert children_of(mark) == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo credentials not found in native keychain; exit 1", "asks for a login, or has no"),
        ('echo \'{"Username": "", "Secret": ""}\'', "asks for a login, or has no"),
        ("echo pl4nted-s3cret >&2; exit 3", "ends with exit code 3"),
        ("echo pl4nted-s3cret", "ends with something that is not a login"),
        ("echo '[]'", "ends with something that is not a login"),
        ('echo \'{"Username": "<token>", "Secret": "pl4nted-s3cret"}\'', "is an identity token"),
    ],
)
def test_a_helper_that_has_no_login_is_named_and_not_repeated(
    home: Path, helper: Callable[[str], None], script: str, words: str
) -> None:
    helper(script)
    with serving(lambda _: Reply(401, headers=BASIC)) as site:
        answer = look(site.address, home)
    assert isinstance(answer, Unknown)
    assert words in answer.reason
    assert "pl4nted" not in repr(answer)
    assert not answer.transient


def test_a_server_that_a_registry_leads_to_is_blamed_by_its_name(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = f"127.0.0.1:{silent.getsockname()[1]}"
        with serving(lambda _: Reply(307, headers={"Location": f"http://{there}/x"})) as site:
            answer = look(site.address, home, timeout=0.5)
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith(f"{there} (where {site.address} leads to) did not answer")


def test_all_of_a_question_has_one_limit(home: Path) -> None:
    """Each answer comes soon, and asking again would go on for longer than there is time."""
    with serving(lambda _: Reply(503, headers={"Retry-After": "1"})) as site:
        answer = look(site.address, home, timeout=1.5)
    assert answer == Unknown(f"{site.address} answered with status 503")
    # A second wait would end after the limit.
    assert 1 <= len(site.requests) <= 2
