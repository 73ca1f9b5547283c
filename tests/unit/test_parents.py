"""The Python of a parent image, and its C library: who is asked, and what is made of the answers."""

from __future__ import annotations

import json
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import pytest
from attrs import define, field, frozen

from executor.engines.protocol import Finished, ImageInfo
from executor.observe import parents
from executor.observe.images import ChooseEngine, Images
from executor.observe.parents import Told, configured
from executor.registry.configs import Config, configs
from executor.registry.lookup import Question, Unknown
from planner.errors import PlannerError
from planner.facts.answers import ImagePython
from planner.facts.needs import PythonOf
from planner.values import ImageRef
from tests import builders
from tests.audit import watched
from tests.web import Reply, Request, Site, serving

OCI: Final = "application/vnd.oci.image"
MACHINE: Final = ".".join(platform.python_version_tuple()[:2])

# --- what a configuration tells. The histories are those of images of the Docker Hub, cut short.

PATH: Final = "PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
VARIABLES: Final = (PATH, "LANG=C.UTF-8", "GPG_KEY=A035", "PYTHON_VERSION=3.11.11")
SLIM: Final = {
    "config": {"Env": [*VARIABLES]},
    "history": [
        {"created_by": "# debian.sh --arch 'amd64' out/ 'bookworm' '@1736726400'"},
        {"created_by": "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin", "empty_layer": True},
        {"created_by": "RUN /bin/sh -c set -eux; apt-get update; apt-get install -y ca-certificates"},
    ],
}
# An image that has `dpkg` as a package, and is Alpine.
ALPINE_TOOLS: Final = "apk add --no-cache --virtual .build-deps bzip2-dev dpkg-dev dpkg expat-dev findutils"
ALPINE: Final = {
    "config": {"Env": [PATH, "PYTHON_VERSION=3.12.8"]},
    "history": [
        {"created_by": "ADD alpine-minirootfs-3.21.2-x86_64.tar.gz / # buildkit"},
        {"created_by": f"RUN /bin/sh -c set -eux; {ALPINE_TOOLS}"},
    ],
}
OLD_ALPINE: Final = {
    "config": {"Env": [PATH, "PYTHON_VERSION=3.9.1"]},
    "history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:8ec69d882e7f29f0652d537557160e638168550f in / "},
        {"created_by": f"/bin/sh -c set -ex && {ALPINE_TOOLS}"},
    ],
}
# glibc, though its package manager is Alpine's.
WOLFI: Final = {"config": {}, "history": [{"created_by": "RUN /bin/sh -c apk add --no-cache python-3.12"}]}
CUDA: Final = {
    "config": {"Env": ["PATH=/usr/local/nvidia/bin:/usr/local/bin:/bin", "CUDA_VERSION=12.4.1"]},
    "history": [{"created_by": "RUN /bin/sh -c apt-get -qq update && apt-get -y install python3 # buildkit"}],
}
UBI: Final = {"config": {}, "history": [{"created_by": "RUN microdnf -y install python3.11"}]}


def with_variables(*lines: str) -> Mapping[str, Any]:
    """The configuration of an image on Debian with more variables."""
    return {**SLIM, "config": {"Env": [*VARIABLES, *lines]}}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (SLIM, Told("3.11.11", musl=False)),
        (ALPINE, Told("3.12.8", musl=True)),
        (OLD_ALPINE, Told("3.9.1", musl=None)),
        (WOLFI, Told(None, musl=None)),
        (CUDA, Told(None, musl=False)),
        (UBI, Told(None, musl=False)),
        ({**SLIM, "history": [*SLIM["history"], *ALPINE["history"]]}, Told("3.11.11", musl=None)),
        # What was made from this image may have another Python in its place.
        (with_variables("PATH=/opt/conda/bin:/usr/local/bin:/bin"), Told(None, musl=False)),
        (with_variables("VIRTUAL_ENV=/opt/venv"), Told(None, musl=False)),
        (with_variables("PYTHON_VERSION=3.14.0rc1"), Told(None, musl=False)),
        (with_variables("PYTHON_VERSION=2.7.18"), Told(None, musl=False)),
        (with_variables("PYTHON_VERSION=3.11"), Told(None, musl=False)),
        ({}, Told()),
    ],
)
def test_what_a_configuration_tells(data: Mapping[str, Any], told: Told) -> None:
    assert configured(data) == told


