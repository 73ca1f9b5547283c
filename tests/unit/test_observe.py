"""Observing a project: every need answered from the world, and nothing looked at that no need asks for."""

from __future__ import annotations

import platform
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
from planner.lock.lockfile import Lock, dumps

from executor.engines.protocol import Engine
from executor.errors import EngineUnavailable
from executor.observe.facts import observe
from executor.observe.python import host_platform, python_version
from planner import Pipeline, Stack, Step, make_plan, needs
from planner.errors import PlannerError
from planner.facts.answers import Facts, Pin, Secret
from planner.facts.needs import ImageDigest
from planner.files.tree import Tree
from planner.values import Digest, ImageRef
from tests.web import Reply, Site, serving

INDEX = Digest("1" * 64)
LOCAL = Digest("2" * 64)
PINNED = Digest("3" * 64)
PLANTED = "pl4nted-s3cret"


def pipeline(*steps: str, **docker: Any) -> Pipeline:
    return Pipeline(name="training", steps=list(steps or ("train",)), settings={"docker": docker})


def of_steps(steps: Mapping[str, Mapping[str, Any]]) -> Pipeline:
    """A pipeline of steps with docker settings of their own."""
    return Pipeline(
        name="p", steps=[Step(name=name, settings={"docker": docker}) for name, docker in steps.items()]
    )


def skipped(parent: str) -> Pipeline:
    """A pipeline of which nothing but the parent's digest is asked."""
    return pipeline(parent_image=parent, skip_build=True)


@pytest.fixture
def site() -> Iterator[Site]:
    """A registry that has every image."""
    with serving(lambda _: Reply(headers={"Docker-Content-Digest": str(INDEX)})) as site:
        yield site


@pytest.fixture
def broken() -> Iterator[Site]:
    """A registry that is out of order."""
    with serving(lambda _: Reply(500)) as site:
        yield site


class Shelf:
    """As much of an engine as is asked here: it holds these images."""

    def __init__(self, images: Mapping[str, Digest]) -> None:
        self.images = images

    def digest(self, ref: ImageRef) -> Digest | None:
        return self.images.get(str(ref))


def shelf(images: Mapping[str, Digest]) -> Engine:
    return cast(Engine, Shelf(images))


def unwanted() -> NoReturn:
    pytest.fail("the engine was wanted")


def pin_of(facts: Facts, reference: str) -> Pin:
    return facts.pin(ImageDigest(ImageRef.parse(reference)))


def test_every_need_is_answered_with_a_value(tmp_path: Path, site: Site) -> None:
    (tmp_path / "requirements.txt").write_text("-r more.txt\nattrs==25.1\n", "utf-8")
    (tmp_path / "more.txt").write_text("click==8.1\n", "utf-8")
    (tmp_path / ".dockerignore").write_text("*.log\n", "utf-8")
    (tmp_path / "run.py").write_text("print()", "utf-8")
    (tmp_path / "a.log").touch()
    wanted = pipeline(
        parent_image=f"{site.address}/base:1",
        requirements="requirements.txt",
        environment={"TOKEN": "${TOKEN}"},
    )
    facts = observe(wanted, Stack(), root=tmp_path, environ={"TOKEN": PLANTED}, engine=unwanted)
    assert needs(wanted, Stack(), facts) == ()
    assert facts.text("more.txt") == "click==8.1\n"
    assert facts.variable("TOKEN") == Secret(PLANTED)
    assert pin_of(facts, f"{site.address}/base:1") == Pin(INDEX, "registry")
    image = make_plan(wanted, Stack(), facts).images[0]
    assert image.tree is not None
    assert list(image.tree.paths()) == ["more.txt", "requirements.txt", "run.py"]
    assert PLANTED not in repr(facts)


