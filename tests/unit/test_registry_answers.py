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
from attrs import evolve

from executor.engines.protocol import HASH_LABEL
from executor.errors import ExecutorError
from executor.reading import LARGEST_TEXT_BYTES
from executor.registry.lookup import Answer, Found, Missing, Question, Unknown, head, heads
from executor.registry.manifests import Descriptor
from executor.registry.marks import Foreign, Mark, Marked, mark
from executor.registry.tags import retag
from planner.values import Digest, ImageRef
from tests.web import Reply, Request, saying, serving

INDEX = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [],
}).encode()  # fmt: skip
DIGEST = Digest(hashlib.sha256(INDEX).hexdigest())
SAID = {"Docker-Content-Digest": str(DIGEST), "Content-Type": "application/vnd.oci.image.index.v1+json"}
HERE = Found(DIGEST, "index")
BASIC = {"WWW-Authenticate": 'Basic realm="registry"'}
PLANTED = "pl4nted-s3cret"


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
    other = {**kind, "Docker-Content-Digest": f"sha512:{'0' * 128}"}
    assert ask(Reply(headers=other), Reply(body=INDEX, headers=other)) == HERE


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


# --- indexes, images and what is neither

OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker"
CONFIG = f"{OCI}.config.v1+json"
MANIFEST = f"{OCI}.manifest.v1+json"
INDEX_TYPES = {"oci": f"{OCI}.index.v1+json", "docker": f"{DOCKER}.distribution.manifest.list.v2+json"}
MANIFEST_TYPES = {"oci": MANIFEST, "docker": f"{DOCKER}.distribution.manifest.v2+json"}
HASH = Digest("5" * 64)
MARK = f"LABEL {HASH_LABEL}={HASH}"


