"""Kills: `apply`, the client that it starts and the engine's worker end at any instant, on each builder.

After each kill: a planned tag is on a whole image or nowhere, records name nothing that is not there, the
next command works, the next `apply` ends with a whole image, and nothing stays behind: no file, no process,
no container, no image without a name, no secret that the build was given. All engines are private: see
`private`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Final

from attrs import define, field

from executor.apply.outcome import Result
from executor.records.store import Records
from planner import ImageRef
from tests.contract.images import TEST_BASE
from tests.e2e.command import Project, Ran
from tests.torture.campaign import Verdict
from tests.torture.private import Docker, Podman, PrivateEngine, fast_place, processes_of

__all__ = ["CAMPAIGN", "Kills"]

BUILDERS: Final = ("buildkit", "classic", "podman")
_CLIENTS: Final = ("docker", "docker-buildx", "podman")
# How long a command may take that has nothing to wait for, on a machine with other work.
_END_SECONDS: Final = 120.0
# BuildKit keeps the layers of images that are gone.
_PRUNE_EVERY: Final = 60
# Any of them may be the next one.
_LOG: Final = re.compile(r"[0-9a-f]{12}\.log")
_COMMANDS: Final = (("apply",), ("plan",), ("lock",), ("diff",), ("builds", "list"))
_COMMAND: Final = "echo made > made; sleep 0.3"
# Where a builder gives secrets to commands.
_SECRET_COMMAND: Final = f"test -s /run/secrets/token; {_COMMAND}"


def _small(rng: random.Random) -> dict[str, bytes]:
    return {f"d{number % 9}/f{number}": rng.randbytes(rng.randrange(40)) for number in range(400)}


def _empty(rng: random.Random) -> dict[str, bytes]:
    return {f"e{number}": b"" for number in range(rng.randrange(100, 500))}


def _blocks(rng: random.Random) -> dict[str, bytes]:
    """Sizes at, before and after the end of a block of an archive (512), and of a record of it (10,240)."""
    sizes = [block * times + off for block in (512, 10_240) for times in (1, 2, 7) for off in (-1, 0, 1)]
    return {f"b{number}": rng.randbytes(size) for number, size in enumerate(sizes)}


def _large(rng: random.Random) -> dict[str, bytes]:
    return {"large": rng.randbytes(24 << 20), "zz": b"last"}


_SHAPES: Final[Mapping[str, Callable[[random.Random], dict[str, bytes]]]] = {
    "small": _small,
    "empty": _empty,
    "blocks": _blocks,
    "large": _large,
}


@define
class _Case:
    """One project, its engine, and what its image has to have below /app."""

    project: Project
    engine: PrivateEngine
    place: Path
    files: Mapping[str, bytes]
    secret: bytes
    # How far the apply came, and how it ended.
    stage: str = ""
    said: list[str] = field(factory=list)
    torn: list[str] = field(factory=list)
    leaked: list[str] = field(factory=list)
    hung: list[str] = field(factory=list)

    @property
    def whole(self) -> dict[str, bytes | None]:
        """The files and directories below /app."""
        found: dict[str, bytes | None] = dict(self.files)
        for name in self.files:
            found.update({str(parent): None for parent in Path(name).parents if str(parent) != "."})
        return found

    def look_at(self, reference: str) -> None:
        """See that a planned tag is on a whole image."""
        found = self.engine.app(reference)
        if found is None:
            self.torn.append("there is no image")
            return
        found.pop("made", None)
        if found != self.whole:
            lost = sorted(set(self.whole) - set(found))
            self.torn.append(f"{len(found)} of {len(self.whole)} entries, without {lost[:3]}")

    def run(self, *argv: str) -> Ran:
        """A command that has to end well."""
        started = time.monotonic()
        ran = self.project.run(*argv)
        self.said.append(ran.out + ran.err)
        words = " ".join(argv)
        if time.monotonic() - started > _END_SECONDS:
            self.hung.append(f"{words} took {time.monotonic() - started:.0f} s")
        if ran.code or "error" in ran.err:
            self.torn.append(f"afterwards, {words} ended with {ran.code}: {ran.err[-1500:]}")
        return ran

    def leaks(self) -> Iterator[str]:
        """What is left of a kill, after the next apply."""
        mine = {
            "stowplan.toml",
            "stowplan.lock",
            ".stowplan",
            *(name.partition("/")[0] for name in self.files),
        }
        yield from (f"file {path.name}" for path in self.project.root.iterdir() if path.name not in mine)
        state = {".gitignore", "cache.sqlite3", "records.sqlite3", "writer", "tmp", "logs"}
        for path in (self.project.root / ".stowplan").iterdir():
            if path.name not in state and not path.name.endswith((".lock", "-wal", "-shm")):
                yield f"file .stowplan/{path.name}"
        logs = (path.name for path in (self.project.root / ".stowplan/logs").glob("*"))
        yield from (f"file {name} in logs" for name in logs if not _LOG.fullmatch(name))
        for place in (self.project.root / ".stowplan/tmp", self.place / "tmp"):
            if place.exists():
                yield from (f"file {path.name} in {place.name}" for path in place.iterdir())
        yield from (f"file {path.name}" for path in (self.place / "cache").rglob("*.unfinished"))
        yield from (f"process {name} {pid}" for pid, name in processes_of(str(self.project.root)))
        yield from (f"process {name}" for name in self.engine.strays())
        yield from (f"container {each}" for each in self.engine.containers())
        yield from (f"image {each}" for each in self.engine.dangling())
        places = (self.project.root / ".stowplan", self.place, *self.engine.state())
        yield from (f"the secret in {path}" for path in _holding(self.secret, places))


def _holding(secret: bytes, places: Iterable[Path]) -> Iterator[Path]:
    """The files below directories that a secret is in."""
    for path in (each for place in places for each in place.rglob("*")):
        with contextlib.suppress(OSError):  # what goes away meanwhile
            if path.is_file() and not path.is_symlink() and secret in path.read_bytes():
                yield path


@define
class Kills:
    """The campaign. `builders` are those that are killed in turn."""

    name: str = "kills"
    count: int = 1000
    builders: tuple[str, ...] = BUILDERS
    _work: Path = field(init=False)
    _engines: dict[str, PrivateEngine] = field(factory=dict)
    _parent: str = field(init=False)
    # How long an apply takes, and how many lines it says, by builder.
    _usual: dict[str, tuple[float, int]] = field(factory=dict)
    _docker_cases: int = 0

    def prepare(self, work: Path) -> None:
        """Start the engines that are needed, with a parent image."""
        shutil.rmtree(work, ignore_errors=True)
        self._work = work.resolve()
        self._work.mkdir(parents=True)
        registry, digest = os.environ["STOWPLAN_TEST_REGISTRY"], os.environ["STOWPLAN_TEST_BASE_DIGEST"]
        self._parent = f"{registry}/{ImageRef.parse(TEST_BASE).repository}@{digest}"
        if {"buildkit", "classic"} & set(self.builders):
            self._engines["buildkit"] = self._engines["classic"] = Docker(self._work / "docker")
        if "podman" in self.builders:
            place = tempfile.mkdtemp(prefix="stowplan-p", dir=fast_place())
            self._engines["podman"] = Podman(Path(place))
        for engine in {id(each): each for each in self._engines.values()}.values():
            engine.ask("pull", self._parent)
            engine.ask("tag", self._parent, "localhost/parent:1")

    def close(self) -> None:
        """Take the engines down."""
        for engine in {id(each): each for each in self._engines.values()}.values():
            engine.close()
        self._engines.clear()
        self._usual.clear()
        shutil.rmtree(self._work, ignore_errors=True)

    def case(self, number: int, rng: random.Random) -> Verdict:
        """One kill."""
        builder = self.builders[number % len(self.builders)]
        command = rng.random() < 0.5
        if builder not in self._usual:
            self._usual[builder] = self._measured(builder)
        seconds, lines = self._usual[builder]
        shape = rng.choice(sorted(_SHAPES))
        targets = ["apply", "apply", "apply", "all", "worker"] + ["client"] * (builder != "classic")
        target = rng.choice(targets)
        if target == "worker" and builder != "podman" and rng.random() < 0.5:
            target = "apply"  # a daemon takes long to start again
        number_of_signal = rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        if target != "apply":
            number_of_signal = signal.SIGKILL
        after = rng.uniform(0, 1.1 * seconds)
        line = rng.randrange(lines) if rng.random() < 0.25 else None
        when = f"after {after:.3f} s" if line is None else f"at line {line}"
        kind = f"{builder}, {shape}{', a command' if command else ''}"
        what = f"{kind}: {number_of_signal.name} to {target} {when}"
        case = self._made(builder, f"c{number}", _SHAPES[shape](rng), command=command)
        try:
            self._killed(case, (target, number_of_signal), after, line)
            case.engine.heal()
            self._look(case, rng)
        finally:
            self._clean(case, builder)
        return Verdict(
            f"{what}, {case.stage}",
            torn="; ".join(case.torn),
            leaked="; ".join(case.leaked),
            hung="; ".join(case.hung),
            traceback=next((text[-1500:] for text in case.said if "Traceback" in text), ""),
        )

    def _made(self, builder: str, name: str, files: Mapping[str, bytes], *, command: bool) -> _Case:
        place = self._work / name
        root = place / "project"
        for directory in (root, place / "tmp", place / "home"):
            directory.mkdir(parents=True)
        for path, data in {**files, "unique": name.encode() + os.urandom(8)}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        engine = self._engines[builder]
        env = {
            **engine.env,
            "STOWPLAN_CONTAINER_ENGINE": "podman" if builder == "podman" else "docker",
            "STOWPLAN_DOCKER_BUILDER": "auto" if builder == "podman" else builder,
            "XDG_CACHE_HOME": str(place / "cache"),
            "TMPDIR": str(place / "tmp"),
            "TOKEN": f"planted-{os.urandom(8).hex()}",
        }
        project = Project(root, env)
        words = _COMMAND if builder == "classic" else _SECRET_COMMAND
        run = f"local_project_install_command = {json.dumps(words)}" if command else ""
        project.write({
            "stowplan.toml": f"""
                [secret.token]
                env = "TOKEN"
                [pipeline.p]
                steps = ["a"]
                [pipeline.p.settings.docker]
                parent_image = "{self._parent}"
                environment = {{ A = "1" }}
                build_config = {{ build_options = {{ network = "host" }} }}
                {run}
                """,
        })  # fmt: skip
        whole = {**files, "unique": (root / "unique").read_bytes()}
        return _Case(project, engine, place, whole, env["TOKEN"].encode())

    def _measured(self, builder: str) -> tuple[float, int]:
        """How long an apply takes that nobody kills, and how many lines it says."""
        name = f"usual-{builder}"
        case = self._made(builder, name, _SHAPES["small"](random.Random(name)), command=True)
        try:
            started = time.monotonic()
            ran = case.run("apply")
            seconds = time.monotonic() - started
            assert not case.torn, case.torn
            return seconds, max(1, ran.err.count("\n"))
        finally:
            self._clean(case, builder)

    def _killed(
        self, case: _Case, kill: tuple[str, signal.Signals], after: float, at_line: int | None
    ) -> None:
        """Start an apply, and kill something after some seconds or at a line of what it says."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            # Files and no pipes: who is killed at once never closes the copies that it was to get.
            process = case.project.start("apply", out=out.fileno(), err=err.fileno())
            until = time.monotonic() + (after if at_line is None else _END_SECONDS)
            while time.monotonic() < until and process.is_alive():
                if at_line is not None and _text(err).count("\n") > at_line:
                    break
                time.sleep(min(0.005, max(0.0, until - time.monotonic())))
            self._kill(case, process, *kill)
            process.join(_END_SECONDS)
            if process.exitcode is None:
                case.hung.append(f"apply did not end within {_END_SECONDS:.0f} s")
                process.kill()
                process.join()
            case.said += [_text(out), _text(err)]
            case.stage = _stage("".join(case.said[-2:]), process.exitcode)

    @staticmethod
    def _kill(case: _Case, process: BaseProcess, target: str, number: signal.Signals) -> None:
        assert process.pid is not None
        if target == "worker" and isinstance(case.engine, Docker):
            assert case.engine.process is not None
            case.engine.process.kill()
            case.engine.process.wait()
            return
        until = time.monotonic() + _END_SECONDS
        while True:
            family = _descendants(process.pid)
            victims = {
                "apply": [process.pid],
                "all": [process.pid, *family],
                "client": [pid for pid, name in family.items() if name in _CLIENTS],
                "worker": [pid for pid, name in family.items() if name not in (*_CLIENTS, "setpriv")],
            }[target]
            # What is to be killed may have to start first.
            if victims or not process.is_alive() or time.monotonic() > until:
                break
            time.sleep(0.005)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    @staticmethod
    def _look(case: _Case, rng: random.Random) -> None:
        """Everything that has to hold after a kill."""
        tags = case.engine.planned()
        for reference in tags or ():
            case.look_at(reference)
        for record in Records(case.project.root).all():
            there = record.status in (Result.BUILT, Result.REUSED)
            if tags is not None and there and record.reference not in tags:
                case.torn.append(f"there is a record, and no image: {record.reference}")
        case.run(*rng.choice(_COMMANDS))
        ran = case.run("apply", "-o", "json")
        if ran.code == 0:
            (image,) = ran.data["images"]
            case.look_at(image["reference"])
            if image["result"] not in ("built", "reused"):
                case.torn.append(f"apply says {image}")
        case.leaked += case.leaks()

    def _clean(self, case: _Case, builder: str) -> None:
        """Leave nothing for the next case, whatever came of this one."""
        case.engine.heal()
        for pid, _ in processes_of(str(case.project.root)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if case.leaked or case.torn:
            for line in case.engine.containers():
                with contextlib.suppress(AssertionError):
                    case.engine.ask("rm", "--force", line.split()[0])
        with contextlib.suppress(AssertionError):
            for image in case.engine.ask("images", "--quiet", "--filter=label=dev.stowplan.image").split():
                case.engine.ask("rmi", "--force", image)
        if case.leaked:
            with contextlib.suppress(AssertionError):
                case.engine.ask("image", "prune", "--force")
        if isinstance(case.engine, Docker):
            case.engine.remove_unmarked()
        if builder == "buildkit":
            self._docker_cases += 1
            if self._docker_cases % _PRUNE_EVERY == 0:
                case.engine.ask("builder", "prune", "--force")
        shutil.rmtree(case.place, ignore_errors=True)


def _text(file: IO[bytes]) -> str:
    """What is in a file that another process writes."""
    return os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace")


def _stage(said: str, code: int | None) -> str:
    """How far an apply came, by what it said."""
    for word, stage in (("built  ", "after the build"), ("[p] building", "while building")):
        if word in said:
            return f"{stage}, exit {code}"
    return f"before the build, exit {code}"


def _descendants(parent: int) -> dict[int, str]:
    """All that a process started, directly or not, with their names."""
    parents: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text(errors="replace").rpartition(")")
            parents[int(path.parent.name)] = (int(rest.split()[1]), name.partition("(")[2])
    found: dict[int, str] = {}
    above = {parent}
    while above:
        above = {pid for pid, (its, _) in parents.items() if its in above} - found.keys()
        found.update({pid: parents[pid][1] for pid in above})
    return found


CAMPAIGN: Final = Kills()