def test_a_lock_asks_for_no_tree_and_no_variable(tmp_path: Path, site: Site) -> None:
    wanted = pipeline(parent_image=f"{site.address}/base:1", environment={"TOKEN": "${TOKEN}"})
    facts = observe(wanted, Stack(), root=tmp_path, here=False, environ={})
    assert len(facts) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_known_already_is_not_looked_at_again(tmp_path: Path) -> None:
    known = Facts().also({ImageDigest(ImageRef.parse("nowhere.invalid/base:1")): Pin(PINNED, "registry")})
    facts = observe(skipped("nowhere.invalid/base:1"), Stack(), root=tmp_path, facts=known, engine=unwanted)
    assert facts == known


def test_the_default_parent_is_of_this_python(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"python:{version}-slim"
    lock = locked(name)
    facts = observe(pipeline(), Stack(), root=tmp_path, lock=lock, frozen=True)
    assert facts.python_version == version
    assert pin_of(facts, name).digest == PINNED


def test_a_variable_that_is_not_set_is_none(tmp_path: Path, site: Site) -> None:
    wanted = pipeline(parent_image=f"{site.address}/base:1", environment={"A": "${A}", "B": "${B}"})
    facts = observe(wanted, Stack(), root=tmp_path, environ={"B": ""})
    assert facts.variable("A") is None
    assert facts.variable("B") == Secret("")


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path, site: Site) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    (tmp_path / ".dockerignore").mkdir()
    wanted = pipeline(
        parent_image=f"{site.address}/base:1", requirements="requirements.txt", environment={"A": "${A}"}
    )
    with pytest.raises(PlannerError) as raised:
        observe(wanted, Stack(), root=tmp_path, environ={"A": "\udcff" + PLANTED})
    assert sorted(str(problem.where) for problem in raised.value.problems) == [
        ".dockerignore", "environment", "requirements.txt:1",
    ]  # fmt: skip
    assert PLANTED not in str(raised.value)


# --- where a digest comes from


def locked(*parents: str) -> Lock:
    """A lock that pins these parents."""
    plans = []
    for number, parent in enumerate(parents):
        wanted = Pipeline(
            name=f"p{number}", steps=["a"], settings={"docker": {"parent_image": parent, "skip_build": True}}
        )
        facts = Facts().also({ImageDigest(ImageRef.parse(parent)): Pin(PINNED, "registry")})
        plans.append(make_plan(wanted, Stack(), facts, here=False))
    return Lock(tuple(plans))


def test_the_registry_goes_before_the_engine_and_the_lock(tmp_path: Path, site: Site) -> None:
    name = f"{site.address}/base:1"
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=unwanted, lock=locked(name))
    assert pin_of(facts, name) == Pin(INDEX, "registry")


def test_the_engine_goes_before_the_lock(tmp_path: Path, broken: Site) -> None:
    name = f"{broken.address}/base:1"
    why = f"{broken.address} answered with status 500"
    engine = shelf({name: LOCAL})
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=lambda: engine, lock=locked(name))
    assert pin_of(facts, name) == Pin(LOCAL, "engine", why, transient=True)
    assert observe(skipped(name), Stack(), root=tmp_path, engine=engine) == facts


def engine_away() -> NoReturn:
    raise EngineUnavailable.of("docker", "does not answer", "start it")


def engine_with_a_defect() -> Engine:
    return cast(Engine, object())


@pytest.mark.parametrize("engine", [None, lambda: None, engine_away, engine_with_a_defect, shelf({})])
def test_the_lock_is_asked_last(tmp_path: Path, broken: Site, engine: Any) -> None:
    name, why = f"{broken.address}/base:1", f"{broken.address} answered with status 500"
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=engine, lock=locked(name))
    assert pin_of(facts, name) == Pin(PINNED, "lock", why, transient=True)
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=engine, lock=locked("other:1"))
    assert pin_of(facts, name) == Pin(None, "", why, transient=True)
    assert observe(skipped(name), Stack(), root=tmp_path, engine=engine) == facts


