"""Observing a project: every need answered from the world, and nothing looked at that no need asks for."""

from __future__ import annotations

import json
import platform
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from attrs import field, frozen

from executor.config.project import load_project
from executor.engines.protocol import ImageInfo, ImageStore, OnLine
from executor.engines.references import only_digest
from executor.errors import EngineUnavailable
from executor.observe.facts import observe
from executor.observe.images import ChooseEngine
from executor.observe.python import host_platform, python_version
from executor.observe.world import World
from executor.workflow.plans import plan
from planner import (
    Digest,
    ExternalImage,
    Facts,
    FileText,
    FileTree,
    HiddenValue,
    ImageDigest,
    ImageId,
    ImageRef,
    LocalImage,
    Lock,
    Pin,
    Pins,
    Pipeline,
    PlannerError,
    PythonVersion,
    RequirementsFile,
    Stack,
    Step,
    Tree,
    Variable,
    dumps,
    make_plan,
    make_spec,
    needs,
)
from planner.facts.code_state import CodeState
from planner.image.plan import ImagePlan
from tests import builders
from tests.index import Index, package_index
from tests.web import Reply, Request, Site, serving

DIGEST = Digest("1" * 64)
LOCAL = Digest("2" * 64)
PINNED = Digest("3" * 64)
PLANTED = "pl4nted-s3cret"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def pipeline(*steps: str, **docker: Any) -> Pipeline:
    return Pipeline(name="training", steps=list(steps or ("train",)), settings={"docker": docker})


def of_steps(steps: Mapping[str, Mapping[str, Any]]) -> Pipeline:
    """A pipeline of steps with docker settings of their own."""
    return Pipeline(
        name="training",
        steps=[Step(name=name, settings={"docker": docker}) for name, docker in steps.items()],
    )


def skipped(parent: str) -> Pipeline:
    """A pipeline of which nothing but the parent's digest is asked."""
    return pipeline(parent_image=parent, skip_build=True)


@pytest.fixture
def site() -> Iterator[Site]:
    """A registry that has every image."""
    said = {"Docker-Content-Digest": str(DIGEST), "Content-Type": MANIFEST}
    with serving(lambda _: Reply(headers=said)) as site:
        yield site


@pytest.fixture
def broken() -> Iterator[Site]:
    """A registry that is out of order."""
    with serving(lambda _: Reply(500)) as site:
        yield site


@frozen
class Shelf:
    """An image store that holds these images, and takes no orders. It writes down what it is asked."""

    images: Mapping[str, ImageInfo] = field(factory=dict)
    asked: list[str] = field(factory=list)
    name: str = "docker"

    def inspect(self, reference: str) -> ImageInfo | None:
        self.asked.append(f"inspect {reference}")
        return self.images.get(reference)

    def digest(self, ref: ImageRef) -> Digest | None:
        self.asked.append(f"digest {ref}")
        info = self.images.get(str(ref))
        return only_digest(ref, info.digests) if info else None

    def pull(self, reference: str) -> None:
        pytest.fail(f"{reference} was pulled")

    def tag(self, reference: str, new: str) -> None:
        pytest.fail(f"{reference} was tagged {new}")

    def push(self, reference: str, on_line: OnLine, root: Path | None = None) -> Digest:
        del root
        on_line("")
        pytest.fail(f"{reference} was pushed")

    def remove(self, reference: str) -> bool:
        pytest.fail(f"{reference} was removed")


def shelf(*names: str) -> Shelf:
    """Images that were pulled: with an ID, and the digest that their registry had them under."""
    pulled = {name: ImageRef.parse(name).pinned(LOCAL) for name in names}
    return Shelf({name: ImageInfo(f"sha256:{'8' * 64}", digests=(ref,)) for name, ref in pulled.items()})


@pytest.fixture
def local() -> Iterator[Index]:
    """A package index."""
    with package_index() as made:
        made.release("attrs", "25.1")
        made.release("click", "8.1")
        yield made


def of_index(given: Index) -> dict[str, Any]:
    """The settings of requirements from an index, for a Python that nobody has to tell."""
    return {"python_version": "3.11", "python_package_installer_args": {"default-index": given.url}}


def unwanted() -> NoReturn:
    pytest.fail("the engine was wanted")


def pin_of(facts: Facts, reference: str, platform: str | None = None) -> Pin:
    return facts.ask(ImageDigest(ImageRef.parse(reference), platform))


def parent_of(image: ImagePlan) -> ExternalImage:
    assert isinstance(image.spec.parent, ExternalImage)
    return image.spec.parent


