"""What it costs to compare two revisions of a large repository, beside what git takes for its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.measure import STOWPLAN, best, run, table

# Planning with a digest asks no registry, so that no network is measured.
_FILE: Final = f"""\
[pipeline.bench]
steps = ["only"]
settings.docker = {{ parent_image = "python:3.11-slim@sha256:{"0" * 64}" }}
"""


def comparing(root: Path, runs: int, make: Callable[[Path], object], git: tuple[str, ...]) -> None:
    """A few files changed, and then a fifth of all: `diff main HEAD` of both."""
    make(root)
    (root / "stowplan.toml").write_text(_FILE)
    (root / ".gitignore").write_text(".stowplan/\n")
    run(*git, "init", "--quiet", "--initial-branch=main", cwd=root)
    run(*git, "add", ".", cwd=root)
    run(*git, "commit", "--quiet", "--message", "main", cwd=root)
    run(*git, "repack", "--quiet", "-a", "-d", cwd=root)
    files = sorted(path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    for name, step in (("few", len(files) // 10), ("many", 5)):
        run(*git, "checkout", "--quiet", "-b", name, "main", cwd=root)
        for path in files[::step]:
            if path.name not in ("stowplan.toml", ".gitignore"):
                path.write_text(path.read_text() + "edited\n")
        run(*git, "commit", "--quiet", "--all", "--message", name, cwd=root)
        shutil.rmtree(root / ".stowplan", ignore_errors=True)

        def compare(*options: str) -> None:
            run(*STOWPLAN, "diff", "main", "HEAD", "--offline", *options, cwd=root)

        figures = best(1, {"cold": compare})
        figures |= best(
            runs,
            {
                "git diff --stat": lambda: run(*git, "diff", "--stat", "main", "HEAD", cwd=root),
                "stowplan --version": lambda: run(*STOWPLAN, "--version", cwd=root),
                "stowplan diff main HEAD": compare,
            },
        )
        changed = len(files[::step])
        table(f"{len(files):,} files, {changed:,} of them changed", figures, ("git diff --stat",))
