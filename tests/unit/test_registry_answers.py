"""What is made of the answers of registries, and of servers that are none."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from executor.registry.lookup import Answer, Found, Missing, Question, Unknown, head, heads
from planner.values import Digest, ImageRef
from tests.web import Reply, Request, serving

INDEX = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [],
}).encode()  # fmt: skip
DIGEST = Digest(hashlib.sha256(INDEX).hexdigest())
SAID = {"Docker-Content-Digest": str(DIGEST), "Content-Type": "application/vnd.oci.image.index.v1+json"}
HERE = Found(DIGEST, "index")
BASIC = {"WWW-Authenticate": 'Basic realm="registry"'}
PLANTED = "pl4nted-s3cret"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user, with nothing in it."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


Ask = Callable[..., Answer]


@pytest.fixture
def ask(home: Path) -> Ask:
    """What a server with these answers says of `team/app:1`."""

    def ask(*replies: Reply, answer: Callable[[Request], Reply] | None = None, timeout: float = 20) -> Answer:
        left = list(replies)
        with serving(answer or (lambda _: left.pop(0))) as site:
            return look(site.address, home, timeout=timeout)

    return ask


def look(
    address: str, home: Path, *, timeout: float = 20, environ: Mapping[str, str] | None = None
) -> Answer:
    ref = ImageRef.parse(f"{address}/team/app:1")
    nowhere = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    return head(ref, timeout=timeout, environ={**nowhere, **(environ or {})})


def error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": PLANTED}]}).encode()


def test_a_digest_is_asked_for_without_fetching_anything(home: Path) -> None:
    with serving(lambda _: Reply(headers=SAID)) as site:
        assert look(site.address, home) == HERE
    assert [(request.method, request.path) for request in site.requests] == [
        ("HEAD", "/v2/team/app/manifests/1")
    ]
    accepted = site.requests[0].headers["Accept"]
    for kind in (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ):
        assert kind in accepted


def test_an_image_with_a_digest_is_looked_up_by_it(home: Path) -> None:
    with serving(lambda _: Reply(headers=SAID)) as site:
        ref = ImageRef.parse(f"{site.address}/team/app:1@{DIGEST}")
        assert head(ref, timeout=20, environ={"HOME": str(home)}) == HERE
    assert site.requests[0].path == f"/v2/team/app/manifests/{DIGEST}"


def test_a_registry_that_names_no_digest_is_asked_for_the_manifest(ask: Ask) -> None:
    kind = {"Content-Type": SAID["Content-Type"]}
    assert ask(Reply(headers=kind), Reply(body=INDEX, headers=kind)) == HERE
    assert ask(Reply(405), Reply(body=INDEX, headers=kind)) == HERE


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NAME_UNKNOWN", "has no repository team/app"),
        ("MANIFEST_UNKNOWN", "/team/app:1"),
        ("NOT_FOUND", "/team/app:1"),
    ],
)
def test_what_a_registry_does_not_have_is_missing(ask: Ask, code: str, words: str) -> None:
    answer = ask(Reply(404), Reply(404, error(code)))
    assert isinstance(answer, Missing)
    assert words in answer.reason
    assert PLANTED not in answer.reason


@pytest.mark.parametrize(
    "replies",
    [
        [Reply(404, b"<h1>no such page</h1>"), Reply(404, b"<h1>no such page</h1>")],
        [Reply(404), Reply(404, b"[]")],
        [Reply(404), Reply(404, b'{"errors": []}')],
        [Reply(200), Reply(200, b"<h1>log in to the wireless network</h1>")],
        [Reply(200), Reply(200, b'{"hello": "world"}', {"Content-Type": "application/json"})],
        [Reply(200), Reply(200, b"[]")],
        [Reply(200, headers={"Docker-Content-Digest": "garbage"})],
        [Reply(200, headers={"Docker-Content-Digest": "sha256:../../etc"})],
        [Reply(401)],
        [Reply(401, headers={"WWW-Authenticate": "garbage"}), Reply(401)],
    ],
)
def test_a_server_that_is_no_registry_tells_nothing(ask: Ask, replies: list[Reply]) -> None:
    answer = ask(*replies)
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith("localhost:")


def test_a_rewritten_manifest_is_not_the_image(ask: Ask) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    answer = ask(Reply(headers={**SAID, "Content-Type": kind}))
    assert isinstance(answer, Unknown)
    assert "in a format of before 2016" in answer.reason


@pytest.mark.parametrize(
    ("reply", "words", "transient"),
    [
        (Reply(401, headers=BASIC), "asks for a login, or has no", False),
        (Reply(403), "asks for a login, or has no", False),
        (Reply(429), "asked too often", True),
        (Reply(500, error("UNKNOWN")), "answered with status 500", True),
        (Reply(503), "answered with status 503", True),
        (Reply(418), "answered with status 418", False),
    ],
)
def test_an_error_is_no_answer(ask: Ask, reply: Reply, words: str, transient: bool) -> None:
    answer = ask(answer=lambda _: reply)
    assert isinstance(answer, Unknown)
    assert words in answer.reason
    assert answer.transient is transient
    assert "\n" not in answer.reason


def test_a_server_that_hangs_up_tells_nothing(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert look(f"localhost:{port}", home) == Unknown(f"localhost:{port} cannot be reached")


def test_a_name_that_does_not_resolve_tells_nothing(home: Path) -> None:
    answer = look("registry.invalid", home)
    assert isinstance(answer, Unknown)
    assert "registry.invalid" in answer.reason
    assert answer.transient


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"localhost:{server.getsockname()[1]}"


def test_a_server_that_says_nothing_is_given_up(home: Path, silent: str) -> None:
    answer = look(silent, home, timeout=0.2)
    assert isinstance(answer, Unknown)
    assert "did not answer" in answer.reason
    assert answer.transient


def test_a_server_that_drips_is_given_up(home: Path) -> None:
    """Each byte comes in time for a timeout that starts anew with each: only a bound on all of it ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not stopped.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        address = f"localhost:{server.getsockname()[1]}"
        answer = look(address, home, timeout=0.5)
        stopped.set()
        thread.join()
    assert answer == Unknown(f"{address} did not answer within 0.5 s")


