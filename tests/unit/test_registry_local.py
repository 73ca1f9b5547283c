"""A registry on this machine is asked with little, and what it says counts as what the client finds out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from executor.engines.protocol import HASH_LABEL
from executor.registry.asking import Missing, Question, Unknown
from executor.registry.local import ask_locally, is_local
from executor.registry.marks import Marked, mark
from planner.values import Digest, ImageRef
from tests.web import Reply, Request, serving

ROOT: Final = Path(__file__).parents[2]
HASH: Final = Digest("7" * 64)
LABEL: Final = f"LABEL {HASH_LABEL}={HASH}"
CONFIG: Final = json.dumps(
    {"config": {"Labels": {HASH_LABEL: str(HASH)}}, "history": [{"created_by": LABEL}]}
).encode()
MANIFEST: Final = json.dumps({
    "schemaVersion": 2,
    "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": f"sha256:{hashlib.sha256(CONFIG).hexdigest()}",
    },
    "layers": [],
}).encode()  # fmt: skip
KIND: Final = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
DIGEST: Final = Digest(hashlib.sha256(MANIFEST).hexdigest())
NAMELESS: Final = Reply(404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}')


def registry(request: Request) -> Reply:
    """A registry that has one image under every tag."""
    return Reply(body=CONFIG) if "/blobs/" in request.path else Reply(body=MANIFEST, headers=KIND)


def image(address: str) -> ImageRef:
    return ImageRef.parse(f"{address}/team/app:1")


def plain(address: str, seconds: float = 20) -> object:
    """What comes of asking for the manifest, if it comes plainly."""
    question = Question(image(address))
    told = ask_locally([question], lambda client, _: client.fetch_manifest("1")[0], seconds=seconds)
    return told.get(question, "asked again")


def test_one_connection_and_two_requests_tell_whose_an_image_is(home: Path) -> None:
    with serving(registry) as site:
        assert mark(image(site.address), timeout=20, environ={"HOME": str(home)}) == Marked(DIGEST, HASH)
    assert [request.path.split("/")[4] for request in site.requests] == ["manifests", "blobs"]


def test_the_libraries_of_the_client_are_not_loaded_for_it() -> None:
    script = (
        "import sys\n"
        "from executor.registry.marks import mark\n"
        "from planner.values import ImageRef\n"
        "print(mark(ImageRef.parse(sys.argv[1]), timeout=20))\n"
        "print({'dxf', 'requests', 'urllib3'} & set(sys.modules))\n"
    )
    with serving(registry) as site:
        done = subprocess.run(
            [sys.executable, "-c", script, str(image(site.address))],
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == f"{Marked(DIGEST, HASH)}\nset()\n"


def test_what_it_says_that_it_does_not_have_is_missing(home: Path) -> None:
    with serving(lambda _: NAMELESS) as site:
        told = mark(image(site.address), timeout=20, environ={"HOME": str(home)})
    assert told == Missing(f"{site.address} has no repository team/app")
    assert len(site.requests) == 1


def test_an_image_of_which_a_part_is_lost_is_not_missing(home: Path) -> None:
    with serving(lambda request: NAMELESS if "/blobs/" in request.path else registry(request)) as site:
        told = mark(image(site.address), timeout=20, environ={"HOME": str(home)})
    assert told == Unknown(f"{site.address} has {site.address}/team/app:1, but not all of it", False)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: Reply(401, headers={"WWW-Authenticate": 'Basic realm="registry"'}),
        lambda _: Reply(307, headers={"Location": "/elsewhere"}),
        lambda _: Reply(503),
        lambda _: Reply(404, b"<h1>no such page</h1>"),
        lambda _: Reply(200, b" " * (5 << 20), KIND),
    ],
    ids=["login", "elsewhere", "overload", "page", "long"],
)
def test_whatever_is_no_plain_answer_is_asked_again(answer: Callable[[Request], Reply]) -> None:
    with serving(answer) as site:
        assert plain(site.address) == "asked again"
        assert len(site.requests) == 1


def test_who_does_not_answer_in_time_is_asked_again() -> None:
    go_on = threading.Event()

    def slow(request: Request) -> Reply:
        go_on.wait()
        return registry(request)

    with serving(slow) as site:
        try:
            assert plain(site.address, seconds=0.2) == "asked again"
        finally:
            go_on.set()
    # Where nobody listens any more.
    assert plain(site.address) == "asked again"


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("docker.io", False),
        ("localhost.example:5000", False),
        ("10.0.0.1:5000", False),
        ("[::2]", False),
    ],
)
def test_what_is_here(name: str, here: bool) -> None:
    assert is_local(name) is here


def test_what_is_not_here_is_not_asked() -> None:
    question = Question(ImageRef.parse("registry.example/app:1"))
    assert ask_locally([question], lambda *_: "asked", seconds=20) == {}
