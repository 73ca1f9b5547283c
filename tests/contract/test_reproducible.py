"""The same plan comes to the same bytes: built again, by another builder, or from half a context."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final, cast
from uuid import uuid4

import pytest
import requests

from executor.apply.exclusive import alone
from executor.engines import daemon
from executor.engines.archive import DOCKERFILE, archive, whole_dockerfile
from executor.engines.buildx import buildx_command
from executor.engines.docker import DockerEngine
from executor.engines.protocol import BuildJob, Engine
from executor.process import Command, run
from planner.image.plan import ImagePlan
from planner.values import Digest, ImageRef
from tests.contract.conftest import ENGINES, absent, reason_against, variable
from tests.contract.images import TEST_BASE, build_text, images_of, job, planned, quiet

SETTINGS: Final[dict[str, Any]] = {
    "apt_packages": ["hello"],
    "requirements": ["six==1.16.0", "iniconfig==2.0.0"],
    "local_project_install_command": "python -m pip install --no-cache-dir . && python -c 'import demo'",
    "environment": {"A": "1"},
    "runtime_environment": {"B": "2"},
    "user": "1000",
    "build_config": {"build_options": {"labels": {"org.example.team": "a b"}}},
}
# What a user may have exported for builds of their own.
EXPORTED: Final = {
    "SOURCE_DATE_EPOCH": "1000",
    "DOCKER_DEFAULT_PLATFORM": "linux/arm64",
    "DOCKER_BUILDKIT": "0",
    "BUILDAH_FORMAT": "docker",
    "BUILDAH_LAYERS": "false",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project that can be installed."""
    root = tmp_path / "project"
    (root / "demo/data").mkdir(parents=True)
    (root / "demo/__init__.py").write_text("weight = 42\n")
    (root / "demo/data/a b.txt").write_text("cargo\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("run.sh")
    (root / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'demo'\nversion = '1'\n[tool.setuptools]\npackages = ['demo']\n"
    )
    return root


def settings(installer: str, *, anew: bool) -> dict[str, Any]:
    options = {**SETTINGS["build_config"]["build_options"], "no_cache": anew}
    return {
        **SETTINGS,
        "python_package_installer": installer,
        "build_config": {"build_options": options},
    }


def published(engine: Engine, tag: str, image: ImagePlan, root: Path) -> Digest:
    """The digest of an image that is built and pushed."""
    engine.tag(engine.build(job(image, root), quiet).id, tag)
    return engine.push(tag, quiet)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_same_digest(
    engine: Engine,
    new_tag: Callable[[str], str],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    installer: str,
) -> None:
    """Whatever the user exports for other builds. The classic builder writes the time of the build."""
    image = planned(project, settings(installer, anew=True))
    registry = variable("STOWPLAN_TEST_REGISTRY")
    first = published(engine, new_tag(registry), image, project)
    for name, value in EXPORTED.items():
        monkeypatch.setenv(name, value)
    second = published(engine, new_tag(registry), image, project)
    if not builds_classic(engine):
        assert first == second


@pytest.mark.parametrize("anew", [True, False])
def test_builds_of_one_image_at_once_keep_their_tags(
    request: pytest.FixtureRequest,
    engine: Engine,
    new_tag: Callable[[str], str],
    tmp_path: Path,
    anew: bool,
) -> None:
    """As several processes build it, one after the other.

    Podman gives a name to what it commits, and takes it away again, with a tag that came in between.
    """
    (tmp_path / "one.py").write_text(str(uuid4()))
    image = planned(tmp_path, {"build_config": {"build_options": {"no_cache": anew}}})
    tags = [new_tag("localhost") for _ in range(4)]
    another = ENGINES[request.node.callspec.params["engine"]]

    def build_and_tag(tag: str) -> None:
        builder = another()
        with alone(builder, image.hash, check=lambda: None, on_wait=lambda: None):
            builder.tag(builder.build(job(image, tmp_path), quiet).id, tag)

    with ThreadPoolExecutor() as pool:
        list(pool.map(build_and_tag, tags))
    assert [tag for tag in tags if engine.inspect(tag) is None] == []


def builds_classic(engine: Engine) -> bool:
    """Whether it is the one builder that cannot set the times of an image and of its history."""
    return isinstance(engine, DockerEngine) and not engine.uses_buildkit


def test_the_layers_of_the_parent_are_left_alone(
    engine: Engine, new_tag: Callable[[str], str], registry: str, project: Path
) -> None:
    """They are those of the parent in the registry, byte for byte, so that nobody loads them twice."""
    parent, tag = new_tag(registry), new_tag(registry)
    build_text(
        engine, parent, f"FROM {TEST_BASE}\nRUN echo {hashlib.sha256(parent.encode()).hexdigest()} > /id\n"
    )
    pinned = ImageRef.parse(parent).pinned(engine.push(parent, quiet))
    image = planned(project, {"environment": {"A": "1"}}, parent=str(pinned))
    digest = published(engine, tag, image, project)
    above = layers(pinned)
    assert len(above) > 1
    assert layers(ImageRef.parse(tag).pinned(digest))[: len(above)] == above
    engine.remove(tag)
    engine.remove(parent)


def layers(ref: ImageRef) -> list[str]:
    """The digests of an image's layers in a registry without login."""
    types = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    with requests.Session() as session:
        session.trust_env = False
        url = f"http://{ref.registry}/v2/{ref.repository}/manifests/{ref.digest}"
        answer = session.get(url, headers={"Accept": types}, timeout=30)
        answer.raise_for_status()
        return [layer["digest"] for layer in answer.json()["layers"]]


# What an engine puts into a container, not what it got from the image. `.dockerenv` and /etc/mtab are
# Docker's, `run/.containerenv` is Podman's.
OF_THE_CONTAINER: Final = (
    ".dockerenv",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "run/.containerenv",
)
MOUNTED: Final = ("dev", "proc", "sys")


def test_every_builder_makes_the_same_files(project: Path) -> None:
    """Names, types, modes, owners and contents. The classic builder cannot set the times of directories."""
    made: dict[str, dict[str, tuple[object, ...]]] = {}
    image = planned(project, settings("uv", anew=False))
    for name in sorted(ENGINES):
        if reason := reason_against(name):
            absent(f"{name}: {reason}")
        engine = ENGINES[name]()
        reference = engine.build(job(image, project), quiet).id
        made[name] = dict(exported(engine, reference))
        engine.remove(reference)
    first, *others = made.values()
    assert len(first) > 1000
    assert {"app/run.sh", "app/link", "stowplan/requirements.txt", "usr/bin/hello"} <= set(first)
    for other in others:
        assert set(other) == set(first)
        assert [(path, first[path], other[path]) for path in first if first[path] != other[path]] == []


def exported(engine: Engine, reference: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Each file of an image with its type, mode, owner, and what it holds."""
    made = run(Command((engine.name, "create", reference, "true")))
    container = made.text.split()[-1]
    try:
        with (
            subprocess.Popen([engine.name, "export", container], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=cast(IO[bytes], process.stdout), mode="r|") as members,
        ):
            for member in members:
                path = member.name.removeprefix("./").rstrip("/")
                content = members.extractfile(member) if member.isreg() else None
                held = hashlib.sha256(content.read()).hexdigest() if content else member.linkname
                if path in OF_THE_CONTAINER or path.split("/")[0] in MOUNTED or not path:
                    continue
                yield path, (member.type, member.mode & 0o7777, member.uid, member.gid, held)
    finally:
        run(Command((engine.name, "rm", container)))


# --- a context that is cut


def cuts(made: BuildJob, whole: bytes) -> list[int]:
    """Where to cut an archive: at and beside block boundaries, before and in the Dockerfile.

    With the last byte of the Dockerfile all is there: the zeros at the end of an archive say nothing.
    """
    header = whole.index(DOCKERFILE.encode().ljust(100, b"\0"))
    text = header + 512
    end = text + len(whole_dockerfile(made.image).encode())
    assert end - text > 1024
    return [
        0, 1, 511, 512, 513, 1024, header // 2 // 512 * 512, header - 512, header - 1, header,
        header + 1, header + 256, text, text + 1, text + 512, text + 513, text + 1024, end - 1,
    ]  # fmt: skip


def test_what_is_cut_is_not_built_by_buildkit(project: Path, tmp_path: Path) -> None:
    """Its client reads to the end of its standard input: all that it sees of a stowplan that is killed."""
    if reason := reason_against("docker-buildkit"):
        absent(reason)
    made = unique(project)
    whole = b"".join(archive(made))
    command = buildx_command(made, tmp_path / "image")
    for cut in cuts(made, whole):
        done = run(command, stdin=[whole[:cut]], merged=True)
        assert done.code != 0, (cut, done.text)
        assert not (tmp_path / "image").exists(), cut
        assert images_of(ENGINES["docker-buildkit"](), made.image) == set(), cut
    assert run(command, stdin=[whole], merged=True).code == 0
    ENGINES["docker-buildkit"]().remove((tmp_path / "image").read_text())


def test_what_is_cut_is_not_built_by_the_classic_builder(project: Path) -> None:
    if reason := reason_against("docker-classic"):
        absent(reason)
    made = unique(project)
    whole = b"".join(archive(made))
    with daemon.Daemon().client(timeout=None) as api:
        for cut in cuts(made, whole):
            try:
                records = list(
                    api.build(
                        fileobj=iter([whole[:cut]] if cut else []),  # type: ignore[arg-type]  # as in docker.py
                        custom_context=True,
                        dockerfile=DOCKERFILE,
                        decode=True,
                    )
                )
            except Exception as error:  # the daemon may refuse it at once, as an error of HTTP
                records = [{"error": str(error)}]
            assert any("error" in record for record in records), (cut, records)
            assert images_of(ENGINES["docker-classic"](), made.image) == set(), cut


def unique(project: Path) -> BuildJob:
    """A job that no other test has built, with files of a block and more."""
    (project / "unique").write_bytes(os.urandom(16))
    (project / "block").write_bytes(bytes(512))
    (project / "large").write_bytes(os.urandom(200_000))
    return job(planned(project, {"requirements": [], "environment": {"A": "x" * 1500}}), project)
