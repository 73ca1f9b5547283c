"""Each Dockerfile of the fixtures against its golden file: what it reaches, and its text with pins in place.

`pytest --update-golden` (or `make golden`) writes the golden files anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from executor.observe.cache import Cache
from executor.observe.trees import read_tree
from planner.dockerfiles.context import reached_files
from planner.dockerfiles.model import Statement
from planner.dockerfiles.origins import NamedImage
from planner.dockerfiles.pinning import needed_lines, pinned
from planner.dockerfiles.reach import Reach, reached
from planner.dockerfiles.reading import read
from planner.facts.needs import FileTree
from planner.files.ignore import IgnoreRules
from planner.files.tree import Tree
from planner.values import Digest
from tests.dockerfiles import DIRECTORY, DOCKERFILES

EXPECTED = DIRECTORY.parent / "expected/dockerfiles"


def context(name: str, cache: Path) -> Tree:
    """The build context: what the ignore file leaves of the directory, and no file left out besides."""
    root = DIRECTORY / name
    paths = [root / "Dockerfile.dockerignore", root / ".dockerignore"]
    text = next((path.read_text() for path in paths if path.exists()), "")
    with Cache(cache) as kept:
        return read_tree(root, FileTree(IgnoreRules.parse(text, file=".dockerignore")), kept)


def reach_of(name: str) -> Reach:
    fixture = DOCKERFILES[name]
    dockerfile = read(fixture.text(name), "Dockerfile")
    return reached(dockerfile, "linux/amd64", "linux/amd64", fixture.build_args, fixture.target)


def pins(reach: Reach) -> dict[NamedImage, Digest]:
    """A digest for each image that has none."""
    names = {image: str(image.reference) for image in reach.images if not image.reference.digest}
    return {image: Digest(hashlib.sha256(name.encode()).hexdigest()) for image, name in names.items()}


def described(name: str, cache: Path) -> str:
    """What a Dockerfile reaches, for people to review."""
    reach = reach_of(name)
    found = reached_files(reach.sources, context(name, cache))
    data = {
        "target": reach.target.label,
        "stages": [stage.label for stage in reach.stages],
        "images": [
            str(image.reference) + (f" ({image.platform})" if image.platform else "")
            for image in reach.images
        ],
        "base": str(reach.base.reference) if reach.base else "scratch",
        "user": str(reach.user) if reach.user else None,
        "files": list(found.tree.paths()),
        "nothing": [source.written for source in found.nothing],
        "secrets": {secret.name: "required" if secret.required else "optional" for secret in reach.secrets},
        "fetched": {each.url: "pinned" if each.pinned else "not pinned" for each in reach.remotes},
        "buildkit": dict(reach.buildkit),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def built(name: str) -> str:
    """The text that is built."""
    fixture = DOCKERFILES[name]
    lines = needed_lines(read(fixture.text(name), "Dockerfile"), reach_of(name))
    dockerfile = read("".join(f"{line}\n" for line, _ in lines), "Dockerfile")
    reach = reached(dockerfile, "linux/amd64", "linux/amd64", fixture.build_args)
    return pinned(dockerfile, reach, pins(reach))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_comes_to_its_golden_files(name: str, tmp_path: Path, update_golden: bool) -> None:
    found = {f"{name}.json": described(name, tmp_path), f"{name}.Dockerfile": built(name)}
    for file, text in found.items():
        if update_golden:
            EXPECTED.mkdir(exist_ok=True)
            (EXPECTED / file).write_bytes(text.encode())
        expected = (EXPECTED / file).read_bytes().decode()
        assert text == expected, f"{file} is not as stored: review, then `make golden`"


def test_every_dockerfile_and_every_golden_file_is_of_a_fixture() -> None:
    assert sorted(path.name for path in DIRECTORY.iterdir()) == sorted(DOCKERFILES)
    assert {path.stem for path in EXPECTED.iterdir()} == DOCKERFILES.keys()
    assert len(DOCKERFILES) > 20


def inner(reach: Reach) -> list[Statement]:
    """The statements of the stages; an ARG above that only FROM looked up is no longer needed."""
    return [each for stage in reach.stages for each in (stage.start, *stage.statements)]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_built_says_the_same_but_for_the_references(name: str) -> None:
    reach = reach_of(name)
    again = reached(
        read(built(name), "Dockerfile"), "linux/amd64", "linux/amd64", DOCKERFILES[name].build_args
    )
    names = {str(image.reference.pinned(digest)) for image, digest in pins(reach).items()}
    assert names <= {str(image.reference) for image in again.images}
    pairs = list(zip(inner(reach), inner(again), strict=True))
    assert [old.keyword for old, _ in pairs] == [new.keyword for _, new in pairs]
    for old, new in pairs:
        if old != new:
            assert "@sha256:" in str(new)
            assert old.keyword in ("FROM", "COPY", "RUN")
    assert [source.path for source in again.sources] == [source.path for source in reach.sources]
    assert [secret.name for secret in again.secrets] == [secret.name for secret in reach.secrets]
    assert again.user == reach.user
