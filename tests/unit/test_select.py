from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from executor import limits
from executor.engines import host
from executor.engines.daemon import Daemon
from executor.engines.docker import DockerEngine
from executor.engines.names import asked_engine, possible_builders
from executor.engines.podman import PodmanEngine
from executor.engines.select import choose
from executor.errors import EngineRefused, EngineUnavailable, ExecutorError, Failure, UsageError

AN_ID = "a" * 64


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any engine: an empty PATH, and a daemon's socket that nobody made."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(host, "_SOCKET", tmp_path / "docker.sock")
    return path


def install(programs: Path, name: str, script: str) -> None:
    """A real program, which does little."""
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def test_no_engine(programs: Path) -> None:
    assert programs.is_dir()
    with pytest.raises(EngineUnavailable) as caught:
        choose(environ={})
    everything, docker, podman = caught.value.problems
    assert everything.found == "no container engine can be used"
    assert "STOWPLAN_CONTAINER_ENGINE" in everything.fix
    assert (docker.where.file, podman.where.file) == ("docker", "podman")
    assert docker.found.startswith(f"there is no {programs.parent}/docker.sock")
    assert podman.found == "no such program"
    assert "DOCKER_HOST" in docker.fix
    assert "install Podman" in podman.fix
    assert caught.value.exit_code == 75