def test_images_are_looked_up_at_once_and_none_waits_for_another(home: Path, silent: str) -> None:
    with serving(lambda _: Reply(headers=SAID)) as site:
        names = [f"{silent}/a:{number}" for number in range(30)]
        names += [f"{site.address}/b:{number}" for number in range(30)]
        questions = [Question(ImageRef.parse(name)) for name in names]
        answers = heads(questions, timeout=2, environ={"HOME": str(home)})
    assert list(answers) == questions
    assert [isinstance(answers[question], Found) for question in questions] == [False] * 30 + [True] * 30


def test_no_image_is_no_question() -> None:
    assert heads([], timeout=0) == {}


def test_no_proxy_and_no_netrc_on_the_way_to_this_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    (home / ".netrc").write_text(f"machine localhost login me password {PLANTED}", "utf-8")
    (home / ".netrc").chmod(0o600)
    with serving(lambda _: Reply(headers=SAID)) as site:
        assert look(site.address, home) == HERE
        assert look(f"127.0.0.1:{site.port}", home) == HERE
    assert "Authorization" not in site.requests[0].headers


# --- logins


def entry(username: str = "me", password: str = PLANTED) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def write_config(path: Path, config: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config), "utf-8")
    return path


def guarded(request: Request) -> Reply:
    """A registry that tells the user `me` and nobody else."""
    right = base64.b64encode(f"me:{PLANTED}".encode()).decode()
    if request.headers.get("Authorization") == f"Basic {right}":
        return Reply(headers=SAID)
    return Reply(401, headers=BASIC)


@pytest.mark.parametrize(
    ("file", "environ"),
    [
        (".docker/config.json", {}),
        ("elsewhere/config.json", {"DOCKER_CONFIG": "{home}/elsewhere"}),
        ("auth.json", {"REGISTRY_AUTH_FILE": "{home}/auth.json"}),
        ("run/containers/auth.json", {"XDG_RUNTIME_DIR": "{home}/run"}),
        (".config/containers/auth.json", {}),
        ("xdg/containers/auth.json", {"XDG_CONFIG_HOME": "{home}/xdg"}),
    ],
)
def test_logins_of_docker_and_podman_are_found(home: Path, file: str, environ: dict[str, str]) -> None:
    with serving(guarded) as site:
        write_config(home / file, {"auths": {site.address: entry()}})
        there = {name: value.format(home=home) for name, value in environ.items()}
        assert look(site.address, home, environ=there) == HERE


def test_a_login_for_a_part_of_a_registry_goes_before_one_for_all_of_it(home: Path) -> None:
    with serving(guarded) as site:
        auths = {site.address: entry("other"), f"{site.address}/team": entry()}
        write_config(home / ".config/containers/auth.json", {"auths": auths})
        assert look(site.address, home) == HERE


def test_docker_goes_before_podman(home: Path) -> None:
    with serving(guarded) as site:
        write_config(home / ".docker/config.json", {"auths": {site.address: entry()}})
        write_config(home / ".config/containers/auth.json", {"auths": {site.address: entry("other")}})
        assert look(site.address, home) == HERE


def test_no_login_is_looked_for_until_a_registry_asks(home: Path) -> None:
    with serving(lambda _: Reply(headers=SAID)) as site:
        write_config(home / ".docker/config.json", {"auths": {site.address: entry()}})
        assert look(site.address, home) == HERE
    assert [request.headers.get("Authorization") for request in site.requests] == [None]