def test_every_need_is_answered_with_a_value(tmp_path: Path, site: Site, local: Index) -> None:
    (tmp_path / "requirements.txt").write_text("-r more.txt\nattrs==25.1\n", "utf-8")
    (tmp_path / "more.txt").write_text("click==8.1\n", "utf-8")
    (tmp_path / ".dockerignore").write_text("*.log\n", "utf-8")
    (tmp_path / "run.py").write_text("print()", "utf-8")
    (tmp_path / "a.log").touch()
    wanted = pipeline(
        parent_image=f"{site.address}/base:1",
        requirements="requirements.txt",
        environment={"TOKEN": "${TOKEN}"},
        **of_index(local),
    )
    facts = observe(wanted, Stack(), root=tmp_path, environ={"TOKEN": PLANTED}, engine=None)
    assert needs(wanted, Stack(), facts) == ()
    assert facts.ask(RequirementsFile("requirements.txt"))["more.txt"] == "click==8.1\n"
    assert facts.ask(FileText(".dockerignore")) == "*.log\n"
    assert facts.ask(Variable("TOKEN")) == HiddenValue(PLANTED)
    assert pin_of(facts, f"{site.address}/base:1") == Pin(DIGEST, "manifest", host_platform())
    (image,) = make_plan(wanted, Stack(), facts).images
    assert list(image.checkout.trees["files"].paths()) == ["more.txt", "requirements.txt", "run.py"]
    assert image.platform == host_platform()
    assert [package.text for package in image.spec.packages] == ["attrs==25.1", "click==8.1"]
    assert PLANTED not in repr(facts)


def test_a_lock_asks_for_no_tree_and_no_variable(tmp_path: Path, site: Site) -> None:
    wanted = pipeline(parent_image=f"{site.address}/base:1", environment={"TOKEN": "${TOKEN}"})
    facts = observe(wanted, Stack(), root=tmp_path, checkout=False, environ={}, engine=unwanted)
    assert len(facts) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_known_already_is_not_looked_at_again(tmp_path: Path) -> None:
    known = Facts().also({ImageDigest(ImageRef.parse("nowhere.invalid/base:1")): Pin(PINNED, "manifest")})
    facts = observe(skipped("nowhere.invalid/base:1"), Stack(), root=tmp_path, facts=known, engine=unwanted)
    assert facts == known


def test_the_default_parent_is_of_this_python(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    pins = locked(f"python:{version}-slim")
    facts = observe(pipeline(), Stack(), root=tmp_path, pins=pins, engine=unwanted)
    assert facts.ask(PythonVersion()) == version
    (image,) = make_plan(pipeline(), Stack(), facts, pins=pins).images
    assert parent_of(image).reference == ImageRef.parse(f"python:{version}-slim")
    assert parent_of(image).digest == PINNED


def test_a_variable_that_is_not_set_is_none(tmp_path: Path, site: Site) -> None:
    wanted = pipeline(parent_image=f"{site.address}/base:1", environment={"A": "${A}", "B": "${B}"})
    with pytest.raises(PlannerError, match="environment variable A is not set") as raised:
        observe(wanted, Stack(), root=tmp_path, environ={"B": ""}, engine=unwanted)
    assert len(raised.value.problems) == 1
    wanted = pipeline(parent_image=f"{site.address}/base:1", environment={"B": "${B}"})
    facts = observe(wanted, Stack(), root=tmp_path, environ={"B": ""}, engine=unwanted)
    assert facts.ask(Variable("B")) == HiddenValue("")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path, site: Site) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    (tmp_path / ".dockerignore").mkdir()
    wanted = pipeline(
        parent_image=f"{site.address}/base:1", requirements="requirements.txt", environment={"A": "${A}"}
    )
    with pytest.raises(PlannerError) as raised:
        observe(wanted, Stack(), root=tmp_path, environ={"A": "\udcff" + PLANTED}, engine=unwanted)
    assert sorted(str(problem.where) for problem in raised.value.problems) == [
        ".dockerignore", "environment", "requirements.txt:1",
    ]  # fmt: skip
    assert PLANTED not in str(raised.value)
    assert site.requests == []


