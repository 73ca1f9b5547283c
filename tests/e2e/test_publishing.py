"""An image is published, never merely built: what is not what was planned gets no tag and is not pushed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import evolve

from executor.apply.exclusive import alone
from executor.apply.outcome import Event, EventKind, Outcome, Result
from executor.apply.scheduler import apply
from executor.engines.protocol import HASH_LABEL
from executor.registry.lookup import Found, head
from executor.state import read_lock
from planner import BuildPlan, Destination, Digest, Facts, ImagePlan, ImageRef
from tests.contract.images import build_text, planned
from tests.e2e.command import Project
from tests.e2e.images import Tags
from tests.e2e.two_images import results, write

SETTINGS = {
    "environment": {"A": "1"},
    "build_config": {"build_options": {"labels": {"team": "a"}}},
}
# A builder that says that it built what it is told to say.
LIAR = """\
#!/bin/sh
case " $* " in
  *" build "*)
    for word; do case $word in --iidfile=*) file=${word#--iidfile=};; esac; done
    [ -t 0 ] || cat > /dev/null
    [ -z "$LIE" ] || echo "$LIE" > "$file"
    exit 0
    ;;
esac
exec "$PROGRAM" "$@"
"""


@pytest.fixture
def image(project: Project, parent: str) -> ImagePlan:
    """A planned image without commands, which is not in any engine yet."""
    (project.root / "train.py").write_text("print(1)\n")
    return planned(project.root, SETTINGS, parent=parent)


def published(project: Project, tags: Tags, *images: ImagePlan) -> list[Outcome]:
    """What came of the images of a plan, one after the other."""
    for each in images:
        tags.made(each.reference)
    plan = BuildPlan("p", "default", images)
    return list(apply(plan, Facts(), root=project.root, engine=tags.engine, jobs=1))


@pytest.fixture
def lying(project: Project, tags: Tags, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in the place of the engine's that says of every build that its image has an ID."""
    program = shutil.which(tags.engine.name)
    assert program is not None
    directory = project.root.parent / "bin"
    # Docker's builder is a plugin, which is started by itself.
    for name in (tags.engine.name, "cli-plugins/docker-buildx"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(LIAR)
        (directory / name).chmod(0o755)

    def lie(image: str) -> None:
        monkeypatch.setenv("PROGRAM", program)
        monkeypatch.setenv("DOCKER_CONFIG", str(directory))
        monkeypatch.setenv("LIE", image)
        monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)

    return lie


@pytest.mark.parametrize(
    "lines",
    [
        ("ENV A=1\nWORKDIR /app\nLABEL team=a\n", "it was not built from a plan"),
        ("ENV A=2\nWORKDIR /app\nLABEL team=a\nMARK", "its environment variable A is not what was planned"),
        ("ENV A=1\nWORKDIR /srv\nLABEL team=a\nMARK", "its working directory is '/srv'"),
        ("ENV A=1\nWORKDIR /app\nMARK", "its label team is not what was planned"),
    ],
    ids=["mark", "environment", "directory", "label"],
)
def test_a_builder_that_builds_something_else(
    project: Project, image: ImagePlan, tags: Tags, lying: Callable[[str], None], lines: tuple[str, str]
) -> None:
    other = tags.made(image.reference[:-8])
    text = lines[0].replace("MARK", f"LABEL {HASH_LABEL}={image.hash}\n")
    build_text(tags.engine, other, f"FROM {image.base}\n{text}")
    info = tags.engine.inspect(other)
    assert info is not None
    lying(info.id)
    (outcome,) = published(project, tags, image)
    assert outcome.result is Result.FAILED
    assert lines[1] in str(outcome.error)
    assert tags.engine.inspect(image.reference) is None


@pytest.mark.parametrize("said", ["", "sha256:1234", "python:3.11-slim"], ids=["nothing", "half", "a name"])
def test_a_builder_that_builds_nothing(
    project: Project, image: ImagePlan, tags: Tags, lying: Callable[[str], None], said: str
) -> None:
    lying(said)
    (outcome,) = published(project, tags, image)
    assert outcome.result is Result.FAILED
    assert "there is no image" in str(outcome.error)
    assert tags.engine.inspect(image.reference) is None


def to_registry(image: ImagePlan, registry: str) -> ImagePlan:
    """The same image, pushed."""
    return evolve(image, destination=Destination(f"{registry}/p", push=True))


def test_a_tag_that_moves_before_its_push(
    project: Project, image: ImagePlan, parent: str, registry: str, tags: Tags
) -> None:
    other = planned(project.root, {"environment": {"B": "1"}}, parent=parent)
    images = [evolve(to_registry(each, registry), name=name) for each, name in ((other, "a"), (image, "b"))]
    # Both are there, and only have to be pushed.
    local = [evolve(each, destination=Destination(f"{registry}/p")) for each in images]
    assert [each.result for each in published(project, tags, *local)] == [Result.BUILT] * 2

    def move(event: Event) -> None:
        if (event.image, event.kind) == ("a", EventKind.ENDED):
            tags.engine.tag(parent, images[1].reference)

    plan = BuildPlan("p", "default", tuple(images))
    first, second = apply(plan, Facts(), root=project.root, engine=tags.engine, jobs=1, on_event=move)
    assert first.result is Result.PUSHED
    assert second.result is Result.FAILED
    assert second.error is not None
    assert second.error.problems[0].code == "foreign-image"
    assert not isinstance(head(ImageRef.parse(images[1].reference), timeout=10), Found)
    only_first(project, first)


def test_a_tag_that_moves_while_it_is_pushed(
    project: Project, image: ImagePlan, parent: str, registry: str, tags: Tags
) -> None:
    """The registry has somebody else's image then, and nothing of ours says otherwise."""
    pushed = to_registry(image, registry)
    tags.made(pushed.reference)

    def move(event: Event) -> None:
        if event.kind is EventKind.PUSHING:
            tags.engine.tag(parent, pushed.reference)

    plan = BuildPlan("p", "default", (pushed,))
    (outcome,) = apply(plan, Facts(), root=project.root, engine=tags.engine, on_event=move)
    assert outcome.result is Result.FAILED
    assert outcome.error is not None
    assert outcome.error.problems[0].code == "foreign-tag"
    assert read_lock(project.root) is None


def only_first(project: Project, first: Outcome) -> None:
    """The ledger has one image, and no other."""
    lock = read_lock(project.root)
    assert lock is not None
    assert [entry.image for entry in lock.pushed] == [first.hash]


def test_an_image_under_another_name_is_looked_at_like_any_other(
    project: Project, image: ImagePlan, parent: str, registry: str, tags: Tags
) -> None:
    """A record says that it is there; what is there by now is something else."""
    (outcome,) = published(project, tags, image)
    assert outcome.result is Result.BUILT
    text = f"FROM {parent}\nENV A=2\nLABEL team=a\nWORKDIR /app\nLABEL {HASH_LABEL}={image.hash}\n"
    build_text(tags.engine, image.reference, text)
    elsewhere = evolve(image, destination=Destination(f"{registry}/elsewhere"))
    (outcome,) = published(project, tags, elsewhere)
    assert outcome.result is Result.BUILT
    info = tags.engine.inspect(elsewhere.reference)
    assert info is not None
    assert info.environment["A"] == "1"
    (outcome,) = published(project, tags, image)
    assert outcome.result is Result.FAILED
    assert "its environment variable A is not what was planned" in str(outcome.error)


# --- one lock for one piece of work


def clones(project: Project, count: int) -> list[Project]:
    """Projects that want the same images, each in a directory of its own, with one user's cache."""
    made = [Project(project.root.parent / f"clone{number}", dict(project.env)) for number in range(count)]
    for clone in made:
        shutil.copytree(project.root, clone.root)
    return made


@pytest.mark.parametrize("stack", ["local", "prod"])
def test_projects_that_want_one_image_build_and_push_it_once(
    project: Project, parent: str, registry: str, tags: Tags, stack: str
) -> None:
    cache = project.root.parent / "cache"
    project.env["XDG_CACHE_HOME"] = str(cache)
    write(project, parent, registry, value=uuid.uuid4().hex)
    project.ok("lock")
    at_once = [*clones(project, 3), project, project]
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda clone: clone.run("apply", "--stack", stack, "-o", "json"), at_once))
    assert [ran.code for ran in runs] == [0] * 5, "\n".join(ran.err for ran in runs)
    for image in runs[0].data["images"]:
        tags.made(image["reference"])
    for number in range(2):
        came = [results(ran)[number] for ran in runs]
        assert sorted(came) == ["built", *["reused"] * 4]
    digests = {(image["name"], image["digest"]) for ran in runs for image in ran.data["images"]}
    assert len(digests) == 2
    kept = {path.suffix for path in (cache / "stowplan/building").iterdir()}
    assert kept == {".lock"}


def test_waiting_for_another_is_said_and_can_be_interrupted(
    project: Project, parent: str, tags: Tags, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.root.parent / "cache"))
    write(project, parent, value=uuid.uuid4().hex)
    planned_images = project.ok("plan", "-o", "json", "--stack", "local").data["images"]
    image = Digest.parse(planned_images[0]["hash"])
    with alone(tags.engine, image, check=lambda: None, on_wait=lambda: None) as waited:
        assert not waited
        process = subprocess.Popen(
            project.command("apply", "--stack", "local"),
            cwd=project.root, env=project.environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "waiting for another stowplan" in line:
                break
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert tags.engine.inspect(planned_images[0]["reference"]) is None
