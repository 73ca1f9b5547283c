"""Real registries, asked for images that the tests push: what they are, and whose."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from attrs import evolve

from executor.engines.docker import DockerEngine
from executor.engines.podman import PodmanEngine
from executor.engines.protocol import HASH_LABEL
from executor.errors import ExecutorError, RegistryUnavailable
from executor.observe.facts import observe
from executor.process import Command, run
from executor.registry.lookup import Found, Missing, Question, Unknown, head
from executor.registry.manifests import Kind
from executor.registry.marks import Foreign, Marked, mark, marks
from executor.registry.tags import retag
from planner import Digest, ImageDigest, ImageRef, Pin, Pipeline, Stack
from tests.builders import WORLD
from tests.contract.conftest import AuthRegistry, absent
from tests.contract.images import TEST_BASE, quiet

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
# Media types of an image's manifest, its configuration, and of an index of several, in both worlds.
WORLDS = {
    "oci": (f"{OCI}.manifest.v1+json", f"{OCI}.config.v1+json", f"{OCI}.index.v1+json"),
    "docker": (
        f"{DOCKER}.distribution.manifest.v2+json",
        f"{DOCKER}.container.image.v1+json",
        f"{DOCKER}.distribution.manifest.list.v2+json",
    ),
}
TIMEOUT = 30.0


class Pusher:
    """Pushes by hand, byte for byte, so that the test knows each digest by itself."""

    def __init__(self, address: str, repository: str, login: tuple[str, str] | None = None) -> None:
        self.name = f"{address}/{repository}"
        self._url = f"http://{address}/v2/{repository}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = login

    def blob(self, data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        started = self._session.post(f"{self._url}/blobs/uploads/", timeout=TIMEOUT)
        started.raise_for_status()
        where = requests.compat.urljoin(started.url, started.headers["Location"])
        sent = self._session.put(where, params={"digest": digest}, data=data, timeout=TIMEOUT)
        sent.raise_for_status()
        return {"digest": digest, "size": len(data)}

    def manifest(self, tag: str | None, content: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(content, indent=3).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        sent = self._session.put(
            f"{self._url}/manifests/{tag or digest}",
            data=data,
            headers={"Content-Type": content["mediaType"]},
            timeout=TIMEOUT,
        )
        sent.raise_for_status()
        return {"mediaType": content["mediaType"], "digest": digest, "size": len(data)}

    def image(self, tag: str | None, world: str = "oci", architecture: str = "amd64") -> dict[str, Any]:
        """A tiny image, or one of several; its descriptor."""
        manifest, config, _ = WORLDS[world]
        made = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        return self.manifest(tag, {
            "schemaVersion": 2,
            "mediaType": manifest,
            "config": {"mediaType": config, **self.blob(json.dumps(made).encode())},
            "layers": [],
        })  # fmt: skip

    def index(self, tag: str, world: str = "oci") -> dict[str, Any]:
        """An index of images for two platforms; its descriptor."""
        images = [
            {**self.image(None, world, each), "platform": {"os": "linux", "architecture": each}}
            for each in ("amd64", "arm64")
        ]
        return self.manifest(tag, {"schemaVersion": 2, "mediaType": WORLDS[world][2], "manifests": images})


@pytest.fixture
def pusher(registry: str, repository: str) -> Pusher:
    return Pusher(registry, repository)


def found(descriptor: dict[str, Any]) -> Found:
    indexes = [index for _, _, index in WORLDS.values()]
    kind: Kind = "index" if descriptor["mediaType"] in indexes else "manifest"
    return Found(Digest.parse(descriptor["digest"]), kind)


@pytest.mark.parametrize("world", WORLDS)
def test_the_digest_of_an_image(pusher: Pusher, world: str) -> None:
    pushed = pusher.image("1", world)
    assert head(ImageRef.parse(f"{pusher.name}:1"), timeout=TIMEOUT) == found(pushed)


@pytest.mark.parametrize("world", WORLDS)
def test_the_digest_of_an_index_is_its_own_and_not_that_of_a_platform(pusher: Pusher, world: str) -> None:
    pushed = pusher.index("1", world)
    assert head(ImageRef.parse(f"{pusher.name}:1"), timeout=TIMEOUT) == found(pushed)


@pytest.mark.parametrize("world", WORLDS)
def test_an_index_tells_the_image_for_a_platform(pusher: Pusher, world: str) -> None:
    pushed = found(pusher.index("1", world))
    arm = found(pusher.image(None, world, "arm64")).digest
    ref = ImageRef.parse(f"{pusher.name}:1")
    assert head(ref, platform="linux/arm64", timeout=TIMEOUT) == evolve(pushed, manifest=arm)
    assert head(ref, platform="linux/s390x", timeout=TIMEOUT) == pushed


def test_an_image_is_found_by_its_digest(pusher: Pusher) -> None:
    pushed = pusher.image(None)
    ref = ImageRef.parse(f"{pusher.name}@{pushed['digest']}")
    assert head(ref, timeout=TIMEOUT) == found(pushed)


def test_a_tag_that_moves_has_another_digest(pusher: Pusher) -> None:
    ref = ImageRef.parse(f"{pusher.name}:latest")
    first = pusher.image("latest")
    assert head(ref, timeout=TIMEOUT) == found(first)
    second = pusher.image("latest", architecture="arm64")
    assert first != second
    assert head(ref, timeout=TIMEOUT) == found(second)


def test_what_is_not_there_is_missing(pusher: Pusher, registry: str, repository: str) -> None:
    nothing = head(ImageRef.parse(f"{pusher.name}:1"), timeout=TIMEOUT)
    assert isinstance(nothing, Missing)
    assert nothing.reason.startswith(f"{registry} has no ")
    pusher.image("1")
    other = head(ImageRef.parse(f"{pusher.name}:2"), timeout=TIMEOUT)
    assert other == Missing(f"{registry} has no {registry}/{repository}:2")


def test_a_real_index_of_a_real_image(registry: str) -> None:
    """The base image that the engines use, which Docker pushed, if this registry has it."""
    ref = ImageRef.parse(f"{registry}/library/python:3.11-slim")
    answer = head(ref, timeout=TIMEOUT)
    if isinstance(answer, Missing):
        pytest.skip(answer.reason)
    assert isinstance(answer, Found)


@pytest.mark.parametrize("world", WORLDS)
def test_observing_pins_a_parent_image(pusher: Pusher, tmp_path: Path, world: str) -> None:
    """To the index, and with the manifest that it has for the machine."""
    index = found(pusher.index("1", world))
    manifest = found(pusher.image(None, world)).digest
    ref = ImageRef.parse(f"{pusher.name}:1")
    settings = {"parent_image": str(ref), "skip_build": True}
    wanted = Pipeline(name="p", steps=["a"], settings={"docker": settings})
    facts = observe(wanted, Stack(), root=tmp_path, engine=None, timeout=TIMEOUT, world=WORLD)
    assert facts.ask(ImageDigest(ref)) == Pin(index.digest, "index", "linux/amd64", manifest)


@pytest.mark.parametrize("world", WORLDS)
def test_one_more_tag_is_the_same_image(pusher: Pusher, world: str) -> None:
    pushed = pusher.index("1", world)
    digest = retag(ImageRef.parse(f"{pusher.name}:1"), "stable", timeout=TIMEOUT)
    assert found(pushed).digest == digest
    assert head(ImageRef.parse(f"{pusher.name}:stable"), timeout=TIMEOUT) == found(pushed)


def test_what_is_not_there_gets_no_tag(pusher: Pusher) -> None:
    with pytest.raises(ExecutorError, match="cannot be tagged") as raised:
        retag(ImageRef.parse(f"{pusher.name}:1"), "stable", timeout=TIMEOUT)
    assert not isinstance(raised.value, RegistryUnavailable)


# --- whose image it is


@pytest.fixture
def docker_push(registry: str) -> Iterator[Callable[..., ImageRef]]:
    """Builds an image from a Dockerfile with the real docker, and pushes it."""
    engine = DockerEngine()
    if reason := engine.unavailable():
        absent(str(reason))
    made: list[str] = []

    def push(text: str, builder: str) -> ImageRef:
        made.append(f"{registry}/stowplan-test/{uuid4().hex}:1")
        subprocess.run(
            ["docker", "build", "--tag", made[-1], "-"],
            input=text, text=True, check=True, capture_output=True, timeout=200,
            env={**os.environ, "DOCKER_BUILDKIT": "1" if builder == "buildkit" else "0"},
        )  # fmt: skip
        engine.push(made[-1], quiet)
        return ImageRef.parse(made[-1])

    yield push
    for reference in reversed(made):
        engine.remove(reference)
        there = head(ImageRef.parse(reference), timeout=TIMEOUT)
        if isinstance(there, Found):
            url = f"http://{registry}/v2/{ImageRef.parse(reference).repository}/manifests/{there.digest}"
            requests.delete(url, timeout=TIMEOUT).raise_for_status()


@pytest.mark.parametrize("builder", ["classic", "buildkit"])
def test_a_real_image_is_ours_and_one_that_is_built_on_it_is_not(
    docker_push: Callable[..., ImageRef], builder: str
) -> None:
    image = Digest("5" * 64)
    marked = f"FROM {TEST_BASE}\nENV A=b\nRUN true\nLABEL a=b\nLABEL {HASH_LABEL}={image}\n"
    ours = docker_push(marked, builder)
    theirs = docker_push(f"FROM {ours}\nENV C=d\n", builder)
    again = docker_push(f"FROM {theirs}\nLABEL {HASH_LABEL}={Digest('6' * 64)}\n", builder)
    plain = docker_push(f"FROM {TEST_BASE}\nENV A=b\n", builder)
    asked = [Question(ref) for ref in (ours, theirs, again, plain)]
    answers = list(marks(asked, timeout=TIMEOUT).values())
    heads = [head(question.ref, timeout=TIMEOUT) for question in asked]
    digests = [each.digest for each in heads if isinstance(each, Found)]
    assert answers == [
        Marked(digests[0], image),
        Foreign(
            digests[1],
            f"{theirs} has a label {HASH_LABEL}, but setting it was not the last thing its build did",
        ),
        Marked(digests[2], Digest("6" * 64)),
        Foreign(digests[3], f"{plain} has no label {HASH_LABEL}"),
    ]
    by_digest = ours.pinned(digests[0])
    assert mark(by_digest, platform="linux/amd64", timeout=TIMEOUT) == answers[0]


def test_an_image_of_podman_is_ours(registry: str, repository: str, tmp_path: Path) -> None:
    """If the mark is the last thing in the Dockerfile: Podman writes the labels of its options after that."""
    engine = PodmanEngine()
    if reason := engine.unavailable():
        absent(str(reason))
    image = Digest("5" * 64)
    text = f"FROM {TEST_BASE}\nENV A=b\n"
    marked = f"{text}LABEL {HASH_LABEL}={image}\n"
    texts = {
        "text": (marked, (), True),
        "labelled": (marked, ("team=a", "z=a"), False),
        "option": (text, ("a=b", f"{HASH_LABEL}={image}", "z=a"), False),
    }
    for tag, (dockerfile, labels, is_ours) in texts.items():
        reference = f"{registry}/{repository}:{tag}"
        (tmp_path / "Dockerfile").write_text(dockerfile)
        options = (f"--tag={reference}", *(f"--label={label}" for label in labels))
        done = run(Command(("podman", "build", "--format=docker", *options, str(tmp_path))), merged=True)
        assert done.code == 0, done.text
        try:
            digest = engine.push(reference, quiet)
        finally:
            engine.remove(reference)
        answer = mark(ImageRef.parse(reference), timeout=TIMEOUT)
        assert (answer == Marked(digest, image)) is is_ours
        assert isinstance(answer, Marked if is_ours else Foreign)


def test_what_has_no_config_of_an_image_is_foreign_and_what_is_not_there_missing(pusher: Pusher) -> None:
    pushed = pusher.index("1")
    ref = ImageRef.parse(f"{pusher.name}:1")
    digest = found(pushed).digest
    assert mark(ref, timeout=TIMEOUT) == Foreign(digest, f"{ref} is an index without a single image")
    one = mark(ref, platform="linux/arm64", timeout=TIMEOUT)
    assert one == Foreign(digest, f"{ref} has no label {HASH_LABEL}")
    assert isinstance(mark(ImageRef.parse(f"{pusher.name}:2"), timeout=TIMEOUT), Missing)


# --- with a login


def write_login(path: Path, address: str, username: str, password: str) -> None:
    path.parent.mkdir(parents=True)
    secret = base64.b64encode(f"{username}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {address: {"auth": secret}}}), "utf-8")


def environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}


@pytest.mark.parametrize("file", [".docker/config.json", ".config/containers/auth.json"])
def test_a_login_of_docker_or_podman_opens_a_registry(
    auth_registry: AuthRegistry, repository: str, home: Path, file: str
) -> None:
    user = auth_registry
    pusher = Pusher(user.address, repository, (user.username, user.password))
    pushed = pusher.image("1")
    write_login(home / file, user.address, user.username, user.password)
    ref = ImageRef.parse(f"{pusher.name}:1")
    assert head(ref, timeout=TIMEOUT, environ=environ(home)) == found(pushed)
    assert retag(ref, "2", timeout=TIMEOUT, environ=environ(home)) == found(pushed).digest
    assert isinstance(mark(ref, timeout=TIMEOUT, environ=environ(home)), Foreign)
    missing = ImageRef.parse(f"{pusher.name}:3")
    assert isinstance(head(missing, timeout=TIMEOUT, environ=environ(home)), Missing)


def test_no_login_and_a_wrong_one_tell_nothing(
    auth_registry: AuthRegistry, repository: str, home: Path
) -> None:
    ref = ImageRef.parse(f"{auth_registry.address}/{repository}:1")
    nobody = head(ref, timeout=TIMEOUT, environ=environ(home))
    write_login(home / ".docker/config.json", auth_registry.address, auth_registry.username, "wr0ng-s3cret")
    wrong = head(ref, timeout=TIMEOUT, environ=environ(home))
    assert isinstance(nobody, Unknown)
    assert isinstance(wrong, Unknown)
    assert f"docker login {auth_registry.address}" in nobody.reason
    assert "refused the credentials" in wrong.reason
    assert "wr0ng-s3cret" not in repr(wrong)
    with pytest.raises(ExecutorError, match="refused the credentials"):
        retag(ref, "2", timeout=TIMEOUT, environ=environ(home))