def test_a_requirements_file_and_what_it_includes_are_one_need(
    tmp_path: Path, site: Site, local: Index
) -> None:
    texts = {
        "requirements.txt": "-r deep/more.txt\n-c limits.txt\nattrs==25.1\n",
        "deep/more.txt": "-c ../limits.txt\nclick==8.1\n",
        "limits.txt": "click<9\n",
    }
    (tmp_path / "deep").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    wanted = pipeline(
        parent_image=f"{site.address}/base:1",
        requirements="requirements.txt",
        allow_including_files_in_images=False,
        **of_index(local),
    )
    assert [type(need) for need in needs(wanted, Stack(), checkout=False)] == [RequirementsFile]
    facts = observe(wanted, Stack(), root=tmp_path, checkout=False, engine=None)
    assert facts.ask(RequirementsFile("requirements.txt")) == texts
    # The texts, the digest and the Python of the parent, and what the requirements come to.
    assert len(facts) == 4
    (tmp_path / "limits.txt").unlink()
    with pytest.raises(PlannerError, match=r"limits\.txt"):
        observe(wanted, Stack(), root=tmp_path, checkout=False, engine=unwanted)


# --- where a digest comes from


def locked(*parents: str, name: str = "training") -> Pins:
    """The pins of a lock in which the steps of a pipeline have these parents."""
    steps = {f"s{number}": {"parent_image": parent} for number, parent in enumerate(parents)}
    wanted = Pipeline(
        name=name,
        steps=[Step(name="train"), *(Step(name=step, settings={"docker": steps[step]}) for step in steps)],
        settings={"docker": {"parent_image": parents[0], "skip_build": True}},
    )
    pin = Pin(PINNED, "manifest")
    facts = Facts().also({ImageDigest(ImageRef.parse(parent)): pin for parent in parents})
    return Pins(Lock((make_spec(wanted, Stack(), facts),)))


def test_the_registry_goes_before_the_engine(tmp_path: Path, site: Site) -> None:
    name = f"{site.address}/base:1"
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=unwanted)
    assert pin_of(facts, name) == Pin(DIGEST, "manifest", host_platform())


def test_what_pins_hold_is_never_asked_of_a_registry_or_an_engine(tmp_path: Path, site: Site) -> None:
    name, other = f"{site.address}/base:1", f"{site.address}/other:1"
    wanted = of_steps(
        {
            "train": {"parent_image": name, "environment": {"A": "1"}},
            "more": {"parent_image": other, "skip_build": True},
        }
    )
    pins = locked(name, other)
    facts = observe(wanted, Stack(), root=tmp_path, pins=pins, engine=unwanted)
    assert site.requests == []
    images = make_plan(wanted, Stack(), facts, pins=pins).images
    assert [parent_of(image).digest for image in images] == [PINNED, PINNED]
    # And of two images, only the one that is not pinned.
    facts = observe(wanted, Stack(), root=tmp_path, pins=locked(name), engine=unwanted)
    assert {request.path for request in site.requests} == {"/v2/other/manifests/1"}
    assert ImageDigest(ImageRef.parse(name)) not in facts


@pytest.mark.parametrize("released", [True, False])
def test_a_pin_that_is_released_is_asked_for(tmp_path: Path, site: Site, released: bool) -> None:
    name = f"{site.address}/base:1"
    lock = locked(name).lock
    pins = Pins(lock, all_released=True) if released else Pins(lock, frozenset({ImageRef.parse(name)}))
    facts = observe(skipped(name), Stack(), root=tmp_path, pins=pins, engine=unwanted)
    assert pin_of(facts, name).digest == DIGEST


def test_the_pins_of_a_plan_are_those_of_the_project_s_own_lock(tmp_path: Path, site: Site) -> None:
    name = f"{site.address}/base:1"
    (tmp_path / "stowplan.lock").write_text(dumps(locked(name).lock))
    (tmp_path / "stowplan.toml").write_text(
        f'[pipeline.training]\nsteps = ["train"]\nsettings.docker = {{ parent_image = "{name}" }}\n'
    )
    project = load_project(tmp_path)
    made = plan(project, project.pipeline(None), project.stack(None), engine=unwanted)
    assert parent_of(made.plan.images[0]).digest == PINNED
    assert site.requests == []


def test_the_engine_is_asked_where_no_registry_tells(tmp_path: Path, broken: Site) -> None:
    name = f"{broken.address}/base:1"
    why = f"{broken.address} answered with status 500"
    engine = shelf(name)
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=lambda: engine)
    assert pin_of(facts, name) == Pin(LOCAL, reason=why, transient=True)
    assert observe(skipped(name), Stack(), root=tmp_path, engine=engine) == facts


def engine_away() -> NoReturn:
    raise EngineUnavailable.of("docker", "does not answer", "start it")