@pytest.mark.parametrize("setting", ["credsStore", "credHelpers"])
def test_credential_helpers_are_run(home: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    helper = home / "bin/docker-credential-planted"
    helper.parent.mkdir()
    secret = json.dumps({"ServerURL": "x", "Username": "me", "Secret": PLANTED})
    helper.write_text(f"#!/bin/sh\nread -r server\necho '{secret}'\n", "utf-8")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    with serving(guarded) as site:
        value = "planted" if setting == "credsStore" else {site.address: "planted"}
        write_config(home / ".docker/config.json", {setting: value})
        assert look(site.address, home) == HERE


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"auths": {"{address}": entry("me", "wrong-" + PLANTED)}}, "refused the credentials"),
        ({"auths": {"{address}": {"auth": "bm8gY29sb24="}}}, "asks for a login, and the login in"),
        ({"auths": {"{address}": {"identitytoken": PLANTED}}}, "is an identity token"),
        ({"credsStore": "of-another-machine"}, "asks for a login, and the login in"),
        ({"auths": {"{address}": {}}}, "asks for a login, or has no"),
        ({"auths": {"another.example": entry()}}, "asks for a login, or has no"),
        ([], "asks for a login"),
    ],
)
def test_a_login_that_does_not_help_is_named_and_not_shown(home: Path, config: object, words: str) -> None:
    with serving(guarded) as site:
        text = json.dumps(config).replace("{address}", site.address)
        write_config(home / ".docker/config.json", json.loads(text))
        answer = look(site.address, home)
    assert isinstance(answer, Unknown)
    assert words in answer.reason
    assert PLANTED not in repr(answer)
    assert not answer.transient


def test_a_broken_login_does_not_hide_a_public_image(home: Path) -> None:
    def answer(_: Request) -> Reply:
        return Reply(401, headers=BASIC) if len(site.requests) == 1 else Reply(headers=SAID)

    with serving(answer) as site:
        write_config(home / ".docker/config.json", {"credsStore": "of-another-machine"})
        assert look(site.address, home) == HERE


# --- a registry with TLS and tokens, as nearly all public ones are


@pytest.fixture
def abroad() -> str:
    """An address of this machine that is not the loopback: nothing goes there without TLS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but the loopback")
        return str(probe.getsockname()[0])


@pytest.fixture
def tls(tmp_path: Path, abroad: str, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for that address, which this process trusts."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName=IP:{abroad}",
             "-out", certificate, "-keyout", key],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize("known", [True, False])
def test_a_token_is_fetched_with_the_login_or_without(
    home: Path, abroad: str, tls: ssl.SSLContext, known: bool
) -> None:
    def answer(request: Request) -> Reply:
        if request.path.startswith("/token?"):
            return Reply(body=b'{"token": "a-token"}')
        if request.headers.get("Authorization") == "Bearer a-token":
            return Reply(headers=SAID)
        realm = f'Bearer realm="https://{address}/token",service="registry",scope="repository:team/app:pull"'
        return Reply(401, headers={"WWW-Authenticate": realm})

    with serving(answer, host=abroad, tls=tls) as site:
        address = f"{abroad}:{site.port}"
        if known:
            write_config(home / ".docker/config.json", {"auths": {address: entry()}})
        # Whose password would go to the registry in place of the token, if requests had its way.
        (home / ".netrc").write_text(f"machine {abroad} login other password {PLANTED}", "utf-8")
        (home / ".netrc").chmod(0o600)
        assert look(address, home) == HERE
    assert [request.path for request in site.requests] == [
        "/v2/team/app/manifests/1",
        "/token?service=registry&scope=repository%3Ateam%2Fapp%3Apull",
        "/v2/team/app/manifests/1",
    ]
    sent = site.requests[1].headers.get("Authorization")
    assert sent == (f"Basic {entry()['auth']}" if known else None)


def test_a_certificate_that_nobody_trusts_ends_it(
    home: Path, abroad: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with serving(lambda _: Reply(headers=SAID), host=abroad, tls=tls) as site:
        address = f"{abroad}:{site.port}"
        answer = look(address, home)
    assert answer == Unknown(f"no TLS connection to {address} that this machine can trust", transient=False)
    assert site.requests == []


def test_nothing_goes_abroad_without_tls(home: Path, abroad: str) -> None:
    with serving(lambda _: Reply(headers=SAID), host=abroad) as site:
        assert isinstance(look(f"{abroad}:{site.port}", home), Unknown)
    assert [request for request in site.requests if request.path] == []


def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:{PLANTED}@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    answer = look("registry.invalid", home)
    assert answer == Unknown("the proxy on the way to registry.invalid does not let through")
