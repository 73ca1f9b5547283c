"""What observing and planning cost, next to programs that everyone has. `make bench` runs it.

Every figure is the best of several runs, measured by turns on one machine, so that the ratios mean
something where the seconds do not. Prints a table; asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.applying import applying
from benchmarks.comparing import comparing
from benchmarks.growth import growing
from benchmarks.logs import masking
from benchmarks.measure import STOWPLAN, best, run, shell, table
from benchmarks.pages import opening
from benchmarks.resolving import resolving
from benchmarks.running import running
from executor.observe.facts import observe
from planner import Pipeline, Stack

FIXTURES: Final = Path(__file__).parent.parent / "fixtures/projects"
# Planning with a digest asks no registry, so that no network is measured.
PARENT: Final = "python:3.11-slim@sha256:" + "0" * 64
DECORATORS: Final = "from stowplan import pipeline, step, DockerSettings"
GIT: Final = ("git", "-c", "user.name=bench", "-c", "user.email=bench", "-c", "core.fsmonitor=false")
SHA256SUM: Final = "find . -path ./.git -prune -o -type f -print0 | xargs -0 sha256sum"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000, help="files in the large tree")
    parser.add_argument(
        "--runs",
        type=int,
        default=5,
        help="runs of which the best counts; four times as many of the short ones",
    )
    given = parser.parse_args()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    print(f"{machine}, Python {platform.python_version()}, best of {given.runs} runs")
    with tempfile.TemporaryDirectory(prefix="stowplan-bench-") as directory:
        as_installed(Path(directory) / "bytecode")
        observing(Path(directory) / "tree", given.files, given.runs)
        planning(Path(directory) / "demo", 4 * given.runs)
        comparing(Path(directory) / "compared", given.runs, lambda root: make_tree(root, given.files), GIT)
        resolving(Path(directory) / "resolving", given.runs)
        applying(Path(directory) / "apply", given.runs)
        running(Path(directory) / "run", given.runs)
        starting(4 * given.runs)
        masking(given.runs)
        opening(Path(directory) / "pages", given.runs)
        growing(Path(directory) / "growth")


def as_installed(bytecode: Path) -> None:
    """Let every program that is started find its bytecode, as it does where pip has installed stowplan.

    Of a checkout there may be some, all or none, and PYTHONDONTWRITEBYTECODE keeps it so.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(bytecode)


def observing(root: Path, count: int, runs: int) -> None:
    """A large tree: our two ways to observe it, and four other ways to look at all of it."""
    size = make_tree(root, count)
    commit(root)
    # Files changed in the last moments are read again by any cache that is honest about clocks.
    time.sleep(2.5)
    pipeline = Pipeline(name="bench", steps=["only"], settings={"docker": {"parent_image": PARENT}})

    def look() -> None:
        observe(pipeline, Stack(), root=root, environ={})

    def forget() -> None:
        shutil.rmtree(root / ".stowplan", ignore_errors=True)

    # `git status` writes its index anew once it trusts its times; that run is not counted.
    run(*GIT, "status", "--porcelain", cwd=root)
    figures = best(
        runs,
        {
            "scandir and stat": lambda: scan(root),
            "git status": lambda: run(*GIT, "status", "--porcelain", cwd=root),
            "sha256sum": lambda: shell(SHA256SUM, root),
            "tar | cat": lambda: shell("tar --exclude=./.git -cf - . | cat", root),
            "observe, cold": look,
            "observe, warm": look,
        },
        before={"observe, cold": forget},
    )
    table(
        f"{count:,} files, {size / 1e6:.0f} MB, all in the page cache",
        figures,
        ("scandir and stat", "git status", "sha256sum", "tar | cat"),
    )


def planning(root: Path, runs: int) -> None:
    """`stowplan plan` of the demo, locked and unchanged."""
    shutil.copytree(FIXTURES / "demo", root)
    config = root / "stowplan.toml"
    config.write_text(config.read_text().replace('"python:3.11-slim"', f'"{PARENT}"'))
    commit(root)
    run(*STOWPLAN, "lock", cwd=root)
    time.sleep(2.5)
    run(*STOWPLAN, "plan", cwd=root)
    figures = best(
        runs,
        {
            "python -c pass": lambda: run(sys.executable, "-c", "pass", cwd=root),
            "git status": lambda: run(*GIT, "status", "--porcelain", cwd=root),
            "stowplan plan": lambda: run(*STOWPLAN, "plan", cwd=root),
        },
    )
    table("three steps, two images, locked, nothing changed", figures, ("python -c pass", "git status"))


def starting(runs: int) -> None:
    """What it takes to begin."""
    figures = best(
        runs,
        {
            "python -c pass": lambda: run(sys.executable, "-c", "pass"),
            "the decorators": lambda: run(sys.executable, "-c", DECORATORS),
            "make_plan": lambda: run(sys.executable, "-c", "from planner import make_plan"),
            "stowplan --version": lambda: run(*STOWPLAN, "--version"),
        },
    )
    table("start", figures, ("python -c pass",))


def make_tree(root: Path, count: int) -> int:
    """A tree like a large repository's: a hundred files to a directory, most of them small. Its bytes."""
    chance = random.Random(0)  # noqa: S311  # sizes, not secrets
    text = "".join(chance.choices("abcdefghij \n", k=65_536))
    total = 0
    for index in range(count):
        directory = root / f"package{index // 10_000}" / f"part{index // 100 % 100}"
        if index % 100 == 0:
            directory.mkdir(parents=True)
        size = min(int(chance.lognormvariate(7, 1)), 60_000)
        start = chance.randrange(len(text) - size)
        (directory / f"module{index % 100}.py").write_text(f"# {index}\n{text[start : start + size]}")
        total += size
    (root / ".dockerignore").write_text(".git\n")
    return total


def commit(root: Path) -> None:
    """Make `root` a git repository with everything in it committed."""
    run(*GIT, "init", "--quiet", cwd=root)
    run(*GIT, "add", ".", cwd=root)
    run(*GIT, "commit", "--quiet", "--message", "bench", cwd=root)


def scan(root: Path) -> None:
    """The least that anyone who looks at every file must do; by descriptor, which is faster."""
    directories = [os.fspath(root)]
    while directories:
        path = directories.pop()
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    entry.stat(follow_symlinks=False)
                elif entry.name != ".git":
                    directories.append(f"{path}/{entry.name}")
        os.close(descriptor)


if __name__ == "__main__":
    main()