def test_by_default_the_lock_is_the_project_s_own(tmp_path: Path, broken: Site) -> None:
    name = f"{broken.address}/base:1"
    (tmp_path / "stowplan.lock").write_text(dumps(locked(name)))
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=None)
    assert pin_of(facts, name).source == "lock"
    assert pin_of(facts, name).digest == PINNED


def test_one_image_that_the_engine_cannot_tell_does_not_lose_the_others(tmp_path: Path, broken: Site) -> None:
    class Moody(Shelf):
        def digest(self, ref: ImageRef) -> Digest | None:
            if ref.tag == "1":
                raise EngineUnavailable.of("docker", "does not answer", "start it")
            return super().digest(ref)

    names = [f"{broken.address}/base:{number}" for number in (1, 2)]
    wanted = of_steps({name[-1]: {"parent_image": name, "skip_build": True} for name in names})
    engine = cast(Engine, Moody(dict.fromkeys(names, LOCAL)))
    facts = observe(wanted, Stack(), root=tmp_path, engine=engine)
    assert [pin_of(facts, name).digest for name in names] == [None, LOCAL]


def test_an_image_that_is_not_there_is_no_passing_trouble(tmp_path: Path) -> None:
    with serving(lambda _: Reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')) as site:
        name = f"{site.address}/base:1"
        facts = observe(skipped(name), Stack(), root=tmp_path)
    assert pin_of(facts, name) == Pin(None, "", f"{site.address} has no {name}", transient=False)


def test_a_registry_and_an_engine_that_hang_are_given_up(tmp_path: Path) -> None:
    hanging = threading.Event()

    def engine() -> Engine:
        hanging.wait()
        return shelf({})

    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"localhost:{server.getsockname()[1]}/base:1"
        facts = observe(skipped(name), Stack(), root=tmp_path, engine=engine, lock=locked(name), timeout=0.1)
    hanging.set()
    assert pin_of(facts, name).digest == PINNED
    assert "did not answer" in pin_of(facts, name).reason
    assert pin_of(facts, name).transient


def test_frozen_asks_nobody_but_the_lock(tmp_path: Path, site: Site) -> None:
    name = f"{site.address}/base:1"
    facts = observe(skipped(name), Stack(), root=tmp_path, engine=unwanted, lock=locked(name), frozen=True)
    assert pin_of(facts, name) == Pin(PINNED, "lock")
    assert site.requests == []


@pytest.mark.parametrize("lock", [None, Lock(), locked("other:1")])
def test_frozen_names_what_the_lock_does_not_pin(tmp_path: Path, lock: Lock | None) -> None:
    with pytest.raises(PlannerError, match=r"stowplan\.lock: no digest of team/base:1: run without --frozen"):
        observe(skipped("team/base:1"), Stack(), root=tmp_path, lock=lock, frozen=True, engine=unwanted)


# --- nothing else is looked at


def test_nothing_is_looked_at_when_nothing_is_asked_for(tmp_path: Path) -> None:
    digest = "@sha256:" + "4" * 64
    wanted = skipped(f"team/base:1{digest}")
    assert observe(wanted, Stack(), root=tmp_path / "nowhere", engine=unwanted, environ={}) == Facts()


def test_the_trees_of_two_ignore_files_are_two_trees(tmp_path: Path, site: Site) -> None:
    for name, text in {"a.ignore": "b.py", "b.ignore": "a.py", "a.py": "", "b.py": ""}.items():
        (tmp_path / name).write_text(text, "utf-8")
    parent = f"{site.address}/base:1"
    wanted = of_steps({
        name: {"parent_image": parent, "build_config": {"dockerignore": f"{name}.ignore"}} for name in "ab"
    })  # fmt: skip
    facts = observe(wanted, Stack(), root=tmp_path)
    plan = make_plan(wanted, Stack(), facts)
    trees = [cast(Tree, image.tree) for image in plan.images]
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