@pytest.mark.parametrize(
    "data",
    [
        {"config": [1], "history": {"created_by": "apt-get install x"}},
        {"config": {"Env": "PYTHON_VERSION=3.11.1"}, "history": "alpine-minirootfs"},
        {"config": {"Env": [None, 5, [], "PYTHON_VERSION"]}, "history": [None, 5, {"created_by": None}]},
        {"config": None, "history": None},
    ],
)
def test_a_configuration_that_is_none_tells_nothing(data: Mapping[str, Any]) -> None:
    assert configured(data) == Told()


# --- a registry


@define
class Shelf:
    """What a registry has: images for platforms, and an index of them under the tag `1`."""

    blobs: dict[str, bytes] = field(factory=dict)
    index: bytes = b""

    def put(self, images: Mapping[str, object]) -> None:
        """Put an index with an image for each platform, that has this configuration."""
        parts = []
        for name, data in images.items():
            system, architecture = name.split("/")
            made = self.blob(json.dumps(data).encode())
            manifest = {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.manifest.v1+json",
                "config": {"mediaType": f"{OCI}.config.v1+json", "digest": made, "size": 1},
                "layers": [],
            }
            parts.append({
                "mediaType": f"{OCI}.manifest.v1+json",
                "digest": self.blob(json.dumps(manifest).encode()),
                "platform": {"os": system, "architecture": architecture},
            })  # fmt: skip
        index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": parts}
        self.index = json.dumps(index).encode()

    def blob(self, data: bytes) -> str:
        """Put some bytes; their digest."""
        name = str(builders.digest(data.decode()))
        self.blobs[name] = data
        return name

    def answer(self, request: Request) -> Reply:
        """What the registry says."""
        kind, name = request.path.split("/")[-2:]
        if kind == "manifests" and name == "1":
            return Reply(200, self.index, {"Content-Type": f"{OCI}.index.v1+json"})
        if name not in self.blobs:
            return Reply(404)
        headers = {"Content-Type": f"{OCI}.manifest.v1+json"} if kind == "manifests" else {}
        return Reply(200, self.blobs[name], headers)


@contextmanager
def registry(images: Mapping[str, object]) -> Iterator[tuple[Site, Shelf]]:
    """A registry that has `base:1`."""
    shelf = Shelf()
    shelf.put(images)
    with serving(shelf.answer) as site:
        yield site, shelf


BOTH: Final = {"linux/amd64": SLIM, "linux/arm64": ALPINE}


@frozen
class Ran:
    """An engine that has these images, whose Python prints this. What it is asked is written down.

    Real ones are asked in `tests/contract`.
    """

    images: tuple[str, ...] = ()
    prints: str = ""
    asked: list[str] = field(factory=list)
    code: int = 0

    def inspect(self, reference: str) -> ImageInfo | None:
        self.asked.append("inspect")
        return ImageInfo("sha256:1") if reference in self.images else None

    def pull(self, reference: str) -> None:
        assert reference not in self.images
        self.asked.append("pull")

    def run(self, reference: str, argv: tuple[str, ...], *, network: bool = True) -> Finished:
        assert reference
        assert argv
        assert not network
        self.asked.append("run")
        return Finished(self.code, self.prints)


def said(version: str, libc: tuple[str, str], host: str = "", abi: str = "") -> str:
    """What the Python of an image prints, after a banner of the image."""
    told = {"version": version, "libc": libc, "host": host, "abi": abi}
    return f"== CUDA ==\n{json.dumps(told)}\n"


