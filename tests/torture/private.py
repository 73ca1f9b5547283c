"""Engines of one's own: what is killed here is nobody else's."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from attrs import define, field

from executor.process import Command, run

__all__ = ["DOCKERD_PATH", "Docker", "Podman", "PrivateEngine", "fast_place", "processes_of"]

# Where scripts/engines.sh puts a daemon that the distribution does not have.
_STATE: Final = Path(os.environ.get("STOWPLAN_ENGINES_DIR", "/var/lib/stowplan-engines"))
DOCKERD_PATH: Final = os.pathsep.join([
    *(str(_STATE / "new/root/usr" / name) for name in ("sbin", "bin")),
    os.environ.get("PATH", ""), "/usr/sbin", "/sbin",
])  # fmt: skip
_START_SECONDS: Final = 180
_ROOM_BYTES: Final = 8 << 30
# In the command of what the classic builder makes for an instruction that runs nothing. It bears no mark, and
# stays, with the image it is made from, where the daemon is killed in that moment (docs/reference.md).
_UNMARKED: Final = "#(nop)"
# Programs of the engines themselves, which live as long as these do.
_ENGINES: Final = {"dockerd", "containerd", "containerd-shim", "docker-proxy"}


def fast_place() -> Path:
    """Where an engine may have its files: in memory where there is room, since it writes a lot."""
    memory = Path("/dev/shm")  # noqa: S108  # directories that only this user can enter are made in it
    if memory.is_dir():
        status = os.statvfs(memory)
        if status.f_bavail * status.f_frsize >= _ROOM_BYTES:
            return memory
    return Path("/tmp")  # noqa: S108  # as above


def _files(archive: bytes) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            name = member.name.removeprefix("app").strip("/")
            content = members.extractfile(member) if member.isfile() else None
            found[name] = content.read() if content else None
    found.pop("", None)
    return found


def _run(argv: tuple[str, ...], env: Mapping[str, str], stdin: bytes | None = None) -> tuple[int, bytes, str]:
    done = run(Command(argv, env=env), stdin=[stdin] if stdin is not None else None, timeout=300)
    return done.code, done.stdout, done.stderr


@define
class PrivateEngine(ABC):
    """An engine with a storage of its own. `env` is what makes programs use it."""

    program: ClassVar[str]
    work: Path
    env: Mapping[str, str] = field(init=False)

    @abstractmethod
    def strays(self) -> list[str]:
        """Processes that run in containers of it, or work for it, and are not the engine itself."""

    @abstractmethod
    def containers(self) -> list[str]:
        """All containers, builds included."""

    @abstractmethod
    def state(self) -> Iterable[Path]:
        """Where it keeps what is no layer of an image."""

    @abstractmethod
    def heal(self) -> None:
        """Start what was killed."""

    @abstractmethod
    def close(self) -> None:
        """Take it down, and what it has."""

    def ask(self, *arguments: str, stdin: bytes | None = None) -> str:
        """What its command line says; AssertionError if it fails."""
        code, out, err = _run((self.program, *arguments), self.env, stdin)
        assert code == 0, f"{self.program} {' '.join(arguments)}: {err}"
        return out.decode()

    def dangling(self) -> list[str]:
        """All images without a name, but for those that another image is built on."""
        return self.ask("images", "--quiet", "--filter=dangling=true").split()

    def planned(self) -> list[str] | None:
        """The planned tags that there are; None if the engine cannot list any."""
        names = "--format={{.Repository}}:{{.Tag}}"
        listing = (self.program, "images", names, "--filter=reference=localhost/stowplan")
        code, out, _ = _run(listing, self.env)
        return out.decode().split() if code == 0 else None

    def app(self, reference: str) -> dict[str, bytes | None] | None:
        """The files below /app of an image, and None for each directory; None if there is no such image."""
        code, out, _ = _run((self.program, "create", "--pull=never", reference, "true"), self.env)
        if code:
            return None
        container = out.decode().strip()
        try:
            code, archive, err = _run((self.program, "cp", f"{container}:/app", "-"), self.env)
            assert code == 0, err
            return _files(archive)
        finally:
            self.ask("rm", "--force", container)


@define
class Docker(PrivateEngine):
    """A Docker daemon without networks, whose builds have that of the machine."""

    program = "docker"
    process: subprocess.Popen[bytes] | None = None
    _socket: str = field(init=False)
    directory: str = field(init=False)
    _bridge: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        # The path of a socket has room for some 100 characters only.
        self.directory = tempfile.mkdtemp(prefix="stowplan-d", dir=fast_place())
        self._socket = f"{self.directory}/s"
        config = self.work / "docker-config"
        config.mkdir(parents=True, exist_ok=True)
        self.env = {
            "DOCKER_HOST": f"unix://{self._socket}",
            "DOCKER_CONFIG": str(config),
            "DOCKER_CONTEXT": "",
        }
        self._bridge = f"sp{os.getpid()}"
        self._link("add", "name", self._bridge, "type", "bridge")
        self._link("set", self._bridge, "up")
        self.heal()

    @staticmethod
    def _link(*arguments: str) -> None:
        code, _, err = _run(("ip", "link", *arguments), {"PATH": DOCKERD_PATH})
        assert code == 0, err

    def heal(self) -> None:
        """Start the daemon, and wait until it answers."""
        if self.process is not None and self.process.poll() is None:
            return
        program = shutil.which("dockerd", path=DOCKERD_PATH)
        assert program is not None, "there is no dockerd"
        for pid in self._own("containerd"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        Path(f"{self.directory}/pid").unlink(missing_ok=True)
        with Path(f"{self.directory}/log").open("ab") as log:
            self.process = subprocess.Popen(
                (
                    # Whatever ends the tests ends the daemon.
                    *("setpriv", "--pdeathsig=TERM", "--"),
                    program,
                    f"--host={self.env['DOCKER_HOST']}",
                    f"--data-root={self.directory}/data",
                    f"--exec-root={self.directory}/exec",
                    f"--pidfile={self.directory}/pid",
                    # Without a bridge, a daemon removes docker0, which may be another daemon's.
                    f"--bridge={self._bridge}",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--ip-masq=false",
                ),
                env={**os.environ, "PATH": DOCKERD_PATH},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + _START_SECONDS
        while _run(("docker", "version"), self.env)[0]:
            assert time.monotonic() < until, Path(f"{self.directory}/log").read_text()[-4000:]
            time.sleep(0.1)

    def _own(self, name: str) -> list[int]:
        return [pid for pid, comm in processes_of(self.directory) if comm == name]

    def containers(self) -> list[str]:
        return [line for line in self._listed() if _UNMARKED not in line]

    def dangling(self) -> list[str]:
        held = {line.split()[1] for line in self._listed() if _UNMARKED in line}
        return [image for image in super().dangling() if image not in held]

    def _listed(self) -> list[str]:
        return self.ask("ps", "--all", "--format={{.ID}} {{.Image}} {{.Status}} {{.Command}}").splitlines()

    def remove_unmarked(self) -> None:
        """Remove containers that bear no mark, and the images that these have kept."""
        if unmarked := [line.split()[0] for line in self._listed() if _UNMARKED in line]:
            self.ask("rm", "--force", *unmarked)
            self.ask("image", "prune", "--force")

    def strays(self) -> list[str]:
        return [f"{name} {pid}" for pid, name in processes_of(self.directory) if name not in _ENGINES]

    def state(self) -> Iterable[Path]:
        return (Path(self.directory, name) for name in ("exec", "data/buildkit", "data/containers"))

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
        for pid, _ in processes_of(self.directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _unmount(self.directory)
        self._link("delete", self._bridge)
        shutil.rmtree(self.directory, ignore_errors=True)


@define
class Podman(PrivateEngine):
    """Podman with a storage of its own."""

    program = "podman"

    def __attrs_post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self.work}/root"\nrunroot = "{self.work}/run"\n'
        )
        self.env = {"CONTAINERS_STORAGE_CONF": str(self.work / "storage.conf")}

    def heal(self) -> None:
        """It has no daemon."""

    def containers(self) -> list[str]:
        listed = self.ask("ps", "--all", "--external", "--no-trunc", "--format={{.ID}} {{.Image}} {{.Names}}")
        return [f"{line}{self._notes(line.split()[0])}" for line in listed.splitlines()]

    def _notes(self, container: str) -> str:
        """Whether Podman has written down what a working container is for."""
        written = any(self.work.glob(f"root/*-containers/{container}/userdata/buildah.json"))
        return "" if written else " (without buildah.json)"

    def strays(self) -> list[str]:
        return [f"{name} {pid}" for pid, name in processes_of(str(self.work))]

    def state(self) -> Iterable[Path]:
        return (*self.work.glob("root/*-containers"), self.work / "run")

    def close(self) -> None:
        run(Command(("podman", "rm", "--all", "--force"), env=self.env), timeout=300)
        _unmount(str(self.work))
        shutil.rmtree(self.work, ignore_errors=True)


def _unmount(place: str) -> None:
    """Unmount all that is mounted below a directory."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed(mounted):
        if point.startswith(f"{place}/"):
            run(Command(("umount", point)), timeout=60)


def processes_of(place: str) -> Iterator[tuple[int, str]]:
    """Processes, with their names, that have a path in their command line or environment, or for a root."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (path / "comm").read_text().strip()
            if int(path.name) == os.getpid():
                continue
            told = (path / "cmdline").read_bytes() + b"\0" + (path / "environ").read_bytes()
            if place.encode() in told or _has_root_in(path, place):
                yield int(path.name), name


def _has_root_in(process: Path, place: str) -> bool:
    """Whether a process runs in a container whose files are below a place."""
    for line in (process / "mountinfo").read_text().splitlines():
        if line.split()[4] == "/":
            return place in line
    return False