@frozen
class Defective(Shelf):
    """An image store with a defect."""

    def digest(self, ref: ImageRef) -> Digest | None:
        raise TypeError(ref)

    def inspect(self, reference: str) -> ImageInfo | None:
        raise TypeError(reference)


NONE: dict[str, ChooseEngine | ImageStore | None] = {
    "none": None,
    "none found": lambda: None,
    "away": engine_away,
    "defective": Defective(),
    "without it": Shelf(),
}


@pytest.mark.parametrize("engine", NONE.values(), ids=list(NONE))
def test_what_nobody_tells_is_unknown_and_says_why(
    tmp_path: Path, broken: Site, engine: ChooseEngine | ImageStore | None
) -> None:
    name, why = f"{broken.address}/base:1", f"{broken.address} answered with status 500"
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=engine)
    assert pin_of(facts, name) == Pin(None, reason=why, transient=True)
    pins = locked("other:1")
    assert observe(skipped(name), Stack(), root=tmp_path, engine=engine, pins=pins) == facts


def test_an_engine_is_looked_for_once_whatever_comes_of_it(tmp_path: Path, broken: Site) -> None:
    looked: list[bool] = []

    def away() -> ImageStore:
        looked.append(True)
        raise EngineUnavailable.of("docker", "does not answer", "start it")

    names = [f"{broken.address}/base:{number}" for number in range(5)]
    wanted = of_steps({name[-1]: {"parent_image": name} for name in names})
    facts = observe(wanted, Stack(), root=tmp_path, engine=away)
    assert looked == [True]
    assert {facts.ask(LocalImage(ImageRef.parse(name))) for name in names} == {
        ImageId(reason="no engine answers")
    }


def test_one_image_that_the_engine_cannot_tell_does_not_lose_the_others(tmp_path: Path, broken: Site) -> None:
    @frozen
    class Moody(Shelf):
        def digest(self, ref: ImageRef) -> Digest | None:
            if ref.tag == "1":
                raise EngineUnavailable.of("docker", "does not answer", "start it")
            return super().digest(ref)

    names = [f"{broken.address}/base:{number}" for number in (1, 2)]
    wanted = of_steps({name[-1]: {"parent_image": name, "skip_build": True} for name in names})
    facts = observe(wanted, Stack(), root=tmp_path, engine=Moody(shelf(*names).images))
    assert [pin_of(facts, name).digest for name in names] == [None, LOCAL]


def test_an_image_that_is_not_there_is_no_passing_trouble(tmp_path: Path) -> None:
    with serving(lambda _: Reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')) as site:
        name = f"{site.address}/base:1"
        facts = observe(skipped(name), Stack(), root=tmp_path, engine=None)
    assert pin_of(facts, name) == Pin(None, reason=f"{site.address} has no {name}", transient=False)


@pytest.mark.parametrize("where", ["found", "asked"])
def test_a_registry_and_an_engine_that_hang_are_given_up(tmp_path: Path, where: str) -> None:
    """One wait for the engine, and not one for each image: it is not asked another question."""
    hanging = threading.Event()
    waits: list[str] = []

    @frozen
    class Hanging(Shelf):
        def digest(self, ref: ImageRef) -> Digest | None:
            waits.append(str(ref))
            hanging.wait()
            return super().digest(ref)

    def find() -> ImageStore:
        if where == "found":
            waits.append("found")
            hanging.wait()
        return Hanging()

    with socket.create_server(("127.0.0.1", 0)) as server:
        names = [f"localhost:{server.getsockname()[1]}/base:{number}" for number in range(5)]
        wanted = of_steps({name[-1]: {"parent_image": name} for name in names})
        try:
            facts = observe(wanted, Stack(), root=tmp_path, engine=find, timeout=0.1)
            assert waits == (["found"] if where == "found" else [names[0]])
        finally:
            hanging.set()
    for name in names:
        pin = pin_of(facts, name)
        assert pin.digest is None
        assert "did not answer" in pin.reason
        assert pin.transient
        assert facts.ask(LocalImage(ImageRef.parse(name))) == ImageId(reason="no engine answers")


def test_frozen_asks_nobody(tmp_path: Path, site: Site) -> None:
    name = f"{site.address}/base:1"
    pins = locked(name)
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=unwanted, pins=pins, frozen=True)
    (image,) = make_plan(skipped(name), Stack(), facts, pins=pins, frozen=True).images
    assert parent_of(image).digest == PINNED
    assert site.requests == []


