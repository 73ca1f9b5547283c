"""Pushed digests, and the engines' own credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from executor import limits
from executor.engines.docker import DockerEngine
from executor.engines.protocol import Engine
from executor.errors import BuildFailed
from executor.registry.lookup import Found, Missing, head
from planner.values import ImageRef
from tests.contract.conftest import AuthRegistry, absent, reason_against
from tests.contract.images import TEST_BASE, build, quiet, told
from tests.encodings import found
from tests.torture.commands import MARK, leftovers
from tests.web import Reply, Request, serving

TIMEOUT = 30.0


def in_registry(reference: str, environ: dict[str, str] | None = None) -> str | None:
    """The digest that the registry itself gives for a reference; None if it has nothing there."""
    answer = head(ImageRef.parse(reference), timeout=TIMEOUT, environ=environ)
    assert isinstance(answer, Found | Missing), answer
    return str(answer.digest) if isinstance(answer, Found) else None


def known_after_push(engine: Engine) -> bool:
    """Docker remembers where it pushed an image. Podman lists a digest of its own, which says nothing."""
    return engine.name == "docker"


def test_push_returns_the_registry_s_digest(
    engine: Engine, new_tag: Callable[[str], str], registry: str, tmp_path: Path
) -> None:
    tag = new_tag(registry)
    (tmp_path / "train.py").write_text("print(1)\n")
    build(engine, tag, tmp_path)
    assert in_registry(tag) is None
    assert engine.digest(ImageRef.parse(tag)) is None
    lines: list[str] = []
    digest = engine.push(tag, lines.append)
    assert lines
    assert in_registry(tag) == str(digest)
    assert engine.push(tag, quiet) == digest
    assert engine.digest(ImageRef.parse(tag)) == (digest if known_after_push(engine) else None)


def test_a_pushed_image_is_built_on_by_its_digest(
    engine: Engine, new_tag: Callable[[str], str], registry: str, tmp_path: Path
) -> None:
    """Also where the engine has to pull it, since it has nothing left of it."""
    parent, child = new_tag(registry), new_tag("localhost")
    build(engine, parent, tmp_path, {"environment": {"CARGO": "tea"}})
    digest = engine.push(parent, quiet)
    assert engine.remove(parent)
    pinned = ImageRef.parse(parent).pinned(digest)
    build(engine, child, tmp_path, {"environment": {"MORE": "coffee"}}, parent=str(pinned))
    look = "import json, os; print(json.dumps([os.environ['CARGO'], os.environ['MORE']]))"
    assert told(engine, child, look) == ["tea", "coffee"]
    engine.remove(child)
    engine.remove(str(pinned))


def test_the_digest_of_a_pulled_image(engine: Engine) -> None:
    ref = ImageRef.parse(TEST_BASE)
    if engine.inspect(str(ref)) is None:
        absent(f"the engine has no {ref}")
    digest = engine.digest(ref)
    assert digest is not None
    info = engine.inspect(str(ref.pinned(digest)))
    assert info is not None
    assert engine.digest(ref.pinned(digest)) == digest


def test_the_digest_of_what_is_not_there(engine: Engine) -> None:
    assert engine.digest(ImageRef.parse("localhost/stowplan-test/nothing:1")) is None


def test_a_local_image_has_no_digest(engine: Engine, tag: str, tmp_path: Path) -> None:
    build(engine, tag, tmp_path)
    assert engine.digest(ImageRef.parse(tag)) is None


Login = Callable[[str], dict[str, str]]


@pytest.fixture
def login(auth_registry: AuthRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    """Makes a password the one that this user's engines know, by the files that `login` writes."""

    def write(password: str) -> dict[str, str]:
        secret = base64.b64encode(f"{auth_registry.username}:{password}".encode()).decode()
        config = tmp_path / "login"
        config.mkdir(exist_ok=True)
        auths = {auth_registry.address: {"auth": secret}} if password else {}
        (config / "config.json").write_text(json.dumps({"auths": auths}))
        environ = {"DOCKER_CONFIG": str(config), "REGISTRY_AUTH_FILE": str(config / "config.json")}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return environ

    return write


@pytest.fixture
def private(
    engine: Engine, new_tag: Callable[[str], str], auth_registry: AuthRegistry, tmp_path: Path
) -> str:
    """A small image whose name is in the registry that asks for a login."""
    tag = new_tag(auth_registry.address)
    build(engine, tag, tmp_path, {"allow_including_files_in_images": False, "environment": {"A": "1"}})
    return tag


def test_push_with_a_login(engine: Engine, private: str, auth_registry: AuthRegistry, login: Login) -> None:
    environ = login(auth_registry.password)
    digest = engine.push(private, quiet)
    assert in_registry(private, environ) == str(digest)


