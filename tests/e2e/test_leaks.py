"""Secrets of many shapes, planted wherever a user might put one, and looked for wherever one could be left.

One project has them all. Every command is run with every output format, builds succeed and fail at each
instruction, and processes are looked at meanwhile. A value may be found where the documentation says that it
is, and nowhere else: that of a `${VARIABLE}` is in the configuration of the image.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import re
import string
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import tomlkit
from attrs import Factory, define, frozen

from executor.engines.protocol import Engine
from executor.process import Command, run
from tests.contract.conftest import variable
from tests.e2e.command import Project, Ran
from tests.e2e.conftest import chosen_engine
from tests.encodings import base64_of
from tests.index import Index, package_index

_RANDOM: Final = random.SystemRandom()
# Each makes a value of a mark that nothing else has.
SHAPES: Final[Mapping[str, Callable[[str], str]]] = {
    "plain": str,
    "short": lambda mark: mark[:6],
    "long": lambda mark: mark * 256,
    "quote": lambda mark: f"it's {mark}",
    "quotes": lambda mark: f'"{mark}" "',
    "dollar": lambda mark: f"$HOME ${{PATH}} $(id) ${mark}",
    "backslash": lambda mark: f"\\{mark}\\n\\",
    "backtick": lambda mark: f"`{mark}`",
    "unicode": lambda mark: f"naïve 日本語 🚢 {mark} é",
    "base64": lambda mark: f"{base64.b64encode(mark.encode()).decode()}+/==",
    "json": lambda mark: json.dumps({"token": mark, "host": "host.example"}),
    "url": lambda mark: f"https://reader:{mark}@host.example/simple?x=1&y={mark}",
    "dash": lambda mark: f"--{mark}",
    "percent": lambda mark: f"%41{mark}%2F%",
    "glob": lambda mark: f"*{mark}?[a-z]",
    "spaces": lambda mark: f"  {mark}  two ",
    "hash": lambda mark: f"#{mark} # no comment",
    "html": lambda mark: f"<b>{mark}&amp;</b>",
    "equals": lambda mark: f"{mark}=x,y;z",
    "tab": lambda mark: f"{mark}\tx",
    "lines": lambda mark: f"one {mark}\ntwo {mark}\n\n{mark}",
    "netrc": lambda mark: f"machine host.example\nlogin me\npassword {mark}\n",
    "key": lambda mark: f"-----BEGIN PRIVATE KEY-----\n{mark * 4}\n{mark}=\n-----END PRIVATE KEY-----\n",
}


@frozen
class Planted:
    """A value in one place, and what tells it in whatever it is found in."""

    place: str
    shape: str
    mark: str

    @classmethod
    def at(cls, place: str, shape: str) -> Planted:
        # Letters and digits, which no encoding of a URL, a shell or JSON changes; so many kinds of them that
        # not even the beginning of one is in another.
        return cls(place, shape, "".join(_RANDOM.choices(string.ascii_letters + string.digits, k=18)))

    @property
    def name(self) -> str:
        return f"{self.place}_{self.shape}".upper()

    @property
    def value(self) -> str:
        return SHAPES[self.shape](self.mark)

    @property
    def needles(self) -> Iterator[bytes]:
        """The mark as it can stand in a text: plain, from its end, in hexadecimal digits, and in base64."""
        marks = {self.mark, base64.b64encode(self.mark.encode()).decode().rstrip("=")}
        if self.shape == "short":
            marks = {self.value}
        for mark in marks:
            forms = (
                mark,
                mark[::-1],
                mark.encode().hex(),
                mark.encode().hex().upper(),
                *base64_of(mark.encode()),
            )
            yield from (form.encode() for form in forms)


ONE_LINE: Final = tuple(shape for shape, make in SHAPES.items() if "\n" not in make("x"))
ENV: Final = tuple(Planted.at("env", shape) for shape in SHAPES)
FILE: Final = tuple(Planted.at("file", shape) for shape in SHAPES)
# Both are written alike, and each takes time to be fingerprinted.
BEFORE: Final = tuple(Planted.at("before", shape) for shape in ONE_LINE[::2])
RUNTIME: Final = tuple(Planted.at("runtime", shape) for shape in ONE_LINE[1::2])
LOGIN: Final = Planted.at("login", "quotes")
INDEX: Final = Planted.at("index", "html")
SECRETS: Final = (*ENV, *FILE)
VARIABLES: Final = (*BEFORE, *RUNTIME)
EVERYTHING: Final = (*SECRETS, *VARIABLES, LOGIN, INDEX)
_NEEDLES: Final = {needle: each for each in EVERYTHING for needle in each.needles}


def found(data: bytes | str, among: Iterable[Planted] = EVERYTHING) -> set[str]:
    """The names of the planted values that are in something."""
    data = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    looked_for = set(among)
    return {each.name for needle, each in _NEEDLES.items() if each in looked_for and needle in data}


def found_below(*directories: Path, but: Iterable[str] = ()) -> dict[str, set[str]]:
    """The files below directories that planted values are in, and which."""
    hits = {}
    for directory in directories:
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name not in but:
                hits[str(path.relative_to(directory))] = found(path.read_bytes())
    return {name: names for name, names in hits.items() if names}


# Run in the image by a command that fails: it writes down what it was given, and its environment.
LEAK: Final = """
    import base64, html, json, os, shlex, sys, urllib.parse
    texts = [open(path).read() for path in sys.argv[1:]]
    texts += [value for name, value in os.environ.items() if name.startswith(("BEFORE_", "RUNTIME_"))]
    for text in texts:
        data = text.encode()
        print(text, text[::-1], shlex.quote(text), json.dumps(text), repr(text), html.escape(text), sep="\\n")
        print(urllib.parse.quote(text), urllib.parse.quote_plus(text), data.hex(), sep="\\n")
        for more in (text, f"me:{text}", f"a:{text}", json.dumps({"auth": text})):
            print(base64.b64encode(more.encode()).decode(), base64.urlsafe_b64encode(more.encode()).decode())
    print("the last words", flush=True)
    sys.exit(3)
    """

# Run in the image by a command that does not: digests show that the values were there, and are no leak.
USE: Final = """
    import hashlib, os, sys
    with open("/app/used", "w") as file:
        for path in sys.argv[1:]:
            with open(path, "rb") as secret:
                print(os.path.basename(path), hashlib.sha256(secret.read()).hexdigest(), file=file)
        for name in sorted(os.environ):
            print(name, file=file)
    """


@define
class Watched:
    """The command lines and the environments of all processes that there were."""

    commands: set[bytes] = Factory(set)
    variables: set[bytes] = Factory(set)
    _stop: threading.Event = Factory(threading.Event)

    def look(self) -> None:
        """Look as often as there is time to, until it is stopped."""
        while not self._stop.wait(0.005):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    self.commands.add((process / "cmdline").read_bytes())
                    self.variables |= set((process / "environ").read_bytes().split(b"\0"))

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        thread = threading.Thread(target=self.look)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that gives secrets to commands."""
    return chosen_engine(request.param)