BOOKWORM: Final = said("3.11.2", ("glibc", "2.36"), "x86_64-linux-gnu", "cpython-311-x86_64-linux-gnu")
MUSL: Final = said("3.12.8", ("", ""), "x86_64-alpine-linux-musl", "cpython-312-x86_64-linux-musl")


def python_of(
    name: str,
    engine: Any = None,
    *,
    version: str | None = None,
    platform: str | None = None,
    asks: bool = True,
) -> ImagePython:
    """What is found of the Python of an image."""
    choose: ChooseEngine | None = (lambda: engine) if engine is not None else None
    images = Images(engine=choose, environ={}, timeout=5, host_platform=lambda: "linux/amd64", asks=asks)
    need = PythonOf(ImageRef.parse(name), platform, version)
    found = images.answers([need])[need]
    assert isinstance(found, ImagePython)
    return found


def test_nobody_is_asked_about_an_image_that_is_empty() -> None:
    engine = Ran()
    assert python_of("scratch", engine) == ImagePython(MACHINE, "x86_64-manylinux_2_28", assumed=True)
    assert python_of("scratch", engine, version="3.12").version == "3.12"
    assert engine.asked == []


@pytest.mark.parametrize(
    ("wanted", "version", "found"),
    [
        (None, None, ImagePython("3.11.11", "x86_64-manylinux_2_28")),
        ("linux/amd64", None, ImagePython("3.11.11", "x86_64-manylinux_2_28")),
        ("linux/arm64", None, ImagePython("3.12.8", "aarch64-unknown-linux-musl")),
        # A setting says the version, and the image the rest.
        (None, "3.10", ImagePython("3.10", "x86_64-manylinux_2_28")),
        ("linux/arm64", "3.10", ImagePython("3.10", "aarch64-unknown-linux-musl")),
    ],
)
def test_a_configuration_that_tells_is_enough(
    wanted: str | None, version: str | None, found: ImagePython
) -> None:
    engine = Ran()
    with registry(BOTH) as (site, _):
        assert python_of(f"{site.address}/base:1", engine, version=version, platform=wanted) == found
    assert engine.asked == []


@pytest.mark.parametrize("data", [OLD_ALPINE, CUDA, WOLFI])
def test_what_a_configuration_does_not_tell_a_container_does(data: Mapping[str, Any]) -> None:
    engine = Ran(prints=MUSL)
    with registry({"linux/amd64": data}) as (site, _):
        found = python_of(f"{site.address}/base:1", engine)
    assert found == ImagePython("3.12.8", "x86_64-unknown-linux-musl")
    assert engine.asked == ["inspect", "pull", "run"]


@pytest.mark.parametrize(
    ("prints", "name"), [(MUSL, "x86_64-unknown-linux-musl"), (BOOKWORM, "x86_64-manylinux_2_36")]
)
def test_a_version_that_a_setting_says_does_not_say_the_c_library(prints: str, name: str) -> None:
    engine = Ran(prints=prints)
    with registry({"linux/amd64": WOLFI}) as (site, _):
        assert python_of(f"{site.address}/base:1", engine, version="3.10") == ImagePython("3.10", name)
    assert engine.asked == ["inspect", "pull", "run"]


def test_an_image_that_no_registry_tells_of_is_run_where_the_engine_has_it() -> None:
    name = "localhost/base:1"
    engine = Ran((name,), MUSL)
    assert python_of(name, engine, version="3.12") == ImagePython("3.12", "x86_64-unknown-linux-musl")
    assert engine.asked == ["inspect", "run"]
    # Only for what nothing else tells is an image pulled.
    engine = Ran(prints=MUSL)
    found = python_of(name, engine, version="3.12")
    assert found == ImagePython("3.12", "x86_64-manylinux_2_28", assumed=True)
    assert engine.asked == ["inspect"]
    assert python_of(name, engine) == ImagePython("3.12.8", "x86_64-unknown-linux-musl")
    assert engine.asked == ["inspect", "inspect", "pull", "run"]