class Shelf:
    """What a registry has, by path, and how it answers."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}

    def __call__(self, request: Request) -> Reply:
        nothing = Reply(404, b"" if request.method == "HEAD" else error("MANIFEST_UNKNOWN"))
        return self.replies.get(request.path.removeprefix("/v2/team/app/"), nothing)

    def put(self, kind: str, content: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        digest = Digest(hashlib.sha256(content).hexdigest())
        reply = Reply(
            body=content, headers={"Content-Type": media_type, "Docker-Content-Digest": str(digest)}
        )
        self.replies |= {f"{kind}/{name}": reply for name in (str(digest), tag) if name}
        return Descriptor(media_type, digest)

    def image(
        self, config: object, *, tag: str | None = "1", kind: str = MANIFEST, config_kind: str = CONFIG
    ) -> Descriptor:
        content = config if isinstance(config, bytes) else json.dumps(config).encode()
        digest = str(self.put("blobs", content, "application/octet-stream").digest)
        return self.manifest(
            {"config": {"mediaType": config_kind, "digest": digest}, "layers": []}, kind=kind, tag=tag
        )

    def index(self, *images: tuple[str, Descriptor], kind: str = INDEX_TYPES["oci"]) -> Descriptor:
        manifests = []
        for platform, image in images:
            names = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
            manifests.append({
                "mediaType": image.media_type, "digest": str(image.digest), "platform": names
            })  # fmt: skip
        return self.manifest({"manifests": manifests}, kind=kind)

    def manifest(self, document: dict[str, object], *, kind: str, tag: str | None = "1") -> Descriptor:
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, **document}).encode()
        return self.put("manifests", content, kind, tag)

    def answers(self, home: Path, platform: str | None = None) -> tuple[Answer, Mark]:
        """What is found at `team/app:1`, and whose it is."""
        with serving(self) as site:
            ref = ImageRef.parse(f"{site.address}/team/app:1")
            there = {"HOME": str(home)}
            return (
                head(ref, platform=platform, timeout=20, environ=there),
                mark(ref, platform=platform, timeout=20, environ=there),
            )


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def config(*history: str | None, label: str | None = str(HASH)) -> dict[str, object]:
    """The config of an image with these instructions in its history; no history if there are none."""
    entries = [{"created_by": each} if each is not None else {"empty_layer": True} for each in history]
    made: dict[str, object] = {"config": {"Labels": {HASH_LABEL: label} if label else None}}
    return {**made, "history": entries} if history else made


@pytest.mark.parametrize("world", MANIFEST_TYPES)
def test_the_manifest_of_one_image_is_one_whatever_the_platform(home: Path, shelf: Shelf, world: str) -> None:
    image = shelf.image(config(MARK), kind=MANIFEST_TYPES[world])
    assert shelf.answers(home, "linux/arm64") == (Found(image.digest), Marked(image.digest, HASH))


@pytest.mark.parametrize(
    ("platform", "chosen"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("linux/aarch64", "linux/arm64/v8"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm64/v9", None),
        ("linux/s390x", None),
        ("windows/amd64", None),
        ("unknown/unknown", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("world", INDEX_TYPES)
def test_the_image_of_an_index_for_a_platform(
    home: Path, shelf: Shelf, world: str, platform: str | None, chosen: str | None
) -> None:
    names = [
        "unknown/unknown",
        "linux/amd64/v3",
        "linux/amd64",
        "linux/arm/v6",
        "linux/arm/v7",
        "linux/arm64/v8",
    ]
    kind = MANIFEST_TYPES[world]
    images = {name: shelf.image({**config(MARK), "x": name}, tag=None, kind=kind) for name in names}
    index = shelf.index(*images.items(), kind=INDEX_TYPES[world])
    found, marked = shelf.answers(home, platform)
    assert found == Found(index.digest, "index", images[chosen].digest if chosen else None)
    assert isinstance(marked, Marked if chosen else Foreign)
    assert marked.digest == index.digest


def test_an_image_without_a_variant_is_the_one_for_the_usual_one(home: Path, shelf: Shelf) -> None:
    image = shelf.image(config(MARK), tag=None)
    index = shelf.index(("linux/arm64", image))
    assert shelf.answers(home, "linux/arm64/v8")[0] == Found(index.digest, "index", image.digest)


def test_an_index_in_an_index_is_no_image(home: Path, shelf: Shelf) -> None:
    index = shelf.index(("linux/amd64", shelf.index()))
    found, marked = shelf.answers(home, "linux/amd64")
    assert found == Found(index.digest, "index")
    assert isinstance(marked, Foreign)


def test_only_an_index_and_a_platform_cost_a_second_request(home: Path, shelf: Shelf) -> None:
    index = shelf.index(("linux/amd64", shelf.image({}, tag="2")))
    asked = {}
    with serving(shelf) as site:
        for tag, platform in (("1", None), ("2", "linux/amd64"), ("1", "linux/amd64")):
            ref = ImageRef.parse(f"{site.address}/team/app:{tag}")
            before = len(site.requests)
            head(ref, platform=platform, timeout=20, environ={"HOME": str(home)})
            asked[tag, platform] = [(each.method, each.path[13:]) for each in site.requests[before:]]
    assert asked == {
        ("1", None): [("HEAD", "manifests/1")],
        ("2", "linux/amd64"): [("HEAD", "manifests/2")],
        # By the digest: the tag may have moved in between.
        ("1", "linux/amd64"): [("HEAD", "manifests/1"), ("GET", f"manifests/{index.digest}")],
    }


def test_what_is_no_platform_is_not_asked_for() -> None:
    with pytest.raises(ValueError, match="platform"):
        Question(ImageRef.parse("a"), "linux")


NO_REGISTRY = "does not answer like a registry"
NEITHER = {
    "a page": (b"<h1>log in to the wireless network</h1>", "text/html", NO_REGISTRY),
    "a page as a manifest": (b"<h1>log in</h1>", MANIFEST, NO_REGISTRY),
    "an error": (error("UNAUTHORIZED"), "application/json", NO_REGISTRY),
    "an error as a manifest": (error("UNAUTHORIZED"), MANIFEST, NO_REGISTRY),
    "a list": (b"[]", MANIFEST, NO_REGISTRY),
    "deep": (b"[" * 100_000, MANIFEST, NO_REGISTRY),
    "not UTF-8": (b"\xff\xfe\xfa", MANIFEST, NO_REGISTRY),
    "nothing": (b"", MANIFEST, NO_REGISTRY),
    "an index as a manifest": (INDEX, MANIFEST, NO_REGISTRY),
    "both": (b'{"manifests": [], "config": {}, "layers": []}', INDEX_TYPES["oci"], NO_REGISTRY),
    "no digest": (
        b'{"manifests": [{"mediaType": "' + MANIFEST.encode() + b'", "digest": "sha256:../../etc"}]}',
        INDEX_TYPES["oci"],
        NO_REGISTRY,
    ),
    "too long": (INDEX + b" " * (4 << 20), INDEX_TYPES["oci"], "sends more than 4 MiB for"),
}


@pytest.mark.parametrize("case", NEITHER)
def test_what_is_no_manifest_is_not_found(home: Path, case: str) -> None:
    body, kind, words = NEITHER[case]

    def answer(request: Request) -> Reply:
        return Reply(405) if request.method == "HEAD" else Reply(body=body, headers={"Content-Type": kind})

    with serving(answer) as site:
        ref = ImageRef.parse(f"{site.address}/team/app:1")
        there = {"HOME": str(home)}
        found = head(ref, platform="linux/amd64", timeout=20, environ=there)
        marked = mark(ref, timeout=20, environ=there)
        with pytest.raises(ExecutorError, match=words):
            retag(ref, "2", timeout=20, environ=there)
    assert {request.method for request in site.requests} == {"HEAD", "GET"}
    assert isinstance(found, Unknown)
    assert words in found.reason
    assert not found.transient
    assert marked == found


def test_a_page_with_a_digest_is_not_found(home: Path) -> None:
    page = Reply(body=b"<h1/>", headers={"Docker-Content-Digest": str(DIGEST), "Content-Type": "text/html"})
    with serving(lambda _: page) as site:
        assert isinstance(look(site.address, home), Unknown)


def test_a_manifest_of_the_greatest_length_is_found(ask: Ask) -> None:
    body = INDEX.ljust(4 << 20)
    answer = ask(Reply(405), Reply(body=body, headers={"Content-Type": SAID["Content-Type"]}))
    assert answer == Found(Digest(hashlib.sha256(body).hexdigest()), "index")


def test_an_error_of_any_length_is_no_answer(ask: Ask) -> None:
    answer = ask(Reply(404), Reply(404, error("NOT_FOUND").ljust(2 << 20)))
    assert isinstance(answer, Unknown)
    assert NO_REGISTRY in answer.reason


@pytest.mark.parametrize("part", ["manifests", "blobs"])
def test_other_bytes_than_those_asked_for_are_not_taken(home: Path, shelf: Shelf, part: str) -> None:
    index = shelf.index(("linux/amd64", shelf.image(config(MARK), tag=None)))
    path = f"manifests/{index.digest}" if part == "manifests" else next(p for p in shelf.replies if part in p)
    real = shelf.replies[path]
    shelf.replies = {
        key: evolve(reply, body=reply.body + b"\n") if reply == real else reply
        for key, reply in shelf.replies.items()
    }
    found, marked = shelf.answers(home, "linux/amd64")
    answers = [marked, found] if part == "manifests" else [marked]
    for answer in answers:
        assert isinstance(answer, Unknown)
        assert "sends something else in place of" in answer.reason
        assert not answer.transient


def test_another_digest_than_the_one_asked_for_is_not_taken(home: Path) -> None:
    with serving(lambda _: Reply(headers=SAID)) as site:
        ref = ImageRef.parse(f"{site.address}/team/app@{HASH}")
        assert head(ref, timeout=20, environ={"HOME": str(home)}) == Unknown(
            f"{site.address} sends something else in place of {ref}", transient=False
        )


# --- whose image it is


@pytest.mark.parametrize(
    "history",
    [
        ["RUN /bin/sh -c true # buildkit", MARK],
        ["ENV A=b", f"/bin/sh -c #(nop)  {MARK}"],
        ["ENV A=b", f'/bin/sh -c #(nop) LABEL "{HASH_LABEL}"="{HASH}"'],
        ["ENV A=b", f"/bin/bash -o pipefail -c #(nop)  {MARK}"],
        [f"LABEL {HASH_LABEL}={Digest('6' * 64)}", "ENV A=b", MARK],
    ],
)
def test_an_image_is_ours_if_its_mark_came_last(home: Path, shelf: Shelf, history: list[str]) -> None:
    image = shelf.image(config(*history))
    assert shelf.answers(home)[1] == Marked(image.digest, HASH)


LATER = "has a label dev.stowplan.image, but setting it was not the last thing its build did"
OTHER = f"LABEL {HASH_LABEL}={Digest('6' * 64)}"
NO_CONFIG = "has a config that is not that of an image"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (config("ENV A=b", label=None), "has no label dev.stowplan.image"),
        (config(MARK, label="latest"), "has a label dev.stowplan.image that is not an image hash"),
        (config(MARK, label=f"sha256:{'A' * 64}"), "that is not an image hash"),
        (config(), LATER),
        (config("ENV A=b", f"LABEL a=b {HASH_LABEL}={HASH} z=a word"), LATER),
        (config("ENV A=b", MARK, '/bin/sh -c #(nop) LABEL "team"="a"', "LABEL z=a"), LATER),
        (config(OTHER), LATER),
        (config(MARK, OTHER), LATER),
        (config(MARK, "ENV A=b"), LATER),
        (config(MARK, '/bin/sh -c #(nop)  CMD ["x"]'), LATER),
        (config(MARK, "COPY . /app # buildkit", "LABEL z=a"), LATER),
        (config(MARK, None), LATER),
        (config("LABEL z=a"), LATER),
        (config(f"RUN /bin/sh -c echo {MARK} # buildkit"), LATER),
        (config(f"LABEL my.{HASH_LABEL}={HASH}"), LATER),
        (config(f"{MARK}0"), LATER),
        ({}, "has no label"),
        ({"config": None}, "has no label"),
        ({"config": {"Labels": {}}}, "has no label"),
        ({"config": []}, "has no label"),
        ({"config": [1]}, NO_CONFIG),
        ({"config": {"Labels": {HASH_LABEL: 5}}}, NO_CONFIG),
        ({**config(), "history": ["x"]}, NO_CONFIG),
        ({**config(), "history": {"x": 1}}, NO_CONFIG),
        ({**config(), "history": [{"created_by": 5}]}, NO_CONFIG),
        ([], NO_CONFIG),
        (b"<h1/>", NO_CONFIG),
        (b"\xff", NO_CONFIG),
        (b"[" * 100_000, NO_CONFIG),
    ],
)
def test_any_other_image_is_foreign(home: Path, shelf: Shelf, made: object, words: str) -> None:
    image = shelf.image(made)
    answer = shelf.answers(home)[1]
    assert isinstance(answer, Foreign)
    assert answer.digest == image.digest
    assert words in answer.reason


def test_what_is_no_image_is_foreign_and_not_fetched(home: Path, shelf: Shelf) -> None:
    chart = shelf.image(b"?", config_kind="application/vnd.cncf.helm.config.v1+json")
    shelf.replies = {path: reply for path, reply in shelf.replies.items() if "blobs" not in path}
    answer = shelf.answers(home)[1]
    assert isinstance(answer, Foreign)
    assert answer.digest == chart.digest
    assert answer.reason.endswith("/team/app:1 is not a container image")


def test_the_only_image_of_an_index_is_judged_without_a_platform(home: Path, shelf: Shelf) -> None:
    image = ("linux/riscv64", shelf.image(config(MARK), tag=None))
    attestation = ("unknown/unknown", shelf.image(config(label=None), tag=None))
    index = shelf.index(image, attestation)
    assert shelf.answers(home)[1] == Marked(index.digest, HASH)
    several = shelf.index(image, ("linux/amd64", image[1]))
    answer = shelf.answers(home)[1]
    assert isinstance(answer, Foreign)
    assert answer.digest == several.digest
    assert answer.reason.endswith("/team/app:1 is an index without a single image")


@pytest.mark.parametrize("part", ["blobs", "manifests"])
def test_an_image_that_is_not_all_there_is_not_missing(home: Path, shelf: Shelf, part: str) -> None:
    image = shelf.image(config(MARK), tag=None)
    shelf.index(("linux/amd64", image))
    gone = f"manifests/{image.digest}" if part == "manifests" else next(p for p in shelf.replies if part in p)
    del shelf.replies[gone]
    answer = shelf.answers(home)[1]
    assert isinstance(answer, Unknown)
    assert answer.reason.endswith("/team/app:1, but not all of it")
    assert not answer.transient


def test_what_is_not_there_has_no_owner(home: Path, shelf: Shelf) -> None:
    assert isinstance(shelf.answers(home)[1], Missing)


def test_a_config_that_is_too_long_tells_nothing(home: Path, shelf: Shelf) -> None:
    text = json.dumps(config(MARK)).encode()
    image = shelf.image(text.ljust(8 << 20))
    assert shelf.answers(home)[1] == Marked(image.digest, HASH)
    shelf.image(text.ljust((8 << 20) + 1))
    answer = shelf.answers(home)[1]
    assert isinstance(answer, Unknown)
    assert "sends more than 8 MiB for" in answer.reason
    assert not answer.transient


def test_an_answer_that_breaks_off_may_come_later(home: Path) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    with saying(lambda _: half) as site:
        answer = mark(ImageRef.parse(f"{site.address}/team/app:1"), timeout=20, environ={"HOME": str(home)})
    assert answer == Unknown(f"{site.address} hung up before its answer was complete")


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
        (
            {"credsStore": "of-another-machine"},
            "and docker-credential-of-another-machine, the",
        ),
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


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text(path.read_text() + " " * LARGEST_TEXT_BYTES), "is larger than 16 MiB"),
        (lambda path: path.write_text(path.read_text()[:-1]), "cannot be read"),
        (lambda path: path.unlink() or path.mkdir(), "is a directory, not a file"),
    ],
    ids=["large", "broken", "directory"],
)
def test_a_file_of_logins_that_is_not_read_is_named(
    home: Path, make: Callable[[Path], object], words: str
) -> None:
    path = home / ".docker/config.json"
    with serving(guarded) as site:
        write_config(path, {"auths": {site.address: entry()}})
        assert look(site.address, home) == HERE
        make(path)
        answer = look(site.address, home)
    assert isinstance(answer, Unknown)
    assert f"{path} {words}" in answer.reason
    assert PLANTED not in repr(answer)


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