@pytest.fixture
def index() -> Iterator[Index]:
    """A package index that wants a login."""
    with package_index(login=f"me:{INDEX.value}") as made:
        for name in ("corp-good", "corp-bad"):
            made.release(name, "1.0")
        yield made


@pytest.fixture
def planted(engine: Engine, project: Project, tmp_path: Path, base: str, index: Index) -> Iterator[Project]:
    """A project with all values in their places, and a pipeline for each instruction that can fail."""
    home, scratch, files = (tmp_path / name for name in ("home", "scratch", "files"))
    for directory in (home, scratch, files):
        directory.mkdir()
    for each in FILE:
        (files / each.name).write_text(each.value)
    address = variable("STOWPLAN_TEST_AUTH_REGISTRY")
    login = base64.b64encode(f"me:{LOGIN.value}".encode()).decode()
    for file in ("auth.json", "config.json"):
        (home / file).write_text(json.dumps({"auths": {address: {"auth": login}}}))
    project.env |= {
        "STOWPLAN_CONTAINER_ENGINE": engine.name,
        "STOWPLAN_DOCKER_BUILDER": "auto",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "DOCKER_CONFIG": str(home),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
        "TMPDIR": str(scratch),
        **{each.name: each.value for each in (*ENV, *VARIABLES)},
        INDEX.name: f"me:{INDEX.value}",
    }
    paths = " ".join(f"/run/secrets/{each.name}" for each in SECRETS)
    settings: dict[str, Any] = {
        "parent_image": base,
        "secrets": {each.name: {"env": each.name} for each in ENV}
        | {each.name: {"file": str(files / each.name)} for each in FILE}
        | {INDEX.name: {"env": INDEX.name}},
        "environment": {each.name: f"${{{each.name}}}" for each in BEFORE},
        "runtime_environment": {each.name: f"${{{each.name}}}" for each in RUNTIME},
        "python_package_installer": "pip",
        "python_package_installer_args": {"trusted-host": index.host},
        "package_indexes": [{"name": "corp", "url": index.url, "packages": ["corp-*"], "secret": INDEX.name}],
    }
    pipelines: dict[str, dict[str, Any]] = {
        "good": {"requirements": ["corp-good"], "local_project_install_command": f"python3 use.py {paths}"},
        # The instructions that can fail, in their order.
        "parent": {"parent_image": f"{address}/none/none@sha256:{'0' * 64}"},
        "requirements": {"requirements": ["corp-bad"]},
        "apt": {"apt_packages": ["no-such-package-anywhere"]},
        "dockerfile": {"dockerfile": "Dockerfile", "build_context_root": "."},
        "project": {"local_project_install_command": f"python3 leak.py {paths}"},
    }
    text = tomlkit.dumps({
        "pipeline": {
            name: {"steps": ["a"], "settings": {"docker": {**settings, **more}}}
            for name, more in pipelines.items()
        },
        "stack": {"default": {}, "login": {"container_registry": {"uri": f"{address}/x"}}},
    })  # fmt: skip
    mounted = [ENV[0], FILE[-1]]
    flags = " ".join(f"--mount=type=secret,id={each.name}" for each in mounted)
    own = " ".join(f"/run/secrets/{each.name}" for each in mounted)
    project.write({
        "use.py": USE,
        "leak.py": LEAK,
        "Dockerfile": f"FROM {base}\nCOPY leak.py /\nRUN {flags} python3 /leak.py {own}\n",
    })  # fmt: skip
    (project.root / "stowplan.toml").write_text(text)
    yield project
    for build in project.run("builds", "list", "--images", "-o", "json").data["records"]:
        if build["status"] == "built":
            engine.remove(build["reference"])