@pytest.mark.parametrize("pins", [Pins(), locked("team/base:1", name="another")])
def test_frozen_names_what_the_lock_does_not_have(tmp_path: Path, pins: Pins) -> None:
    found = r"stowplan\.lock: no image for step 'train' of 'training' on 'default': .* run without --frozen"
    with pytest.raises(PlannerError, match=found):
        observe(skipped("team/base:1"), Stack(), root=tmp_path, pins=pins, frozen=True, engine=unwanted)


def test_where_nobody_is_to_be_asked_nobody_is(tmp_path: Path, site: Site) -> None:
    name = f"{site.address}/base:1"
    facts = observe(skipped(name), Stack(), root=tmp_path, asks=False, engine=unwanted)
    assert pin_of(facts, name) == Pin(reason="it is not in the lock")
    # What is built on it is still told by the ID that it has on this machine: that asks no network.
    engine = shelf(name)
    facts = observe(pipeline(parent_image=name), Stack(), root=tmp_path, asks=False, engine=engine)
    assert pin_of(facts, name) == Pin(reason="it is not in the lock")
    assert facts.ask(LocalImage(ImageRef.parse(name))) == ImageId(Digest("8" * 64), "docker")
    assert engine.asked == [f"inspect {name}"]
    assert site.requests == []


# --- indexes of several platforms


@pytest.fixture
def index() -> Iterator[tuple[Site, Digest]]:
    """A registry whose images are an index of two platforms, and the digest of that."""
    images = {"amd64": "6" * 64, "arm64": "7" * 64}
    parts = [
        {
            "mediaType": MANIFEST,
            "digest": f"sha256:{digits}",
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture, digits in images.items()
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts})
    digest = builders.digest(body)
    headers = {"Content-Type": INDEX, "Docker-Content-Digest": str(digest)}

    def answer(request: Request) -> Reply:
        return Reply(headers=headers) if request.method == "HEAD" else Reply(200, body.encode(), headers)

    with serving(answer) as site:
        yield site, digest


@pytest.mark.parametrize(
    ("asked", "machine", "platform", "manifest"),
    [
        ("linux/arm64", "linux/amd64", "linux/arm64", Digest("7" * 64)),
        (None, "linux/amd64", "linux/amd64", Digest("6" * 64)),
        (None, "linux/arm64", "linux/arm64", Digest("7" * 64)),
        (None, "linux/s390x", "linux/s390x", None),
    ],
)
def test_an_index_is_looked_through_for_the_manifest_of_a_platform(
    index: tuple[Site, Digest], asked: str | None, machine: str, platform: str, manifest: Digest | None
) -> None:
    site, digest = index
    name = f"{site.address}/base:1"
    options = {"platform": asked} if asked else {}
    wanted = pipeline(parent_image=name, build_config={"build_options": options})
    world = builders.World(platform=machine)
    facts = observe(wanted, Stack(), world=world, engine=unwanted)
    assert pin_of(facts, name, asked) == Pin(digest, "index", platform, manifest)
    (image,) = make_plan(wanted, Stack(), facts).images
    assert parent_of(image).digest == digest, "it is pinned to the index, which is the same on any machine"
    assert image.platform == platform


# --- parents that no registry has


def test_a_local_parent_is_asked_of_the_engine_only_and_its_id_counts(tmp_path: Path) -> None:
    name = "localhost/team/base:1"
    wanted = pipeline(parent_image=name)
    plans = []
    for digit in "89":
        engine = Shelf({name: ImageInfo(f"sha256:{digit * 64}")})
        facts = observe(wanted, Stack(), root=tmp_path, engine=engine)
        assert engine.asked == [f"inspect {name}"]
        assert ImageDigest(ImageRef.parse(name)) not in facts
        assert facts.ask(LocalImage(ImageRef.parse(name))) == ImageId(Digest(digit * 64), "docker")
        plans.append(make_plan(wanted, Stack(), facts))
    first, second = (made.images[0] for made in plans)
    assert first.checkout.parent_id == Digest("8" * 64)
    assert first.hash != second.hash
    assert first.spec.hash == second.spec.hash


def test_a_local_parent_that_is_not_there_has_no_id(tmp_path: Path) -> None:
    name = "localhost/team/base:1"
    wanted = pipeline(parent_image=name)
    need = LocalImage(ImageRef.parse(name))
    for engine, expected in (
        (Shelf(name="podman"), ImageId(engine="podman", reason="podman does not have it")),
        (Shelf({name: ImageInfo("no ID")}), ImageId(reason="no engine answers")),
        (Defective(), ImageId(reason="no engine answers")),
        (None, ImageId(reason="no engine answers")),
    ):
        assert observe(wanted, Stack(), root=tmp_path, engine=engine).ask(need) == expected