def test_registries_are_asked_for_all_configurations_at_once() -> None:
    shelf = Shelf()
    shelf.put(BOTH)
    both = threading.Barrier(2)

    def answer(request: Request) -> Reply:
        if request.path.endswith("/manifests/1"):
            # Neither is told anything before the other has asked.
            both.wait()
        return shelf.answer(request)

    with serving(answer) as site:
        needs = [PythonOf(ImageRef.parse(f"{site.address}/{name}:1")) for name in ("base", "other")]
        images = Images(engine=None, environ={}, timeout=5, host_platform=lambda: "linux/amd64")
        found = images.answers(needs)
        both.abort()
    assert found == dict.fromkeys(needs, ImagePython("3.11.11", "x86_64-manylinux_2_28"))


def test_no_registry_is_asked_for_an_image_of_this_machine() -> None:
    connected: list[object] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            connected.append(arguments[1])

    with watched(watch):
        assert python_of("localhost/base:1").assumed
        assert connected == []
        # That would have been seen.
        assert python_of("localhost:1/base:1").assumed
    assert connected


@pytest.mark.parametrize("engine", [None, Ran(code=127), Ran(prints="no JSON"), Ran(prints="{}"), Ran()])
def test_where_nobody_tells_the_python_of_this_machine_is_assumed(engine: Ran | None) -> None:
    name = "localhost/base:1"
    assert python_of(name, engine) == ImagePython(MACHINE, "x86_64-manylinux_2_28", assumed=True)
    # Of what was told, all is taken.
    with registry({"linux/amd64": CUDA, "linux/arm64": OLD_ALPINE}) as (site, _):
        there = f"{site.address}/base:1"
        assert python_of(there, engine) == ImagePython(MACHINE, "x86_64-manylinux_2_28", assumed=True)
        assert python_of(there, engine, version="3.10") == ImagePython("3.10", "x86_64-manylinux_2_28")
        found = python_of(there, engine, platform="linux/arm64")
        assert found == ImagePython("3.9.1", "aarch64-manylinux_2_28", assumed=True)


@pytest.mark.parametrize("versions", [(None, "3.10"), ("3.10", None), ("3.10", "3.9"), (None, None)])
def test_one_container_tells_all_that_is_to_be_known_of_an_image(versions: tuple[str | None, ...]) -> None:
    """Also where a setting says the version for some steps."""
    engine = Ran(prints=MUSL)
    with registry({"linux/amd64": WOLFI}) as (site, _):
        ref = ImageRef.parse(f"{site.address}/base:1")
        platforms = (None, "linux/amd64")  # which are the same here
        needs = [PythonOf(ref, *pair) for pair in zip(platforms, versions, strict=True)]
        images = Images(
            engine=lambda: cast("Any", engine), environ={}, timeout=5, host_platform=lambda: "linux/amd64"
        )
        found = images.answers(needs)
    assert [found[need].version for need in needs] == [version or "3.12.8" for version in versions]
    assert {found[need].platform for need in needs} == {"x86_64-unknown-linux-musl"}
    assert engine.asked == ["inspect", "pull", "run"]


def test_an_engine_that_fails_tells_nothing() -> None:
    @frozen
    class Away(Ran):
        def inspect(self, reference: str) -> ImageInfo | None:
            raise RuntimeError(reference)

    assert python_of("localhost/base:1", Away(("localhost/base:1",))).assumed


def test_where_nobody_is_to_be_asked_nobody_is() -> None:
    engine = Ran(prints=MUSL)
    with registry(BOTH) as (site, _):
        name = f"{site.address}/base:1"
        assert python_of(name, engine, asks=False) == ImagePython(
            MACHINE, "x86_64-manylinux_2_28", assumed=True
        )
    assert (site.requests, engine.asked) == ([], [])