def test_the_first_that_works(programs: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    assert isinstance(choose(environ={}), PodmanEngine)


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_podman_does_not_stand_in_for_a_daemon_that_is_named(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    install(programs, "podman", "echo 4.3.1")
    value = f"unix://{tmp_path}/none.sock" if variable == "DOCKER_HOST" else "ship"
    monkeypatch.setenv(variable, value)
    with pytest.raises(EngineUnavailable) as caught:
        choose()
    (problem,) = caught.value.problems
    assert problem.where.file == "docker"
    assert problem.fix == (
        f"check that the daemon runs that DOCKER_HOST names ({value}), or unset it"
        if variable == "DOCKER_HOST"
        else "see `docker context ls`, or unset DOCKER_CONTEXT"
    )
    assert choose("podman").name == "podman"


def test_docker_is_to_be_installed_where_nothing_names_a_daemon(programs: Path) -> None:
    assert programs.is_dir()
    with pytest.raises(EngineUnavailable, match="install Docker"):
        choose("docker")


def test_an_old_podman(programs: Path) -> None:
    install(programs, "podman", "echo 3.4.4")
    with pytest.raises(EngineUnavailable, match=r"version 3\.4\.4, and 4\.0 is the first"):
        choose("podman", {})


def test_one_that_is_there_and_does_not_work(programs: Path) -> None:
    install(programs, "podman", "echo Error: no storage >&2; exit 125")
    with pytest.raises(EngineUnavailable, match="`podman info` fails: no storage"):
        choose("podman", {})


def test_an_image_that_comes_while_podman_looks_for_it(programs: Path) -> None:
    """Another build pulls it between two questions."""
    asked = programs.parent / "asked"
    answer = json.dumps([{"Id": AN_ID, "Os": "linux", "Architecture": "amd64"}])
    install(
        programs,
        "podman",
        f'[ "$2" = exists ] && exit 0\n'
        f"[ -e {asked} ] && echo '{answer}' && exit 0\n"
        f": > {asked}; echo Error: image not known >&2; exit 125",
    )
    info = PodmanEngine().inspect("localhost/x:1")
    assert info is not None
    assert info.id == AN_ID


def test_an_image_that_podman_cannot_read(programs: Path) -> None:
    install(programs, "podman", '[ "$2" = exists ] && exit 0; echo Error: layer not known >&2; exit 125')
    with pytest.raises(ExecutorError, match="layer not known"):
        PodmanEngine().inspect("localhost/x:1")


def test_an_image_that_podman_does_not_have(programs: Path) -> None:
    install(programs, "podman", '[ "$2" = exists ] && exit 1; echo Error: image not known >&2; exit 125')
    assert PodmanEngine().inspect("localhost/x:1") is None


@pytest.mark.parametrize("variable", ["STOWPLAN_CONTAINER_ENGINE", "ZENML_CONTAINER_ENGINE"])
def test_an_engine_named_by_a_variable(programs: Path, variable: str) -> None:
    install(programs, "podman", "echo 4.3.1")
    assert choose(environ={variable: "podman"}).name == "podman"
    with pytest.raises(EngineUnavailable) as caught:
        choose(environ={variable: "docker"})
    assert [problem.where.file for problem in caught.value.problems] == ["docker"]


def test_our_variable_goes_before_the_old_one(programs: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    environ = {"STOWPLAN_CONTAINER_ENGINE": "podman", "ZENML_CONTAINER_ENGINE": "docker"}
    assert choose(environ=environ).name == "podman"
    assert choose("podman", {"STOWPLAN_CONTAINER_ENGINE": "docker"}).name == "podman"
    assert choose(environ={**environ, "STOWPLAN_CONTAINER_ENGINE": "podman"}).name == "podman"


def test_an_empty_variable_names_nothing(programs: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    assert choose(environ={"STOWPLAN_CONTAINER_ENGINE": ""}).name == "podman"


@pytest.mark.parametrize(
    ("name", "advice"), [("dokcer", "did you mean 'docker'?"), ("x", "known names: docker, podman")]
)
def test_an_unknown_engine(name: str, advice: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(environ={"STOWPLAN_CONTAINER_ENGINE": name})
    (problem,) = caught.value.problems
    assert problem.where.file == "STOWPLAN_CONTAINER_ENGINE"
    assert problem.fix == advice
    assert caught.value.exit_code == 64
    with pytest.raises(UsageError, match="engine: no container engine is called"):
        choose(name)


def test_an_unknown_builder() -> None:
    with pytest.raises(UsageError, match="did you mean 'buildkit'"):
        choose("docker", {"STOWPLAN_DOCKER_BUILDER": "buildkitt"})


@pytest.mark.parametrize("reached", ["host", "context", "missing context"])
def test_docker_that_does_not_answer(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: str
) -> None:
    assert programs.is_dir()
    config = tmp_path / "config"
    config.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    if reached == "host":
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    else:
        (config / "config.json").write_text('{"currentContext": "ship"}')
    if reached == "context":
        meta = config / "contexts/meta" / hashlib.sha256(b"ship").hexdigest() / "meta.json"
        meta.parent.mkdir(parents=True)
        endpoint = {"Host": f"unix://{tmp_path}/ship.sock", "SkipTLSVerify": False}
        meta.write_text(json.dumps({"Name": "ship", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    reason = DockerEngine().unavailable()
    assert reason is not None
    expected = {
        "host": "docker.sock: No such",
        "context": "ship.sock: No such",
        "missing context": "context 'ship'",
    }
    assert expected[reached] in reason.reason


@pytest.mark.usefixtures("programs")
def test_where_docker_builds_is_named_by_its_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed build has left is looked for in the daemon that it was built by, and in no other."""
    places = []
    for name in ("ship", "shore"):
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": name}))
        places.append(DockerEngine().place)
    assert places[0] != places[1]
    monkeypatch.setenv("DOCKER_CONTEXT", "ship")
    assert DockerEngine().place == places[0]


# --- what is wrong with the address of a daemon


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("foo", "which is not the address of a daemon"),
        ("tcp//x", "which is not the address of a daemon"),
        ("unix:/", "which is not the address of a daemon"),
        ("unix://", "which has no absolute path to a socket"),
        ("unix://docker.sock", "which has no absolute path to a socket"),
        ("tcp://x", "which has no host with a port"),
        ("tcp://:2375", "which has no host with a port"),
        ("tcp://x:99999", "which has no host with a port"),
        ("tcp://x:abc", "which has no host with a port"),
        ("fd://3", "no daemon is reached by fd://"),
        ("tcp://me:pl4nted@x", "tcp://***@x"),
        ("ssh://me:pl4nted@ship", "cannot reach a daemon over SSH"),
    ],
)
def test_a_wrong_address_of_a_daemon(
    programs: Path, monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    """It is said what is wrong, and neither that Docker is to be installed nor that trying again helps."""
    install(programs, "podman", "echo 4.3.1")
    monkeypatch.setenv("DOCKER_HOST", value)
    with pytest.raises(EngineUnavailable) as caught:
        choose()
    (problem,) = caught.value.problems
    assert problem.where.file == "docker"
    assert words in problem.found
    assert "pl4nted" not in str(problem)
    assert "install" not in problem.fix
    assert ("ssh -nNT -L" if value.startswith("ssh") else "unix:///path/of/docker.sock") in problem.fix
    assert caught.value.exit_code == 1


def test_a_context_that_leads_over_ssh_says_what_is_needed(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.is_dir()
    (tmp_path / "config.json").write_text("{}")
    meta = tmp_path / "contexts/meta" / hashlib.sha256(b"ship").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoint = {"Host": "ssh://me@ship", "SkipTLSVerify": False}
    meta.write_text(json.dumps({"Name": "ship", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    monkeypatch.setenv("DOCKER_CONTEXT", "ship")
    reason = DockerEngine().unavailable()
    assert reason is not None
    assert reason.reason.startswith("the context 'ship' is")
    assert "ssh -nNT -L" in reason.fix


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, '{"auths": []}', '{"auths": {"x": 1}}'])
def test_a_configuration_of_docker_that_is_none_is_no_traceback(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert programs.is_dir()
    (tmp_path / "config.json").write_text(text)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    reason = DockerEngine().unavailable()
    assert reason is not None
    assert ("DOCKER_HOST" if text.startswith("{") else "correct config.json") in reason.fix


@pytest.mark.parametrize("kind", ["fifo", "device", "large"])
@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT", None])
def test_a_configuration_of_docker_without_an_end_is_not_read(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, variable: str | None
) -> None:
    """The SDK, and `docker` itself, would wait for it or read until the memory is full."""
    assert programs.is_dir()
    path = tmp_path / "config.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    if variable:
        monkeypatch.setenv(variable, "default" if variable == "DOCKER_CONTEXT" else "tcp://127.0.0.1:1")
    reason = DockerEngine().unavailable()
    assert reason is not None
    assert "config.json is not a regular file" in reason.reason
    assert reason.failure is Failure.ENGINE_REFUSED


# --- plan and apply agree on who builds


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_a_daemon_that_is_named_names_docker(variable: str) -> None:
    environ = {variable: "unix:///x"}
    assert asked_engine(None, environ) == "docker"
    assert possible_builders(None, environ) == {"buildkit", "classic"}
    assert possible_builders("podman", environ) == {"podman"}
    assert possible_builders(None, {**environ, "STOWPLAN_CONTAINER_ENGINE": "podman"}) == {"podman"}
    assert possible_builders(None, {}) == {"buildkit", "classic", "podman"}


def test_podman_in_place_of_a_docker_that_does_not_work_is_said(programs: Path, tmp_path: Path) -> None:
    install(programs, "podman", "echo 4.3.1")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left_behind:
        left_behind.bind(str(tmp_path / "docker.sock"))
    with pytest.warns(RuntimeWarning, match=r"podman is used.*docker\.sock: Connection refused"):
        assert choose().name == "podman"


# --- engines that hang


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that are given up after a moment."""
    for name in ("GREETING_SECONDS", "ANSWER_SECONDS", "STORAGE_SECONDS"):
        monkeypatch.setattr(limits, name, 0.3)


Speak = Callable[[bytes], Iterable[bytes]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[[Speak], list[bytes]]]:
    """Starts what answers in place of a daemon: some pieces for each request, a moment between them.

    The connection stays open after the last piece.
    """
    listening = socket.socket(socket.AF_UNIX)
    over = threading.Event()
    threads: list[threading.Thread] = []

    def start(speak: Speak) -> list[bytes]:
        asked: list[bytes] = []

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                request = connection.recv(1 << 16)
                asked.append(request.split(b"\r\n")[0])
                for piece in speak(request):
                    connection.sendall(piece)
                    over.wait(0.05)
                over.wait()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    threads.append(threading.Thread(target=answer, args=(connection,)))
                    threads[-1].start()

        listening.bind(str(tmp_path / "docker.sock"))
        listening.listen()
        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return asked

    yield start
    over.set()
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    for thread in tuple(threads):
        thread.join()
    listening.close()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "pieces", [[], [b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 1000]], ids=["silent", "dripping"]
)
def test_a_daemon_that_hangs_costs_one_wait(
    programs: Path, tmp_path: Path, daemon: Callable[[Speak], list[bytes]], pieces: list[bytes]
) -> None:
    assert programs.is_dir()
    said: list[bytes] = []

    def drip(_: bytes) -> Iterator[bytes]:
        for piece in pieces:
            said.append(piece)
            yield piece

    asked = daemon(drip)
    with pytest.raises(EngineUnavailable, match=f"{tmp_path}/docker.sock does not answer within 0.3 s"):
        choose("docker")
    # It was not listened to until it had said all.
    assert len(said) < max(len(pieces), 1)
    engine = DockerEngine()
    for number in range(30):
        with pytest.raises(EngineUnavailable, match="does not answer within"):
            engine.inspect(f"localhost/x:{number}")
    # One is only a connection, made to see whether anybody listens. Each is read by a thread of its own.
    assert sorted(line[:10] for line in asked) == [b"", b"GET /_ping", b"GET /image"]


@pytest.mark.usefixtures("programs", "soon")
@pytest.mark.parametrize("where", ["unix", "tcp"])
def test_a_daemon_that_works_is_given_more_time_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """While it builds, a sign of life may take longer than a greeting does."""
    with socket.socket(socket.AF_UNIX if where == "unix" else socket.AF_INET) as silent:
        silent.bind(str(tmp_path / "docker.sock") if where == "unix" else ("127.0.0.1", 0))
        silent.listen()
        name = silent.getsockname()
        monkeypatch.setenv(
            "DOCKER_HOST", f"unix://{name}" if where == "unix" else f"tcp://{name[0]}:{name[1]}"
        )
        with pytest.raises(EngineUnavailable, match=r"does not answer within 0\.7 s"):
            Daemon().greet(0.7)


@pytest.mark.usefixtures("soon")
def test_podman_in_place_of_a_docker_that_hangs_is_said(
    programs: Path, daemon: Callable[[Speak], list[bytes]]
) -> None:
    install(programs, "podman", "echo 4.3.1")
    daemon(lambda _: [])
    with pytest.warns(RuntimeWarning, match="podman is used, since another engine does not work"):
        assert choose().name == "podman"


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}", "does not answer like a Docker daemon"),
        (OK + b"Content-Length: 2\r\n\r\n[]", "does not answer like a Docker daemon"),
        (OK + b'Content-Length: 22\r\n\r\n{"Config":{},"Id":"a"}', "does not answer like a Docker daemon"),
        (OK + b'Content-Length: 15\r\n\r\n{"Config":null}', "does not answer like a Docker daemon"),
        (OK + b"Content-Length: 5\r\n\r\n<h1/>", "not in the words of a Docker daemon"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n<h1/>", "answers with status 404"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\n<h1/>", "answers with status 500"),
        (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", "answers with status 502"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
    ],
)
def test_what_is_no_daemon_is_no_traceback(
    programs: Path, daemon: Callable[[Speak], list[bytes]], answer: bytes, words: str
) -> None:
    assert programs.is_dir()
    daemon(lambda _: [answer])
    with pytest.raises(ExecutorError, match=words):
        DockerEngine().inspect("localhost/x:1")


@pytest.mark.usefixtures("soon")
def test_podman_that_hangs_says_so_and_is_gone(programs: Path) -> None:
    install(programs, "podman", f"echo $$ > {programs}/pid\nexec /bin/sleep 300")
    with pytest.raises(EngineUnavailable, match=r"`podman info` did not end within 0\.3 s") as caught:
        choose("podman")
    # It is installed.
    assert caught.value.problems[0].fix == "run `podman info` to see why"
    assert not Path("/proc", (programs / "pid").read_text().strip()).exists()


@pytest.mark.usefixtures("soon")
def test_a_plugin_that_hangs_is_not_taken_for_none(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the classic builder would build without a word."""
    monkeypatch.setattr("executor.engines.buildx._PLUGINS", ())
    install(programs, "docker", f"echo asked >> {programs}/asked\nexec /bin/sleep 300")
    engine = DockerEngine()
    # Nor by whoever asks next, who does not wait for it again.
    for _ in range(2):
        with pytest.raises(ExecutorError, match=r"did not end within 0\.3 s"):
            _ = engine.uses_buildkit
    assert (programs / "asked").read_text() == "asked\n"


def test_a_podman_that_is_ended_leaves_no_file(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a file for each image that it looks at among those that are temporary."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(limits, "STORAGE_SECONDS", 0.3)
    install(programs, "podman", f"echo > $TMPDIR/4207689735; echo > {tmp_path}/begun; exec /bin/sleep 300")
    with pytest.raises(EngineUnavailable, match=r"did not end within 0\.3 s"):
        PodmanEngine().inspect("localhost/a:1")
    assert (tmp_path / "begun").exists()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "printed",
    ["", "{", "[]", "{}", "[7]", "[[]]", "[{}]", '[{"Id": 1}]', '[{"Id": "a"}]', "[" * 200_000,
     json.dumps([{"Id": AN_ID, "Labels": 7}]), json.dumps([{"Id": AN_ID, "History": [7]}])],
)  # fmt: skip
def test_a_podman_that_prints_what_is_no_image(programs: Path, tmp_path: Path, printed: str) -> None:
    (tmp_path / "printed").write_text(printed)
    install(programs, "podman", f"/bin/cat {tmp_path}/printed")
    with pytest.raises(EngineRefused) as caught:
        PodmanEngine().inspect("localhost/a:1")
    assert "`podman image inspect` does not answer like Podman" in str(caught.value)
    assert caught.value.exit_code == 1