# --- other worlds


@pytest.mark.parametrize("ignore", [None, "*.log\nsrc/*\n!src/keep.py\n"])
def test_a_world_in_memory_gives_the_plan_that_files_give(
    tmp_path: Path, site: Site, local: Index, ignore: str | None
) -> None:
    texts = {
        "requirements.txt": "-r more.txt\nattrs==25.1\n",
        "more.txt": "click==8.1\n",
        "a.log": "x",
        "src/keep.py": "print(1)",
        "src/drop.py": "print(2)",
    } | ({".dockerignore": ignore} if ignore else {})
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "link").symlink_to("src/keep.py")
    world = builders.World(
        texts=texts,
        entries=(builders.link("link", "src/keep.py"),),
        variables={"TOKEN": PLANTED},
        python=python_version(),
        platform=host_platform(),
    )
    wanted = pipeline(
        parent_image=f"{site.address}/base:1",
        requirements="requirements.txt",
        environment={"TOKEN": "${TOKEN}"},
        **of_index(local),
    )
    environ = {"TOKEN": PLANTED}
    on_disk = observe(wanted, Stack(), root=tmp_path, environ=environ, engine=None)
    in_memory = observe(wanted, Stack(), root=tmp_path / "nowhere", environ={}, engine=None, world=world)
    assert in_memory == on_disk
    assert make_plan(wanted, Stack(), in_memory) == make_plan(wanted, Stack(), on_disk)
    assert make_plan(wanted, Stack(), in_memory).hash == make_plan(wanted, Stack(), on_disk).hash


class Blind:
    """A world that must not be looked at. It is empty, and false."""

    def __len__(self) -> int:
        return 0

    def text(self, path: str) -> str | None:
        pytest.fail(f"{path} was read")

    def tree(self, need: FileTree) -> Tree:
        pytest.fail(f"{need} was listed")

    def variable(self, name: str) -> HiddenValue | None:
        pytest.fail(f"{name} was looked up")

    def python_version(self) -> str:
        pytest.fail("the Python was looked at")

    def host_platform(self) -> str:
        pytest.fail("the machine was looked at")

    def code_state(self) -> CodeState:
        pytest.fail("git was asked")


@pytest.mark.parametrize("world", [None, Blind()])
def test_nothing_is_looked_at_when_nothing_is_asked_for(tmp_path: Path, world: World | None) -> None:
    digest = "@sha256:" + "4" * 64
    wanted = skipped(f"team/base:1{digest}")
    root = tmp_path / "nowhere"
    assert observe(wanted, Stack(), root=root, engine=unwanted, environ={}, world=world) == Facts()


def test_the_trees_of_two_ignore_files_are_two_trees(tmp_path: Path, site: Site) -> None:
    for name, text in {"a.ignore": "b.py", "b.ignore": "a.py", "a.py": "", "b.py": ""}.items():
        (tmp_path / name).write_text(text, "utf-8")
    parent = f"{site.address}/base:1"
    wanted = of_steps({
        name: {"parent_image": parent, "build_config": {"dockerignore": f"{name}.ignore"}} for name in "ab"
    })  # fmt: skip
    facts = observe(wanted, Stack(), root=tmp_path, engine=unwanted)
    made = make_plan(wanted, Stack(), facts)
    trees = [image.checkout.trees["files"] for image in made.images]
    assert [list(tree.paths()) for tree in trees] == [["a.py", "b.ignore"], ["a.ignore", "b.py"]]


# --- this machine


def test_the_python_version_has_two_numbers() -> None:
    assert python_version() == ".".join(platform.python_version_tuple()[:2])


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [
        ("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64"),
        ("armv7l", "arm/v7"), ("armv6l", "arm/v6"), ("ppc64le", "ppc64le"), ("s390x", "s390x"),
        ("riscv64", "riscv64"), ("i686", "386"), ("loongarch64", "loong64"), ("vax", "vax"),
    ],
)  # fmt: skip
def test_containers_are_linux_on_this_architecture(machine: str, architecture: str) -> None:
    assert host_platform(machine) == f"linux/{architecture}"


def test_the_platform_is_that_of_this_machine() -> None:
    assert host_platform() == host_platform(platform.machine())
