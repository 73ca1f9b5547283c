"""Two clones and one registry: what one has built, the other does not, with neither records nor ledger."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Project
from tests.e2e.images import Tags
from tests.e2e.two_images import actions, hashes, results
from tests.git_situations import git

WAYS = ("image", "repository", "artifact-store")
SOURCE = "pipe:training"
URL = "https://git.example.com/team/code"


def clone(bare: Path, root: Path) -> None:
    """A clone whose origin is at an address that containers reach, and that is pushed to this machine."""
    git(bare, "clone", "-q", str(bare), str(root))
    git(root, "remote", "set-url", "origin", URL)
    git(root, "remote", "set-url", "--push", "origin", str(bare))


def commit(root: Path, words: str) -> None:
    git(root, "add", ".")
    git(root, "commit", "-qm", words)
    git(root, "push", "-q", "origin", "HEAD:main")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How the code of a project reaches containers."""
    way: str = request.param
    return way


@pytest.fixture
def clones(project: Project, parent: str, registry: str, tmp_path: Path, way: str) -> tuple[Project, Project]:
    """Two clones of a repository with a decorated pipeline of two images."""
    bare = tmp_path / "team.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    clone(bare, tmp_path / "first")
    first = Project(tmp_path / "first", project.env)
    repository = f'[code_repository.team]\ntype = "git"\nurl = "{URL}"\n' if way == "repository" else ""
    store = f'artifact_store = {{ uri = "{tmp_path / "store"}" }}' if way == "artifact-store" else ""
    first.write({
        "pipe.py": f"""
            from stowplan import DockerSettings, pipeline, step


            @step
            def load() -> int:
                return 20


            @step(settings={{"docker": DockerSettings(environment={{"A": "1"}})}})
            def train(n: int) -> int:
                return n + 1


            @pipeline(settings={{"docker": DockerSettings(parent_image="{parent}")}})
            def training() -> None:
                train(load())
            """,
    })  # fmt: skip
    stack = (
        f'[stack.prod]\ncontainer_registry = {{ uri = "{registry}", default_repository = "p" }}\n{store}\n'
    )
    (first.root / "stowplan.toml").write_text(repository + stack)
    (first.root / ".gitignore").write_text("__pycache__/\n")
    commit(first.root, "first")
    clone(bare, tmp_path / "second")
    return first, Project(tmp_path / "second", project.env)


def test_a_second_clone_builds_nothing(clones: tuple[Project, Project], tags: Tags, way: str) -> None:
    first, second = clones
    made = first.ok("build", SOURCE, "--stack", "prod", "-o", "json").data
    assert [image["result"] for image in made["images"]] == ["built", "built"]
    assert made["contains_code"] is (way == "image")
    assert bool(made["commit"]) is (way == "repository")
    for image in made["images"]:
        tags.engine.remove(image["reference"])
    planned = second.ok("plan", SOURCE, "--stack", "prod", "-o", "json")
    assert actions(planned) == ["reuse", "reuse"]
    assert hashes(planned) == [image["hash"] for image in made["images"]]
    said = second.ok("build", SOURCE, "--stack", "prod").out.splitlines()
    assert said[-2:] == ["Built 0, pushed 0, reused 2, failed 0.", f"build {made['id']}"]
    for image in made["images"]:
        assert tags.engine.inspect(image["reference"]) is None


def test_an_edit_in_the_second_clone_builds_only_where_code_is_inside(
    clones: tuple[Project, Project], tags: Tags, way: str
) -> None:
    del tags
    first, second = clones
    made = first.ok("build", SOURCE, "--stack", "prod", "-o", "json").data
    path = second.root / "pipe.py"
    path.write_text(path.read_text().replace("return 20", "return 21"))
    commit(second.root, "second")
    ran = second.ok("apply", SOURCE, "--stack", "prod", "-o", "json")
    assert results(ran) == (["built", "built"] if way == "image" else ["reused", "reused"])
    assert (ran.data["build"] == made["id"]) is (way != "image")
    shutil.rmtree(second.root / ".stowplan")
    assert results(second.ok("apply", SOURCE, "--stack", "prod", "-o", "json")) == ["reused", "reused"]