def test_a_platform_that_nothing_is_resolved_for_is_an_error() -> None:
    with pytest.raises(PlannerError, match="uv cannot resolve requirements for linux/s390x"):
        python_of("localhost/base:1", platform="linux/s390x")
    # And is not taken for one with another C library.
    engine = Ran(prints=MUSL)
    with pytest.raises(PlannerError, match="uv cannot resolve requirements for linux/riscv64 with musl"):
        python_of("localhost/base:1", engine, platform="linux/riscv64")


@pytest.mark.parametrize(
    ("prints", "told"),
    [
        (BOOKWORM, Told("3.11.2", musl=False, glibc=36)),
        (MUSL, Told("3.12.8", musl=True)),
        # Newer Pythons name it.
        (said("3.14.0", ("musl", "1.2.5")), Told("3.14.0", musl=True)),
        # A Python of musl, run where there is glibc as well.
        (said("3.12.8", ("glibc", "2.36"), "x86_64-unknown-linux-musl"), Told("3.12.8", musl=True)),
        # One that is linked statically.
        (said("3.13.1", ("", "")), Told("3.13.1")),
        ("", None),
        ("no JSON", None),
        ("[]", None),
        ('{"version": "3.13.1"}', None),
        (said("3.13.1", ("glibc", "two")), None),
    ],
)
def test_what_a_python_says_of_itself(prints: str, told: Told | None) -> None:
    engine: Any = Ran(("localhost/base:1",), prints)
    assert parents.by_container(ImageRef.parse("localhost/base:1"), False, engine) == told


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (Told("3.8.5", musl=False, glibc=17), ImagePython("3.8.5", "x86_64-manylinux_2_17")),
        # A platform is one whose wheels run there.
        (Told("3.9.1", musl=False, glibc=30), ImagePython("3.9.1", "x86_64-manylinux_2_28")),
        (Told("3.13.1", musl=False, glibc=43), ImagePython("3.13.1", "x86_64-manylinux_2_40")),
        (Told("3.13.1", musl=True), ImagePython("3.13.1", "x86_64-unknown-linux-musl")),
        (Told("3.13.1"), ImagePython("3.13.1", "x86_64-manylinux_2_28", assumed=True)),
        (Told(None, musl=True), ImagePython(MACHINE, "x86_64-unknown-linux-musl", assumed=True)),
    ],
)
def test_what_is_resolved_for(told: Told, found: ImagePython) -> None:
    assert parents.python(told, "linux/amd64") == found


# --- configurations, as a registry has them


def look(site: Site, platform: str = "linux/amd64") -> object:
    """What a registry says of the configuration of `base:1`."""
    ref = ImageRef.parse(f"{site.address}/base:1")
    question = Question(ref, platform)
    return configs([question], timeout=5, environ={})[question]


def test_a_configuration_is_that_of_the_image_for_a_platform() -> None:
    with registry(BOTH) as (site, _):
        assert look(site) == Config(SLIM)
        assert look(site, "linux/arm64") == Config(ALPINE)
        missing = look(site, "linux/riscv64")
    assert missing == Unknown(
        f"{site.address}/base:1 is an index without an image for linux/riscv64", transient=False
    )


def test_a_configuration_that_is_another_than_its_digest_says_is_none() -> None:
    with registry({"linux/amd64": SLIM}) as (site, shelf):
        name = str(builders.digest(json.dumps(SLIM)))
        shelf.blobs[name] = json.dumps(ALPINE).encode()
        found = look(site)
        assert isinstance(found, Unknown)
        assert "something else in place of" in found.reason
        # And nothing is made of it.
        assert python_of(f"{site.address}/base:1").assumed


@pytest.mark.parametrize("data", [[], "text", None])
def test_what_is_no_configuration_tells_nothing(data: object) -> None:
    with registry({"linux/amd64": data}) as (site, _):
        assert isinstance(look(site), Unknown)
        assert python_of(f"{site.address}/base:1").assumed


def test_a_registry_that_has_no_such_image_tells_nothing() -> None:
    with serving(lambda _: Reply(404)) as site:
        assert not isinstance(look(site), Config)
        assert python_of(f"{site.address}/base:1").assumed