OUTPUTS: Final = ("text", "json", "markdown")
# Each command that shows something, in each format, with what it ends with.
SHOWING: Final = (
    (0, "plan", "good"),
    (0, "plan", "good", "--stack", "login"),
    (0, "plan", "good", "--html", ".stowplan/plan.html"),
    (0, "lock", "--stack", "default"),
    (0, "lock", "--stack", "default", "--check"),
    (0, "diff"),
    (0, "apply", "good"),
    (0, "show", "good", "--pipeline", "good"),
    (0, "show", "good", "--pipeline", "good", "--html", ".stowplan/show.html"),
    (0, "builds", "list"),
    (0, "builds", "list", "--images"),
    (0, "builds", "show"),
    (0, "builds", "show", "1"),
    (None, "outdated"),  # what a registry that is not reached leads to
    (0, "integrations", "list"),
)
# Builds that fail, one for each instruction that can, and a push without the right login.
FAILING: Final = (
    ("text", "apply", "parent"),
    ("json", "apply", "apt"),
    ("markdown", "apply", "requirements"),
    ("json", "apply", "good", "--stack", "login"),
)


def said(ran: Ran) -> str:
    """All that a command printed."""
    return f"{ran.out}\n{ran.err}"


def image_of(engine: Engine, reference: str) -> tuple[bytes, bytes]:
    """The configuration of an image with its history, and its layers but for the first, which is the base."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        done = run(Command((engine.name, "save", "--output", file.name, reference)))
        assert done.code == 0, done.stderr
        with tarfile.open(file.name) as tar:

            def member(name: str) -> bytes:
                found = tar.extractfile(name)
                assert found is not None
                return found.read()

            (manifest,) = json.loads(member("manifest.json"))
            layers = b"".join(map(member, manifest["Layers"][1:]))
            return member(manifest["Config"]), layers


def variable_of(entry: bytes) -> str:
    """The variable of an entry of an environment, or the one that a build argument of ours carries."""
    name = entry.partition(b"=")[0].decode(errors="replace")
    return re.sub(r"^STOWPLAN_[0-9a-f]{12}_", "", name)


def names(planted: Iterable[Planted]) -> set[str]:
    return {each.name for each in planted}


def test_secrets_are_found_where_the_docs_say_and_nowhere_else(
    engine: Engine, planted: Project, index: Index, tmp_path: Path
) -> None:
    watched = Watched()
    with watched.looking():
        for output in OUTPUTS:
            for code, *command in SHOWING:
                ran = planted.run(*command, "-o", output)
                assert code is None or ran.code == code, (command, said(ran))
                assert found(said(ran)) == set(), command
        # What is installed is not what was locked.
        index.tampered |= dict.fromkeys(index.files["corp-bad"], b"another wheel")
        for output, *command in FAILING:
            ran = planted.run(*command, "-o", output)
            assert (ran.code in (1, 75), found(said(ran))) == (True, set()), command
        for pipeline in ("project", "dockerfile"):
            failed = said(planted.run("apply", pipeline))
            # It is the command that failed, and its output that was masked.
            assert "the last words" in failed
            assert "***" in failed
            assert found(failed) == set()
        for number in range(2, 8):
            for output in OUTPUTS:
                assert found(said(planted.run("builds", "show", str(number), "-o", output))) == set()
        for more in ("--dockerfile", "--context"):
            assert found(said(planted.ok("show", "good", "--pipeline", "good", more))) == set()
    # Nothing of them stays here, but for the files that they are in.
    assert found_below(planted.root, tmp_path / "scratch") == {}
    assert found_below(tmp_path / "home", but=("auth.json", "config.json")) == {}
    assert (planted.root / ".stowplan/records.sqlite3").exists()
    # Neither in a process title, nor in an environment that is not the user's own or the image's.
    commands = b"\n".join(watched.commands)
    assert b"secret=id=FILE_PLAIN,type=file,src=" in commands
    assert found(commands) == set()
    # As uv wants to be told the login of an index.
    known = names((*ENV, *VARIABLES, INDEX)) | {"UV_INDEX_CORP_PASSWORD"}
    others = {entry for entry in watched.variables if variable_of(entry) not in known}
    assert found(b"\n".join(others)) == set()
    # The image has the values of variables in its configuration, and else nothing.
    (built,) = planted.ok("plan", "good", "-o", "json").data["images"]
    configuration, layers = image_of(engine, built["reference"])
    assert found(configuration) == names(VARIABLES)
    used = engine.run(built["reference"], ("cat", "/app/used")).output.splitlines()
    assert used[: len(SECRETS)] == [
        f"{each.name} {hashlib.sha256(each.value.encode()).hexdigest()}" for each in SECRETS
    ]
    # No variable with a secret reached the command.
    assert not names((*ENV, INDEX)) & set(used[len(SECRETS) :])
    assert found(_unpacked(layers)) == set()
    assert engine.run(built["reference"], ("ls", "-A", "/run/secrets")).output.find("PLAIN") == -1
    for words in (("history", "--no-trunc", built["reference"]), ("image", "inspect", built["reference"])):
        shown = run(Command((engine.name, *words)))
        assert shown.code == 0, shown.stderr
        assert found(shown.stdout) <= names(VARIABLES)


def _unpacked(layers: bytes) -> bytes:
    """Layers as they are; those of Podman's archives are never compressed, and Docker's are not either."""
    assert layers[257:262] == b"ustar", "a layer that is no plain archive"
    return layers


def test_what_is_looked_for_can_be_found(tmp_path: Path) -> None:
    """The search is not blind: it finds each value in each of its encodings."""
    for each in EVERYTHING:
        data = each.value.encode()
        for written in (
            each.value,
            each.value[::-1],
            json.dumps(each.value),
            quote(each.value, safe=""),
            data.hex(),
            *(base64.b64encode(before + data).decode() for before in (b"", b"x", b"xy")),
        ):
            assert found(f"x{written}x") == {each.name}
    (tmp_path / "file").write_text(ENV[0].value)
    assert found_below(tmp_path) == {"file": {ENV[0].name}}
    assert len(SHAPES) >= 20