@pytest.mark.parametrize("password", ["", "wrong-password"], ids=["no login", "a wrong one"])
def test_push_without_a_right_login(
    engine: Engine, private: str, auth_registry: AuthRegistry, login: Login, password: str
) -> None:
    login(password)
    with pytest.raises(BuildFailed) as caught:
        engine.push(private, quiet)
    (problem,) = caught.value.problems
    assert problem.where.file == private
    assert "cannot be pushed" in problem.found
    assert f"login {auth_registry.address}" in problem.fix
    assert "wrong-password" not in str(caught.value)
    assert in_registry(private, login(auth_registry.password)) is None


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait before a push is tried again."""
    monkeypatch.setattr(limits, "PUSH_BACKOFF_SECONDS", 0.0)


@pytest.mark.usefixtures("hasty")
def test_push_to_no_registry(engine: Engine, new_tag: Callable[[str], str], tmp_path: Path) -> None:
    """Port 9 is discard's: nobody listens. That may change, so it is tried again."""
    tag = new_tag("localhost:9")
    build(engine, tag, tmp_path)
    lines: list[str] = []
    with pytest.raises(BuildFailed, match="cannot be pushed") as caught:
        engine.push(tag, lines.append)
    assert caught.value.exit_code == 75
    assert sum("pushing again" in line for line in lines) == limits.PUSH_RETRIES


@pytest.mark.parametrize(("status", "code"), [(500, 75), (503, 75), (403, 1), (404, 1)])
@pytest.mark.usefixtures("hasty")
def test_push_to_a_registry_that_fails(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path, status: int, code: int
) -> None:
    """What the exit code is follows from what the registry says, whoever pushes."""

    def answer(request: Request) -> Reply:
        # It has all the layers: engines try each of these for half a minute.
        blob = request.path.rpartition("/blobs/")[2]
        if request.path == "/v2/" or (request.method == "HEAD" and blob.startswith("sha256:")):
            return Reply(headers={"Docker-Content-Digest": blob})
        return Reply(status)

    with serving(answer) as site:
        tag = new_tag(site.address)
        build(engine, tag, tmp_path)
        with pytest.raises(BuildFailed, match="cannot be pushed") as caught:
            engine.push(tag, quiet)
    assert caught.value.exit_code == code, caught.value


def test_push_of_what_is_not_there(engine: Engine, registry: str) -> None:
    with pytest.raises(BuildFailed, match="cannot be pushed"):
        engine.push(f"{registry}/stowplan-test/nothing:1", quiet)


def test_a_registry_that_repeats_a_login_is_not_repeated(
    engine: Engine, new_tag: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an engine says of a push is what a registry says: it may be what the registry was told."""
    password = "hunter22+and/more"

    def answer(request: Request) -> Reply:
        told = request.headers.get("Authorization", "")
        if not told:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        if request.path == "/v2/":
            return Reply(200, b"{}")
        if request.method == "HEAD":
            return Reply(404)
        message = f"told Authorization: {told}, for https://me:{password}@here/"
        if engine.name == "docker":
            # Podman reads the login itself: without a word that it is one, nobody here can tell.
            message += f" {told.removeprefix('Basic ')} {password}"
        error = {"code": "DENIED", "message": message, "detail": message}
        return Reply(403, json.dumps({"errors": [error]}).encode(), {"Content-Type": "application/json"})

    with serving(answer) as site:
        auth = base64.b64encode(f"me:{password}".encode()).decode()
        (tmp_path / "login").mkdir()
        (tmp_path / "login/config.json").write_text(json.dumps({"auths": {site.address: {"auth": auth}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "login"))
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "login/config.json"))
        tag = new_tag(site.address)
        build(engine, tag, tmp_path, {"allow_including_files_in_images": False, "environment": {"A": "1"}})
        lines: list[str] = []
        with pytest.raises(BuildFailed) as caught:
            engine.push(tag, lines.append)
    assert any("Authorization" in request.headers for request in site.requests)
    assert "told Authorization" in str(caught.value)
    assert found(password, "\n".join([*lines, str(caught.value)])) == []


@pytest.fixture
def hanging_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The mark of a credential helper of Docker that hangs, by which its processes are known."""
    config, programs = tmp_path / "config", tmp_path / "programs"
    for directory in (config, programs):
        directory.mkdir()
    program = programs / "docker-credential-planted"
    program.write_text("#!/bin/sh\ntrap '' TERM\nsleep 300 &\nsleep 300\n")
    program.chmod(0o755)
    (config / "config.json").write_text('{"credsStore": "planted"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setattr(limits, "HELPER_SECONDS", 0.3)
    return str(tmp_path)


def test_no_daemon_waits_for_a_helper_that_hangs(
    registry: str, auth_registry: AuthRegistry, repository: str, tmp_path: Path, hanging_helper: str
) -> None:
    """What needs no login is built and pushed, and what does says who did not give it."""
    if reason := reason_against("docker-classic"):
        absent(f"docker: {reason}")
    engine = DockerEngine("classic")
    project = tmp_path / "project"
    project.mkdir()
    public, private = (f"{each}/{repository}:1" for each in (registry, auth_registry.address))
    build(engine, public, project)
    try:
        engine.push(public, quiet)
        engine.tag(public, private)
        words = r"docker-credential-planted, .* did not answer in time"
        with pytest.raises(BuildFailed, match=words) as caught:
            engine.push(private, quiet)
        assert caught.value.exit_code == 1
    finally:
        for reference in (public, private):
            engine.remove(reference)
    assert leftovers(hanging_helper) == []
