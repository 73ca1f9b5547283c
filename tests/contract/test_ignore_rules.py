"""Ignore files as the engines themselves read them, against `IgnoreRules` and the tree it leaves.

Docker is the authority: `docker buildx build` decides what `COPY .` brings into an image from a plain
directory with a `.dockerignore` in it. What Podman decides differently is written down here by name,
since images are built from the list that Docker would make, on Podman too.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executor.engines.docker import DockerEngine
from executor.engines.podman import PodmanEngine
from executor.observe.cache import Cache
from executor.observe.trees import read_tree
from executor.process import Command, run
from planner.facts.needs import FileTree
from planner.files.ignore import IgnoreRules
from tests.contract.conftest import absent

PATHS = (
    "a.pyc",
    "b.txt",
    "src/a.pyc",
    "src/b.txt",
    "src/deep/a.pyc",
    "src/deep/keep.txt",
    "src/deep/er/keep.txt",
    "build/out.txt",
    "src/build/out.txt",
    "build.txt",
    "docs/README.md",
    "docs/guide.md",
    "docs/api/README.md",
    "README.md",
    ".env",
    ".git/config",
    "src/.env",
    "data/1/x.csv",
    "data/2/x.csv",
    "data/10/x.csv",
    "a b/c d.txt",
    "caf\u00e9/x",
    "cafe\u0301/x",
    "[x]/y",
    "x/y",
    "#hash",
    "!bang",
    "star*/a",
    "starred/a",
    "Case/a",
    "case/a",
)

# Ignore files, each by what is special about it.
IGNORE_FILES = {
    "none": "",
    "root only": "*.pyc\nbuild\n",
    "any depth": "**/*.pyc\n**/build\n",
    "comments and blanks": "# *.txt\n\n   \n  *.pyc  \n #hash\n",
    "order": "*.md\n!README.md\ndocs/*.md\n!docs/README.md\n",
    "last wins": "!README.md\n*.md\n",
    "below an ignored directory": "src\n!src/deep/keep.txt\n",
    "all but": "*\n!src/**/*.txt\n!docs\n",
    "all but, deep": "**\n!**/keep.txt\n",
    "stars in the middle": "src/**/keep.txt\n",
    "stars at the end": "src/**\n",
    "stars without a slash": "**keep.txt\n",
    "one star in a name": "data/*/x.csv\n!data/1*/x.csv\n",
    "question mark": "data/?/x.csv\n",
    "class": "data/[12]/*\n",
    "negated class": "data/[^1]/*\n",
    "slashes around": "/build/\n/src/build/\n",
    "dots": "./src/../docs/./guide.md\n../b.txt\n.\n",
    "hidden": ".*\n",
    "escaped": "\\#hash\n\\!bang\nstar\\*\n\\[x\\]\n",
    "spaces in names": "a b/c d.txt\n",
    "unicode": "caf\u00e9\n",
    "case": "case\n",
    "a parent that is brought back": "src/deep\n!src\n",
    "a negation before": "!src/deep\nsrc\n",
    "carriage returns": "*.pyc\r\nbuild\r\n",
    "byte order mark": "\ufeff*.pyc\n",
    "the ignore file itself": ".dockerignore\n!.dockerignore\n",
}

# What Podman 4.3 (buildah 1.28) reads otherwise: it does not enter a directory that is ignored unless the
# text of a `!` pattern starts with its path, and it asks every pattern about every path.
PODMAN_DIFFERS = {
    "all but": "lacks src/build/out.txt and src/deep/keep.txt: `src/deep` is ignored, and not entered",
    "all but, deep": "lacks src/deep/keep.txt: no pattern starts with `!src/deep`",
    "a parent that is brought back": "has src/deep/keep.txt: there `!src` speaks about all below it",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with many kinds of names, empty directories, and links."""
    root = tmp_path / "context"
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "empty/inner").mkdir(parents=True)
    (root / "src/void").mkdir()
    (root / "link.txt").symlink_to("src/b.txt")
    (root / "src/up.md").symlink_to("../README.md")
    (root / "docs/link").symlink_to("../src")
    (root / "broken").symlink_to("nowhere")
    return root


def listing(root: Path) -> set[str]:
    """The files and links below a directory, but not the ignore file at its root.

    Engines copy empty directories, too. A tree has none, as in Git: see the test of that below.
    """
    found = set()
    for directory, below, files in os.walk(root):
        for name in [*files, *(name for name in below if (Path(directory) / name).is_symlink())]:
            found.add(os.path.relpath(f"{directory}/{name}", root))
    return found - {".dockerignore"}


def ours(root: Path, text: str) -> set[str]:
    need = FileTree(IgnoreRules.parse(text, file=".dockerignore"), (".dockerignore",))
    with Cache(root.parent) as cache:
        return set(read_tree(root, need, cache).paths())


def theirs(command: tuple[str, ...], root: Path, text: str, output: Path) -> set[str]:
    """What an engine copies from the directory."""
    (root / ".dockerignore").write_text(text, encoding="utf-8", newline="")
    dockerfile = root.parent / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /x\n")
    output.mkdir()
    done = run(
        Command((*command, f"--file={dockerfile}", f"--output=type=local,dest={output}", str(root))),
        merged=True,
    )
    assert done.code == 0, done.text
    (root / ".dockerignore").unlink()
    return listing(output / "x")


@pytest.mark.parametrize("name", IGNORE_FILES)
def test_docker_agrees(tree: Path, tmp_path: Path, name: str) -> None:
    if reason := DockerEngine("buildkit").unavailable():
        absent(str(reason))
    text = IGNORE_FILES[name]
    assert ours(tree, text) == theirs(("docker", "buildx", "build"), tree, text, tmp_path / "out")


def test_empty_directories_are_what_docker_copies_beside_a_tree(tree: Path, tmp_path: Path) -> None:
    if reason := DockerEngine("buildkit").unavailable():
        absent(str(reason))
    output = tmp_path / "out"
    theirs(("docker", "buildx", "build"), tree, "", output)
    need = FileTree(IgnoreRules(), (".dockerignore",))
    with Cache(tree.parent) as cache:
        kept = set(read_tree(tree, need, cache).nodes) - {""}
    copied = {str(path.relative_to(output / "x")) for path in output.rglob("x/**/") if path.is_dir()} - {"."}
    assert copied - kept == {"empty", "empty/inner", "src/void"}
    assert kept < copied


@pytest.mark.parametrize("name", IGNORE_FILES)
def test_podman_agrees_or_is_known_to_differ(tree: Path, tmp_path: Path, name: str) -> None:
    if reason := PodmanEngine().unavailable():
        absent(str(reason))
    text = IGNORE_FILES[name]
    agrees = ours(tree, text) == theirs(("podman", "build"), tree, text, tmp_path / "out")
    assert agrees is (name not in PODMAN_DIFFERS)
