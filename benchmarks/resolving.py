"""What it costs to resolve 100 packages, and to plan 1,000 steps that share them, next to uv.

The packages are made here, and served on this machine, so that no network counts.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final
from unittest.mock import patch

from uv import find_uv_bin

from benchmarks.measure import STOWPLAN, best, run, table
from executor.resolve.uv import resolve
from planner.facts.needs import Resolve
from planner.requirements.model import Requirement, Requirements
from planner.requirements.resolution import Inputs
from tests.index import Index, package_index

__all__ = ["resolving"]

UV: Final = find_uv_bin()
PACKAGES: Final = 100
VERSIONS: Final = 5
DIRECT: Final = [f"package-{number}>=2" for number in range(10)]
"""What is asked for: all of the packages are below these."""
PYTHON: Final = "3.11.2"
PLATFORM: Final = "x86_64-manylinux_2_36"
# What is published does not change, and PyPI says so of its files.
FOR_EVER: Final = "max-age=365000000, immutable"
# How long pages of packages may be kept → what that means for a resolution.
PAGES: Final = {
    "no-cache": "pages asked for again, as a day later",
    "max-age=600": "nothing asked for, as PyPI has it for ten minutes",
}
PROJECT: Final = """\
[pipeline.bench]
steps = [{steps}]
[pipeline.bench.settings.docker]
parent_image = "python:3.11-slim@sha256:{digest}"
python_version = "{python}"
pyproject_path = "pyproject.toml"
python_package_installer_args = {{ default-index = "{index}" }}
"""
PYPROJECT: Final = """\
[project]
name = "bench"
version = "1"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""


def resolving(root: Path, runs: int) -> None:
    """A resolution next to uv alone, and plans of many steps that share it."""
    with package_index() as index, patch.dict(os.environ, _environment(root, index)):
        for number in range(PACKAGES):
            below = range(3 * number + 10, min(3 * number + 13, PACKAGES))
            for version in range(1, VERSIONS + 1):
                index.release(f"package-{number}", f"{version}.0", [f"package-{each}>=1" for each in below])
        _resolutions(root / "uv", index, runs)
        _steps(root / "projects", index, runs)


def _environment(root: Path, index: Index) -> dict[str, str]:
    return {"UV_CACHE_DIR": str(root / "cache"), "UV_DEFAULT_INDEX": index.url}


def _resolutions(root: Path, index: Index, runs: int) -> None:
    """100 packages: from an index that nobody asked yet, and with what uv keeps of it."""
    root.mkdir(parents=True)
    (root / "requirements.in").write_text("".join(f"{line}\n" for line in DIRECT))
    asked = Requirements.of(map(Requirement.parse, DIRECT))
    need = Resolve(Inputs((("requirements", asked),), PYTHON, PLATFORM, {"default-index": index.url}))
    told = (f"--python={sys.executable}", f"--python-version={PYTHON}", f"--python-platform={PLATFORM}")

    def alone() -> None:
        run(UV, "pip", "compile", "--quiet", "requirements.in", *told, cwd=root)

    def ours() -> None:
        found = resolve(need, os.environ)
        if len(found.packages) != PACKAGES:
            sys.exit(f"{len(found.packages)} packages: {found.reason}")

    def forget() -> None:
        shutil.rmtree(os.environ["UV_CACHE_DIR"], ignore_errors=True)

    works = {"uv pip compile": alone, "resolution": ours}
    index.keeping = {"simple": "no-cache", "files": FOR_EVER}
    figures = best(runs, works, before=dict.fromkeys(works, forget))
    table("100 packages, nothing kept", figures, ("uv pip compile",))
    for pages, title in PAGES.items():
        index.keeping["simple"] = pages
        forget()
        alone()
        table(f"100 packages, {title}", best(runs, works), ("uv pip compile",))


def _steps(root: Path, index: Index, runs: int) -> None:
    """Steps that share a pyproject.toml: all in one image, and each in an image of its own."""
    index.keeping["simple"] = "max-age=600"
    one, ten, own = (root / name for name in ("one", "ten", "own"))
    for directory, count in ((one, 1_000), (ten, 10_000), (own, 1_000)):
        _project(directory, index, count, own=directory == own)
    first = {
        "uv pip compile": lambda: run(UV, "pip", "compile", "--quiet", "pyproject.toml", cwd=one),
        "stowplan lock, at first": lambda: run(*STOWPLAN, "lock", cwd=one),
    }
    figures = best(runs, first, before={"stowplan lock, at first": (one / "stowplan.lock").unlink})
    figures |= best(runs, {
        "uv lock --check": lambda: run(UV, "lock", "--check", cwd=one),
        "stowplan lock, unchanged": lambda: run(*STOWPLAN, "lock", cwd=one),
        "stowplan plan": lambda: run(*STOWPLAN, "plan", cwd=one),
        "  of 10,000 steps": lambda: run(*STOWPLAN, "plan", cwd=ten),
        "  of 1,000 images": lambda: run(*STOWPLAN, "plan", cwd=own),
    })  # fmt: skip
    table(
        "1,000 steps that share a pyproject.toml of 100 packages",
        figures,
        ("uv pip compile", "uv lock --check", "stowplan plan"),
    )


def _project(root: Path, index: Index, steps: int, *, own: bool) -> None:
    """A project, locked, and planned once; with `own` each step has an environment of its own."""
    root.mkdir(parents=True)
    dependencies = ", ".join(f'"{line}"' for line in DIRECT)
    (root / "pyproject.toml").write_text(PYPROJECT.format(dependencies=dependencies))
    names = [f"s{number}" for number in range(steps)]
    listed = ", ".join(f'"{name}"' for name in names)
    text = PROJECT.format(steps=listed, digest="0" * 64, python=PYTHON, index=index.url)
    if own:
        tables = (
            f'[pipeline.bench.step.{name}.settings.docker]\nenvironment.STEP = "{name}"\n' for name in names
        )
        text += "".join(tables)
    (root / "stowplan.toml").write_text(text)
    (root / ".dockerignore").write_text("stowplan.*\n")
    run(UV, "lock", "--quiet", cwd=root)
    run(*STOWPLAN, "lock", cwd=root)
    run(*STOWPLAN, "plan", cwd=root)
