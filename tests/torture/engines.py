"""200 faults of engines, while stowplan builds and pushes: of Docker's socket, of programs, of registries.

No planned tag, no record and no entry of the ledger may say that an image is there that is not there whole;
a command ends in its time; and the next one, when all is well again, makes it good.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

from executor.engines.docker import DockerEngine
from executor.engines.podman import PodmanEngine
from executor.engines.protocol import ImageStore
from executor.records.store import Records
from executor.registry.marks import Marked, mark
from executor.state import read_lock_file
from planner.lock.lock import LOCK_NAME
from planner.values import Digest, ImageRef
from tests.torture.campaign import Verdict
from tests.torture.commands import MARK, Ran, fault_of, leftovers, run
from tests.torture.faults import PLANTED, Fault, FaultyRegistry, draw
from tests.torture.programs import draw_program_fault, install
from tests.torture.sockets import FaultySocket, draw_socket_fault

__all__ = ["CAMPAIGN", "Engines"]

LIMITS: Final[Mapping[str, float]] = {
    "PLAN_REGISTRY_SECONDS": 2.0, "REGISTRY_SECONDS": 2.0, "REGISTRY_BACKOFF_SECONDS": 0.05,
    "GREETING_SECONDS": 2.0, "ANSWER_SECONDS": 2.0, "STORAGE_SECONDS": 5.0, "WATCH_SECONDS": 0.3,
    "PUSH_SILENCE_SECONDS": 15.0, "PUSH_BACKOFF_SECONDS": 0.1, "PUSH_RETRIES": 1,
}  # fmt: skip
# What a command may take on a busy machine: an engine itself tries a push again, for up to half a minute.
_DEADLINE_SECONDS: Final = 120.0
_FILES: Final = 40
# What nothing limits where Podman pushes: see the reference, "Time limits and retries".
_HANGS: Final = ("silence", "drip", "without end", "4 GiB")


@frozen
class _Case:
    """One case: where it is, and the image that it is about."""

    place: Path
    name: str
    engine: str
    reference: str
    hash: Digest
    environ: Mapping[str, str]

    @property
    def project(self) -> Path:
        return self.place / "project"


@define
class Engines:
    """The campaign. `podman` says whether Podman is used too, and `registries` whether they fail as well.

    Engines try a layer again for half a minute when a registry fails.
    """

    name: str = "engines"
    count: int = 200
    podman: bool = True
    registries: bool = True
    _work: Path = field(init=False)
    _base: str = field(init=False)
    _other: str = field(init=False)
    _registry: FaultyRegistry = field(init=False)

    def prepare(self, work: Path) -> None:
        """Make a parent image of one file, and a registry that fails."""
        self._work = work
        real = os.environ["STOWPLAN_TEST_REGISTRY"]
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as members:
            members.addfile(tarfile.TarInfo("base"))
        name = f"{real}/stowplan-torture/base:{os.getpid()}"
        self._other = _said(["docker", "import", "-", name], archive.getvalue()).strip()
        _said(["docker", "push", "--quiet", name])
        (digest,) = json.loads(_said(["docker", "inspect", "--format={{json .RepoDigests}}", name]))
        self._base = digest
        self._registry = FaultyRegistry(behind=int(real.rpartition(":")[2]))
        self._registry.start()

    def close(self) -> None:
        """Remove the parent image."""
        self._registry.close()
        removals = [["docker", "rmi", "--force", self._other]]
        if self.podman:
            removals.append(["podman", "rmi", "--force", self._base])
        for removal in removals:
            subprocess.run(removal, capture_output=True, check=False)

    def case(self, number: int, rng: random.Random) -> Verdict:
        """One `apply` with one fault, and one without."""
        with tempfile.TemporaryDirectory(dir=self._work) as place:
            return self._case(Path(place), f"engines-{os.getpid()}-{number}", rng)

    def _case(self, place: Path, name: str, rng: random.Random) -> Verdict:
        engine = "podman" if self.podman and rng.random() < 0.3 else "docker"
        builder = rng.choice(["buildkit", "classic"])
        kinds = ["program", "program"] if engine == "podman" else ["socket"] * 4
        kinds += ["registry"] if self.registries else []
        kind = rng.choice([*kinds, "program"] if builder == "buildkit" else kinds)
        pushes = kind == "registry" or rng.random() < 0.3
        case = self._begin(place, name, engine, builder, pushes=pushes)
        what = f"{engine} {builder if engine == 'docker' else ''}: "
        faulty: FaultySocket | None = None
        extra: dict[str, str] = {}
        self._registry.begin(None)
        match kind:
            case "registry":
                fault = self._registry_fault(rng, engine)
                self._registry.begin(fault)
                what += f"the registry: {fault}"
            case "program":
                command, does = draw_program_fault(rng, engine)
                install(place / "bin", engine, command, does, self._other)
                extra["PATH"] = f"{place / 'bin'}:{case.environ['PATH']}"
                what += f"`{engine} {command}` {does}"
            case _:
                faulty = FaultySocket(place / "docker.sock", _socket(), draw_socket_fault(rng))
                faulty.start()
                extra["DOCKER_HOST"] = f"unix://{faulty.path}"
                what += f"the socket {faulty.fault}"
        ran = run(
            ["apply", "--engine", engine], case.project, {**case.environ, **extra},
            limits_of_it=LIMITS, deadline=_DEADLINE_SECONDS,
        )  # fmt: skip
        wrong = fault_of(ran)
        wrong.update(self._left(case, ran))
        self._registry.begin(None)
        if faulty is not None:
            faulty.close()
        if torn := self._torn(case, ran, pushes=pushes):
            wrong["torn"] = torn
        wrong = {**self._next(case, pushes=pushes), **wrong}
        self._remove(case)
        return Verdict(what, **wrong)

    def _registry_fault(self, rng: random.Random, engine: str) -> Fault:
        while True:
            fault = draw(rng, closed=1, silent=1)
            fault = Fault(fault.name, rng.randrange(12), fault.count, fault.play)
            if engine == "docker" or not any(word in fault.name for word in _HANGS):
                return fault

    def _begin(self, place: Path, name: str, engine: str, builder: str, *, pushes: bool) -> _Case:
        """A project, planned while all is well."""
        for directory in ("home", "tmp", "bin", "project/src"):
            (place / directory).mkdir(parents=True)
        address = f"localhost:{self._registry.port}/stowplan-torture"
        registry = f'container_registry = {{ uri = "{address}", default_repository = "{name}" }}\n'
        (place / "project/stowplan.toml").write_text(
            '[pipeline.training]\nsteps = ["train"]\n[pipeline.training.settings.docker]\n'
            f'parent_image = "{self._base}"\n'
            f'build_config = {{ build_options = {{ labels = {{ case = "{name}" }} }} }}\n'
            f"[stack.default]\n{registry if pushes else ''}"
        )
        for number in range(_FILES):
            (place / f"project/src/{number}.py").write_text(f"print({number}, {name!r})\n" * 50)
        environ = {
            "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NO_COLOR": "1", MARK: name,
            "TMPDIR": str(place / "tmp"), "DOCKER_HOST": os.environ["DOCKER_HOST"],
            "STOWPLAN_DOCKER_BUILDER": builder,
        }  # fmt: skip
        planned = run(
            ["plan", "-o", "json"], place / "project", environ, limits_of_it={}, deadline=_DEADLINE_SECONDS
        )
        assert planned.code == 0, planned.out + planned.err
        (image,) = json.loads(planned.out)["images"]
        digest = Digest.parse(image["hash"])
        return _Case(place, name, engine, image["reference"], digest, environ)

    def _left(self, case: _Case, ran: Ran) -> dict[str, str]:
        if processes := leftovers(case.name):
            return {"leaked": f"processes: {processes}"}
        if PLANTED in ran.out:
            return {"leaked": "the password"}
        strays = [*(case.place / "tmp").rglob("*"), *(case.project / ".stowplan/tmp").rglob("*")]
        return {"leaked": f"files: {strays}"} if strays else {}

    def _torn(self, case: _Case, ran: Ran, *, pushes: bool) -> str:
        """What is said to be there and is not, or not whole."""
        there = _whole(case)
        if there not in ("", "absent"):
            return f"{case.reference}: {there}"
        done = [record for record in Records(case.project).all() if record.status in ("built", "pushed")]
        if there and not pushes and (done or ran.code == 0):
            return f"exit code {ran.code}, {len(done)} records, and no image"
        lock = read_lock_file(case.project / LOCK_NAME)
        ledger = lock.pushed if lock else ()
        if pushes and (done or ledger or ran.code == 0):
            # Where the faulty registry has it: behind it is the real one.
            reference = ImageRef.parse(case.reference)
            found = mark(reference, timeout=30.0, environ={"HOME": str(case.place)})
            if not isinstance(found, Marked) or found.image != case.hash:
                return f"exit code {ran.code}, {len(done)} records, {len(ledger)} pushed, and {found}"
        return ""

    def _next(self, case: _Case, *, pushes: bool) -> dict[str, str]:
        """What is wrong after one more command, when all is well again."""
        ran = run(
            ["apply", "--engine", case.engine], case.project, case.environ,
            limits_of_it={}, deadline=_DEADLINE_SECONDS,
        )  # fmt: skip
        if ran.code != 0:
            return {"torn": f"the next apply: exit code {ran.code}: {ran.err[-1500:]}", **fault_of(ran)}
        torn = self._torn(case, ran, pushes=pushes) or ("" if _whole(case) == "" else "no image after it")
        if torn and torn != "no image after it":
            return {"torn": f"after the next apply: {torn}"}
        if dangling := _said([case.engine, "images", "--quiet", "--filter=dangling=true",
                              f"--filter=label=case={case.name}"]).split():  # fmt: skip
            return {"leaked": f"images without a name: {dangling}"}
        return self._left(case, ran)

    def _remove(self, case: _Case) -> None:
        images = _said([case.engine, "images", "--quiet", f"--filter=label=case={case.name}"]).split()
        if images:
            subprocess.run(
                [case.engine, "rmi", "--force", *dict.fromkeys(images)], capture_output=True, check=False
            )


def _said(argv: list[str], given: bytes = b"") -> str:
    return subprocess.run(argv, input=given, capture_output=True, check=True).stdout.decode()


def _socket() -> str:
    return os.environ["DOCKER_HOST"].removeprefix("unix://")


def _whole(case: _Case) -> str:
    """What is wrong with an image under the planned tag; empty if nothing, `absent` if there is none."""
    store: ImageStore = PodmanEngine() if case.engine == "podman" else DockerEngine()
    info = store.inspect(case.reference)
    if info is None:
        return "absent"
    if info.mark != case.hash:
        return f"is marked {info.mark}"
    files = _files(case)
    return "" if files == _FILES else f"has {files} of {_FILES} files"


def _files(case: _Case) -> int:
    """How many files of the project an image has."""
    container = _said([case.engine, "create", case.reference, "/none"]).strip()
    try:
        done = subprocess.run([case.engine, "export", container], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as members:
            names: list[Any] = [name for name in members.getnames() if name.startswith("app/src/")]
        return len(names)
    finally:
        _said([case.engine, "rm", container])


CAMPAIGN: Final = Engines()
