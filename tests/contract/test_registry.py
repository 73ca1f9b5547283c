"""Real registries, asked for the digests of images that the tests push: indexes and plain manifests."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from executor.errors import ExecutorError, RegistryUnavailable
from executor.observe.facts import observe
from executor.registry.lookup import Found, Missing, Unknown, head
from executor.registry.manifests import Kind
from executor.registry.tags import retag
from planner import Pipeline, Stack
from planner.facts.answers import Pin
from planner.facts.needs import ImageDigest
from planner.values import Digest, ImageRef
from tests.contract.conftest import AuthRegistry

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


def test_observing_pins_a_parent_image(pusher: Pusher, tmp_path: Path) -> None:
    pushed = pusher.index("1")
    ref = ImageRef.parse(f"{pusher.name}:1")
    wanted = Pipeline(
        name="p", steps=["a"], settings={"docker": {"parent_image": str(ref), "skip_build": True}}
    )
    facts = observe(wanted, Stack(), root=tmp_path, timeout=TIMEOUT)
    assert facts.pin(ImageDigest(ref)) == Pin(Digest.parse(pushed["digest"]), "registry")


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
